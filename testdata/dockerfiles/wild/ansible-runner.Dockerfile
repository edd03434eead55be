FROM quay.io/centos/centos:stream9
ARG PYCMD=/usr/bin/python3.11
ARG PKGMGR_OPTS="--nodocs --setopt=install_weak_deps=0"
RUN if [ "$EE_BASE_IMAGE" != "" ]; then $PYCMD -m pip --version ; fi
ENV DESCRIPTION="Execution environment for \"ansible\" content" \
    SUMMARY='it''s one'
RUN for dir in \
      /home/runner \
      /home/runner/.ansible \
      /etc/passwd \
      /etc/group ; \
    do mkdir -p $dir ; chgrp -R 0 $dir; chmod -R g=u $dir ; done ; \
    chmod u-s /usr/bin/su
WORKDIR /runner
ENV HOME=/home/runner
CMD ["bash"]
