set -e
chmod 600 a.txt; chmod 755 b.txt; chmod 700 dir; chmod 2775 dir/sub; chmod 4755 dir/c.txt
