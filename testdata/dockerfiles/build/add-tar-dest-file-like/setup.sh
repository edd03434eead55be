set -e
tar cf t.tar a.txt b.txt; rm a.txt b.txt
