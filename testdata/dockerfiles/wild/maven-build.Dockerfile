FROM maven:3-eclipse-temurin-21 AS build
COPY pom.xml .
RUN --mount=type=cache,target=/root/.m2 mvn -B -f pom.xml dependency:go-offline
COPY src src
RUN --mount=type=cache,target=/root/.m2,sharing=locked mvn -B package -DskipTests -Dmaven.javadoc.skip=true
FROM gcr.io/distroless/java21
COPY --from=build /target/*.jar /app.jar
CMD ["/app.jar"]
