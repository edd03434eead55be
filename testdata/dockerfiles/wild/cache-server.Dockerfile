FROM alpine:3.20
RUN addgroup -S -g 1000 cache && adduser -S -G cache -u 999 cache
# runtime dependencies
RUN set -eux; \
	apk add --no-cache \
# add tzdata for zoneinfo
		tzdata \
	;
RUN set -eux; \
	apk add --no-cache --virtual .build-deps \
		coreutils \
		dpkg-dev dpkg \
		gcc \
		linux-headers \
		make \
		musl-dev \
		openssl-dev \
	; \
	arch="$(dpkg --print-architecture)"; arch="${arch##*-}"; \
	extraJemallocConfigureFlags="--build=$gnuArch"; \
	case "${arch}" in \
		amd64 | i386 | x32) extraJemallocConfigureFlags="$extraJemallocConfigureFlags --with-lg-page=12" ;; \
		*) extraJemallocConfigureFlags="$extraJemallocConfigureFlags --with-lg-page=16" ;; \
	esac; \
	grep -F 'cd jemalloc && ./configure ' /usr/src/cache/deps/Makefile; \
	sed -ri 's!cd jemalloc && ./configure !&'"$extraJemallocConfigureFlags"' !' /usr/src/cache/deps/Makefile; \
	runDeps="$( \
		scanelf --needed --nobanner --format '%n#p' --recursive /usr/local \
			| tr ',' '\n' \
			| sort -u \
			| awk 'system("[ -e /usr/local/lib/" $1 " ]") == 0 { next } { print "so:" $1 }' \
	)"; \
	apk add --no-network --virtual .cache-rundeps $runDeps; \
	apk del --no-network .build-deps
RUN mkdir /data && chown cache:cache /data
VOLUME /data
WORKDIR /data
COPY docker-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 6379
CMD ["redis-server"]
