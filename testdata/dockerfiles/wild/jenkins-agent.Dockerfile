ARG version=3256.v88a_f6e922152-1
ARG type=agent
FROM jenkins/$type:${version} AS agent
USER root
ARG user=jenkins uid=1000 gid=1000
ARG AGENT_WORKDIR="/home/${user}"/agent
ENV AGENT_WORKDIR=${AGENT_WORKDIR}
RUN mkdir -p "${HOME}/.jenkins" && mkdir -p "${AGENT_WORKDIR}"
VOLUME "${HOME}"/.jenkins
VOLUME "${AGENT_WORKDIR}"
LABEL \
    org.opencontainers.image.vendor="Jenkins project" \
    org.opencontainers.image.title="Official Jenkins Agent Base Docker image" \
    org.opencontainers.image.version="${version}" \
    org.opencontainers.image.licenses="MIT"
USER ${user}
ENTRYPOINT ["/sbin/tini", "--", "/usr/local/bin/jenkins-agent"]
