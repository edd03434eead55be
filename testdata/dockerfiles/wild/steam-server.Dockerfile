FROM cm2network/steamcmd:root as build_stage
ENV STEAMAPPID 730
ENV STEAMAPP cs2
ENV STEAMAPPDIR "${HOMEDIR}/${STEAMAPP}-dedicated"
COPY etc/entry.sh "${HOMEDIR}/entry.sh"
RUN set -x \
	&& mkdir -p "${STEAMAPPDIR}" \
	# Create autoupdate config
	&& chmod +x "${HOMEDIR}/entry.sh"
FROM build_stage AS bookworm-base
ENV CS2_SERVERNAME="cs2 private server" \
    CS2_CHEATS=0 \
    CS2_PW="changeme" \
    CS2_ADDITIONAL_ARGS=""
# Set permissions on STEAMAPPDIR
#   Permissions may need to be reset if persistent volume mounted
USER ${USER}
WORKDIR ${HOMEDIR}
CMD ["bash", "entry.sh"]
# Expose ports
EXPOSE 27015/tcp \
	27015/udp \
	27020/udp
