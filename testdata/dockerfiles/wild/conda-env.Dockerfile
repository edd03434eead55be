FROM condaforge/mambaforge:24.3.0-0
LABEL io.github.snakemake.containerized="true"
LABEL io.github.snakemake.conda_env_hash="0df5d1a8"
# Step 1: Retrieve conda environments

# Conda environment:
#   source: envs/a.yaml
#   prefix: /conda-envs/aaaa
#   channels:
#     - bioconda
RUN mkdir -p /conda-envs/aaaa
COPY envs/a.yaml /conda-envs/aaaa/environment.yaml

# Step 2: Generate conda environments
RUN mamba env create --prefix /conda-envs/aaaa --file /conda-envs/aaaa/environment.yaml && \
    mamba clean --all -y
