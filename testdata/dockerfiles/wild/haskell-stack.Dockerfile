FROM haskell:9.6 AS build
WORKDIR /opt/example
RUN cabal update
# Add just the .cabal file to capture dependencies
COPY ./example.cabal /opt/example/example.cabal
RUN cabal build --only-dependencies -j4
COPY . /opt/example
RUN cabal install --installdir=/usr/local/bin --install-method=copy
FROM debian:bookworm-slim
COPY --from=0 /usr/local/bin/example /usr/local/bin/
CMD ["example"]
