set -e
ln a.txt h1; ln dir/c.txt dir/h2
