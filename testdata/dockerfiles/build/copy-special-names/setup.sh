set -e
touch -- 'new
line' 'tab	x' 'ünï' '-dash' 'a[1]' 'star*'; printf x > "$(printf 'n%.0s' $(seq 200))"
