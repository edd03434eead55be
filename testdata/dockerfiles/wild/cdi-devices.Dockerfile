# syntax=docker/dockerfile:1-labs
FROM alpine
RUN --device=nvidia.com/gpu=0 --device=vendor1.com/device=*,required=false nvidia-smi
RUN --security=sandbox --network=host true
