FROM --platform=linux/386 i386/debian:bullseye-slim
RUN dpkg --add-architecture armhf&&apt-get update&&apt-get install -y crossbuild-essential-armhf
ENV CROSS_TRIPLE=arm-linux-gnueabihf CC=${CROSS_TRIPLE}-gcc
FROM --platform=${TARGETPLATFORM:-linux/arm/v7} alpine
COPY --from=0 / /cross
