FROM eclipse-temurin:21-jre
ARG TARGETOS
ARG TARGETARCH
ARG TARGETVARIANT
ARG APPS_REV=1
ADD --chmod=755 https://raw.example.com/x/y/main/install.sh /tmp/
RUN TARGET=${TARGETARCH}${TARGETVARIANT} /tmp/install.sh
EXPOSE 25565 25575
VOLUME ["/data"]
WORKDIR /data
STOPSIGNAL SIGTERM
ENV TYPE=VANILLA VERSION=LATEST EULA="" UID=1000 GID=1000
COPY --chmod=755 scripts/start* /
ENTRYPOINT [ "/start" ]
HEALTHCHECK --start-period=2m --retries=2 --interval=30s CMD mc-health
