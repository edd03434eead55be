FROM centos:7
RUN yum -y update; yum clean all
RUN yum -y install epel-release; \
    yum -y install \
       gcc \
       make     \
   	tar \

    && yum clean all

RUN rpm -ivh https://example.com/x-1.0-1.noarch.rpm \
 && rm -rf /var/cache/yum
EXPOSE 8080
