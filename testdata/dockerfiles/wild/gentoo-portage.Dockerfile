ARG BOOTSTRAP
FROM ${BOOTSTRAP:-alpine:3.19} as builder
WORKDIR /gentoo
ARG ARCH=amd64
ARG MICROARCH=amd64
ARG SUFFIX
ARG DIST="https://distfiles.example.org/releases/${ARCH}/autobuilds"
RUN echo "Building Gentoo Container image for ${ARCH} ${SUFFIX} fetching from ${DIST}" \
 && STAGE3PATH="$(wget -O- "${DIST}/latest-stage3-${MICROARCH}${SUFFIX}.txt" | grep -v ^# | tail -n 1 | cut -f 1 -d ' ')" \
 && echo "STAGE3PATH:" ${STAGE3PATH} \
 && STAGE3="$(basename ${STAGE3PATH})" \
 && ( echo -e "# Override for containers\nrc_sys=\"docker\"" ; \
      echo '[ "${x}" ]' ) >> etc/rc.conf \
 && rm ${STAGE3}.DIGESTS ${STAGE3}
FROM scratch
WORKDIR /
COPY --from=builder /gentoo/ /
CMD ["/bin/bash"]
