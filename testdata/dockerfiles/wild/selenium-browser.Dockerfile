ARG NAMESPACE
ARG VERSION
ARG AUTHORS
FROM ${NAMESPACE}/node-base:${VERSION}
LABEL authors=$AUTHORS
USER root
#============================================
# Google Chrome
#============================================
# can specify versions by CHROME_VERSION;
#  e.g. google-chrome-stable
#============================================
ARG CHROME_VERSION="google-chrome-stable"
RUN wget -q -O - https://dl.example.com/linux/linux_signing_key.pub | gpg --dearmor | tee /etc/apt/trusted.gpg.d/google.gpg >/dev/null \
  && if echo "${CHROME_VERSION}" | grep -qE "google-chrome-stable[_|=]*"; \
  then \
    CHROME_VERSION=$(echo "$CHROME_VERSION" | tr '=' '_') ; \
  else \
    apt-get -qqy install ${CHROME_VERSION:-google-chrome-stable} ; \
  fi \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY wrap_chrome_binary /opt/bin/wrap_chrome_binary
USER ${SEL_UID}
RUN echo "chrome" > /opt/selenium/browser_name
ENV SE_OTEL_SERVICE_NAME="selenium-node-chrome"
