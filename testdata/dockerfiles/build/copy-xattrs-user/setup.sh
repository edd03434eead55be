set -e
setfattr -n user.k -v v a.txt || true; setfattr -n user.d -v w dir || true
