set -e
ln a.txt h; ln -s a.txt l; ln -s /etc/passwd abs; ln -s ../../x up; mkfifo p; mknod c c 1 3; mkdir -m 1777 st; mkdir empty; tar -cf t.tar a.txt h l abs up p c st empty; rm -r h l abs up p c
