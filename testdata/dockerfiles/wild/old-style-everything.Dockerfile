# DOCKER-VERSION 0.3.4
from    ubuntu:12.04
maintainer Someone Else <someone@example.net>
run     echo "deb http://archive.example.com/ubuntu precise main universe" > /etc/apt/sources.list
run     apt-get update
run	apt-get install -y python-software-properties	wget
env     DEBIAN_FRONTEND noninteractive
add     ./supervisord.conf /etc/supervisor/conf.d/supervisord.conf
expose  22 80:8080
volume  /var/log   /var/lib/mysql
user    daemon
workdir	/srv
cmd     ["/usr/bin/supervisord", "-n"]
