FROM alpine AS one
FROM alpine
COPY --from=one / /one
COPY --from=0 --link --chown=1:1 /a /b/
COPY --from=nginx:latest /etc/nginx/nginx.conf /nginx.conf
COPY --parents ./x/./y/*.txt /parents/
COPY hom* /mydir/
COPY ["hello world.txt", "./with space/"]
COPY a.txt \
     b.txt \
     # c.txt is not needed
     d.txt \
     /dest/
COPY --chmod=+x,g-w run.sh /
COPY $src ${dst:-/default}/$name.txt
COPY . .
