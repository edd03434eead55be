# syntax=docker/dockerfile:1
FROM debian
RUN cat <<EOF > /a && cat <<'EOF2' > /b
$(date)
EOF
$(not run)
EOF2
RUN <<EOS
cat > /etc/motd <<INNER
  welcome
INNER
if true; then
  echo done

  # blank line above
fi
EOS
ADD <<robots.txt /var/www/
User-agent: *
Disallow: /
robots.txt
