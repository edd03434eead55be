# syntax=docker/dockerfile:1

ARG GO_VERSION=1.22
ARG ALPINE_VERSION=3.20

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-alpine${ALPINE_VERSION} AS base
WORKDIR /src
RUN --mount=type=bind,source=go.sum,target=go.sum \
    --mount=type=bind,source=go.mod,target=go.mod \
    --mount=type=cache,target=/go/pkg/mod/ \
    go mod download -x

FROM base AS build
ARG TARGETOS TARGETARCH
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod/ \
    --mount=type=cache,target=/root/.cache/go-build \
    --mount=type=bind,target=. \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags="-s -w -X main.version=${VERSION}" -o /bin/server ./cmd/server

FROM base AS lint
COPY --from=golangci/golangci-lint:v1.59 /usr/bin/golangci-lint /usr/bin/golangci-lint
RUN --mount=target=. --mount=type=cache,target=/root/.cache golangci-lint run --timeout 10m0s ./...

FROM scratch AS binaries
COPY --from=build /bin/server /

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build --chown=nonroot:nonroot /bin/server /bin/
USER 65532:65532
EXPOSE 8080/tcp
ENTRYPOINT ["/bin/server"]
