"""The ceiling: a thread for each connection in pure Python, and of HTTP only where a request ends."""
import gzip
import re
import socketserver
import ssl
from email.utils import formatdate
from typing import Any

from tests.benchmarks.contenders import BODY, ThreadingServer, serve
from tests.benchmarks.contenders.apps import (
    CHAIN, CLOSE, CONTENT, KEY, PASSWORD, PIECE, PIECES, REASON, ROUTE, STATUS, TLS, fields_of,
)

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


def answer() -> list[bytes]:
    """What is sent, piece by piece."""
    body = CONTENT.get(ROUTE, BODY)
    fields = [*fields_of(ROUTE), ("date", formatdate(usegmt=True))]
    if ROUTE == "gzip":
        body = gzip.compress(body, 6)
        fields.append(("content-encoding", "gzip"))
    fields.append(("transfer-encoding", "chunked") if ROUTE == "pieces" else ("content-length", str(len(body))))
    if CLOSE:
        fields.append(("connection", "close"))
    lines = [f"HTTP/1.1 {STATUS} {REASON}", *(f"{name}: {value}" for name, value in fields), "", ""]
    head = "\r\n".join(lines).encode()
    if ROUTE != "pieces":
        return [head + body]
    chunk = b"%x\r\n%b\r\n" % (len(PIECE), PIECE)
    return [head + chunk, *[chunk] * (PIECES - 1), b"0\r\n\r\n"]


ANSWER = answer()


class Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            sock = context.wrap_socket(self.request, server_side=True) if TLS else self.request
            while data := sock.recv(65536):
                if data.startswith(b"POST"):
                    read_body(sock, data)
                for _ in range(data.count(b"\r\n\r\n") if data.startswith(b"GET") else 1):
                    for piece in ANSWER:
                        sock.sendall(piece)
                if CLOSE:
                    break
        except OSError:
            pass


def read_body(sock: Any, data: bytes) -> None:
    begin = data.find(b"\r\n\r\n") + 4
    length = LENGTH.search(data, 0, begin)
    if length:
        left = begin + int(length[1]) - len(data)
        while left > 0:
            left -= len(sock.recv(65536))
    else:
        while not data.endswith(b"\r\n0\r\n\r\n"):
            data = data[-7:] + sock.recv(65536)


if TLS:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CHAIN, KEY, PASSWORD)
serve(ThreadingServer(("127.0.0.1", 0), Handler))
