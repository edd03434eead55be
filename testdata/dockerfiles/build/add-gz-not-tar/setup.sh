set -e
for c in gzip xz bzip2 zstd; do :; done; gzip -n -c a.txt > f.gz; xz -c a.txt > f.xz; bzip2 -c a.txt > f.bz2; zstd -q -c a.txt > f.zst; : > e.tar
