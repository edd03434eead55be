FROM redhat/ubi9-minimal:latest AS builder
# `tini` is a tiny but valid init for containers.
RUN set -eux; \
    arch="$(rpm --query --queryformat='%{ARCH}' rpm)"; \
    case "$arch" in \
        aarch64) tini_bin='tini-arm64'; tini_sum='07952557df20bfd2a95f9bef198b445e006171969499a1d361bd9e6f8e5e0e81' ;; \
        *) echo >&2 "Unsupported architecture $arch" ; exit 1 ;; \
    esac ; \
    curl -f -S -L -O https://example.com/tini/releases/download/v0.19.0/${tini_bin} ; \
    echo "${tini_sum}  ${tini_bin}" | sha256sum -c -
RUN sed -i -e 's/ES_DISTRIBUTION_TYPE=tar/ES_DISTRIBUTION_TYPE=docker/' bin/elasticsearch-env && \
    find config -type f -exec chmod 0664 {} +
FROM redhat/ubi9-minimal
RUN <<EOF
    set -e
    groupadd -g 1000 elasticsearch
EOF
LABEL org.label-schema.build-date="2024-06-05T11:19:36Z" org.label-schema.schema-version="1.0" \
  org.opencontainers.image.title="Elasticsearch"
ENV ELASTIC_CONTAINER true
RUN chmod g=u /etc/passwd && chmod -R g=u /usr/share && \
    find / -xdev -perm -4000 -exec chmod ug-s {} +
EXPOSE 9200 9300
ENTRYPOINT ["/bin/tini", "--", "/usr/local/bin/docker-entrypoint.sh"]
# Dummy overridable parameter parsed by entrypoint
CMD ["eswrapper"]
################################################################################
# End of multi-stage Dockerfile
################################################################################
