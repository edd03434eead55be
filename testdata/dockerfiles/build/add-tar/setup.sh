set -e
chown -R 3:4 dir; ln -s a.txt l; ln a.txt h; tar cf t.tar a.txt dir l h; for c in gz bz2; do tar caf t.tar.$c a.txt dir; done
