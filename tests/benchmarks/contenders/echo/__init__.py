"""WebSocket servers that send each message back; with the argument "hold" they send each to all, once a second at most.

The ceilings are bare sockets behind a handshake, and know no frame but those of the generator.
"""
from __future__ import annotations

import base64
import hashlib
import re
import socket
import socketserver
from collections.abc import Callable

from tests.benchmarks.contenders import ThreadingServer, serve


def serve_bare(echo: Callable[[socket.socket], None]) -> None:
    """A thread for each connection: shake hands, then `echo`."""
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            key = re.search(rb"Sec-WebSocket-Key: (\S+)", self.request.recv(65536))
            assert key
            accept = base64.b64encode(hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.request.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept)
            try:
                echo(self.request)
            except ConnectionError:
                pass

    serve(ThreadingServer(("127.0.0.1", 0), Handler))
