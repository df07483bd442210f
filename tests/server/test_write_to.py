"""HttpRequest.write_to: a body into an open file, on Linux by splice(2), past this program.

What it does is the same where the system splices, where it does not, and where it stops in the middle.
"""
from __future__ import annotations

import errno
import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from blockingio import (
    HttpException, HttpRequest, HttpServer, InternetAddress, InternetAddressType, StateError, WireRecord)
from blockingio.errors import BadMessage
from blockingio.net import system
from tests.peers import PATIENCE, RawClient, TlsContexts, eventually, in_background, serving
from tests.server.visits import post, post_chunks

CONTENT = os.urandom((3 << 20) + 1)
SIZES = (0, 1, 64 << 10, (256 << 10) - 1, 1 << 20, len(CONTENT))
GET = b"GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"

splices = pytest.mark.needs("os.splice")


class Splices:
    """The system's splice, told of, and failing from one call on where that is asked for."""

    def __init__(self) -> None:
        self.moved: list[int] = []  # bytes out of a socket, and behind these into a file
        self.fails_at = -1
        self.error = 0
        self._splice = system.splice

    def __call__(self, source: int, destination: int, count: int) -> int:
        if len(self.moved) == self.fails_at:
            raise OSError(self.error, os.strerror(self.error))
        assert self._splice is not None
        moved = self._splice(source, destination, count)
        self.moved.append(moved)
        return moved


@pytest.fixture
def splice(monkeypatch: pytest.MonkeyPatch) -> Splices:
    """Also where there is none: then it is not called."""
    told = Splices()
    if system.splice is not None:
        monkeypatch.setattr(system, "splice", told)
    return told


def into(file: Path, flags: int = 0) -> Callable[[HttpRequest], None]:
    """A handler that writes bodies to this file, and answers how many bytes it was told."""
    def handler(request: HttpRequest) -> None:
        if request.method == "POST":
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | (flags or os.O_TRUNC), 0o600)
            try:
                request.response.write(str(request.write_to(descriptor)))
            except BadMessage:
                pass  # its status is the answer's
            finally:
                os.close(descriptor)
        request.response.close()

    return handler


def failing(file: Path, kind: type[Exception], errors: list[Any]) -> Callable[[HttpRequest], None]:
    """A handler that writes bodies to this file, and notes errors of this kind."""
    def handler(request: HttpRequest) -> None:
        if request.method == "POST":
            with open(file, "wb") as output:
                try:
                    request.write_to(output.fileno())
                except kind as error:
                    errors.append(error)
        request.response.close()

    return handler


def exchange(client: RawClient, file: Path, content: bytes, request: bytes) -> None:
    """With another request right behind it, which is answered too: not a byte of it is taken for the body."""
    client.send(request + GET)
    assert client.read_response().body == str(len(content)).encode() and client.read_response().body == b""
    assert file.read_bytes() == content


@contextmanager
def unix_client(path: str) -> Iterator[RawClient]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        yield RawClient.on(sock)


def test_what_is_in_the_file_is_what_was_sent(tmp_path: Path, splice: Splices) -> None:
    file = tmp_path / "file"
    with serving(into(file)) as server, RawClient(server.port) as client:
        total = 0
        for size in SIZES:
            request = post(CONTENT[:size])
            exchange(client, file, CONTENT[:size], request)
            total += len(request + GET)
        record, = server.connections()
        assert record.bytes_in == total and record.requests == 2 * len(SIZES)
    if system.splice is not None:
        # Each byte went into a pipe and out of it, but for what came with the head.
        assert sum(splice.moved) >= 2 * ((4 << 20) + 1 - 3 * 8192)


@pytest.mark.parametrize("how", ["TLS", "chunked", "told"])
def test_what_has_to_be_looked_at_passes_through(how: str, tmp_path: Path, splice: Splices, tls_contexts: TlsContexts
                                                 ) -> None:
    file = tmp_path / "file"
    told: list[WireRecord] = []
    server_context, context = (tls_contexts.server, tls_contexts.client) if how == "TLS" else (None, None)
    with serving(into(file), context=server_context, wire_log=told.append if how == "told" else None) as server:
        with RawClient(server.port, context=context) as client:
            sent = b""
            for size in SIZES:
                content = CONTENT[:size]
                half = size // 2
                pieces = [piece for piece in (content[:half], content[half:]) if piece]
                request = post_chunks(*pieces) if how == "chunked" else post(content)
                exchange(client, file, content, request)
                sent += request + GET
    assert not splice.moved
    if how == "told":
        assert b"".join(record.data for record in told if record.direction == "in") == sent


@pytest.mark.needs("socket.AF_UNIX")
def test_by_a_unix_socket(tmp_path: Path, splice: Splices) -> None:
    file = tmp_path / "file"
    with HttpServer.bind(InternetAddress(str(tmp_path / "socket"), InternetAddressType.UNIX), 0) as server:
        server.listen(into(file))
        with unix_client(str(tmp_path / "socket")) as client:
            exchange(client, file, CONTENT, post(CONTENT))
    assert system.splice is None or sum(splice.moved) > len(CONTENT)


def test_the_rest_is_written_where_the_file_stands(tmp_path: Path) -> None:
    """Behind what the handler has read, and what it has written."""
    file = tmp_path / "file"

    def handler(request: HttpRequest) -> None:
        with open(file, "wb", buffering=0) as target:
            target.write(b"before" + request.read(100_000)[:4])
            request.response.write(str(request.write_to(target.fileno())))
            target.write(b"behind")
            request.response.write(f" {request.write_to(target.fileno())} {len(request.read())}")
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        rest = len(CONTENT) - 100_000
        assert client.send(post(CONTENT)).read_response().body == f"{rest} 0 0".encode()
    assert file.read_bytes() == b"before" + CONTENT[:4] + CONTENT[100_000:] + b"behind"


def test_few_bytes_between_many(tmp_path: Path) -> None:
    """What comes in one segment each takes a page of a pipe each, which is not to fill up."""
    file = tmp_path / "file"
    with serving(into(file)) as server, RawClient(server.port) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        client.send(HEAD % len(CONTENT))
        sent = 0
        for _ in range(4):
            for size in (*[1] * 300, 600_000):
                client.send(CONTENT[sent:sent + size])
                sent += size
        assert client.send(CONTENT[sent:]).read_response().body == str(len(CONTENT)).encode()
    assert file.read_bytes() == CONTENT


def test_into_what_is_no_file(tmp_path: Path, splice: Splices) -> None:
    received: list[bytes] = []

    def handler(request: HttpRequest) -> None:
        way_out, way_in = os.pipe()
        with open(way_out, "rb") as end, in_background(lambda: received.append(end.read())):
            try:
                request.response.write(str(request.write_to(way_in)))
            finally:
                os.close(way_in)
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        assert client.send(post(CONTENT)).read_response().body == str(len(CONTENT)).encode()
    assert received == [CONTENT] and not splice.moved


@splices
@pytest.mark.parametrize("number", [0, 1, 2, 3], ids=["first out of the socket", "first into the file", "later out",
                                                      "later in"])
@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOSYS, errno.EPERM])
def test_a_system_that_does_not_splice_that(number: int, error: int, tmp_path: Path, splice: Splices) -> None:
    """A sandbox, or a file system without a way for it: the rest goes the plain way, and nothing is lost."""
    splice.fails_at, splice.error = number, error
    with serving(into(tmp_path / "file")) as server, RawClient(server.port) as client:
        exchange(client, tmp_path / "file", CONTENT, post(CONTENT))
    assert len(splice.moved) == number


@splices
def test_what_another_thread_reads_meanwhile(tmp_path: Path, splice: Splices, monkeypatch: pytest.MonkeyPatch) -> None:
    """It receives more than it asked for: that is the body's, and what comes behind the body is the next request."""
    requests: list[HttpRequest] = []
    taken: list[bytes] = []

    def splice_beside_a_reader(source: int, destination: int, count: int) -> int:
        if len(splice.moved) == 1:  # the first bytes are in the pipe
            with in_background(lambda: taken.append(requests[0].read(100))):
                eventually(lambda: taken)
        return splice(source, destination, count)

    def handler(request: HttpRequest) -> None:
        requests.append(request)
        into(tmp_path / "file")(request)

    monkeypatch.setattr(system, "splice", splice_beside_a_reader)
    with serving(handler) as server, RawClient(server.port) as client:
        client.send(post(CONTENT) + GET)
        assert client.read_response().body == str(len(CONTENT) - 100).encode()
        assert client.read_response().status == 200
        requests.clear()
    written = (tmp_path / "file").read_bytes()
    at = CONTENT.index(taken[0])
    assert written == CONTENT[:at] + CONTENT[at + 100:]


@splices
def test_a_pipe_that_is_full(tmp_path: Path, splice: Splices, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left to wait for room in it, which only the one that waits can make."""
    for name, size in (("PIPE_SIZE", 8192), ("_PIECE", 1 << 30), ("_MANY", 1)):
        monkeypatch.setattr(f"blockingio.net.file_output.{name}", size)
    with serving(into(tmp_path / "file")) as server, RawClient(server.port) as client:
        exchange(client, tmp_path / "file", CONTENT[:600_000], post(CONTENT[:600_000]))
    assert sum(splice.moved) > 2 * 590_000


@splices
def test_a_file_that_is_appended_to(tmp_path: Path) -> None:
    """The kernel splices into none."""
    file = tmp_path / "file"
    file.write_bytes(b"first ")
    with serving(into(file, os.O_APPEND)) as server, RawClient(server.port) as client:
        assert client.send(post(CONTENT)).read_response().body == str(len(CONTENT)).encode()
    assert file.read_bytes() == b"first " + CONTENT


@splices
@pytest.mark.parametrize("call", ["pipe", "fcntl"])
def test_no_pipe_to_be_had(call: str, tmp_path: Path, splice: Splices, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE if call == "pipe" else errno.EPERM, "no more of them")

    monkeypatch.setattr("os.pipe" if call == "pipe" else "fcntl.fcntl", refuse)
    with serving(into(tmp_path / "file")) as server, RawClient(server.port) as client:
        exchange(client, tmp_path / "file", CONTENT, post(CONTENT))
    assert not splice.moved


@splices
def test_a_file_that_takes_no_more(tmp_path: Path, splice: Splices) -> None:
    """What was under way in the pipe counts as read, so that the next request is found behind the body."""
    splice.fails_at, splice.error = 1, errno.ENOSPC
    errors: list[OSError] = []
    content = CONTENT[:256 << 10]
    with serving(failing(tmp_path / "file", OSError, errors)) as server, RawClient(server.port) as client:
        client.send(post(content) + GET)
        assert [client.read_response().status, client.read_response().status] == [200, 200]
    assert [error.errno for error in errors] == [errno.ENOSPC]


# ------------------------------------------------------------------------ clients that are slow, or go

SOON = 0.2


@pytest.mark.parametrize("arrived", [10, 1 << 20], ids=["at its beginning", "in the middle"])
@pytest.mark.parametrize("limits", [{"body_timeout": SOON}, {"body_timeout": None, "min_body_rate": 1 << 30}],
                         ids=["gap", "rate"])
def test_a_client_that_stops(arrived: int, limits: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                             ) -> None:
    monkeypatch.setattr("blockingio.server.pace.BODY_GRACE", SOON)
    with serving(into(tmp_path / "file"), **limits) as server, RawClient(server.port) as client:
        client.send(HEAD % len(CONTENT) + CONTENT[:arrived])
        answer = client.read_response()
        assert (answer.status, answer.header("connection")) == (408, "close") and client.is_ended()
        client.close()
        record, = eventually(lambda: [record for record in server.connections() if record.ended])
        assert record.bytes_in == len(HEAD % len(CONTENT)) + arrived
    assert CONTENT.startswith((tmp_path / "file").read_bytes())


def test_a_client_that_dribbles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No gap is long, and there would never be an end."""
    monkeypatch.setattr("blockingio.server.pace.BODY_GRACE", SOON)
    with serving(into(tmp_path / "file"), min_body_rate=1 << 30) as server, RawClient(server.port) as client:
        client.send(HEAD % len(CONTENT) + CONTENT[:1000])
        sent = 1000
        while not [record for record in server.connections() if record.state in ("closing", "ended")]:
            client.send(CONTENT[sent:sent + 1])
            sent += 1
            time.sleep(0.01)
        assert client.read_response().status == 408


@pytest.mark.parametrize("end", ["orderly", "reset", "by the server"])
def test_an_end_in_the_middle(end: str, tmp_path: Path) -> None:
    errors: list[HttpException] = []
    with serving(failing(tmp_path / "file", HttpException, errors)) as server, RawClient(server.port) as client:
        client.send(HEAD % len(CONTENT) + CONTENT[:1 << 20])
        if end == "by the server":
            eventually(lambda: [record.state for record in server.connections()] == ["body"])
            server.close(force=True)
        elif end == "reset":
            # But for what a buffered file keeps of it.
            least = (1 << 20) - io.DEFAULT_BUFFER_SIZE
            eventually(lambda: (tmp_path / "file").exists() and (tmp_path / "file").stat().st_size >= least)
            client.reset()
        else:
            client.close()
        error, = eventually(lambda: errors)
    assert "connection" in str(error)
    assert CONTENT.startswith((tmp_path / "file").read_bytes())


def test_a_body_that_has_failed_fails_again(tmp_path: Path) -> None:
    """Also where more of it has come meanwhile."""
    has_failed, has_come = threading.Event(), threading.Event()
    errors: list[BadMessage] = []

    def handler(request: HttpRequest) -> None:
        with open(tmp_path / "file", "wb") as file:
            for _ in range(2):
                try:
                    request.write_to(file.fileno())
                except BadMessage as error:
                    errors.append(error)
                has_failed.set()
                assert has_come.wait(PATIENCE)
        request.response.close()

    with serving(handler, body_timeout=SOON) as server, RawClient(server.port) as client:
        client.send(HEAD % len(CONTENT) + CONTENT[:1000])
        assert has_failed.wait(PATIENCE)
        client.send(CONTENT[1000:30_000])
        has_come.set()
        client.read_response()
    assert [error.status for error in errors] == [408, 408]
    assert (tmp_path / "file").read_bytes() == CONTENT[:1000]


def test_a_response_that_is_closed(tmp_path: Path) -> None:
    """The body is gone with it, as for read()."""
    errors: list[StateError] = []

    def handler(request: HttpRequest) -> None:
        request.response.close()
        with open(tmp_path / "file", "wb") as file:
            try:
                request.write_to(file.fileno())
            except StateError as error:
                errors.append(error)

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(HEAD % len(CONTENT) + CONTENT[:1000])
        assert client.read_response().status == 200
        error, = eventually(lambda: errors)
    assert "the response is closed" in str(error)


def test_a_client_that_waits_for_100(tmp_path: Path) -> None:
    with serving(into(tmp_path / "file")) as server, RawClient(server.port) as client:
        client.send(HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n") % len(CONTENT))
        assert client.read_response().status == 100
        assert client.send(CONTENT).read_response().body == str(len(CONTENT)).encode()
    assert (tmp_path / "file").read_bytes() == CONTENT
