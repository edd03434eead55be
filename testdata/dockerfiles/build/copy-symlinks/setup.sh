set -e
ln -s a.txt link; ln -s dir dirlink; ln -s ../../../etc/passwd out; ln -s missing dangling; ln a.txt hard
