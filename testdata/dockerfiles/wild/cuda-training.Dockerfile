ARG CUDA_VERSION=12.4.1
ARG UBUNTU="22.04"
FROM nvidia/cuda:${CUDA_VERSION}-cudnn-devel-ubuntu${UBUNTU}
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENV LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64${LD_LIBRARY_PATH:+:${LD_LIBRARY_PATH}}
ARG TORCH_CUDA_ARCH_LIST="7.0;7.5;8.0;8.6+PTX"
RUN wget -qO- https://example.com/Miniconda3-latest-Linux-x86_64.sh > /tmp/c.sh && bash /tmp/c.sh -b -p /opt/conda
RUN conda install -y python=3.11 "pytorch>=2.3" -c pytorch -c 'nvidia/label/cuda-12.4.0' && conda clean -ya
RUN --security=insecure nvidia-smi || true
WORKDIR /workspace
