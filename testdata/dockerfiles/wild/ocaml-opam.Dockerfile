FROM ocaml/opam:debian-12-ocaml-5.2 AS builder
RUN sudo ln -f /usr/bin/opam-2.2 /usr/bin/opam
COPY --chown=opam *.opam /src/
RUN opam install -y --deps-only /src && eval $(opam env)
