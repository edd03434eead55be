FROM --platform=$BUILDPLATFORM rust:1.79 AS build
RUN rustup target add wasm32-wasip1 && cargo build --target wasm32-wasip1 --release
FROM scratch
COPY --from=build /target/wasm32-wasip1/release/hello.wasm /hello.wasm
ENTRYPOINT [ "/hello.wasm" ]
