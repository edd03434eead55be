FROM alpine
RUN echo a \
  && echo b
COPY <<EOF /x
line
EOF
ENV A=1 \
 B=2
# end
