set -e
tar cf t.tar --mtime=@1 a.txt
