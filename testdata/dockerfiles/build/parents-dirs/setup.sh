set -e
chmod 711 dir; chmod 701 dir/sub
