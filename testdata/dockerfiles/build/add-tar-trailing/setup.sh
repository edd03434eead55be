set -e
tar cf t.tar a.txt; head -c 50000 /dev/zero | tr "\0" x >> t.tar; tar cf c1 a.txt; tar cf c2 b.txt; cat c1 c2 > c.tar; rm c1 c2
