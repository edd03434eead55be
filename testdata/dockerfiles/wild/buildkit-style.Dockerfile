# syntax=docker/dockerfile-upstream:master

ARG RUNC_VERSION=v1.1.13
ARG CONTAINERD_VERSION=v1.7.18
# containerd v1.6 for integration tests
ARG CONTAINERD_ALT_VERSION_16=v1.6.33
ARG XX_VERSION=1.4.0
ARG BUILDKIT_DEBUG
ARG EXPORT_BASE=alpine

FROM --platform=$BUILDPLATFORM tonistiigi/xx:${XX_VERSION} AS xx

FROM --platform=$BUILDPLATFORM alpine:edge AS gobase
COPY --link --from=xx / /
RUN apk add --no-cache bash file git
ENV GOFLAGS=-mod=vendor
WORKDIR /src

FROM gobase AS runc-src
ARG RUNC_VERSION
ADD --keep-git-dir=true "https://github.com/opencontainers/runc.git#$RUNC_VERSION" .

FROM gobase AS version
RUN --mount=target=. <<'EOT'
  git rev-parse HEAD 2>/dev/null || {
    echo >&2 "Failed to get git revision, make sure --build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=1 is set"
    exit 1
  }
  set -ex
  export PKG=example.com/x BUILDTAGS="${BUILDTAGS}"
  echo "-X ${PKG}/version.Version=$(git describe --match 'v[0-9]*' --dirty='.m' --always --tags)" | tee /tmp/.ldflags;
  echo -n "${VERSION}" | tee /tmp/.version;
EOT

FROM gobase AS buildctl
RUN --mount=target=. --mount=target=/root/.cache,type=cache \
  --mount=target=/go/pkg/mod,type=cache \
  --mount=source=/tmp/.ldflags,target=/tmp/.ldflags,from=version \
  set -ex ; \
  xx-go build -ldflags "$(cat /tmp/.ldflags)" -o /usr/bin/buildctl ./cmd/buildctl && \
  xx-verify ${VERIFYFLAGS} /usr/bin/buildctl

FROM scratch AS binaries-linux
COPY --link --from=runc-src / /buildkit-runc
COPY --link --from=buildctl /usr/bin/buildctl /

FROM binaries-linux AS binaries-darwin
FROM binaries-$TARGETOS AS binaries
# enable scanning for this stage
ARG BUILDKIT_SBOM_SCAN_STAGE=true

FROM --platform=$BUILDPLATFORM alpine:${ALPINE_VERSION:-3.20} AS releaser
RUN --mount=from=binaries \
  --mount=source=/tmp/.version,target=/tmp/.version,from=version <<EOT
  mkdir -p /out
  tar czvf "/out/x-$(cat /tmp/.version).$(echo $TARGETPLATFORM | sed 's/\//-/g').tar.gz" --mtime='2015-10-21 00:00Z' --sort=name --transform 's/^./bin/' .
EOT

FROM ${EXPORT_BASE} AS export
VOLUME /var/lib/buildkit
ENTRYPOINT ["buildkitd"]
