FROM alpine:3 as fetch
ARG TERRAFORM_VERSION
ARG TERRAFORM_SHA256=
ADD --checksum=sha256:ad0c696c870c8525357b5127680cd79c0bdf58179af9acd091d43b1d6482da4a https://example.com/terraform_${TERRAFORM_VERSION}_linux_amd64.zip /tmp/t.zip
RUN unzip /tmp/t.zip -d /usr/bin
FROM fetch
VOLUME ["/data"]
WORKDIR /data
ENTRYPOINT ["/usr/bin/terraform"]
CMD ["--help"]
