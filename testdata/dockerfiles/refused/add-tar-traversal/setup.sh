set -e
tar -cPf t.tar --transform "s,^a.txt,../../a.txt," a.txt
