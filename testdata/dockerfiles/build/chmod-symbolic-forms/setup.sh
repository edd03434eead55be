set -e
chmod 750 a.txt; chmod 600 dir/c.txt
