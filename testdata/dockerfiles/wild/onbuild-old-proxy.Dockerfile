FROM jwilder/nginx-proxy
MAINTAINER Jane Doe "jane@example.com"
ONBUILD ADD ["vhost.d", "/etc/nginx/vhost.d/"]
ONBUILD VOLUME ["/etc/nginx/certs", "/etc/nginx/dhparam"]
ONBUILD EXPOSE 80 443
ONBUILD ENTRYPOINT ["/app/docker-entrypoint.sh"]
ONBUILD CMD ["forego", "start", "-r"]
