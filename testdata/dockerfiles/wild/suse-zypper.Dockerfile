FROM registry.suse.com/bci/bci-base:15.6
RUN zypper --non-interactive --gpg-auto-import-keys refresh && \
    zypper --non-interactive install --no-recommends which \
        git-core \
    && zypper clean -a && rm -f /var/log/{alternatives.log,zypper.log,zypp/history}
ENV ZYPP_SINGLE_RPMTRANS=1
