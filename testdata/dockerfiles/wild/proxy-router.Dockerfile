FROM alpine:3.20
RUN set -ex; \
	apkArch="$(apk --print-arch)"; \
	case "$apkArch" in \
		armhf) arch='armv6' ;; \
		x86_64) arch='amd64' ;; \
		*) echo >&2 "error: unsupported architecture: $apkArch"; exit 1 ;; \
	esac; \
	wget --quiet -O /tmp/t.tar.gz "https://example.com/v3.0.3/t_v3.0.3_linux_$arch.tar.gz"; \
	tar xzvf /tmp/t.tar.gz -C /usr/local/bin t; \
	rm -f /tmp/t.tar.gz; \
	chmod +x /usr/local/bin/t
COPY entrypoint.sh /
EXPOSE 80
ENTRYPOINT ["/entrypoint.sh"]
CMD ["traefik"]
# Metadata
LABEL org.opencontainers.image.vendor="Traefik Labs" \
	org.opencontainers.image.url="https://example.io" \
	org.opencontainers.image.description="A modern reverse-proxy"
