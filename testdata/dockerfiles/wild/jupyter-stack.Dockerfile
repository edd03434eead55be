ARG REGISTRY=quay.io
ARG OWNER=jupyter
ARG BASE_CONTAINER=$REGISTRY/$OWNER/minimal-notebook
FROM $BASE_CONTAINER

LABEL maintainer="Jupyter Project <jupyter@googlegroups.com>"

# Fix: https://example.com/hadolint/wiki/DL4006
# Fix: https://example.com/koalaman/shellcheck/wiki/SC3014
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

USER root
ARG NB_USER="jovyan" NB_UID="1000" NB_GID="100"
RUN sed -i 's/^#force_color_prompt=yes/force_color_prompt=yes/' /etc/skel/.bashrc && \
   # More information in the issue
   # Add call to conda init script
   echo 'eval "$(conda shell.bash hook)"' >> /etc/skel/.bashrc
ENV CONDA_DIR=/opt/conda \
    SHELL=/bin/bash \
    NB_USER="${NB_USER}"
ENV PATH="${CONDA_DIR}/bin:${PATH}" \
    HOME="/home/${NB_USER}"
COPY --chown="${NB_UID}:${NB_GID}" initial-condarc "${CONDA_DIR}/.condarc"
RUN mamba install --yes \
    'blas=*=openblas' \
    'bokeh' \
    'pandas>=2,<3' && \
    fix-permissions "/home/${NB_USER}"
USER ${NB_UID}
WORKDIR "${HOME}"
HEALTHCHECK --interval=3s --timeout=1s --start-period=3s --retries=3 \
    CMD /etc/jupyter/docker_healthcheck.py || exit 1
