set -e
mkdir empty; chmod 750 empty; mkdir -p nest/empty2
