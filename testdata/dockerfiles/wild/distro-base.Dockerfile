FROM scratch
ARG ARCH=x86_64
ADD alpine-minirootfs-3.20.1-${ARCH}.tar.gz /
CMD ["/bin/sh"]
