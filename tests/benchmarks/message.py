"""A request of a load: its bytes, and what its answer must be for the load to count."""
from __future__ import annotations

import socket
import ssl
from typing import NamedTuple

# What a browser sends with a page's request; Host is the ninth.
FIELDS = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.8,de;q=0.5,fr;q=0.3",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://localhost/index.html",
    "Cookie: theme=dark; language=en",
    "Cache-Control: no-cache",
    "Upgrade-Insecure-Requests: 1",
]
# Bytes of a chunk of a chunked request: what browsers and libraries send at once.
_CHUNK = 16384


class Message(NamedTuple):
    """One request, or several that are pipelined."""

    target: str = "/"
    body: int = 0  # bytes of it; POST where there are any
    chunked: bool = False
    close: bool = False  # the connection has this request only
    times: int = 1
    more: str = ""  # another field
    status: int = 200  # the answer's

    @property
    def data(self) -> bytes:
        fields = ["Host: localhost", *FIELDS]
        if self.more:
            fields.append(self.more)
        if self.close:
            fields.append("Connection: close")
        body = bytes(self.body)
        if self.chunked:
            fields.append("Transfer-Encoding: chunked")
            pieces = [body[at:at + _CHUNK] for at in range(0, len(body), _CHUNK)]
            body = b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]) + b"0\r\n\r\n"
        elif self.body:
            fields.append(f"Content-Length: {self.body}")
        method = "POST" if self.body else "GET"
        return ("\r\n".join([f"{method} {self.target} HTTP/1.1", *fields, "", ""]).encode() + body) * self.times

    def try_once(self, port: int, tls: ssl.SSLContext | None) -> str:
        """Send it to a server; what is wrong with its answer, "" where nothing is."""
        with socket.create_connection(("127.0.0.1", port), 10) as plain:
            with tls.wrap_socket(plain) if tls else plain as sock:
                sock.sendall(self.data)
                with sock.makefile("rb") as file:
                    line = file.readline()
        if line.split()[1:2] != [b"%d" % self.status]:
            return f"it answered {line.decode('latin-1').strip()!r}, expected {self.status}"
        return ""
