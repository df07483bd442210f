"""A bare-socket echo: bytes back as they come, masks and all."""
import socket

from tests.benchmarks.contenders.echo import serve_bare


def echo(sock: socket.socket) -> None:
    receive, send = sock.recv, sock.sendall
    while data := receive(256 * 1024):
        send(data)


serve_bare(echo)
