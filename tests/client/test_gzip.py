"""Bodies in gzip: decoded while they are read, never more than was asked for."""

from __future__ import annotations

import gzip
import io
import random
import threading
import tracemalloc
from collections.abc import Callable

import pytest

from blockingio import HttpClient, HttpClientResponse, HttpClientResponseCompressionState, HttpException
from blockingio.client.gzip import GzipReader
from tests.client.servers import OK, Peer, answering, scripted
from tests.peers import PATIENCE

State = HttpClientResponseCompressionState

CONTENTS = {
    "empty": b"",
    "a byte": b"x",
    "text": b"hello world, " * 1000,
    "noise": random.Random(1).randbytes(100_000),
    "zeros": bytes(1_000_000),
}


def in_pieces(data: bytes, size: int) -> Callable[[int], bytes]:
    file = io.BytesIO(data)
    return lambda limit: file.read(min(size, limit))


def all_of(reader: GzipReader, limit: int) -> bytes:
    parts = []
    while part := reader.read_some(limit):
        assert len(part) <= limit
        parts.append(part)
    assert reader.read_some(limit) == b""
    return b"".join(parts)


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("padding", [0, 1, 700])
@pytest.mark.parametrize("size, limit", [(65536, 65536), (1000, 65536), (65536, 1000), (7, 500)])
def test_streams(content: bytes, members: int, padding: int, size: int, limit: int) -> None:
    data = gzip.compress(content) * members + bytes(padding)
    assert all_of(GzipReader(in_pieces(data, size)), limit) == content * members


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_byte_by_byte(limit: int) -> None:
    data = gzip.compress(b"hello") + gzip.compress(b" world")
    assert all_of(GzipReader(in_pieces(data, 1)), limit) == b"hello world"


def test_no_body_at_all_is_no_content() -> None:
    assert all_of(GzipReader(in_pieces(b"", 1)), 10) == b""


@pytest.mark.parametrize("content", [b"", b"hello", bytes(3000)])
@pytest.mark.parametrize("limit", [1, 1000, 65536])
def test_cut_short_anywhere(content: bytes, limit: int) -> None:
    whole = gzip.compress(content)
    for length in range(1, len(whole)):
        reader = GzipReader(in_pieces(whole[:length], 50))
        got = b""
        with pytest.raises(HttpException, match="cut short"):
            while part := reader.read_some(limit):
                got += part
        assert content.startswith(got)
        with pytest.raises(HttpException, match="cut short"):
            reader.read_some(limit)


@pytest.mark.parametrize(
    "data",
    [
        b"no gzip at all",
        gzip.compress(b"x") + b"\x1f\x8bnonsense that begins as a stream does",
        gzip.compress(b"x")[:-8] + b"\0" * 8,
        gzip.compress(b"x")[:-4] + b"\1\0\1\0",
    ],
)
def test_damaged(data: bytes) -> None:
    reader = GzipReader(in_pieces(data, 1000))
    for _ in range(2):
        with pytest.raises(HttpException, match="the body is not the gzip that Content-Encoding says"):
            while reader.read_some(1000):
                pass


@pytest.mark.parametrize("garbage", [b"\x1f", b"\x1f\x1f\x8b", b"x", b"\0x", b"nonsense" * 50_000, b"\x8b\x1f" * 9])
@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("size, limit", [(65536, 65536), (1, 65536), (7, 3), (65536, 1)])
def test_garbage_behind_a_stream(garbage: bytes, members: int, size: int, limit: int) -> None:
    if size == 1:
        garbage = garbage[:500]
    read_some = in_pieces(gzip.compress(b"hello") * members + garbage, size)
    assert all_of(GzipReader(read_some), limit) == b"hello" * members
    assert read_some(1) == b"", "it is read away, so that the connection can be used again"


def test_content_need_not_wait_for_what_follows_it() -> None:
    def read_some(limit: int) -> bytes:
        assert pieces, "more was received than was needed"
        return pieces.pop(0)

    pieces = [gzip.compress(b"hello") + b"\x1f"]
    assert GzipReader(read_some).read_some(100) == b"hello"


def test_a_read_of_little_makes_little() -> None:
    """64 MiB that come as 64 KiB: what is not asked for is not made."""
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    reader = GzipReader(in_pieces(bomb, 65536))
    assert reader.read_some(1) == b"\0"
    tracemalloc.start()
    try:
        for _ in range(100):
            assert 0 < len(reader.read_some(1000)) <= 1000
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------------ through the client


def answer(body: bytes, coding: bytes = b"gzip", more: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: "
        + coding
        + b"\r\ncontent-length: %d\r\n" % len(body)
        + more
        + b"\r\n"
        + body
    )


def get(client: HttpClient, raw: bytes) -> tuple[HttpClientResponse, bytes]:
    with scripted(answering(raw, OK)) as server:
        response = client.get_url(server.url()).close()
        body = response.read()
        assert client.get_url(server.url()).close().read() == b"ok"  # the connection could be used again
        client.close()
        assert server.connections == 1
    return response, body


@pytest.mark.parametrize("coding", [b"gzip", b"GZip", b"x-gzip"])
def test_a_body_in_gzip_is_decoded(client: HttpClient, coding: bytes) -> None:
    assert client.auto_uncompress
    body = gzip.compress(b"hello")
    response, content = get(client, answer(body, coding))
    assert (content, response.compression_state) == (b"hello", State.DECOMPRESSED)
    # The head stays what it was.
    assert response.headers["content-encoding"] == coding.decode()
    assert response.content_length == len(body)


def test_chunked_gzip(client: HttpClient) -> None:
    body = gzip.compress(b"hello world")
    chunks = b"".join(b"1\r\n%b\r\n" % body[at : at + 1] for at in range(len(body)))
    raw = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
        + chunks
        + b"0\r\n\r\n"
    )
    assert get(client, raw)[1] == b"hello world"


def test_garbage_behind_gzip_costs_nothing(client: HttpClient) -> None:
    body = gzip.compress(b"hello") + b"<!-- made in 3 ms -->"
    assert get(client, answer(body))[1] == b"hello"


def test_gzip_left_as_it_is(client: HttpClient) -> None:
    client.auto_uncompress = False
    body = gzip.compress(b"hello")
    response, content = get(client, answer(body))
    assert (content, response.compression_state) == (body, State.COMPRESSED)


@pytest.mark.parametrize("coding", [b"identity", b"br", b"gzip, gzip", b"deflate"])
def test_other_codings_are_the_users(client: HttpClient, coding: bytes) -> None:
    response, content = get(client, answer(b"as it is", coding))
    assert (content, response.compression_state) == (b"as it is", State.NOT_COMPRESSED)


def test_several_codings_in_several_fields(client: HttpClient) -> None:
    response, content = get(client, answer(b"as it is", b"gzip", b"content-encoding: br\r\n"))
    assert (content, response.compression_state) == (b"as it is", State.NOT_COMPRESSED)


def test_no_coding(client: HttpClient) -> None:
    response, content = get(client, OK)
    assert (content, response.compression_state) == (b"ok", State.NOT_COMPRESSED)


def test_an_empty_body_is_no_broken_gzip(client: HttpClient) -> None:
    response, content = get(client, answer(b""))
    assert (content, response.compression_state) == (b"", State.DECOMPRESSED)


def test_the_word_in_another_field_means_nothing(client: HttpClient) -> None:
    raw = b"HTTP/1.1 200 OK\r\nx-content-encoding: gzip\r\ncontent-length: 2\r\n\r\nok"
    assert get(client, raw)[0].compression_state is State.NOT_COMPRESSED


@pytest.mark.parametrize("framing", [b"content-length: 15\r\n\r\n", b"\r\n"])
def test_a_stream_that_is_cut_short(client: HttpClient, framing: bytes) -> None:
    body = gzip.compress(b"hello")[:15]

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n" + framing + body)

    with scripted(script) as server:
        request = client.get_url(server.url())
        response = request.close()
        with pytest.raises(HttpException, match="cut short") as caught:
            response.read()
        assert caught.value.uri == request.uri
        assert "0 active" in repr(client)


def test_it_is_decoded_while_it_comes(client: HttpClient) -> None:
    """The first half is read before the second is sent."""
    body = gzip.compress(CONTENTS["noise"])
    half = len(body) // 2
    has_read = threading.Event()

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(answer(body)[:-half])
        assert has_read.wait(PATIENCE)
        peer.send(body[-half:])

    with scripted(script) as server:
        response = client.get_url(server.url()).close()
        first = response.read(1000)
        has_read.set()
        assert first + response.read() == CONTENTS["noise"]
        client.close()
