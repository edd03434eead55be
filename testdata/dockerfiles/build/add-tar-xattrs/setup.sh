set -e
setfattr -n user.k -v v a.txt || true; tar --xattrs --format=pax -cf t.tar a.txt b.txt
