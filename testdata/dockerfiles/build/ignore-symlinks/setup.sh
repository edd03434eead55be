set -e
ln -s c.txt dir/lnk; ln -s dir lnd; ln -s dir lne
