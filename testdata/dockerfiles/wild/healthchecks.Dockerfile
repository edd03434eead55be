FROM busybox
HEALTHCHECK NONE
HEALTHCHECK CMD ["wget", "-qO-", "http://localhost/"]
HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=0s --retries=0 \
  CMD wget -q --spider http://127.0.0.1:8080/health \
  || exit 1
HEALTHCHECK --start-interval=2s cmd true
