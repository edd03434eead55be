set -e
head -c 30000 /dev/zero > z; tar cf y z; head -c 9000 y > t.tar; rm y z
