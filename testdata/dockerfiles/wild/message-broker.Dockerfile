FROM ubuntu:22.04 as build-base
RUN apt-get update; \
	apt-get install --yes --no-install-recommends \
		build-essential \
		ca-certificates \
		wget
FROM build-base as openssl-builder
ARG OPENSSL_VERSION=3.1.6
ARG OPENSSL_SOURCE_SHA256="5d2be4036b478ef3cb0a854ca9b353072c3a0e26d8a56f8f0ab9fb6ed32d38d7"
ARG OPENSSL_PGP_KEY_IDS="0x8657ABB260F056B1E5190839D9C4D26D0E604491 0x5B2545DAB21995F4088CEFAA36CEE4DEB00CFE33"
ENV ERLANG_INSTALL_PATH_PREFIX /opt/erlang
ENV OPENSSL_INSTALL_PATH_PREFIX /opt/openssl
RUN set -eux; \
	OPENSSL_SOURCE_URL="https://github.example.com/openssl/releases/download/openssl-$OPENSSL_VERSION/openssl-$OPENSSL_VERSION.tar.gz"; \
	wget --progress dot:giga --output-document "$OPENSSL_PATH.tar.gz" "$OPENSSL_SOURCE_URL"; \
	for key in $OPENSSL_PGP_KEY_IDS; do \
		gpg --batch --keyserver "$PGP_KEYSERVER" --recv-keys "$key"; \
	done
FROM openssl-builder as erlang-builder
RUN export CFLAGS='-g -O2'; \
	runtime='linux-gnu'; \
	find "$ERLANG_INSTALL_PATH_PREFIX" -type d -name examples -prune -exec rm -rf '{}' \;; \
	erl -noshell -eval 'ok = crypto:start(), io:format("~p~n~n~p~n~n", [crypto:supports(), ssl:versions()]), init:stop().'
FROM ubuntu:22.04
COPY --from=erlang-builder $ERLANG_INSTALL_PATH_PREFIX $ERLANG_INSTALL_PATH_PREFIX
ENV RABBITMQ_DATA_DIR /var/lib/rabbitmq
RUN set -eux; \
	echo '[ "$1" = bash ] && exec "$@"' > /x; \
# allow the container to be started with `--user`
	chmod 777 "$RABBITMQ_DATA_DIR" /etc/rabbitmq; \
	sed -i -e '$ a\' -e 'x' /y
ENV RABBITMQ_VERSION=3.13.3
ENV HOME $RABBITMQ_DATA_DIR
VOLUME $RABBITMQ_DATA_DIR
# set some fallback locales
ENV LANG=C.UTF-8 LANGUAGE=C.UTF-8 LC_ALL=C.UTF-8
COPY --chown=rabbitmq:rabbitmq 10-defaults.conf 20-management_agent.disable_metrics_collector.conf /etc/rabbitmq/conf.d/
COPY docker-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 4369 5671 5672 15691 15692 25672
CMD ["rabbitmq-server"]
