FROM ghcr.io/linuxserver/baseimage-alpine:3.20 AS buildstage
ARG RELEASE
RUN \
  if [ -z ${RELEASE+x} ]; then \
    RELEASE=$(curl -sX GET "https://api.example.com/repos/x/releases/latest" \
    | awk '/tag_name/{print $4;exit}' FS='[""]'); \
  fi && \
  curl -o /tmp/x.tar.gz -L "https://example.com/archive/${RELEASE}.tar.gz" && \
  printf "Linuxserver.io version: ${VERSION}\nBuild-date: ${BUILD_DATE}" > /build_version
EXPOSE 8096 8920 7359/udp 1900/udp
VOLUME /config
