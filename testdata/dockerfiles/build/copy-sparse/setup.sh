set -e
truncate -s 3000000 sparse; printf end >> sparse
