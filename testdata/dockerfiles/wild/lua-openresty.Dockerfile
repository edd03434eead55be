FROM openresty/openresty:alpine-fat
RUN luarocks install lua-resty-openidc && /usr/local/openresty/luajit/bin/luarocks install lua-resty-http 0.17.1
RUN sed -i 's/# include snippets/include snippets/;s/\t/    /g' /usr/local/openresty/nginx/conf/nginx.conf
COPY nginx.conf.tmpl /etc/nginx/
CMD ["/bin/sh", "-c", "envsubst '$$HOST $$PORT' < /etc/nginx/nginx.conf.tmpl > /etc/nginx/nginx.conf && exec openresty -g 'daemon off;'"]
