set -e
head -c 300000 /dev/urandom > z; tar czf y z; head -c 9000 y > t.tgz; rm y z
