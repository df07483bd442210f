"""Bodies: how long they are, and their bytes without the framing."""
from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from blockingio.errors import BadMessage
from blockingio.wire.body import (
    Body, ChunkedBody, FixedBody, LenientChunkedBody, UntilCloseBody, request_body, response_body)
from blockingio.wire.head import parse_fields
from blockingio.wire.limits import CHUNK_EXTENSIONS_SIZE, CHUNK_LINE_SIZE, CHUNKS_ALONE, DEFAULT_LIMITS, Limits
from blockingio.wire.source import LenientSource, Source, Truncated
from tests.wire.feeding import TRAILING, WAYS, Feed, rest_of, source_in, source_of, sources


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


def test_data_pays_for_extensions() -> None:
    """So that signatures of chunks (85 bytes for 8 KiB and up) may go with a body of any length."""
    chunk = b"2000;chunk-signature=" + b"0" * 64 + b"\r\n" + b"x" * 8192 + b"\r\n"
    body = ChunkedBody(source_of(chunk * 500 + b"0\r\n\r\n"), DEFAULT_LIMITS)
    assert len(all_of(body)) == 500 * 8192
    tiny = b"1;a\r\nx\r\n"
    with pytest.raises(BadMessage, match=str(CHUNK_EXTENSIONS_SIZE)):
        all_of(ChunkedBody(source_of(tiny * CHUNK_EXTENSIONS_SIZE), DEFAULT_LIMITS))
    padded = LenientChunkedBody(LenientSource(Feed([b"1 \r\nx\r\n" * 2 * CHUNK_EXTENSIONS_SIZE])), DEFAULT_LIMITS)
    with pytest.raises(BadMessage, match=str(CHUNK_EXTENSIONS_SIZE)):
        all_of(padded)


@pytest.mark.parametrize("line", [
    b"3;x", b"3;x=y", b'3;x="y"', b'3;x=""', b'3;x="\\"\xff\t;,"', b"3;x;y=z;w", b"3 ;x", b"3; x", b"3;x =y", b"3;x= y",
    b"3\t;\tx\t=\t\"y\"\t;z", b'3;!#$%&\'*+-.^_`|~=0'])
def test_an_extension(line: bytes) -> None:
    for source, trailing in sources(line + b"\r\nabc\r\n0" + line[1:] + b"\r\n\r\n"):
        assert all_of(ChunkedBody(source, DEFAULT_LIMITS)) == b"abc"
        assert rest_of(source) == trailing


@pytest.mark.parametrize("line", [
    b"3;", b"3;;a", b"3;=x", b"3;a=", b'3;a="x', b"3;a b", b'3;a="b"c', b"3;\xff", b"3;a ", b"3;a=b ", b'3;a="b" ',
    b"3 ",
    b'3;a="\\"', b'3;"a"', b"3;a=b=c", b"3;a,b", b"3 a", b'3;a=b"c"', b"3;a=\xff", b"3; ", b"3;a= ;b", b"3;a;"])
def test_what_is_no_extension(line: bytes) -> None:
    for raw in (line + b"\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0" + line[1:] + b"\r\n\r\n"):
        for source, _ in sources(raw):
            body = ChunkedBody(source, DEFAULT_LIMITS)
            with pytest.raises(BadMessage, match="a chunk's size is") as caught:
                all_of(body)
            assert caught.value.status == 400


def chunk_of(rng: random.Random, data: bytes) -> bytes:
    size = rng.choice((b"%x", b"%X", b"0%x", b"%016x")) % len(data)
    return size + rng.choice((b"", b"", b"", b";a=b")) + b"\r\n" + data + b"\r\n"


@pytest.mark.parametrize("seed", range(8))
def test_small_chunks_among_others(seed: int) -> None:
    """However many are taken apart at once, what comes is what was sent, and what follows is left."""
    rng = random.Random(seed)
    most = rng.choice((1, 3, 15, 20, 127, 300))
    # What looks like framing in the data is data.
    parts = [(rng.randbytes(rng.randint(1, most)) if rng.random() < 0.5
              else (b"\r\n1\r\nx\r\n0\r\n\r\n" * 30)[:rng.randint(1, most)]) for _ in range(300)]
    raw = b"".join(chunk_of(rng, data) for data in parts) + b"0\r\nA: b\r\n\r\n"
    for limit in (1, 7, 100, 65536):
        for source, trailing in sources(raw):
            body = ChunkedBody(source, DEFAULT_LIMITS)
            assert all_of(body, limit) == b"".join(parts)
            assert body.trailers == [("A", "b")] and rest_of(source) == trailing
    total = sum(map(len, parts))
    assert len(all_of(ChunkedBody(source_of(raw), Limits(max_body_size=total)))) == total
    body = ChunkedBody(source_of(raw), Limits(max_body_size=total - 1))
    with pytest.raises(BadMessage, match=str(total - 1)) as caught:
        all_of(body)
    assert caught.value.status == 413


@pytest.mark.parametrize("end", [
    b"2\r\nabc\r\n", b"1\r\n\r\n1\r\nx\r\n", b"g\r\n", b"1\nx\r\n", b"1\r\nx\n1\r\nx\r\n", b"1;\r\nx\r\n",
    b"-1\r\nx\r\n",
    b"00000000000000001\r\nx\r\n"])
def test_what_is_wrong_behind_small_chunks(end: bytes) -> None:
    for source, _ in sources(b"1\r\nx\r\n" * 150 + end + b"0\r\n\r\n"):
        body = ChunkedBody(source, DEFAULT_LIMITS)
        with pytest.raises(BadMessage) as caught:
            all_of(body)
        assert caught.value.status == 400


def test_small_chunks_are_taken_apart_together() -> None:
    """One step of Python for each of them would make a body of few bytes very costly."""
    mixed = b"2\r\nxy\r\nF\r\n" + b"z" * 15 + b"\r\n7f\r\n" + b"a" * 127 + b"\r\n"
    for chunk, data in ((b"1\r\nx\r\n", b"x"), (b"0001\r\nx\r\n", b"x"), (mixed, b"xy" + b"z" * 15 + b"a" * 127)):
        count = 600_000 // len(chunk)
        body = ChunkedBody(source_of(chunk * count + b"0\r\n\r\n"), DEFAULT_LIMITS)
        pieces = 0
        size = 0
        while part := body.read_some(65536):
            pieces += 1
            size += len(part)
        assert size == count * len(data) and pieces < 1000


# ------------------------------------------------------------- chunked, as a client takes it

@pytest.mark.parametrize("raw, trailers, is_doubtful", [
    (b"3\r\nabc\r\n0\r\n\r\n", [], False),
    (b"3 \t\r\nabc\r\n0  \r\n\r\n", [], False),
    (b"3;a=b \r\nabc\r\n0;a \r\n\r\n", [], False),
    (b"3\r\nabc\r\n0\r\nA: b\r\nC:\r\n\r\n", [("A", "b"), ("C", "")], False),
    (b"3\r\nabc\r\n0\r\nA: b\r\nContent-Length: 5\r\nC:\r\n\r\n", [("A", "b"), ("C", "")], True),
    (b"3\r\nabc\r\n0\r\nA\r\nB: c\r\n d\r\n: e\r\nF: \0\r\nG: h\ri\r\n\r\n", [("B", "c")], True),
    (b"3\r\nabc\r\n0\r\nA: b\nC: d\r\n\n", [("A", "b"), ("C", "d")], True),
])
def test_a_chunked_body_of_a_careless_server(raw: bytes, trailers: list[tuple[str, str]], is_doubtful: bool) -> None:
    for way in WAYS[:2]:
        feed = Feed([raw] if way == WAYS[0] else [raw[at:at + 1] for at in range(len(raw))])
        body = LenientChunkedBody(LenientSource(feed), DEFAULT_LIMITS)
        assert all_of(body) == b"abc"
        assert (body.trailers, body.is_doubtful) == (trailers, is_doubtful)


@pytest.mark.parametrize("raw", [
    b" 3\r\nabc\r\n0\r\n\r\n", b"3 3\r\nabc\r\n", b"3\nabc\r\n0\r\n\r\n", b"3\r\nabc\n0\r\n\r\n",
    b"3\r\nabc\r\n0\n\r\n", b"3;\r\nabc\r\n0\r\n\r\n", b"3;a=\r\nabc\r\n0\r\n\r\n", b"3\r\nabcd\r\n0\r\n\r\n",
    b"0\r\n" + b"A: b\r\n" * 129 + b"\r\n", b"0\r\nA: " + b"b" * 70_000 + b"\r\n\r\n"])
def test_what_a_client_does_not_take_either(raw: bytes) -> None:
    body = LenientChunkedBody(LenientSource(Feed([raw])), DEFAULT_LIMITS)
    with pytest.raises(BadMessage):
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


def received(block: bytes, body: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[Source, Body]:
    """The connection's source, and the body of a request that came in one piece with it."""
    source = Source(Feed([b"POST / HTTP/1.1\r\n\r\n" + body, RuntimeError("received")]))
    assert source.head(limits, lambda: None) is not None
    found = request_body(source, parse_fields(b"Host: a\r\n" + block, "1.1", limits, of_request=True), limits)
    assert found is not None
    return source, found


CHUNKED = b"Transfer-Encoding: chunked"


@pytest.mark.parametrize("block, raw, data", [
    (b"Content-Length: 5", b"abcde", b"abcde"),
    (CHUNKED, b"0\r\n\r\n", b""),
    (CHUNKED, b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
    (CHUNKED, b"3\r\nabc\r\n00a\r\n\r\n0\r\n\r\n678\r\n0\r\n\r\n", b"abc\r\n0\r\n\r\n678"),
    (CHUNKED, b"3\r\nabc\r\n00\r\n\r\n", b"abc"),
    (CHUNKED, b"1\r\na\r\n" * CHUNKS_ALONE + b"0\r\n\r\n", b"a" * CHUNKS_ALONE),
    (CHUNKED, b"1\r\na\r\n" * CHUNKS_ALONE + b"00\r\n\r\n", b"a" * CHUNKS_ALONE),
])
@pytest.mark.parametrize("trailing", [b"", TRAILING])
def test_a_body_that_came_with_its_head_is_out_of_the_way(block: bytes, raw: bytes, data: bytes,
                                                          trailing: bytes) -> None:
    source, body = received(block, raw + trailing)
    assert body.is_here and source.pending == trailing and body.rest == raw
    assert all_of(body) == data and body.rest == b"" and source.pending == trailing


def test_a_body_that_came_with_its_head_is_read_in_the_chunks_that_it_came_in() -> None:
    """And what of it was not read is there as it came, for one that takes the connection over."""
    raw = b"3\r\nabc\r\n04\r\ndefg\r\n0\r\n\r\n"
    _, body = received(CHUNKED, raw)
    assert (body.length, body.left, body.rest) == (-1, 7, raw)
    for limit, data, left, rest in [(2, b"ab", 5, raw[5:]), (9, b"c", 4, raw[6:]), (1, b"d", 3, raw[13:])]:
        assert (body.read_some(limit), body.finished, body.left, body.rest) == (data, False, left, rest)
    assert (body.read_some(9), body.finished, body.left, body.rest) == (b"efg", True, 0, b"")
    assert body.read_some(9) == b"" and body.trailers == []


@pytest.mark.parametrize("limit, is_read", [(6, False), (7, True)])
def test_a_body_that_came_with_its_head_can_be_read_away(limit: int, is_read: bool) -> None:
    _, body = received(CHUNKED, b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
    assert body.discard(limit) is is_read is body.finished


@pytest.mark.parametrize("block, raw, limits", [
    (b"Content-Length: 6", b"abcde", DEFAULT_LIMITS),
    (b"Content-Length: 5\r\nExpect: 100-continue", b"abcde", DEFAULT_LIMITS),
    (CHUNKED, b"", DEFAULT_LIMITS),
    (CHUNKED, b"3\r\nabc\r\n0\r\n\r", DEFAULT_LIMITS),
    (CHUNKED, b"9\r\n\r\n0\r\n\r\n", DEFAULT_LIMITS),  # this is no end, but data
    (CHUNKED, b"3;a=b\r\nabc\r\n0\r\n\r\n", DEFAULT_LIMITS),
    (CHUNKED, b"3\r\nabc\r\n0\r\na: b\r\n\r\n", DEFAULT_LIMITS),
    (CHUNKED, b"3\nabc\r\n0\r\n\r\n", DEFAULT_LIMITS),
    (CHUNKED, b"3\r\nabcd\r\n0\r\n\r\n", DEFAULT_LIMITS),
    (CHUNKED, b"3\r\nabc\r\n0\r\n\r\n", Limits(max_body_size=2)),
    (CHUNKED, b"1\r\na\r\n" * (CHUNKS_ALONE + 1) + b"0\r\n\r\n", DEFAULT_LIMITS),
    (CHUNKED, b"1\r\na\r\n" * (CHUNKS_ALONE + 1) + b"00\r\n\r\n", DEFAULT_LIMITS),
    (CHUNKED, b"3\r\nabc\r\n0\r\n\rX", DEFAULT_LIMITS),
    (CHUNKED, b"3\r\nabc\r\n00\r\n\rX", DEFAULT_LIMITS),
    (CHUNKED, b"fffffffffffffff\r\nabc\r\n0\r\n\r\n", DEFAULT_LIMITS),
    (CHUNKED + b"\r\nExpect: 100-continue", b"0\r\n\r\n", DEFAULT_LIMITS),
])
def test_any_other_body_is_read_from_the_connection(block: bytes, raw: bytes, limits: Limits) -> None:
    source, body = received(block, raw, limits)
    assert not body.is_here and source.pending == raw and body.rest == b""


LARGE = b"".join([bytes([65 + at]) * 2500 for at in range(18)])
LARGE_CHUNKED = b"".join([b"9c4\r\n%b\r\n" % LARGE[at:at + 2500] for at in range(0, 45_000, 2500)]) + b"0\r\n\r\n"


def received_behind(block: bytes, raw: bytes, limits: Limits = DEFAULT_LIMITS,
                    receive_now: Callable[[int], bytes] | None = None) -> tuple[Source, Body]:
    """As ``received``, where all has come, and more may be received without waiting."""
    source = Source(feed := Feed([b"POST / HTTP/1.1\r\n\r\n" + raw]))
    assert source.head(limits, lambda: None) is not None
    fields = parse_fields(b"Host: a\r\n" + block, "1.1", limits, of_request=True)
    found = request_body(source, fields, limits, receive_now or feed)
    assert found is not None
    return source, found


@pytest.mark.parametrize("block, raw", [(b"Content-Length: 45000", LARGE), (CHUNKED, LARGE_CHUNKED)])
@pytest.mark.parametrize("trailing", [b"", TRAILING])
def test_a_body_that_has_come_behind_its_head_is_out_of_the_way(block: bytes, raw: bytes, trailing: bytes) -> None:
    """What was read with the head is not all of it: the rest is received in one go."""
    source, body = received_behind(block, raw + trailing)
    assert body.is_here and body.rest == raw
    assert body.read_some(1000) == LARGE[:1000] and body.left == 44_000 and body.rest.endswith(raw[2000:])
    assert body.read_rest() == LARGE[1000:] and body.finished and body.left == 0 and body.rest == b""
    assert rest_of(source) == trailing


@pytest.mark.parametrize("block, raw", [
    (b"Content-Length: 45000\r\nExpect: 100-continue", LARGE),
    (CHUNKED + b"\r\nExpect: 100-continue", LARGE_CHUNKED),
    (CHUNKED, b"9c4;a=b" + LARGE_CHUNKED[3:]),
    (CHUNKED, LARGE_CHUNKED[:-2] + b"a: b\r\n\r\n"),
    (CHUNKED, b"A\r\nAAAAAAAAAA\r\n" * 250 + LARGE_CHUNKED[2507:]),
])
def test_any_other_body_is_read_from_the_connection_though_it_has_come(block: bytes, raw: bytes) -> None:
    source, body = received_behind(block, raw)
    assert not body.is_here and body.rest == b"" and raw.startswith(source.pending)
    assert all_of(body) == LARGE and rest_of(source) == b""


@pytest.mark.parametrize("block, raw", [(b"Content-Length: 45000", LARGE), (CHUNKED, LARGE_CHUNKED)])
@pytest.mark.parametrize("more", [b"", LARGE[4077:9000], BlockingIOError(), ConnectionResetError()])
def test_a_body_that_has_not_come_whole_is_read_from_the_connection(block: bytes, raw: bytes,
                                                                    more: bytes | OSError) -> None:
    def receive_now(size: int) -> bytes:
        if isinstance(more, OSError):
            raise more
        return more

    source, body = received_behind(block, raw, receive_now=receive_now)
    assert not body.is_here and source.pending == raw[:4077] + (b"" if isinstance(more, OSError) else more)


def test_a_body_that_is_too_long_is_not_received_as_a_whole() -> None:
    _, body = received_behind(CHUNKED, LARGE_CHUNKED, Limits(max_body_size=44_999))
    assert not body.is_here
    with pytest.raises(BadMessage) as caught:
        all_of(body)
    assert caught.value.status == 413


@pytest.mark.parametrize("method, status, block, kind", [
    ("GET", 200, b"", UntilCloseBody), ("GET", 200, b"Content-Length: 5", FixedBody),
    ("GET", 200, b"Content-Length: 0", None), ("GET", 200, b"Transfer-Encoding: chunked", LenientChunkedBody),
    ("HEAD", 200, b"Content-Length: 5", None), ("HEAD", 200, b"Transfer-Encoding: chunked", None),
    ("GET", 204, b"Content-Length: 5", None), ("GET", 304, b"Content-Length: 5", None),
    ("GET", 100, b"", None), ("GET", 101, b"", None), ("CONNECT", 200, b"Content-Length: 5", None),
    ("CONNECT", 404, b"Content-Length: 5", FixedBody), ("POST", 500, b"", UntilCloseBody),
])
def test_the_body_of_a_response(method: str, status: int, block: bytes, kind: type[Body] | None) -> None:
    """The steps of RFC 9112 6.3."""
    fields = parse_fields(block, "1.1", DEFAULT_LIMITS, of_request=False)
    body = response_body(LenientSource(lambda size: b""), fields, DEFAULT_LIMITS, method=method, status=status)
    assert type(body) is (kind or type(None))


@pytest.mark.parametrize("block", [b"Content-Length: 5, 6", b"Content-Length: x", b"Transfer-Encoding: gzip"])
def test_framing_is_judged_where_there_is_a_body(block: bytes) -> None:
    fields = parse_fields(block, "1.1", DEFAULT_LIMITS, of_request=False)
    source = LenientSource(lambda size: b"")
    for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 103), ("CONNECT", 200)):
        assert response_body(source, fields, DEFAULT_LIMITS, method=method, status=status) is None
    for method, status in (("GET", 200), ("POST", 500), ("CONNECT", 404)):
        with pytest.raises(BadMessage, match=fields.fault):
            response_body(source, fields, DEFAULT_LIMITS, method=method, status=status)


def test_a_body_that_knows_no_way_of_reading() -> None:
    with pytest.raises(NotImplementedError):
        Body(source_of(), -1).read_some(1)
