"""Bodies: how long they are, and their bytes without the framing."""
from __future__ import annotations

import pytest

from blockingio.errors import BadMessage
from blockingio.wire.body import Body, ChunkedBody, FixedBody, UntilCloseBody, request_body, response_body
from blockingio.wire.head import parse_fields
from blockingio.wire.limits import CHUNK_EXTENSIONS_SIZE, CHUNK_LINE_SIZE, DEFAULT_LIMITS, Limits
from blockingio.wire.source import Source, Truncated
from tests.wire.feeding import TRAILING, WAYS, rest_of, source_in, source_of, sources


def all_of(body: Body, limit: int = 65536) -> bytes:
    data = b""
    while part := body.read_some(limit):
        assert len(part) <= limit
        data += part
    assert body.finished and body.read_some(limit) == b""
    return data


# ----------------------------------------------------------------------- by length

@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("limit", [1, 3, 65536])
def test_a_counted_body(size: int, limit: int) -> None:
    for source, trailing in sources(b"x" * size):
        body = FixedBody(source, size)
        assert (body.length, body.left, body.finished) == (size, size, False)
        assert all_of(body, limit) == b"x" * size
        assert body.left == 0 and body.trailers == [] and not body.failed
        assert rest_of(source) == trailing


def test_a_counted_body_of_nothing_reads_nothing() -> None:
    body = FixedBody(source_of(RuntimeError("received")), 0)
    assert body.finished and body.read_some(10) == b""


@pytest.mark.parametrize("way", WAYS[:2])
def test_a_counted_body_that_ends_early(way: str) -> None:
    body = FixedBody(source_in(way, b"abc"), 5)
    with pytest.raises(Truncated, match="3 of 5"):
        all_of(body)
    assert body.failed and not body.finished
    with pytest.raises(BadMessage, match="3 of 5"):
        body.read_some(1)


# ------------------------------------------------------------------------ chunked

@pytest.mark.parametrize("raw, data, trailers", [
    (b"0\r\n\r\n", b"", []),
    (b"3\r\nabc\r\n0\r\n\r\n", b"abc", []),
    (b"3\r\nabc\r\n4\r\ndefg\r\n00\r\n\r\n", b"abcdefg", []),
    (b"003\r\nabc\r\n0\r\n\r\n", b"abc", []),
    (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2, []),
    (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", []),
    (b"3;x\r\nabc\r\n0;y=z\r\n\r\n", b"abc", []),
    (b'3 ; x="y;z"\r\nabc\r\n0\r\n\r\n', b"abc", []),
    (b"3\r\nabc\r\n0\r\nX: y\r\nz:\r\nX: \xe4 \r\n\r\n", b"abc", [("X", "y"), ("z", ""), ("X", "\u00e4")]),
    (b"0\r\nContent-Type: a/b\r\nPragma: x\r\n\r\n", b"", [("Content-Type", "a/b"), ("Pragma", "x")]),
    (b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n", b"x" * 1024, []),
    (b"0000000000000001\r\nx\r\n0\r\n\r\n", b"x", []),
])
@pytest.mark.parametrize("limit", [1, 65536])
def test_a_chunked_body(raw: bytes, data: bytes, trailers: list[tuple[str, str]], limit: int) -> None:
    for source, trailing in sources(raw):
        body = ChunkedBody(source, DEFAULT_LIMITS)
        assert (body.length, body.left, body.finished) == (-1, -1, False)
        assert all_of(body, limit) == data
        assert body.trailers == trailers
        assert rest_of(source) == trailing


@pytest.mark.parametrize("raw", [
    b"\r\n", b"x\r\n", b" 3\r\nabc\r\n", b"-3\r\n", b"+3\r\n", b"0x3\r\n", b"3_0\r\n",
    b"3 \r\nabc\r\n0\r\n\r\n", b"3 3\r\n", b"3\nabc\n", b"3\r\nabcd\r\n", b"3\r\nabc0\r\n",
    b"3\r\nabc\n0\r\n\r\n", b"3\r\nabc\r0\r\n", b"3,\r\nabc\r\n", b"3;\x01\r\nabc\r\n", b"3;\x7f\r\n",
    b"11111111111111111\r\n", b"\xb2\r\n", b"3;" + b"x" * CHUNK_LINE_SIZE + b"\r\n", b"0\r\nbad\r\n\r\n",
    b"0\r\n X: y\r\n\r\n", b"0\r\nX : y\r\n\r\n", b"0\r\nX: \x01\r\n\r\n", b"0\r\nX: y\n\r\n",
    b"0\r\nX: y\r\n z\r\n\r\n", b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\ntransfer-encoding: chunked\r\n\r\n",
    b"0\r\nHOST: a\r\n\r\n", b"0\r\nSet-Cookie: a=b\r\n\r\n", b"0\r\nAuthorization: x\r\n\r\n",
    b"0\r\nOk: x\r\nCookie: y\r\n\r\n",
], ids=lambda raw: repr(raw[:24]))
def test_a_bad_chunked_body(raw: bytes) -> None:
    for source, _ in sources(raw):
        body = ChunkedBody(source, DEFAULT_LIMITS)
        with pytest.raises(BadMessage) as caught:
            all_of(body)
        assert caught.value.status == 400 and not isinstance(caught.value, Truncated)
        assert body.failed and not body.finished and body.trailers == []
        with pytest.raises(BadMessage):
            body.read_some(1)
        assert not body.discard(1000)


@pytest.mark.parametrize("raw", [b"", b"3", b"3\r", b"3\r\n", b"3\r\nab", b"3\r\nabc", b"3\r\nabc\r\n",
                                 b"3\r\nabc\r\n0", b"3\r\nabc\r\n0\r\n", b"3\r\nabc\r\n0\r\nX: y",
                                 b"3\r\nabc\r\n0\r\nX: y\r\n"])
@pytest.mark.parametrize("way", WAYS[:2])
def test_a_chunked_body_that_ends_early(raw: bytes, way: str) -> None:
    body = ChunkedBody(source_in(way, raw), DEFAULT_LIMITS)
    with pytest.raises(Truncated):
        all_of(body)
    assert body.failed


def test_a_chunked_body_that_is_too_slow() -> None:
    for raw in (b"", b"3", b"3\r\nab", b"0\r\nX: y\r\n"):
        body = ChunkedBody(source_of(raw, TimeoutError()) if raw else source_of(TimeoutError()),
                           DEFAULT_LIMITS)
        with pytest.raises(BadMessage) as caught:
            all_of(body)
        assert caught.value.status == 408


def test_extensions_have_their_limit() -> None:
    extension = b"1;" + b"x" * (CHUNK_LINE_SIZE - 10) + b"\r\na\r\n"
    body = ChunkedBody(source_of(extension * 100), DEFAULT_LIMITS)
    with pytest.raises(BadMessage, match=str(CHUNK_EXTENSIONS_SIZE)):
        all_of(body)


def test_trailers_have_their_limits() -> None:
    limits = Limits(max_header_count=2, max_header_size=50)
    body = ChunkedBody(source_of(b"0\r\nA: 1\r\nB: 2\r\n\r\n"), limits)
    assert all_of(body) == b"" and len(body.trailers) == 2
    for raw in (b"0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", b"0\r\nA: " + b"1" * 60 + b"\r\n\r\n",
                b"0\r\nA: " + b"1" * 40 + b"\r\nB: " + b"1" * 40 + b"\r\n\r\n"):
        with pytest.raises(BadMessage):
            all_of(ChunkedBody(source_of(raw), limits))


@pytest.mark.parametrize("raw, taken",
                         [(b"5\r\nabcde\r\n6\r\n", b"abcde"), (b"b\r\n", b""),
                          (b"FFFFFFFFFFFFFFFF\r\n", b"")])
def test_a_chunked_body_past_its_limit(raw: bytes, taken: bytes) -> None:
    body = ChunkedBody(source_of(raw), Limits(max_body_size=10))
    data = b""
    with pytest.raises(BadMessage, match="10") as caught:
        while True:
            data += body.read_some(100)
    assert caught.value.status == 413 and data == taken


# --------------------------------------------------------------------- until close

def test_a_body_until_the_end() -> None:
    for way in WAYS:
        body = UntilCloseBody(source_in(way, b"abc"))
        assert body.length == -1 and not body.finished
        assert all_of(body, 2) == (b"abc" + TRAILING if way == WAYS[2] else b"abc")


# ----------------------------------------------------------------------- discard

@pytest.mark.parametrize("raw, make, limit, expected", [
    (b"x" * 100, lambda source: FixedBody(source, 100), 100, True),
    (b"x" * 100, lambda source: FixedBody(source, 100), 99, False),
    (b"x" * 99, lambda source: FixedBody(source, 100), 100, False),
    (b"5\r\nabcde\r\n0\r\n\r\n", lambda source: ChunkedBody(source, DEFAULT_LIMITS), 100, True),
    (b"5\r\nabcde\r\n0\r\n\r\n", lambda source: ChunkedBody(source, DEFAULT_LIMITS), 4, False),
    (b"5\r\nabcdef\r\n0\r\n\r\n", lambda source: ChunkedBody(source, DEFAULT_LIMITS), 100, False),
])
def test_discard(raw: bytes, make: object, limit: int, expected: bool) -> None:
    for source, trailing in sources(raw):
        body = make(source)  # type: ignore[operator]
        assert body.discard(limit) == (expected or (len(raw) == 99 and trailing != b""))
        if expected:
            assert body.finished and rest_of(source) == trailing


def test_discard_of_what_is_too_much_reads_nothing() -> None:
    body = FixedBody(source_of(RuntimeError("received")), 1000)
    assert not body.discard(999)


# ------------------------------------------------------- which body a message has

def request(block: bytes, limits: Limits = DEFAULT_LIMITS) -> Body | None:
    return request_body(source_of(), parse_fields(b"Host: a\r\n" + block, "1.1", limits, of_request=True),
                        limits)


def test_the_body_of_a_request() -> None:
    assert request(b"A: b") is None and request(b"Content-Length: 0") is None
    counted = request(b"Content-Length: 5")
    assert isinstance(counted, FixedBody) and counted.length == 5
    assert isinstance(request(b"Transfer-Encoding: chunked"), ChunkedBody)
    limits = Limits(max_body_size=5)
    assert request(b"Content-Length: 5", limits) is not None
    with pytest.raises(BadMessage) as caught:
        request(b"Content-Length: 6", limits)
    assert caught.value.status == 413


@pytest.mark.parametrize("method, status, block, kind", [
    ("GET", 200, b"", UntilCloseBody), ("GET", 200, b"Content-Length: 5", FixedBody),
    ("GET", 200, b"Content-Length: 0", None), ("GET", 200, b"Transfer-Encoding: chunked", ChunkedBody),
    ("HEAD", 200, b"Content-Length: 5", None), ("HEAD", 200, b"Transfer-Encoding: chunked", None),
    ("GET", 204, b"Content-Length: 5", None), ("GET", 304, b"Content-Length: 5", None),
    ("GET", 100, b"", None), ("GET", 101, b"", None), ("CONNECT", 200, b"Content-Length: 5", None),
    ("CONNECT", 404, b"Content-Length: 5", FixedBody), ("POST", 500, b"", UntilCloseBody),
])
def test_the_body_of_a_response(method: str, status: int, block: bytes, kind: type[Body] | None) -> None:
    """The steps of RFC 9112 6.3."""
    fields = parse_fields(block, "1.1", DEFAULT_LIMITS, of_request=False)
    body = response_body(Source(lambda size: b""), fields, DEFAULT_LIMITS, method=method, status=status)
    assert type(body) is (kind or type(None))


def test_a_body_that_knows_no_way_of_reading() -> None:
    with pytest.raises(NotImplementedError):
        Body(source_of(), -1).read_some(1)
