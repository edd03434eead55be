set -e
tar cf t.tar ./a.txt ./dir; tar -rPf t.tar --transform "s,^b.txt,/abs/b.txt," b.txt
