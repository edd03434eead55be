set -e
tar cf t.tar a.txt b.txt; printf XXXX | dd of=t.tar bs=1 seek=1024 conv=notrunc 2>/dev/null
