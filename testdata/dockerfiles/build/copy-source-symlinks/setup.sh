set -e
ln -s a.txt ln; ln -s dir lnd; ln -s ln chain; ln -s /b.txt abs; ln -s ../../../../a.txt up
