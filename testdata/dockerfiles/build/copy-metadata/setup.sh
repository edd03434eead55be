set -e
chmod 4711 a.txt; chmod 1777 dir; chmod 000 b.txt; touch -d @1000000000 a.txt dir dir/sub; chmod 2750 dir/sub; chown 5:6 a.txt; rm setup.sh
