set -e
touch -d @1111111111.9 a.txt; touch -d @-5 b.txt; rm b.txt; echo b > b.txt
