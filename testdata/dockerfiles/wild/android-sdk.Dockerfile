FROM openjdk:17-jdk-slim
ENV ANDROID_SDK_ROOT "/opt/sdk"
ENV ANDROID_HOME ${ANDROID_SDK_ROOT}
ENV PATH $PATH:${ANDROID_SDK_ROOT}/cmdline-tools/11.0/bin:${ANDROID_SDK_ROOT}/platform-tools:${ANDROID_SDK_ROOT}/extras/google/instantapps
ARG ANDROID_CMD="commandlinetools-linux-11076708_latest.zip"
RUN wget -q https://dl.example.com/android/repository/${ANDROID_CMD} -P /tmp && unzip -q -d /opt/sdk /tmp/$ANDROID_CMD
RUN yes Y | sdkmanager --licenses && yes | sdkmanager --verbose --no_https --licenses
RUN sdkmanager "platform-tools" \
  "build-tools;34.0.0" "platforms;android-34" 'extras;google;m2repository' >/dev/null
