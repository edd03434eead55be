# syntax=docker/dockerfile:1.4
FROM alpine
RUN <<EOF
apk add --no-cache curl
# a comment of the script
echo "$HOME \$HOME" > /x
EOF
RUN <<'EOF' bash
set -euo pipefail
for i in {1..3}; do echo "${i}\n"; done
EOF
RUN python3 <<-EOF > /out && cat /out
	print("tabs go")
	  print("blanks stay")
	EOF
RUN <<EOF
#!/usr/bin/env python3
print("\\ backslash")
EOF
COPY <<EOF /etc/app.conf
listen = ${PORT:-80}
literal = \$PORT
path = C:\temp
EOF
COPY --chmod=755 <<-"EOF" /entry.sh
	#!/bin/sh
	exec "$@"
	EOF
COPY <<a.txt <<b.txt c.txt /many/
in a
a.txt
in b
b.txt
