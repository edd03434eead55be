set -e
tar cf t.tar a.txt
