"""What the tests talk to blockingio with, and wait with: none of it is blockingio's own code.

RawClient       a client made of a bare socket; it sends bytes and reads one response at a time.
eventually      waits for a condition, with a deadline.
collecting      sees to it that what is dropped is noticed, on each Python.
to_the_end      what comes until a connection ends, by a reset too.
in_background   a thread for the time of a block.
serving         an HttpServer on a port of its own, served by a thread until the block ends.
Certificates    authorities and certificates by trustme, and ssl contexts made from them.

Every wait here has a deadline, and TimeoutError or AssertionError says what did not come.
"""
from __future__ import annotations

import gc
import os
import re
import select
import signal
import socket
import ssl
import struct
import sysconfig
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

import trustme

import blockingio

# Seconds: far more than anything on loopback takes, on a busy machine too; so only what never comes runs into it.
PATIENCE = 10.0

_STATUS_LINE = re.compile(rb"HTTP/(\d\.\d) (\d{3}) ([^\r\n]*)\Z")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*?)[ \t]*\Z")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]+)(?:;[^\r\n]*)?\Z")


def eventually(condition: Callable[[], object], seconds: float = PATIENCE) -> Any:
    """Wait until condition() is true and return what it gave; AssertionError after that many seconds."""
    deadline = time.monotonic() + seconds
    pause = 0.001
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {condition!r}, last {answer!r}")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
    return answer


def is_asleep(pid: int) -> bool:
    """Whether a process's main thread waits in the kernel.  True where the system does not tell.

    A Ctrl-C in the instant before it does, or inside a finalizer, whose exceptions Python ignores, ends no wait.
    """
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] not in "RD"


def has_ipv6() -> bool:
    """Whether this machine has ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


#: Whether an object waits for the thread that made it, or for a collection, where another thread lets go of it.
IS_FREED_BY_ITS_THREAD = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@contextmanager
def collecting() -> Iterator[None]:
    """What is dropped is noticed: where that takes a collection, the garbage is collected again and again meanwhile."""
    if not IS_FREED_BY_ITS_THREAD:
        yield
        return
    is_over = threading.Event()

    def collect() -> None:
        while not is_over.wait(0.02):
            gc.collect()

    thread = threading.Thread(target=collect, name="collecting")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


class RawResponse(NamedTuple):
    """One response as it came: field names in lower case, fields and trailers in their order."""

    version: str
    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes
    trailers: list[tuple[str, str]]
    head: bytes

    def header(self, name: str) -> str | None:
        """The field's one value, None where it is absent; AssertionError where there are several."""
        values = self.get_all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def get_all(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field == name.lower()]


class RawClient:
    """A bare connection to a port on this machine, over TLS where there is a context.

    Each call has `seconds` from its beginning, not from the last byte.  What breaks HTTP
    is an AssertionError, an end in the middle of a response an EOFError.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", *, context: ssl.SSLContext | None = None,
                 seconds: float = PATIENCE) -> None:
        sock = socket.create_connection((host, port), seconds)
        try:
            self.socket = context.wrap_socket(sock, server_hostname="localhost") if context else sock
        except BaseException:
            sock.close()
            raise
        self.seconds = seconds
        self._received = bytearray()

    @classmethod
    def on(cls, sock: socket.socket, *, seconds: float = PATIENCE) -> Self:
        """A client on a socket that is connected already: one of a pair, a Unix-domain one."""
        client = cls.__new__(cls)
        client.socket, client.seconds, client._received = sock, seconds, bytearray()
        return client

    def send(self, data: bytes | memoryview) -> Self:
        self.socket.settimeout(self.seconds)
        self.socket.sendall(data)
        return self

    def exchange(self, data: bytes, end: bytes) -> None:
        """Send this and read at the same time, until what has come ends so; it is there to be read then.

        By one thread: OpenSSL's objects, which this end has too, are not for two.
        """
        deadline = time.monotonic() + self.seconds
        left = memoryview(data)
        self.socket.setblocking(False)
        while left or not self._received.endswith(end):
            assert time.monotonic() < deadline, f"{len(left)} bytes are not sent, {self._last()!r} came last"
            moved = 0
            with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                moved += self.socket.send(left[:65536]) if left else 0
                left = left[moved:]
            with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                received = self.socket.recv(65536)
                assert received, f"the connection ended with {len(left)} bytes not sent"
                self._received += received
                moved += len(received)
            if not moved:
                select.select([self.socket], [self.socket] if left else [], [], 0.1)

    def get(self, target: str = "/", *fields: str) -> RawResponse:
        """A GET with Host and these further fields, and its response."""
        lines = [f"GET {target} HTTP/1.1", "Host: localhost", *fields, "", ""]
        return self.send("\r\n".join(lines).encode("latin-1")).read_response()

    def read_response(self, method: str = "GET") -> RawResponse:
        """The next response, an interim one (1xx) included; `method`: the request's, for HEAD has no body."""
        deadline = time.monotonic() + self.seconds
        head = self._read_through(b"\r\n\r\n", deadline)
        first, *lines = head[:-4].split(b"\r\n")
        match = _STATUS_LINE.match(first)
        assert match, f"a status line was expected, not {first!r}"
        status = int(match[2])
        fields = _parse_fields(lines)
        framing = dict(fields)
        trailers: list[tuple[str, str]] = []
        if method == "HEAD" or status < 200 or status in (204, 304):
            body = b""
        elif "transfer-encoding" in framing:
            assert framing["transfer-encoding"] == "chunked", framing["transfer-encoding"]
            assert "content-length" not in framing, "Content-Length beside Transfer-Encoding"
            body, trailers = self._read_chunked(deadline)
        elif "content-length" in framing:
            body = self._read_exactly(int(framing["content-length"]), deadline)
        else:
            body = self._read_to_end(deadline)
        version, reason = match[1].decode(), match[3].decode("latin-1")
        return RawResponse(version, status, reason, fields, body, trailers, head)

    def read_exactly(self, size: int) -> bytes:
        return self._read_exactly(size, time.monotonic() + self.seconds)

    def read_until_eof(self) -> bytes:
        """All that comes until the server ends the connection; a reset is raised as it comes."""
        return self._read_to_end(time.monotonic() + self.seconds)

    def is_ended(self) -> bool:
        """Wait for the other side to end the connection, cleanly or by a reset; False where bytes come."""
        try:
            return not self._received and not self._receive(time.monotonic() + self.seconds)
        except ConnectionError:
            return True

    def finish_sending(self) -> RawClient:
        """End this side's half of the connection: no more requests come, responses are awaited."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self) -> None:
        """Close with a reset instead of an orderly end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _receive(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no more came within {self.seconds} s after {self._last()!r}")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise TimeoutError(f"no more came within {self.seconds} s after {self._last()!r}") from None
        self._received += data
        return data

    def _read_through(self, mark: bytes, deadline: float) -> bytes:
        while (at := self._received.find(mark)) < 0:
            if not self._receive(deadline):
                raise EOFError(f"the connection ended before {mark!r}, after {self._last()!r}")
        return self._take(at + len(mark))

    def _read_exactly(self, size: int, deadline: float) -> bytes:
        while len(self._received) < size:
            if not self._receive(deadline):
                raise EOFError(f"the connection ended after {len(self._received)} bytes of {size}")
        return self._take(size)

    def _read_to_end(self, deadline: float) -> bytes:
        while self._receive(deadline):
            pass
        return self._take(len(self._received))

    def _read_chunked(self, deadline: float) -> tuple[bytes, list[tuple[str, str]]]:
        chunks = []
        while True:
            line = self._read_through(b"\r\n", deadline)[:-2]
            match = _CHUNK_SIZE.match(line)
            assert match, f"a chunk size was expected, not {line!r}"
            size = int(match[1], 16)
            if not size:
                break
            chunk = self._read_exactly(size + 2, deadline)
            assert chunk.endswith(b"\r\n"), f"a chunk of {size} bytes does not end with CRLF: {chunk[-2:]!r}"
            chunks.append(chunk[:-2])
        lines = []
        while line := self._read_through(b"\r\n", deadline)[:-2]:
            lines.append(line)
        return b"".join(chunks), _parse_fields(lines)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _last(self) -> bytes:
        """The end of what came and was not read, for a message."""
        return bytes(self._received[-200:])


def _parse_fields(lines: list[bytes]) -> list[tuple[str, str]]:
    fields = []
    for line in lines:
        match = _FIELD.match(line)
        assert match, f"a field line was expected, not {line!r}"
        fields.append((match[1].decode().lower(), match[2].decode("latin-1")))
    return fields


def to_the_end(client: RawClient) -> bytes:
    """What comes until the connection ends; nothing of it where it ends by a reset."""
    try:
        return client.read_until_eof()
    except ConnectionError:
        return b""


@contextmanager
def in_background(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """A thread that does this; at the end of the block it must be done."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="in background")
    thread.start()
    try:
        yield thread
    finally:
        thread.join(2 * PATIENCE)
    assert not thread.is_alive(), f"{work} goes on"
    if errors:
        raise errors[0]


def holds_in_child(check: Callable[[], object]) -> bool:
    """Whether this is true in a forked child; False where it raises, or takes longer than PATIENCE."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 3.12 warns of every fork beside threads
        child = os.fork()
    if not child:
        try:
            signal.alarm(round(PATIENCE))
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@contextmanager
def serving(handler: Callable[[blockingio.HttpRequest], object], *, host: str = "127.0.0.1",
            context: ssl.SSLContext | None = None, workers: int | None = 1,
            **attributes: Any) -> Iterator[blockingio.HttpServer]:
    """A server on a free port whose requests go to `handler`, until the block ends.

    workers: as of for_each; None iterates the server in a plain loop instead, so that an
    exception in the handler ends the loop and is raised at the end of the block.
    attributes: set on the server before its first request (header_timeout=1, say).
    """
    if context:
        server = blockingio.HttpServer.bind_secure(host, 0, context)
    else:
        server = blockingio.HttpServer.bind(host, 0)
    errors: list[BaseException] = []

    def serve() -> None:
        try:
            if workers is None:
                for request in server:
                    try:
                        handler(request)
                    except Exception as error:
                        request.response.add_error(error)  # the client need not wait for an answer
                        raise
            else:
                server.for_each(handler, workers=workers)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=serve, name="serving")
    try:
        for name, value in attributes.items():
            getattr(server, name)  # AttributeError for a misspelt one
            setattr(server, name, value)
        thread.start()
        yield server
    finally:
        server.close(force=True)
        if thread.ident:
            thread.join(PATIENCE)
            assert not thread.is_alive(), f"the loop goes on after {server!r} was closed"
        if errors:
            raise errors[0]


class Certificates:
    """Two authorities: one for the server's certificate, one for those of clients.

    The contexts are new at each call: a test may change what it got.
    """

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.server_certificate = self.authority.issue_cert("localhost", "127.0.0.1", "::1")
        self.client_authority = trustme.CA()
        self.client_certificate = self.client_authority.issue_cert("me@example.org", common_name="a client")

    def server_context(self) -> ssl.SSLContext:
        """For the server's side; trusts the clients' authority, but asks for no certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server_certificate.configure_cert(context)
        self.client_authority.configure_trust(context)
        return context

    def client_context(self, *, with_certificate: bool = False) -> ssl.SSLContext:
        """For the client's side; trusts the server's authority alone, and checks the name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        if with_certificate:
            self.client_certificate.configure_cert(context)
        return context


class TlsContexts(NamedTuple):
    """What the fixture tls_contexts gives: new contexts for one test, on the session's certificates."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    client_with_certificate: ssl.SSLContext
    certificates: Certificates
