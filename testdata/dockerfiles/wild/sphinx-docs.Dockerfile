FROM python:3 AS docs
WORKDIR /src
RUN --mount=type=bind,source=docs,target=/src,readwrite --mount=type=cache,target=/out/doctrees sphinx-build -b html -d /out/doctrees . /out/html
FROM scratch AS export
COPY --from=docs /out/html/ ./
