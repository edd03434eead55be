set -e
ln -s real/Build.df Dockerfile
