# A name server that knows one name: python3 dns.py ADDRESS NAME IP
import socket, sys
address, name, ip = sys.argv[1:]
known = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((address, 53))
while True:
    query, client = server.recvfrom(4096)
    end = query.index(b"\0", 12) + 5
    found = query[12:end - 4].lower() == known and query[end - 4:end] == b"\0\1\0\1"
    head = query[:2] + (b"\x81\x80" if found else b"\x81\x83") + b"\0\1" + (b"\0\1" if found else b"\0\0") + b"\0\0\0\0"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(ip) if found else b""
    server.sendto(head + query[12:end] + record, client)
