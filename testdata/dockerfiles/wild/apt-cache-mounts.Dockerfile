# syntax=docker/dockerfile:1
FROM ubuntu
RUN rm -f /etc/apt/apt.conf.d/docker-clean; echo 'Binary::apt::APT::Keep-Downloaded-Packages "true";' > /etc/apt/apt.conf.d/keep-cache
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
  --mount=type=cache,target=/var/lib/apt,sharing=locked \
  apt update && apt-get --no-install-recommends install -y gcc
RUN --network=none --mount=type=bind,from=docker.io/library/busybox:latest,source=/bin,target=/bb,rw /bb/ls
RUN --mount=type=tmpfs,target=/tmp,size=64m --mount="type=bind,source=a b,target=/a b" ls "/a b"
