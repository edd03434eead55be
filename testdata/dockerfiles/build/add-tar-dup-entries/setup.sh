set -e
echo 1 > f; tar cf t.tar f; echo 2 > f; tar rf t.tar f; chmod 600 f; echo 3 > f; tar rf t.tar f; rm f
