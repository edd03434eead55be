set -e
chmod 4755 a.txt; chmod 700 dir; chown -R 3:4 dir; chown 70000:70001 b.txt; tar -cf t.tar --mtime=@1234567890 a.txt b.txt dir; rm -r dir a.txt b.txt
