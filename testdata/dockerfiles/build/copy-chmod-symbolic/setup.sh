set -e
chmod 640 dir/c.txt
