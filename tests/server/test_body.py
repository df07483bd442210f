"""The body of a request: read, iterated, with trailers, asked for by 100-continue."""
from __future__ import annotations

import io
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from blockingio import HttpException, HttpRequest
from blockingio.wire.limits import HEAD_RECEIVE_SIZE
from tests.peers import PATIENCE, RawClient, serving
from tests.server.visits import body_by, get, in_background, post, post_chunks, visit

KIB = 1024
EXPECTING = b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
BIG = bytes(range(256)) * 4 * KIB


#: A body by each framing: the whole request, and the bytes it carries.
FRAMED = {
    "counted": (post(b"hello, world"), b"hello, world"),
    "counted in 1.0": (post(b"hello, world", version="1.0"), b"hello, world"),
    "one chunk": (post_chunks(b"hello, world"), b"hello, world"),
    "many chunks": (post_chunks(*(b"%d" % number for number in range(500))),
                    b"".join(b"%d" % number for number in range(500))),
    "one byte": (post(b"x"), b"x"),
    "an empty one": (post(b""), b""),
    "no chunk": (post_chunks(), b""),
    "none": (get(), b""),
    "long": (post(BIG[:20 * KIB]), BIG[:20 * KIB]),
    "long chunks": (post_chunks(BIG[:7 * KIB], BIG[:9 * KIB]), BIG[:7 * KIB] + BIG[:9 * KIB]),
    "big": (post(BIG), BIG),
    "big chunks": (post_chunks(BIG, BIG), BIG + BIG),
}

framed = pytest.mark.parametrize("raw, body", FRAMED.values(), ids=FRAMED)


def test_tiny_chunks_come_together() -> None:
    """A body of one-byte chunks is not a step of the handler for each of them."""
    count = 100_000
    pieces: list[int] = []

    def handler(request: HttpRequest) -> None:
        pieces.extend(map(len, request))
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(post_chunks(*([b"x"] * count)))
        assert client.read_response().status == 200
    assert sum(pieces) == count and len(pieces) < count // 10


def in_pieces(request: HttpRequest) -> bytes:
    data = b""
    while piece := request.read(7):
        assert len(piece) <= 7
        data += piece
    return data


def copied(request: HttpRequest) -> bytes:
    target = io.BytesIO()
    shutil.copyfileobj(request, target)
    return target.getvalue()


# -------------------------------------------------------------------- reading it

WAYS: dict[str, Callable[[HttpRequest], bytes]] = {
    "read()": lambda request: request.read(),
    "read(None)": lambda request: request.read(None),  # type: ignore[arg-type]
    "iterated": lambda request: b"".join(request),
    "copyfileobj": copied,
    "as a stream": lambda request: b"".join(request.to_list()),
}


@framed
@pytest.mark.parametrize("read", WAYS.values(), ids=WAYS)
def test_a_body_is_read_whole(raw: bytes, body: bytes, read: Callable[[HttpRequest], bytes]) -> None:
    assert visit(body_by(read), raw).body == body


@pytest.mark.parametrize("name", [name for name in FRAMED if "big" not in name])
def test_a_body_is_read_in_pieces(name: str) -> None:
    raw, body = FRAMED[name]
    assert visit(body_by(in_pieces), raw).body == body


@pytest.mark.parametrize("name", ["counted", "many chunks"])
def test_a_body_comes_byte_by_byte(name: str) -> None:
    raw, body = FRAMED[name]
    with serving(body_by(lambda request: request.read())) as server, RawClient(server.port) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(raw)):
            client.send(raw[at:at + 1])
        assert client.read_response().body == body


@pytest.mark.needs("socket.MSG_DONTWAIT")
@pytest.mark.parametrize("name", ["long", "long chunks"])
@pytest.mark.parametrize("most", [0, 1])
def test_a_body_that_has_come_is_received_before_it_is_asked_for(name: str, most: int,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """So its connection goes on at once; not where there are so many connections that this would take much memory."""
    monkeypatch.setattr("blockingio.server.connection_loop.BODIES_AHEAD", most)
    raw, body = FRAMED[name]
    received: list[int] = []

    def handler(request: HttpRequest) -> None:
        source, = [connection.source for connection in list(server.state.connections)]
        received.append(source.counts()[1])
        request.response.add(request.read())
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        for _ in range(2):
            assert client.send(raw).read_response().body == body
    assert received == ([len(raw), 2 * len(raw)] if most else [HEAD_RECEIVE_SIZE, len(raw) + HEAD_RECEIVE_SIZE])


@pytest.mark.parametrize("raw", [post(b"0123456789"), post_chunks(b"012", b"3456", b"789")],
                         ids=["counted", "chunked"])
def test_read_gives_as_much_as_it_was_asked_for(raw: bytes) -> None:
    """As a file's read() does: less only at the end, whatever the pieces it came in."""
    seen: list[Any] = []

    def handler(request: HttpRequest) -> None:
        seen.extend(request.read(size) for size in (0, 4, 5, 5, 5, -1))
        request.response.close()

    visit(handler, raw)
    assert seen == [b"", b"0123", b"45678", b"9", b"", b""]


def test_read_after_part_of_an_iteration() -> None:
    def read(request: HttpRequest) -> bytes:
        for chunk in request:
            assert chunk == b"abc"
            break
        first = request.first()
        assert first == b"def"
        return chunk + first + request.read(2) + request.read()

    assert visit(body_by(read), post_chunks(b"abc", b"def", b"ghi")).body == b"abcdefghi"


def test_a_chunk_is_there_when_it_has_come() -> None:
    """An iteration does not wait for more than there is."""
    seen = []
    came = threading.Event()

    def handler(request: HttpRequest) -> None:
        for chunk in request:
            seen.append(chunk)
            came.set()
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            came.clear()
            client.send(b"1\r\n%d\r\n" % number)
            assert came.wait(PATIENCE)
        client.send(b"0\r\n\r\n")
        assert client.read_response().status == 200
    assert seen == [b"0", b"1", b"2"]


@pytest.mark.parametrize("raw",
                         [post(b'{"a": ["\xc3\xbc", 1.5]}'), post_chunks(b'{"a": ["\xc3', b'\xbc", 1.5]}')])
def test_json_load(raw: bytes) -> None:
    seen = []

    def handler(request: HttpRequest) -> None:
        seen.append(json.load(request))
        request.response.close()

    visit(handler, raw)
    assert seen == [{"a": ["\u00fc", 1.5]}]


def test_a_body_may_be_read_by_another_thread() -> None:
    def read(request: HttpRequest) -> bytes:
        bodies: list[bytes] = []
        with in_background(lambda: bodies.append(request.read())):
            pass
        return bodies[0]

    assert visit(body_by(read), post(BIG)).body == BIG


def test_an_echo_that_answers_while_it_reads() -> None:
    """Both halves at once: neither waits for the other to end."""

    def handler(request: HttpRequest) -> None:
        for chunk in request:
            request.response.write(chunk)
            request.response.flush()
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab")
        head = client._read_through(b"\r\n\r\n", time.monotonic() + PATIENCE)
        assert b"transfer-encoding: chunked" in head
        assert client.read_exactly(7) == b"2\r\nab\r\n"
        client.send(b"cd")
        assert client.read_exactly(7) == b"2\r\ncd\r\n"
        client.send(b"ef")
        assert client.read_exactly(12) == b"2\r\nef\r\n0\r\n\r\n"
        assert client.get().body == b""


# -------------------------------------------------------------------- trailers

def test_trailers_are_there_once_the_body_is_read() -> None:
    seen: list[Any] = []

    def handler(request: HttpRequest) -> None:
        seen.append(list(request.trailers))
        request.read(1)
        seen.append(list(request.trailers))
        request.read()
        trailers = request.trailers
        seen.append([(name, trailers.get_all(name)) for name in trailers])
        assert "x-sum" not in request.headers
        with pytest.raises(HttpException):
            trailers.set("a", "b")
        request.response.close()

    raw = post_chunks(b"abc", trailers=b"X-Sum: 5\r\nx-y: z\r\nX-Sum:  6 \r\n", fields=b"Trailer: X-Sum\r\n")
    visit(handler, raw)
    assert seen == [[], [], [("x-sum", ["5", "6"]), ("x-y", ["z"])]]


@pytest.mark.parametrize("raw", [get(), post(b"abc"), post_chunks(b"abc")])
def test_no_trailers(raw: bytes) -> None:
    seen = []

    def handler(request: HttpRequest) -> None:
        request.read()
        seen.append(len(request.trailers))
        request.response.close()

    visit(handler, raw)
    assert seen == [0]


# ---------------------------------------------------------------- 100-continue

@pytest.mark.parametrize("framing, body", [(b"Content-Length: 3\r\n\r\n", b"abc"),
                                           (b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n")],
                         ids=["counted", "chunked"])
def test_continue_is_sent_at_the_first_read(framing: bytes, body: bytes) -> None:
    go_on = threading.Event()

    def handler(request: HttpRequest) -> None:
        assert go_on.wait(PATIENCE)
        request.response.write(request.read())
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(EXPECTING + framing)
        client.seconds = 0.05
        with pytest.raises(TimeoutError):
            client.read_response()  # nobody has asked for the body
        client.seconds = PATIENCE
        go_on.set()
        assert client.read_exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert client.send(body).read_response().body == b"abc"
        assert client.get().body == b""  # and the connection goes on


def test_continue_is_sent_once() -> None:
    with serving(body_by(in_pieces)) as server, RawClient(server.port) as client:
        client.send(EXPECTING + b"Content-Length: 20\r\n\r\n")
        assert client.read_response().status == 100
        for _ in range(20):
            client.send(b"x")
        assert client.read_response().body == b"x" * 20


def test_no_continue_where_the_body_is_not_read() -> None:
    """The final answer stands, and the connection ends: whether the body comes now, nobody can know."""

    def handler(request: HttpRequest) -> None:
        request.response.status_code = 403
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(EXPECTING + b"Content-Length: 3\r\n\r\n")
        response = client.read_response()
        assert (response.status, response.header("connection")) == (403, "close")
        assert client.is_ended()


def test_no_continue_after_the_response_began() -> None:
    def handler(request: HttpRequest) -> None:
        request.response.write("begun")
        request.response.flush()
        request.response.write(request.read())
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(EXPECTING + b"Content-Length: 3\r\n\r\nabc")
        assert client.read_response().body == b"begunabc"


@pytest.mark.parametrize("raw", [
    get("/", "Expect: 100-continue"),
    b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
], ids=["without a body", "in 1.0", "of no length"])
def test_no_continue_where_nothing_waits_for_it(raw: bytes) -> None:
    """RFC 9110 10.1.1."""
    assert visit(body_by(lambda request: request.read()), raw).status == 200


def test_expectations_that_nobody_knows() -> None:
    called: list[HttpRequest] = []
    with serving(called.append) as server, RawClient(server.port) as client:
        client.send(post(b"abc", "Expect: the-unexpected"))
        response = client.read_response()
        assert (response.status, response.header("connection")) == (417, "close")
        assert client.is_ended()
    assert not called
