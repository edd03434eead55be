set -e
chmod 750 dir; chmod 705 dir/sub
