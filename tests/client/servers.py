"""Servers for the client's tests, none of them blockingio's: they do what a script says, byte for byte.

scripted    a server on a port of its own whose connections are served by scripts, one each, in their order.
Peer        what a script talks to: the server's end of one connection.
ended       a script that waits for the client to end the connection.
Site        a client, and such servers for it, with or without TLS.
answering   a script that gives these responses, one after the other, and keeps what it was asked.

A script that fails fails the test, at the end of the block.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from blockingio import HttpClient, HttpClientRequest, HttpClientResponse
from tests.peers import PATIENCE, Certificates

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
EMPTY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Asked(NamedTuple):
    """One request as it came; field names in lower case."""

    line: str
    fields: list[tuple[str, str]]
    body: bytes
    raw: bytes  # the head

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def header(self, name: str) -> str | None:
        values = [value for field, value in self.fields if field == name]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


class Peer:
    """The server's end of a connection; every call has a deadline."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.socket = sock
        self._ahead = b""

    def ask(self) -> Asked | None:
        """The next request with its body, None where the client ended the connection instead."""
        head = self._through(b"\r\n\r\n")
        if head is None:
            return None
        line, *rest = head[:-4].decode("latin-1").split("\r\n")
        fields = []
        for text in rest:
            match = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): (.*)", text)
            assert match, f"a field line was expected, not {text!r}"
            fields.append((match[1].lower(), match[2]))
        named = dict(fields)
        body = b""
        if named.get("transfer-encoding") == "chunked":
            body = self._chunked()
        elif "content-length" in named:
            body = self.exactly(int(named["content-length"]))
        return Asked(line, fields, body, head)

    def demand(self) -> Asked:
        """The next request; it must come."""
        asked = self.ask()
        assert asked is not None, "the client ended the connection, a request was expected"
        return asked

    def exactly(self, size: int) -> bytes:
        while len(self._ahead) < size:
            data = self.socket.recv(65536)
            assert data, f"the client ended the connection after {len(self._ahead)} bytes of {size}"
            self._ahead += data
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        return taken

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def is_ended(self) -> bool:
        """Wait for the client to end the connection; False where bytes come instead."""
        try:
            return not self._ahead and not self.socket.recv(1)
        except ConnectionError:
            return True

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def secure(self, context: ssl.SSLContext) -> None:
        """From now on it is TLS."""
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.socket.settimeout(PATIENCE)

    def _through(self, mark: bytes) -> bytes | None:
        while mark not in self._ahead:
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                assert not self._ahead, f"the client ended the connection after {self._ahead!r}"
                return None
            self._ahead += data
        end = self._ahead.index(mark) + len(mark)
        taken, self._ahead = self._ahead[:end], self._ahead[end:]
        return taken

    def _chunked(self) -> bytes:
        body = b""
        while True:
            line = self._through(b"\r\n")
            assert line is not None
            size = int(line[:-2], 16)
            chunk = self.exactly(size + 2)
            assert chunk.endswith(b"\r\n")
            if not size:
                return body
            body += chunk[:-2]


Script = Callable[[Peer], object]


class Server:
    """``port``; ``asked``: all requests that ``answering`` was sent; ``connections``: how many there were."""

    def __init__(self, scripts: tuple[Script, ...], host: str, context: ssl.SSLContext | None) -> None:
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port: int = self._listener.getsockname()[1]
        self.asked: list[Asked] = []
        self.connections = 0
        self.errors: list[BaseException] = []
        self.context = context
        self._scripts = scripts
        self._threads: list[threading.Thread] = []
        self._is_closed = False
        self._acceptor = threading.Thread(target=self._accept, name="scripted")
        self._acceptor.start()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self._is_closed:
                sock.close()
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(script, sock), name="script")
            self._threads.append(thread)
            thread.start()

    def _serve(self, script: Script, sock: socket.socket) -> None:
        peer = Peer(sock)
        try:
            if self.context is not None:
                try:
                    peer.secure(self.context)
                except (ssl.SSLError, ConnectionError):
                    return  # the client did not want this certificate
            script(peer)
        except BaseException as error:
            self.errors.append(error)
        finally:
            peer.socket.close()
            sock.close()

    def close(self) -> None:
        self._is_closed = True
        with socket.socket(self._listener.family) as wake:
            wake.settimeout(PATIENCE)
            wake.connect(self._listener.getsockname())
        self._acceptor.join(PATIENCE)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a script goes on after its test"


@contextmanager
def scripted(*scripts: Script, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server whose n-th connection is served by the n-th script, further ones by the last."""
    server = Server(scripts, host, context)
    for script in scripts:
        if isinstance(script, answering):
            script.server = server
    try:
        yield server
    finally:
        server.close()
    if server.errors:
        raise server.errors[0]


def ended(peer: Peer) -> None:
    """Whatever comes, until the client ends the connection."""
    with suppress(ConnectionError):
        while peer.socket.recv(65536):
            pass


def dies_at_the_second(peer: Peer) -> None:
    """Answers one request, takes the next one and goes away."""
    peer.demand()
    peer.send(OK)
    peer.demand()


class answering:
    """A script: one response for each request, then it waits for the client to end, or ends itself."""

    server: Server

    def __init__(self, *responses: bytes, then_close: bool = False) -> None:
        self._responses = responses
        self._then_close = then_close

    def __call__(self, peer: Peer) -> None:
        for response in self._responses:
            asked = peer.ask()
            if asked is None:
                return
            self.server.asked.append(asked)
            peer.send(response)
        if not self._then_close:
            asked = peer.ask()
            assert asked is None, f"one more request came: {asked}"


class always:
    """A script that answers every request with what a function makes of it."""

    def __init__(self, answer: Callable[[Asked], bytes]) -> None:
        self._answer = answer

    def __call__(self, peer: Peer) -> None:
        while (asked := peer.ask()) is not None:
            peer.send(self._answer(asked))


class Site:
    """A client, and servers for it, in plain text or by TLS."""

    def __init__(self, is_secure: bool, certificates: Certificates) -> None:
        self._context = certificates.server_context() if is_secure else None
        self._scheme = "https" if is_secure else "http"
        self.client = HttpClient(context=certificates.client_context())
        self.client.find_proxy = None

    def serve(self, *scripts: Script) -> Any:
        return scripted(*scripts, context=self._context)

    def open(self, server: Server, path: str = "/", method: str = "GET") -> HttpClientRequest:
        return self.client.open_url(method, f"{self._scheme}://127.0.0.1:{server.port}{path}")

    def get(self, server: Server, path: str = "/") -> HttpClientResponse:
        return self.open(server, path).close()

    def post(self, server: Server) -> HttpClientRequest:
        return self.open(server, method="POST")


def basic(username: str, password: str) -> str:
    """Credentials as a field has them (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
