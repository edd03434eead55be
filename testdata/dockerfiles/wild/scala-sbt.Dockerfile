FROM openjdk:8u342
ENV SCALA_VERSION=2.13.14 \
    SBT_VERSION=1.10.0
# Install Scala
## Piping curl directly in tar
RUN \
  curl -fsL https://downloads.example.com/scala/$SCALA_VERSION/scala-$SCALA_VERSION.tgz | tar xfz - -C /root/ && \
  echo >> /root/.bashrc && \
  echo "export PATH=~/scala-$SCALA_VERSION/bin:$PATH" >> /root/.bashrc
RUN echo 'scalaVersion := "'${SCALA_VERSION}'"' > build.sbt && \
    echo "case object Temp" > Temp.scala && sbt compile && rm -r project && rm build.sbt Temp.scala && rm -r target
WORKDIR /root
