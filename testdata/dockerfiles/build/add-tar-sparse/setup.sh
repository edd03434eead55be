set -e
truncate -s 200000 s; printf mid | dd of=s bs=1 seek=100000 conv=notrunc 2>/dev/null; printf end >> s; tar -S --format=pax --sparse-version=1.0 -cf pax.tar s; tar -S --format=pax --sparse-version=0.0 -cf p0.tar s; tar -S --format=pax --sparse-version=0.1 -cf p01.tar s; rm s
