set -e
setfattr -n user.skiff -v v a.txt || true; setcap cap_net_raw+ep b.txt 2>/dev/null || true
