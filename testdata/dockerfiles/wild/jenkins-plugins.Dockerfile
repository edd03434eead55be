FROM jenkins/jenkins:lts-jdk17
USER root
RUN echo 2.0 > /usr/share/jenkins/ref/jenkins.install.UpgradeWizard.state
COPY --chown=jenkins:jenkins plugins.txt /usr/share/jenkins/ref/plugins.txt
RUN jenkins-plugin-cli -f /usr/share/jenkins/ref/plugins.txt
RUN printf '%s\n' 'import jenkins.model.*' 'Jenkins.instance.setNumExecutors(5)' > /usr/share/jenkins/ref/init.groovy.d/executors.groovy
USER jenkins
ENV JAVA_OPTS -Djenkins.install.runSetupWizard=false -Dhudson.footerURL=http://example.com
