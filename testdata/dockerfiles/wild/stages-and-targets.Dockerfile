ARG BASE=alpine
ARG TAG
FROM ${BASE}${TAG:+:$TAG} AS Base
FROM base AS dev
FROM dev AS dev-extended
FROM base as test-1.0_x
FROM dev-extended
FROM alpine@sha256:77726ef6b57ddf65bb551896826ec38bc3e53f75cdde31354fbffb4f25238ebd
FROM localhost:5000/some/image:v1.0 AS pinned
FROM --platform=linux/arm/v7 busybox AS arm
FROM scratch AS empty
