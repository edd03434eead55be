set -e
mkdir r; ln -s r l; tar cf t.tar r l; tar -rf t.tar --transform "s,^a.txt,l/a.txt," a.txt; rm -r r l
