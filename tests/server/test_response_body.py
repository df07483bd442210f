"""HttpResponse as a sink: ways of writing, encodings, and how the body is framed."""
from __future__ import annotations

import codecs
import csv
import io
import json
import shutil
import threading
from typing import Any

import pytest

from blockingio import ContentType, HttpRequest, HttpResponse, HttpStatus, IOSink, Uri
from tests.peers import PATIENCE, RawClient, serving
from tests.server.visits import Write, answered, answering, get, raw_answer, visit

KIB = 1024


def wire(write: Write, *fields: str, version: str = "1.1", method: str = "GET", **settings: Any) -> bytes:
    """All that comes, to the end of the connection, for a response that is written so and closed."""

    def handler(request: HttpRequest) -> None:
        write(request.response)
        request.response.close()

    raw = get("/", "Connection: close", *fields, version=version, method=method)
    return raw_answer(handler, raw, **settings)


# --------------------------------------------------------------- ways of writing

@pytest.mark.parametrize("write, body", [
    (lambda r: r.write("text"), b"text"),
    (lambda r: r.write(b"bytes"), b"bytes"),
    (lambda r: r.write(bytearray(b"bytearray")), b"bytearray"),
    (lambda r: r.write(memoryview(b"xviewx")[1:5]), b"view"),
    (lambda r: r.write(memoryview(b"abcdef")[::2]), b"ace"),
    (lambda r: r.write(12.5), b"12.5"),
    (lambda r: r.write(None), b"None"),
    (lambda r: r.write(("a",)), b"('a',)"),
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


def counted(response: HttpResponse) -> None:
    response.content_length = 5
    response.write("12345")


@pytest.mark.parametrize("write", [lambda r: None, lambda r: r.write("x"), lambda r: r.write("x" * 100_000), counted],
                         ids=["nothing", "small", "big", "counted"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_205_has_no_content(version: str, method: str, write: Write) -> None:
    """RFC 9110 15.3.6: and it says so, since a client would wait for the end of it else."""
    def handler(request: HttpRequest) -> None:
        request.response.status_code = 205
        write(request.response)
        request.response.close()

    raw = get(method=method, version=version)
    for auto_compress in (False, True):
        with serving(handler, auto_compress=auto_compress) as server, RawClient(server.port) as client:
            response = client.send(raw + get()).read_response()
            assert (response.status, response.header("content-length")) == (205, "0")
            assert response.header("transfer-encoding") is None and response.header("content-encoding") is None
            if version == "1.1":
                assert client.read_response().status == 205
            else:
                assert client.is_ended()


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
