"""IOSink: what is written, buffered, framed and compressed, and in how many pieces it is sent."""
from __future__ import annotations

import mmap
import zlib
from array import array
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from blockingio import ContentType, HttpException, HttpHeaders, IOSink, StateError
from blockingio.wire.limits import OUTPUT_BUFFER_SIZE
from blockingio.wire.sink import (
    BUFFERING, CHUNKED, CLOSED, COUNTED, NO_BODY, OPEN, STREAMING, UNTIL_CLOSE, Compressor,
)

HEAD = b"<head>"


class Message(IOSink):
    """A sink with a head of its own, which keeps what it sends."""

    def __init__(self, *, streamed_as: int = CHUNKED, content_type: str | None = "text/plain; charset=utf-8",
                 compresses: bool = False, whole_as: int = COUNTED) -> None:
        super().__init__()
        self._headers = HttpHeaders()
        if content_type:
            self._headers.set("content-type", content_type)
        self._streamed_as, self._whole_as, self._compresses = streamed_as, whole_as, compresses
        self._is_as_given = not compresses
        self.sent: list[bytes] = []
        self.lengths: list[int] = []
        self.given_up = False

    @property
    def headers(self) -> HttpHeaders:
        assert self._headers is not None
        return self._headers

    def _freeze_headers(self) -> None:
        self.headers.freeze("the message has begun")
        self._declared = self.headers.content_length
        self.phase = BUFFERING

    def _begin(self, length: int, body: bytes = b"") -> bytes:
        self.lengths.append(length)
        self._framing = self._streamed_as if length < 0 else self._whole_as
        return HEAD + body if self._framing == COUNTED else HEAD

    def _transmit(self, data: bytes, body: int = 0, after: int = 0) -> None:
        self.sent.append(data)

    def _choose_compressor(self, length: int) -> Compressor | None:
        return zlib.compressobj() if self._compresses else None

    def give_up(self) -> None:
        self.given_up = True
        self.phase = CLOSED

    def close(self) -> None:
        if self.phase != CLOSED:
            self._send_rest()
            self.phase = CLOSED


def sent(write: Callable[[Message], object], **how: Any) -> list[bytes]:
    message = Message(**how)
    write(message)
    message.close()
    assert not message.given_up
    return message.sent


# ----------------------------------------------------------------- in how many pieces

def test_what_fits_is_sent_whole_and_with_its_length() -> None:
    message = Message()
    message.write("Hello, ")
    message.write(b"world!")
    assert message.sent == []
    message.close()
    assert message.sent == [HEAD + b"Hello, world!"] and message.lengths == [13]


def test_nothing_is_a_head_with_length_0() -> None:
    message = Message()
    message.close()
    assert message.sent == [HEAD] and message.lengths == [0]


def test_the_buffer_is_sent_when_it_is_full() -> None:
    message = Message()
    message.write(b"x" * (OUTPUT_BUFFER_SIZE - 1))
    assert message.sent == []
    message.write(b"y")
    assert message.lengths == [-1] and len(message.sent) == 1
    size = OUTPUT_BUFFER_SIZE
    assert message.sent[0] == HEAD + b"%x\r\n" % size + b"x" * (size - 1) + b"y\r\n"
    message.write("rest")
    assert len(message.sent) == 1
    message.close()
    assert message.sent[1:] == [b"4\r\nrest\r\n0\r\n\r\n"]


def test_many_small_writes_are_few_pieces() -> None:
    pieces = sent(lambda message: [message.write("0123456789") for _ in range(20_000)],
                  streamed_as=UNTIL_CLOSE)
    assert b"".join(pieces) == HEAD + b"0123456789" * 20_000
    assert len(pieces) <= 200_000 // OUTPUT_BUFFER_SIZE + 1


@pytest.mark.parametrize("framing, pieces", [
    (CHUNKED, [HEAD, b"1\r\na\r\n", b"2\r\nbc\r\n", b"0\r\n\r\n"]),
    (UNTIL_CLOSE, [HEAD, b"a", b"bc"]),
    (COUNTED, [HEAD, b"a", b"bc"]),
    (NO_BODY, [HEAD]),
])
def test_flush_by_framing(framing: int, pieces: list[bytes]) -> None:
    def write(message: Message) -> None:
        for text in ("", "a", "", "bc"):
            message.write(text)
            message.flush()

    assert sent(write, streamed_as=framing) == pieces


@pytest.mark.parametrize("framing, pieces", [
    (CHUNKED, [HEAD + b"1\r\na\r\n", b"2\r\nbc\r\n", b"0\r\n\r\n"]), (UNTIL_CLOSE, [HEAD + b"a", b"bc"]),
    (NO_BODY, [HEAD]),
])
def test_without_a_buffer(framing: int, pieces: list[bytes]) -> None:
    def write(message: Message) -> None:
        message.buffer_output = False
        for text in ("a", "", "bc"):
            message.write(text)

    assert sent(write, streamed_as=framing) == pieces


@pytest.mark.parametrize("framing, pieces", [(COUNTED, [HEAD + b"abc"]),
                                             (CHUNKED, [HEAD + b"3\r\nabc\r\n0\r\n\r\n"]), (NO_BODY, [HEAD]),
                                             (UNTIL_CLOSE, [HEAD + b"abc"])])
def test_a_whole_message_by_framing(framing: int, pieces: list[bytes]) -> None:
    assert sent(lambda message: message.write("abc"), whole_as=framing) == pieces


def test_a_whole_message_of_nothing_in_chunks() -> None:
    assert sent(lambda message: None, whole_as=CHUNKED) == [HEAD + b"0\r\n\r\n"]


# -------------------------------------------------------------------------- states

def test_the_states_it_passes() -> None:
    message = Message()
    assert message.phase == OPEN and not message.closed
    message.headers.set("a", "b")
    message.write("")
    assert message.phase == BUFFERING
    with pytest.raises(HttpException):
        message.headers.set("a", "c")
    message.flush()
    assert message.phase == STREAMING
    message.close()
    assert message.phase == CLOSED and message.closed
    with pytest.raises(StateError):
        message.write("x")
    with pytest.raises(StateError):
        message.add(b"x")
    message.flush()
    message.add_error(ValueError())
    assert not message.given_up


def test_flush_begins_it() -> None:
    message = Message()
    message.flush()
    assert message.sent == [HEAD] and message.phase == STREAMING
    with pytest.raises(HttpException):
        message.headers.clear()


def test_add_error_gives_up() -> None:
    for begin in (lambda message: None, lambda message: message.write("x"), lambda message: message.flush()):
        message = Message()
        begin(message)
        message.add_error(ValueError())
        assert message.given_up and message.closed


# ------------------------------------------------------------------ content_length

@pytest.mark.parametrize("writes, total", [([6], 6), ([5, 1], 6), ([3, 3], 6), ([5, 100_000], 100_005)])
@pytest.mark.parametrize("flush", [False, True])
def test_too_much(writes: list[int], total: int, flush: bool) -> None:
    message = Message(streamed_as=COUNTED)
    message.headers.content_length = 5
    with pytest.raises(HttpException, match=f"{total} .*5"):
        for size in writes:
            message.write(b"x" * size)
            if flush:
                message.flush()
    assert message.given_up and b"x" * 6 not in b"".join(message.sent)


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("size", [0, 4])
def test_too_little(flush: bool, size: int) -> None:
    message = Message(streamed_as=COUNTED)
    message.headers.content_length = 5
    message.write(b"x" * size)
    if flush:
        message.flush()
    with pytest.raises(HttpException, match=f"{size} .*5"):
        message.close()
    assert message.given_up


@pytest.mark.parametrize("flush", [False, True])
def test_just_right(flush: bool) -> None:
    def write(message: Message) -> None:
        message.headers.content_length = 5
        message.write("123")
        if flush:
            message.flush()
        message.write("45")

    assert b"".join(sent(write, streamed_as=COUNTED)) == HEAD + b"12345"


def test_a_message_without_a_body_may_promise_one() -> None:
    def write(message: Message) -> None:
        message.headers.content_length = 5

    assert sent(write, whole_as=NO_BODY) == [HEAD]


# --------------------------------------------------------------------- compression

def decompressed(pieces: Iterable[bytes]) -> bytes:
    data = b"".join(pieces)
    assert data.startswith(HEAD)
    return zlib.decompress(data[len(HEAD):])


def test_a_whole_message_is_compressed_and_has_that_length() -> None:
    message = Message(compresses=True)
    message.write("x" * 1000)
    message.close()
    assert decompressed(message.sent) == b"x" * 1000
    assert message.lengths == [len(message.sent[0]) - len(HEAD)]


def test_nothing_is_not_compressed() -> None:
    assert sent(lambda message: None, compresses=True) == [HEAD]
    assert sent(lambda message: message.write(""), compresses=True) == [HEAD]


def test_a_streamed_message_is_compressed_and_flushed() -> None:
    message = Message(compresses=True, streamed_as=UNTIL_CLOSE)
    decoder = zlib.decompressobj()
    seen = b""
    for number in range(3):
        message.write(f"{number}" * 10)
        message.flush()
        pieces, message.sent = message.sent, []
        seen += decoder.decompress(b"".join(pieces).removeprefix(HEAD))
        assert seen.endswith(b"%d" % number * 10), "what was flushed can be read"
    message.close()
    seen += decoder.decompress(b"".join(message.sent))
    assert seen == b"000000000011111111112222222222" and decoder.eof


def test_a_compressed_message_in_chunks() -> None:
    pieces = sent(lambda message: [message.write("0123456789" * 1000) for _ in range(100)], compresses=True)
    data = b"".join(pieces)[len(HEAD):]
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body, data = body + data[:length], data[length + 2:]
        assert length or not data
    assert zlib.decompress(body) == b"0123456789" * 100_000


def test_a_compressed_message_without_a_body() -> None:
    assert sent(lambda message: (message.write("x" * 100_000), message.write("y")), compresses=True,
                streamed_as=NO_BODY) == [HEAD]


# ---------------------------------------------------------------------------- text

class Scalar(bytearray):
    """A number whose memory can be looked at, as those of numpy."""

    def __float__(self) -> float:
        return 0.5

    def __str__(self) -> str:
        return "0.5"


def mapped(data: bytes) -> mmap.mmap:
    memory = mmap.mmap(-1, len(data))
    memory.write(data)
    return memory


@pytest.mark.parametrize("write, data", [
    (lambda m: m.write("\u20ac"), b"\xe2\x82\xac"), (lambda m: m.writeln("a"), b"a\n"),
    (lambda m: m.writeln(), b"\n"), (lambda m: m.write_all(["a", 1, b"b"], "-"), b"a-1-b"),
    (lambda m: m.write_all([]), b""), (lambda m: m.write_char_code(65), b"A"),
    (lambda m: m.write_char_codes([65, 8364]), b"A\xe2\x82\xac"), (lambda m: m.writelines(["a", "b"]), b"ab"),
    (lambda m: m.add_stream(iter([b"a", memoryview(b"b")])), b"ab"),
    (lambda m: (m.write(array("B", b"ab")), m.add(array("B", b"cd"))), b"abcd"),
    (lambda m: m.write(memoryview(b"abcdef")[::2]), b"ace"), (lambda m: m.write(mapped(b"ab")), b"ab"),
    (lambda m: m.write(Scalar(b"\0")), b"0.5"),
    (lambda m: print("a", 1, file=m), b"a 1\n"),
])
def test_text(write: Callable[[Message], object], data: bytes) -> None:
    assert sent(write) == [HEAD + data]


def test_the_encoding_follows_the_content_type_until_the_first_write() -> None:
    message = Message()
    assert message.encoding == "utf-8"
    message.headers.content_type = ContentType("text", "plain", charset="iso-8859-15")
    message.write("\u20ac")
    assert message.encoding == "iso8859-15"
    message.close()
    assert message.sent == [HEAD + b"\xa4"]


def test_without_a_charset_it_is_latin_1() -> None:
    for content_type in (None, "text/plain", "image/png"):
        assert sent(lambda message: message.write("\u00e4"), content_type=content_type) == [HEAD + b"\xe4"]


@pytest.mark.parametrize("charset", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_mark_comes_once(charset: str) -> None:
    def write(message: Message) -> None:
        message.write("a")
        message.flush()
        message.write("b")
        message.write("c")

    pieces = sent(write, content_type=f"text/plain; charset={charset}", streamed_as=UNTIL_CLOSE)
    assert b"".join(pieces).removeprefix(HEAD) == "abc".encode(charset)


def test_a_character_that_cannot_be_encoded_leaves_nothing_behind() -> None:
    def write(message: Message) -> None:
        message.write("a")
        with pytest.raises(ValueError, match=r"'\u20ac'.*charset=utf-8"):
            message.write("b\u20acc")

    assert sent(write, content_type="text/plain") == [HEAD + b"a"]


def test_a_file_to_python() -> None:
    message = Message()
    assert (message.readable(), message.writable(), message.seekable()) == (False, True, False)


def test_the_subclass_supplies_the_rest() -> None:
    sink = IOSink()
    for missing in (lambda: sink.headers, sink._freeze_headers, lambda: sink._begin(0),
                    lambda: sink._transmit(b""), sink.give_up, sink.close, lambda: sink.write("x")):
        with pytest.raises(NotImplementedError):
            missing()
    assert sink._choose_compressor(5) is None
