set -e
tar czf g.tgz a.txt; tar cjf b a.txt; tar cJf x.txt dir; tar -c --zstd -f z.tar.zst dir; cp g.tgz one.multi; tar cf two.multi dir
