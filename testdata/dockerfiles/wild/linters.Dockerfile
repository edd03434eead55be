FROM koalaman/shellcheck:v0.10.0 AS shellcheck
FROM hadolint/hadolint:latest-alpine AS dockerfile-lint
FROM mvdan/shfmt:v3.8.0 AS shfmt
FROM python:3.12-alpine
COPY --from=shellcheck /bin/shellcheck /usr/bin/
COPY --from=dockerfile-lint /bin/hadolint /usr/bin/hadolint
COPY --from=shfmt /bin/shfmt /usr/bin/
COPY --parents --exclude=*.md --exclude=**/testdata scripts/**/*.sh ./lib /
COPY --from=super ["/a b", "/c d", "/e/"]
# hadolint ignore=DL3059
RUN true
# hadolint global ignore=DL3003
RUN false || true
