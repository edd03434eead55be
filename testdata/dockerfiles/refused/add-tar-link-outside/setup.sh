set -e
ln a.txt h; tar -cPf t.tar --transform "s,^a.txt,../../etc/passwd,rSh" a.txt h; rm h
