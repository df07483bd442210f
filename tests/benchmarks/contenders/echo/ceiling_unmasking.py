"""A bare-socket echo that unmasks, as every server has to, by the quickest way that Python without C of its own has."""
import socket

from tests.benchmarks.contenders.echo import serve_bare

PIECE = 256 * 1024
TABLES = [bytes(other ^ byte for other in range(256)) for byte in range(256)]


def echo(sock: socket.socket) -> None:
    """A frame has a head of 14 bytes with its mask, as those of 64 KiB and more do."""
    receive, send = sock.recv, sock.sendall
    while head := receive(14, socket.MSG_WAITALL):
        left = int.from_bytes(head[2:10])
        tables = [TABLES[byte] for byte in head[10:14]]
        send(head[:1] + b"\x7f" + head[2:10])
        while left:
            data = bytearray(receive(min(left, PIECE), socket.MSG_WAITALL))
            left -= len(data)
            for at, table in enumerate(tables):
                data[at::4] = data[at::4].translate(table)
            send(data)


serve_bare(echo)
