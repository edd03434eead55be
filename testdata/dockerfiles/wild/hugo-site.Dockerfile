# syntax=docker/dockerfile:1
# check=skip=InvalidBaseImagePlatform
ARG ALPINE_VERSION=3.21
FROM alpine:${ALPINE_VERSION} AS base
WORKDIR /src
RUN apk --update add nodejs npm git gcompat
FROM base AS npm
ENV NODE_ENV="production"
RUN --mount=source=package.json,target=package.json \
    --mount=source=package-lock.json,target=package-lock.json \
    --mount=type=cache,target=/root/.npm \
    npm ci
FROM base AS hugo
ARG HUGO_VERSION=0.141.0
ARG TARGETARCH
ADD https://github.example.com/hugo/releases/download/v${HUGO_VERSION}/hugo_extended_${HUGO_VERSION}_linux-${TARGETARCH}.tar.gz .
RUN tar xvf *.tar.gz && mv hugo /usr/bin
FROM base AS build-base
COPY --from=hugo /usr/bin/hugo /bin/hugo
COPY --from=npm /src/node_modules node_modules
COPY . .
FROM build-base AS build
# HUGO_ENV sets the hugo environment (production or development)
ARG HUGO_ENV="development"
ARG DOCS_URL="https://docs.example.com"
ENV HUGO_CACHEDIR="/tmp/hugo_cache"
RUN --mount=type=cache,target=/tmp/hugo_cache \
    hugo --gc --minify -e $HUGO_ENV -b $DOCS_URL
FROM scratch AS release
COPY --from=build /src/public /
