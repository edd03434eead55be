FROM alpine
ADD https://example.com/a.tar.gz https://example.com/b.txt /dl/
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://mirrors.example.org/x.tar.xz /
ADD git@git.example.com:foo/bar.git /bar
ADD --keep-git-dir=true https://github.com/moby/buildkit.git#v0.10.1 /buildkit
ADD https://github.com/moby/buildkit.git?branch=master&subdir=docs /docs
ADD --chown=55:mygroup --chmod=u=rwX,go=rX files* /somedir/
ADD --chown=bin arr[[]0].txt hom?.txt /mydir/
ADD --unpack=false archive.tgz /
ADD --link --exclude=*.log ["a b.tar", "/x y/"]
ADD test relativeDir/
