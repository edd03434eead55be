FROM scratch
ADD rootfs.tar.xz /
LABEL org.opencontainers.image.created="2024-06-10T00:00:00.00Z"
ENV DEBIAN_FRONTEND=
CMD ["/bin/bash"]
