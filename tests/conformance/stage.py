"""A server made of a bare socket that answers what it is told, to see what a client makes of it."""
from __future__ import annotations

import socket
import threading

from tests.peers import PATIENCE

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"


class Stage:
    """A server that answers /row as it is told and /good well; it counts its connections."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.pieces: list[bytes] = []  # what /row is answered with, a send() each; set before the request
        self.closes = False
        self.connections = 0
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._open = [one for one in self._open if one.fileno() >= 0] + [sock]
            self._threads.append(threading.Thread(target=self._serve, args=(sock,)))
            self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        received = b""
        with sock:
            try:
                while True:
                    while b"\r\n\r\n" not in received:
                        if not (data := sock.recv(65536)):
                            return
                        received += data
                    head, received = received.split(b"\r\n\r\n", 1)
                    if head.split()[1] != b"/row":
                        sock.sendall(GOOD)
                        continue
                    for piece in self.pieces:
                        sock.send(piece) if len(piece) == 1 else sock.sendall(piece)
                    if self.closes:
                        return
            except OSError:
                pass  # the client has heard enough

    def close(self) -> None:
        # A listener is woken from accept() by its shutdown, not by its close.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(PATIENCE)
        for sock in self._open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(PATIENCE)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
