set -e
ln -s dir ln
