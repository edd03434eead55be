set -e
tar cf t.tar -T /dev/null
