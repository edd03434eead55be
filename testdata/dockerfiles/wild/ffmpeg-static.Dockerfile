FROM alpine:3.20 AS builder
# -Wl,-z,stack-size=2097152 comment with = and "quotes"
ARG CFLAGS="-O3 -s -static-libgcc -fno-strict-overflow -fstack-protector-all -fPIC"
ARG LDFLAGS="-Wl,-z,relro,-z,now"
# retry dns and some http codes that might be transient errors
ARG WGET_OPTS="--retry-on-host-error --retry-on-http-error=429,500,502,503"
# bump: vorbis /VORBIS_VERSION=([\d.]+)/ https://example.com/xiph/vorbis.git|*
# bump: vorbis after ./hashupdate Dockerfile VORBIS $LATEST
ARG VORBIS_VERSION=1.3.7
ARG VORBIS_URL="https://downloads.example.org/releases/vorbis/libvorbis-$VORBIS_VERSION.tar.gz"
ARG VORBIS_SHA256=0e982409a9c3fc82ee06e08205b1355e5c6aa4c36bca58146ef399621b0ce5ab
RUN \
  wget $WGET_OPTS -O libvorbis.tar.gz "$VORBIS_URL" && \
  echo "$VORBIS_SHA256  libvorbis.tar.gz" | sha256sum --status -c - && \
  tar xf libvorbis.tar.gz && cd libvorbis-* && ./configure --disable-shared --enable-static --disable-oggtest && \
  make -j$(nproc) install
RUN jq -n \
  '{ \
  ffmpeg: env.FFMPEG_VERSION, \
  "libvorbis": env.VORBIS_VERSION, \
  }' > /versions.json
FROM scratch AS final1
COPY --from=builder /versions.json /usr/local/bin/ffmpeg /
