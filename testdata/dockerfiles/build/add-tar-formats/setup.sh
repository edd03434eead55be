set -e
d=$(printf "d%.0s" $(seq 60)); mkdir -p $d/$d; echo deep > $d/$d/$d; chown 3000000:5 a.txt; for f in v7 ustar gnu pax; do tar --format=$f -cf $f.tar a.txt dir 2>/dev/null || tar --format=$f -cf $f.tar dir; done; tar --format=gnu -rf gnu.tar $d; tar --format=pax -rf pax.tar $d; rm -r $d
