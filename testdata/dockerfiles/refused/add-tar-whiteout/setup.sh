set -e
tar cf t.tar .wh.a; rm .wh.a
