FROM --platform=$BUILDPLATFORM rust:1.79-alpine AS builder
ARG TARGETPLATFORM
RUN case "$TARGETPLATFORM" in \
  "linux/arm64") echo aarch64-unknown-linux-musl > /rust_targets ;; \
  "linux/amd64") echo x86_64-unknown-linux-musl > /rust_targets ;; \
  *) exit 1 ;; \
esac
RUN rustup target add $(cat /rust_targets)
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUSTFLAGS='-Clink-self-contained=yes -Clinker=rust-lld'
RUN --mount=type=cache,target=/usr/local/cargo/registry,id="reg-${TARGETPLATFORM}" cargo build --release --target $(cat /rust_targets)
FROM scratch
COPY --from=builder --chmod=0755 /app /
CMD ["/app"]
