# syntax=docker/dockerfile:1
ARG BASE_IMAGE=alpine:3.20
ARG JS_SRC=js-builder
ARG GO_SRC=go-builder
FROM --platform=${JS_PLATFORM:-linux/amd64} node:20-alpine as js-builder
ENV NODE_OPTIONS=--max_old_space_size=8000
WORKDIR /tmp/grafana
COPY package.json project.json nx.json yarn.lock .yarnrc.yml ./
COPY .yarn .yarn
RUN yarn install --immutable
FROM ${GO_IMAGE:-golang:1.22-alpine} as go-builder
ARG COMMIT_SHA=""
RUN if grep -i -q alpine /etc/issue; then \
      apk add --no-cache \
          # This is required to allow building on arm64 due to an issue
          binutils-gold \
          bash; \
    fi
FROM ${JS_SRC} as js-src
FROM ${GO_SRC} as go-src
FROM ${BASE_IMAGE}
ARG GF_UID="472"
ARG GF_GID="0"
ENV PATH="/usr/share/grafana/bin:$PATH" \
  GF_PATHS_DATA="/var/lib/grafana"
COPY --from=go-src /tmp/grafana/bin/grafana* /tmp/grafana/bin/*/grafana* ./bin/
COPY --from=js-src /tmp/grafana/public ./public
EXPOSE ${GF_PORT:-3000}
USER "$GF_UID"
ENTRYPOINT [ "/run.sh" ]
