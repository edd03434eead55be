FROM golang:alpine3.19 AS binary
ADD --chown=65532:0 --link . /app
WORKDIR /app
RUN go build -o prog
FROM alpine:3.19
HEALTHCHECK --interval=1m --timeout=5s --retries=3 --start-interval=1s CMD /usr/bin/timeout 5s /bin/sh -c "/usr/bin/wg show | /bin/grep -q interface || exit 1"
RUN update-alternatives --install /usr/sbin/iptables iptables /usr/sbin/iptables-legacy 10 --slave /usr/sbin/iptables-restore iptables-restore /usr/sbin/iptables-legacy-restore
ENV DEBUG=Server,WireGuard
CMD ["/usr/bin/dumb-init", "node", "server.js"]
