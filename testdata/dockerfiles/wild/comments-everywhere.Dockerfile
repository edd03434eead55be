#!/usr/bin/env -S docker build -f
# syntax=docker/dockerfile:1
# escape=\
# not a directive
  # indented comment
FROM alpine
RUN echo "# no comment" # the shell drops this
