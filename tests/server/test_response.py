"""HttpResponse: what goes out, in bytes where bytes matter; its end is in test_response_end.py."""
from __future__ import annotations

import codecs
import csv
import io
import json
import shutil
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
import requests

from blockingio import (
    ContentType, Cookie, HttpDate, HttpException, HttpRequest, HttpResponse, HttpStatus, IOSink, StateError,
    Uri,
)
from tests.peers import PATIENCE, RawClient, RawResponse, serving
from tests.server.visits import answering, get, raw_answer, visit

KIB = 1024
Write = Callable[[HttpResponse], object]


def answered(write: Write, raw: bytes = get(), **settings: Any) -> RawResponse:
    """What comes of a response that is written so, and closed."""

    def handler(request: HttpRequest) -> None:
        write(request.response)
        request.response.close()

    return visit(handler, raw, method=raw.partition(b" ")[0].decode(), **settings)


def wire(write: Write, *fields: str, version: str = "1.1", method: str = "GET", **settings: Any) -> bytes:
    """All that comes, to the end of the connection, for a response that is written so and closed."""

    def handler(request: HttpRequest) -> None:
        write(request.response)
        request.response.close()

    raw = get("/", "Connection: close", *fields, version=version, method=method)
    return raw_answer(handler, raw, **settings)


# --------------------------------------------------------------- a plain answer

def test_the_default_answer() -> None:
    response = answered(lambda response: response.write("Hello, world!"))
    assert (response.version, response.status, response.reason) == ("1.1", 200, "OK")
    assert response.body == b"Hello, world!"
    assert sorted(name for name, _ in response.fields) == [
        "content-length", "content-type", "date", "x-content-type-options", "x-frame-options",
        "x-xss-protection",
    ]
    assert response.header("content-type") == "text/plain; charset=utf-8"
    assert response.header("x-frame-options") == "SAMEORIGIN"
    assert response.header("x-content-type-options") == "nosniff"
    assert response.header("x-xss-protection") == "1; mode=block"


def test_head_and_small_body_are_one_segment() -> None:
    """One write, so one recv on the other side has all of it."""

    def handler(request: HttpRequest) -> None:
        for _ in range(100):
            request.response.write("x" * 100)
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(get())
        data = client.socket.recv(1 << 20)
        assert data.endswith(b"\r\n\r\n" + b"x" * 10_000) and b"content-length: 10000\r\n" in data


def test_an_empty_answer_has_its_length() -> None:
    response = answered(lambda response: None)
    assert (response.status, response.body, response.header("content-length")) == (200, b"", "0")


@pytest.mark.parametrize("raw",
                         [get(), get(version="1.0"), get(method="HEAD"),
                          get("/missing", "Connection: close")])
@pytest.mark.parametrize("status", [200, 404])
def test_every_answer_has_its_date(raw: bytes, status: int) -> None:
    def write(response: HttpResponse) -> None:
        response.status_code = status

    before = int(time.time())
    date = answered(write, raw).header("date")
    assert date and before <= HttpDate.parse(date).timestamp() <= time.time()


def test_a_date_of_ones_own() -> None:
    date = datetime(1994, 11, 6, 8, 49, 37, tzinfo=timezone.utc)
    response = answered(lambda response: setattr(response.headers, "date", date))
    assert response.header("date") == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_the_date_moves_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made once a second, not once for all; and a clock that is set back is believed."""
    now = [1_000_000_000.9]
    monkeypatch.setattr("blockingio.server.core.time", lambda: now[0])
    with serving(lambda request: request.response.close()) as server, RawClient(server.port) as client:
        for seconds, shown in ((0.9, "01:46:40"), (1.0, "01:46:41"), (1.9, "01:46:41"), (60.0, "01:47:40"),
                               (0.0, "01:46:40")):
            now[0] = 1_000_000_000 + seconds
            assert client.get().header("date") == f"Sun, 09 Sep 2001 {shown} GMT"


# --------------------------------------------------------------- ways of writing

@pytest.mark.parametrize("write, body", [
    (lambda r: r.write("text"), b"text"),
    (lambda r: r.write(b"bytes"), b"bytes"),
    (lambda r: r.write(bytearray(b"bytearray")), b"bytearray"),
    (lambda r: r.write(memoryview(b"xviewx")[1:5]), b"view"),
    (lambda r: r.write(memoryview(b"abcdef")[::2]), b"ace"),
    (lambda r: r.write(12.5), b"12.5"),
    (lambda r: r.write(None), b"None"),
    (lambda r: r.write(["a"]), b"['a']"),
    (lambda r: r.write(Uri.parse("http://a/b")), b"http://a/b"),
    (lambda r: r.write(""), b""),
    (lambda r: r.writeln("line"), b"line\n"),
    (lambda r: (r.writeln(), r.writeln(5)), b"\n5\n"),
    (lambda r: r.write_all([1, "a", b"b"]), b"1ab"),
    (lambda r: r.write_all([1, "a", b"b"], ", "), b"1, a, b"),
    (lambda r: r.write_all(iter([]), ", "), b""),
    (lambda r: r.write_char_code(0x20AC), "\u20ac".encode()),
    (lambda r: r.write_char_codes([0x41, 0xFC]), "A\u00fc".encode()),
    (lambda r: r.writelines(["a\n", "b\n"]), b"a\nb\n"),
    (lambda r: r.add(b"bytes"), b"bytes"),
    (lambda r: r.add(bytearray(b"abc")), b"abc"),
    (lambda r: r.add_stream([b"a", bytearray(b"b"), memoryview(b"c")]), b"abc"),
    (lambda r: print("printed", 1, file=r), b"printed 1\n"),
    (lambda r: print("a", "b", sep="-", end="!", file=r, flush=True), b"a-b!"),
    (lambda r: json.dump({"a": [1, None, "\u00fc"]}, r), b'{"a": [1, null, "\\u00fc"]}'),
    (lambda r: json.dump("\u00fc", r, ensure_ascii=False), '"\u00fc"'.encode()),
    (lambda r: csv.writer(r).writerows([["a", "b,c"], [1, 'd"e']]), b'a,"b,c"\r\n1,"d""e"\r\n'),
    (lambda r: shutil.copyfileobj(io.BytesIO(b"file" * 100), r, 7), b"file" * 100),
    (lambda r: shutil.copyfileobj(io.StringIO("t\u00e4xt"), r), "t\u00e4xt".encode()),
], ids=str)
def test_ways_of_writing(write: Write, body: bytes) -> None:
    assert answered(write).body == body


def test_what_write_returns() -> None:
    """As a file's write(): characters of text, bytes of bytes."""
    seen: list[int] = []
    answered(lambda r: seen.extend([r.write("\u20ac\u20ac"), r.write(b"abc"), r.write(""), r.write(1234)]))
    assert seen == [2, 3, 0, 4]


@pytest.mark.parametrize("data", ["text", 5, None, ["a"]])
def test_add_takes_bytes(data: Any) -> None:
    def write(response: HttpResponse) -> None:
        with pytest.raises(TypeError):
            response.add(data)
        with pytest.raises(TypeError):
            response.add_stream([data])
        response.write("fine")

    assert answered(write).body == b"fine"


def test_it_is_a_file_that_is_written() -> None:
    def write(response: HttpResponse) -> None:
        assert isinstance(response, IOSink)
        assert (response.writable(), response.readable(), response.seekable()) == (True, False, False)
        assert not response.closed
        response.close()
        assert response.closed

    assert answered(write).status == 200


def test_a_stream_is_piped() -> None:
    def handler(request: HttpRequest) -> None:
        request.map(bytes.upper).pipe(request.response)

    raw = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
    assert visit(handler, raw).body == b"ABCDEF"


def test_one_piece_is_not_copied_and_not_shared() -> None:
    """What a buffer becomes after it was written is not what goes out."""

    def write(response: HttpResponse) -> None:
        data = bytearray(b"before")
        response.write(data)
        data[:] = b"after!"

    assert answered(write).body == b"before"


# --------------------------------------------------------------------- encodings

@pytest.mark.parametrize("content_type, text, body", [
    ("text/plain; charset=utf-8", "\u20ac", b"\xe2\x82\xac"),
    ("text/plain; charset=UTF-8", "\u20ac", b"\xe2\x82\xac"),
    ('text/plain; charset="utf-8"', "\u20ac", b"\xe2\x82\xac"),
    ("text/plain; charset=iso-8859-1", "\u00fc", b"\xfc"),
    ("text/plain; charset=iso-8859-15", "\u20ac", b"\xa4"),
    ("text/plain; charset=us-ascii", "a", b"a"),
    ("text/plain; charset=shift_jis", "\u3042", b"\x82\xa0"),
    ("text/plain; charset=utf-16le", "ab", b"a\0b\0"),
    ("text/html", "\u00fc", b"\xfc"),
    ("image/svg+xml", "\u00fc", b"\xfc"),
])
def test_the_charset_is_the_encoding(content_type: str, text: str, body: bytes) -> None:
    def write(response: HttpResponse) -> None:
        response.headers.set("content-type", content_type)
        response.write(text)

    response = answered(write)
    assert (response.body, response.header("content-type")) == (body, content_type)


def test_a_charset_with_a_mark_begins_with_it_once() -> None:
    def write(response: HttpResponse) -> None:
        response.headers.content_type = ContentType("text", "plain", charset="utf-16")
        response.write("a")
        response.write("b")
        print("c", file=response)

    assert answered(write).body.decode("utf-16") == "abc\n"


def test_without_a_content_type_it_is_latin_1() -> None:
    def write(response: HttpResponse) -> None:
        response.headers.remove_all("content-type")
        assert codecs.lookup(response.encoding).name == "iso8859-1"
        response.write("\u00fc")

    response = answered(write)
    assert response.body == b"\xfc" and response.header("content-type") is None


@pytest.mark.parametrize("content_type, text", [
    ("text/plain; charset=iso-8859-1", "\u20ac"), ("text/html", "\u20ac"),
    ("text/plain; charset=us-ascii", "\u00fc"), ("text/plain; charset=utf-8", "\ud800"),
])
def test_a_character_that_the_encoding_lacks(content_type: str, text: str) -> None:
    """ValueError with the advice, before anything of it is written."""

    def write(response: HttpResponse) -> None:
        response.headers.set("content-type", content_type)
        response.write("before ")
        with pytest.raises(ValueError, match="charset"):
            response.write(f"good{text}")
        response.write("after")

    assert answered(write).body == b"before after"


def test_the_encoding_can_be_set() -> None:
    def write(response: HttpResponse) -> None:
        assert response.encoding == "utf-8"
        response.encoding = "latin-1"
        response.write("\u00fc")
        assert codecs.lookup(response.encoding).name == "iso8859-1"
        with pytest.raises(LookupError):
            response.encoding = "klingon"

    assert answered(write).body == b"\xfc"


def test_a_charset_that_python_lacks() -> None:
    """Said where text is written; bytes need none."""

    def write(response: HttpResponse) -> None:
        response.headers.content_type = ContentType("text", "plain", charset="klingon")
        with pytest.raises((LookupError, ValueError), match="klingon"):
            response.write("text")
        response.write(b"bytes")

    assert answered(write).body == b"bytes"


def test_the_default_content_type_decides_too() -> None:
    with serving(answering("\u00fc")) as server, RawClient(server.port) as client:
        assert client.get().body == "\u00fc".encode()
        server.default_response_headers.set("content-type", "text/plain; charset=latin-1")
        response = client.get()
        assert (response.body, response.header("content-type")) == (b"\xfc", "text/plain; charset=latin-1")


# ----------------------------------------------------------------------- framing

def big(response: HttpResponse) -> None:
    for _ in range(10):
        response.write(b"x" * 20 * KIB)


def test_what_outgrows_the_buffer_is_chunked() -> None:
    response = answered(big)
    assert response.header("transfer-encoding") == "chunked" and response.header("content-length") is None
    assert response.body == b"x" * 200 * KIB


def test_what_outgrows_the_buffer_in_1_0_ends_with_the_connection() -> None:
    def handler(request: HttpRequest) -> None:
        big(request.response)
        request.response.close()

    for fields in ((), ("Connection: keep-alive",)):
        data = raw_answer(handler, get("/", *fields, version="1.0"))
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n") and b"connection: close" in head
        assert b"transfer-encoding" not in head and b"content-length" not in head
        assert body == b"x" * 200 * KIB


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_what_outgrows_the_buffer_with_its_length(version: str) -> None:
    def write(response: HttpResponse) -> None:
        response.content_length = 200 * KIB
        assert response.content_length == 200 * KIB
        big(response)

    response = answered(write, get("/", "Connection: keep-alive", version=version))
    assert response.header("content-length") == str(200 * KIB)
    assert response.header("transfer-encoding") is None
    assert response.body == b"x" * 200 * KIB
    assert response.header("connection") == ("keep-alive" if version == "1.0" else None)


def test_flush_sends_the_head_and_what_there_is() -> None:
    go_on = threading.Event()

    def handler(request: HttpRequest) -> None:
        response = request.response
        response.flush()
        assert go_on.wait(PATIENCE)
        response.write("one")
        response.flush()
        response.flush()
        response.write("two")
        response.close()
        response.flush()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(get())
        head = client.read_exactly(9)
        while not head.endswith(b"\r\n\r\n"):
            head += client.read_exactly(1)
        assert b"transfer-encoding: chunked" in head
        go_on.set()
        assert client.read_exactly(21) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


def test_without_a_buffer_each_write_goes_out() -> None:
    def write(response: HttpResponse) -> None:
        assert response.buffer_output
        response.buffer_output = False
        response.write("one")
        response.write("")
        response.write("two")

    assert wire(write).endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_chunked_on_demand() -> None:
    def write(response: HttpResponse) -> None:
        response.headers.chunked_transfer_encoding = True
        response.write("small")

    data = wire(write)
    assert b"transfer-encoding: chunked\r\n" in data and data.endswith(b"\r\n\r\n5\r\nsmall\r\n0\r\n\r\n")
    data = wire(write, version="1.0")
    assert b"transfer-encoding" not in data and data.endswith(b"\r\n\r\nsmall")


@pytest.mark.parametrize("write",
                         [lambda r: None, lambda r: r.write("body"), big,
                          lambda r: (r.write("body"), r.flush())], ids=["nothing", "small", "big", "flushed"])
@pytest.mark.parametrize("status", [200, 404])
def test_head_has_no_body(write: Write, status: int) -> None:
    def status_and(response: HttpResponse) -> None:
        response.status_code = status
        write(response)

    data = wire(status_and, method="HEAD")
    assert data.startswith(b"HTTP/1.1 %d " % status)
    assert data.endswith(b"\r\n\r\n") and data.count(b"\r\n\r\n") == 1


def test_head_has_the_fields_of_get() -> None:
    """RFC 9110 9.3.2: as far as they are known."""

    def fields(write: Write, method: str) -> list[tuple[str, str]]:
        return [field for field in answered(write, get(method=method)).fields if field[0] != "date"]

    assert fields(lambda r: r.write("12345"), "HEAD") == fields(lambda r: r.write("12345"), "GET")
    assert fields(big, "HEAD") == fields(big, "GET")
    declared: Write = lambda r: setattr(r, "content_length", 7)  # noqa: E731
    assert dict(fields(declared, "HEAD"))["content-length"] == "7"
    unknown = fields(lambda r: None, "HEAD")
    assert "content-length" not in dict(unknown), "nobody knows what GET would have sent"


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("write", [lambda r: None, lambda r: r.write("body"), big],
                         ids=["nothing", "small", "big"])
def test_a_status_without_a_body(status: int, write: Write) -> None:
    """RFC 9110 6.4.1; nor has 204 a Content-Length (8.6)."""

    def status_and(response: HttpResponse) -> None:
        response.status_code = status
        write(response)

    data = wire(status_and)
    assert data.endswith(b"\r\n\r\n") and data.count(b"\r\n\r\n") == 1
    assert b"content-length" not in data and b"transfer-encoding" not in data


def test_304_may_say_how_long_the_answer_would_be() -> None:
    def write(response: HttpResponse) -> None:
        response.status_code = HttpStatus.NOT_MODIFIED
        response.headers.set("etag", '"x"')
        response.content_length = 1234

    response = answered(write)
    assert (response.status, response.header("content-length"), response.body) == (304, "1234", b"")


def test_205_has_an_empty_body() -> None:
    def write(response: HttpResponse) -> None:
        response.status_code = 205

    assert answered(write).header("content-length") == "0"


def test_the_connection_goes_on_behind_answers_without_a_body() -> None:
    def handler(request: HttpRequest) -> None:
        request.response.status_code = int(request.uri.path[1:])
        request.response.write("body")
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 404), ("GET", 200)):
            response = client.send(get(f"/{status}", method=method)).read_response(method)
            assert response.status == status
        assert response.body == b"body"


# ---------------------------------------------------------------- content_length

def test_too_much_for_content_length() -> None:
    """HttpException at the write that is too much; the client cannot take what came for the whole."""

    def handler(request: HttpRequest) -> None:
        response = request.response
        response.content_length = 5
        response.write("123")
        with pytest.raises(HttpException, match="6.*5"):
            response.write("456")
        response.write("ignored")
        response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(get())
        received = client.read_until_eof()
        assert b"456" not in received and received.partition(b"\r\n\r\n")[2] in (b"", b"123")


def test_too_much_for_content_length_once_it_has_gone() -> None:
    def handler(request: HttpRequest) -> None:
        response = request.response
        response.content_length = 5
        response.write("12345")
        response.flush()
        with pytest.raises(HttpException, match="6.*5"):
            response.write("6")

    with serving(handler) as server, RawClient(server.port) as client:
        assert client.send(get()).read_until_eof().endswith(b"\r\n\r\n12345")


@pytest.mark.parametrize("flush", [False, True])
def test_too_little_for_content_length(flush: bool) -> None:
    def handler(request: HttpRequest) -> None:
        response = request.response
        response.content_length = 5
        response.write("123")
        if flush:
            response.flush()
        with pytest.raises(HttpException, match="3.*5"):
            response.close()
        response.close()
        assert not response.is_connected
        assert isinstance(response.done.exception(PATIENCE), HttpException)

    with serving(handler) as server, RawClient(server.port) as client:
        with pytest.raises((EOFError, ConnectionError)):
            client.send(get()).read_response()
        with RawClient(server.port) as other:
            with pytest.raises((EOFError, ConnectionError)):
                other.send(get() * 3).read_response()


@pytest.mark.parametrize("flush", [False, True])
def test_as_much_as_content_length(flush: bool) -> None:
    def write(response: HttpResponse) -> None:
        response.content_length = 5
        response.write("123")
        if flush:
            response.flush()
        response.write("45")
        response.write("")

    response = answered(write)
    assert (response.body, response.header("content-length")) == (b"12345", "5")


def test_content_length_0() -> None:
    def write(response: HttpResponse) -> None:
        response.content_length = 0
        with pytest.raises(HttpException):
            response.write("x")

    with pytest.raises((EOFError, ConnectionError)):
        answered(write)
    assert answered(lambda response: setattr(response, "content_length", 0)).header("content-length") == "0"


def test_content_length_is_not_known_until_it_is_set() -> None:
    def write(response: HttpResponse) -> None:
        assert response.content_length == -1
        response.content_length = 3
        response.content_length = -1
        response.write("x")

    assert answered(write).header("content-length") == "1"


def test_content_length_does_not_bind_head_304_and_204() -> None:
    """The body is not sent, so it may be whatever it is."""

    def write(response: HttpResponse) -> None:
        response.content_length = 5

    assert answered(write, get(method="HEAD")).header("content-length") == "5"


# ---------------------------------------------------- status, reason and headers

@pytest.mark.parametrize("status, line", [
    (200, b"200 OK"), (404, b"404 Not Found"), (HttpStatus.IM_A_TEAPOT, b"418 I'm a Teapot"), (599, b"599 "),
    (299, b"299 "), (999, b"999 "),
])
def test_status_code(status: int, line: bytes) -> None:
    def write(response: HttpResponse) -> None:
        response.status_code = status
        assert response.status_code == status

    assert answered(write).head.startswith(b"HTTP/1.1 " + line)


@pytest.mark.parametrize("status", [0, 99, 1000, -200])
def test_a_status_code_that_is_none(status: int) -> None:
    def write(response: HttpResponse) -> None:
        with pytest.raises(ValueError, match=str(status)):
            response.status_code = status

    assert answered(write).status == 200


def test_reason_phrase() -> None:
    def write(response: HttpResponse) -> None:
        assert response.reason_phrase == "OK"
        response.status_code = 404
        assert response.reason_phrase == "Not Found"
        response.reason_phrase = "N'existe pas: caf\u00e9"
        response.status_code = 410

    response = answered(write)
    assert (response.status, response.reason) == (410, "N'existe pas: caf\u00e9")


@pytest.mark.parametrize("phrase", ["a\r\nb", "a\nb", "a\rb", "a\0b", "\u20ac", "\x7f"])
def test_a_reason_phrase_that_cannot_go_out(phrase: str) -> None:
    def write(response: HttpResponse) -> None:
        with pytest.raises(ValueError):
            response.reason_phrase = phrase

    assert answered(write).reason == "OK"


def test_headers() -> None:
    def write(response: HttpResponse) -> None:
        headers = response.headers
        headers.set("X-One", "1")
        headers.add("x-two", ["a", "b"])
        headers.set("X-Case", "kept", preserve_header_case=True)
        headers.content_type = ContentType.JSON
        headers.remove_all("x-frame-options")
        headers["cache-control"] = "no-store"
        headers.expires = datetime(2030, 1, 1, tzinfo=timezone.utc)

    response = answered(write)
    assert response.header("x-one") == "1" and b"\r\nx-one: 1\r\n" in response.head
    assert ", ".join(response.get_all("x-two")) == "a, b"
    assert b"\r\nX-Case: kept\r\n" in response.head
    assert response.header("content-type") == "application/json; charset=utf-8"
    assert response.header("x-frame-options") is None
    assert response.header("cache-control") == "no-store"
    assert response.header("expires") == "Tue, 01 Jan 2030 00:00:00 GMT"


def test_headers_of_one_response_are_not_anothers() -> None:
    def handler(request: HttpRequest) -> None:
        assert "x-mine" not in request.response.headers
        request.response.headers.set("x-mine", "1")
        request.response.headers.clear()
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        for _ in range(3):
            assert [name for name, _ in client.get().fields] == ["date", "content-length"]
        assert server.default_response_headers["x-frame-options"] == "SAMEORIGIN"


@pytest.mark.parametrize("name, value", [("x", "a\r\nb: c"), ("x", "a\nb"), ("x", "\0"), ("x y", "a"),
                                         ("x:", "a"), ("", "a"), ("x", "\u20ac"), ("x\r\ny", "a")])
def test_a_header_that_cannot_go_out(name: str, value: str) -> None:
    def write(response: HttpResponse) -> None:
        with pytest.raises(ValueError):
            response.headers.set(name, value)
        with pytest.raises(ValueError):
            response.headers.add(name, value)

    assert b"c" not in answered(write).body


BEGUN: dict[str, Write] = {
    "write": lambda r: r.write("x"), "write nothing": lambda r: r.write(""), "flush": lambda r: r.flush(),
    "close": lambda r: r.close(), "add": lambda r: r.add(b""), "big": big,
}


@pytest.mark.parametrize("begin", BEGUN.values(), ids=BEGUN)
def test_what_is_said_stands_once_it_has_begun(begin: Write) -> None:
    """From the first write, flush or close on, buffered or not."""

    def write(response: HttpResponse) -> None:
        kept = response.headers
        begin(response)
        for headers in (kept, response.headers):
            with pytest.raises(HttpException):
                headers.set("x-late", "1")
            with pytest.raises(HttpException):
                headers.content_type = ContentType.HTML
            with pytest.raises(HttpException):
                headers.clear()
        with pytest.raises(HttpException):
            response.content_length = 1
        with pytest.raises(HttpException):
            response.persistent_connection = False
        with pytest.raises(StateError):
            response.status_code = 404
        with pytest.raises(StateError):
            response.reason_phrase = "Late"
        with pytest.raises(StateError):
            response.redirect("/late")
        assert response.status_code == 200 and response.headers["x-frame-options"] == "SAMEORIGIN"

    assert answered(write).status == 200


@pytest.mark.parametrize("begin", BEGUN.values(), ids=BEGUN)
def test_untouched_headers_stand_too(begin: Write) -> None:
    """Also where nobody had looked at them before."""

    def write(response: HttpResponse) -> None:
        begin(response)
        with pytest.raises(HttpException):
            response.headers.set("x-late", "1")
        assert response.headers["x-frame-options"] == "SAMEORIGIN"
        assert response.content_length == -1

    assert answered(write).header("x-late") is None


def test_write_after_close() -> None:
    def write(response: HttpResponse) -> None:
        response.write("in time")
        response.close()
        for late in (lambda: response.write("x"), lambda: response.add(b"x"), lambda: response.writeln(),
                     lambda: response.add_stream([b"x"])):
            with pytest.raises(StateError):
                late()
        response.close()
        response.flush()
        response.add_error(ValueError("too late to matter"))

    with serving(lambda request: write(request.response)) as server, RawClient(server.port) as client:
        for _ in range(2):
            assert client.get().body == b"in time"


# ---------------------------------------------------------------------- redirect

@pytest.mark.parametrize("location, expected", [
    ("/elsewhere", "/elsewhere"), (Uri.parse("http://b.example/x?y#z"), "http://b.example/x?y#z"),
    ("http://b.example/", "http://b.example/"), ("?q", "?q"), ("", ""), ("/a b", "/a b"),
    ("/caf\u00e9", "/caf%C3%A9"), ("/\u20ac?\u20ac", "/%E2%82%AC?%E2%82%AC"),
])
def test_redirect(location: Uri | str, expected: str) -> None:
    response = answered(lambda response: response.redirect(location))
    assert (response.status, response.reason) == (302, "Found")
    assert (response.header("location"), response.body) == (expected, b"")


@pytest.mark.parametrize("status", [301, 303, 307, HttpStatus.PERMANENT_REDIRECT])
def test_redirect_with_a_status(status: int) -> None:
    response = answered(lambda response: response.redirect("/x", status=status))
    assert (response.status, response.header("location")) == (status, "/x")


@pytest.mark.parametrize("location",
                         ["/a\r\nset-cookie: b=c", "/a\nb", "/a\0", "\r\n\r\nbody", "/\u20ac\r\nx: y"])
def test_a_location_that_cannot_go_out(location: str) -> None:
    def write(response: HttpResponse) -> None:
        with pytest.raises(ValueError):
            response.redirect(location)

    response = answered(write)
    assert response.header("location") is None and response.header("set-cookie") is None


def test_redirect_keeps_headers_and_cookies() -> None:
    def write(response: HttpResponse) -> None:
        response.headers.set("x-kept", "1")
        response.cookies.append(Cookie("a", "b"))
        response.redirect("/x")

    response = answered(write)
    assert response.header("x-kept") == "1" and response.header("set-cookie") == "a=b; HttpOnly"


# ----------------------------------------------------------------------- cookies

def test_cookies() -> None:
    def write(response: HttpResponse) -> None:
        assert response.cookies == []
        for name in ("a", "b"):
            cookie = Cookie(name, f"{name}1")
            cookie.path = "/"
            response.cookies.append(cookie)
        response.headers.add("set-cookie", "c=c1")
        response.write("x")

    response = answered(write)
    cookies = sorted(response.get_all("set-cookie"))
    assert cookies == ["a=a1; Path=/; HttpOnly", "b=b1; Path=/; HttpOnly", "c=c1"]


@pytest.mark.parametrize("attribute, value",
                         [("path", "/\r\nx: y"), ("domain", "a\nb"), ("path", "/;secure"),
                          ("domain", "\u20ac")])
def test_a_cookie_that_cannot_go_out(attribute: str, value: str) -> None:
    """However it is refused, nothing of it reaches the wire."""

    def handler(request: HttpRequest) -> None:
        cookie = Cookie("a", "b")
        with pytest.raises(ValueError):
            setattr(cookie, attribute, value)
            request.response.cookies.append(cookie)
            request.response.close()
        request.response.cookies.clear()
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        try:
            assert client.get().header("set-cookie") is None
        except (EOFError, ConnectionError):
            pass


# ---------------------------------------------------------------------- the rest

def test_server_header() -> None:
    assert answered(lambda r: None).header("server") is None
    assert answered(lambda r: None, server_header="mine/1.0").header("server") == "mine/1.0"
    response = answered(lambda r: r.headers.set("server", "other"), server_header="mine/1.0")
    assert response.header("server") == "other"


def test_requests_reads_it() -> None:
    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/away":
            return request.response.redirect("/here?x=y")
        request.response.headers.content_type = ContentType.JSON
        request.response.cookies.append(Cookie("a", "b"))
        json.dump({"query": request.uri.query, "text": "\u20ac" * 50_000}, request.response,
                  ensure_ascii=False)
        request.response.close()

    with serving(handler) as server, requests.Session() as session:
        response = session.get(f"http://127.0.0.1:{server.port}/away", timeout=PATIENCE)
        assert response.history[0].status_code == 302
        assert response.json() == {"query": "x=y", "text": "\u20ac" * 50_000}
        assert response.cookies["a"] == "b"
        assert session.head(f"http://127.0.0.1:{server.port}/", timeout=PATIENCE).text == ""
        assert session.get(f"http://127.0.0.1:{server.port}/", timeout=PATIENCE).status_code == 200


def test_repr_says_where_it_is() -> None:
    seen: list[str] = []

    def write(response: HttpResponse) -> None:
        for step in (lambda: None, lambda: response.write("x"), response.flush, response.close):
            step()
            seen.append(repr(response))

    answered(write)
    assert seen == [f"<HttpResponse 200 {phase}>" for phase in ("open", "buffering", "streaming", "closed")]
