FROM registry.access.redhat.com/ubi9/ubi-minimal:9.4-1134
LABEL name="app" \
      vendor="Example, Inc." \
      io.k8s.description="This image provides a command-line interface \
for an application." \
      io.openshift.tags='app,cli,"quoted"'
RUN microdnf install -y --nodocs --setopt=install_weak_deps=0 shadow-utils tar && microdnf clean all && rm -rf /mnt/rootfs/var/cache/* /mnt/rootfs/var/log/dnf*
USER 1001:0
COPY --chmod=0755 --chown=1001:0 bin /opt/bin
ENTRYPOINT /opt/bin/run
