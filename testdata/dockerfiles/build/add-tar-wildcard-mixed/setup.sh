set -e
tar cf t.tar b.txt
