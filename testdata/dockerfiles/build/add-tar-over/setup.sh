set -e
mkdir -p ln; echo in > ln/x; tar cf t.tar a.txt dir; rm -r ln
