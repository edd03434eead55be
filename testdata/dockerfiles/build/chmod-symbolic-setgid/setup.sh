mkdir -p d/sub
echo x > d/sub/f
chmod 2770 d/sub
chmod 4711 d/sub/f
