"""A bare-socket echo that unmasks, as every server has to, by the integer XOR that is Python's usual way."""
import socket

from tests.benchmarks.contenders.echo import serve_bare


def echo(sock: socket.socket) -> None:
    """A frame has a head of 14 bytes with its mask, as those of 64 KiB and more do."""
    receive, send = sock.recv, sock.sendall
    while head := receive(14, socket.MSG_WAITALL):
        left = int.from_bytes(head[2:10])
        pattern = int.from_bytes(head[10:14] * 16384)
        send(head[:1] + b"\x7f" + head[2:10])
        while left:
            data = receive(min(left, 65536), socket.MSG_WAITALL)
            left -= len(data)
            if len(data) < 65536:
                pattern = int.from_bytes((head[10:14] * 16384)[:len(data)])
            send((int.from_bytes(data) ^ pattern).to_bytes(len(data)))


serve_bare(echo)
