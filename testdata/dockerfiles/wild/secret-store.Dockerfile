FROM alpine:3.18 as default
# NAME and PRODUCT_VERSION are the name of the software in releases
ARG NAME=vault
ARG PRODUCT_VERSION
ARG PRODUCT_REVISION
LABEL name="Vault" \
      version=${PRODUCT_VERSION} \
      release=${PRODUCT_REVISION} \
      summary="Vault is a tool for securely accessing secrets." \
      description="Vault is a tool for securely accessing secrets. A secret is anything that you want to tightly control access to, such as API keys, passwords, certificates, and more."
ENV NAME=$NAME
ENV VERSION=$VERSION
RUN addgroup ${NAME} && adduser -S -G ${NAME} ${NAME}
RUN /bin/sh -c 'for i in a b; do echo "$i"; done'
VOLUME /vault/logs
VOLUME /vault/file
EXPOSE 8200
COPY .release/docker/docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["server", "-dev"]
FROM registry.access.redhat.com/ubi8/ubi-minimal:8.10 as ubi
USER ${NAME}
