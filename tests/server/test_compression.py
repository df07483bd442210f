"""auto_compress: what is sent gzipped, to whom, and what is said about it."""
from __future__ import annotations

import gzip
import http.client
import random
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import requests

from blockingio import HttpRequest, HttpResponse
from tests.peers import PATIENCE, RawClient, RawResponse, serving
from tests.server.visits import answering, get, raw_answer, visit

TEXT = "All work and no play makes Jack a dull boy.\n" * 50
BIG = TEXT * 100
ZIP = "Accept-Encoding: gzip"
Write = Callable[[HttpResponse], object]


def text(response: HttpResponse) -> None:
    response.write(TEXT)


def answered(write: Write, *fields: str, method: str = "GET", version: str = "1.1",
             **settings: Any) -> RawResponse:
    def handler(request: HttpRequest) -> None:
        write(request.response)
        request.response.close()

    settings = {"auto_compress": True, **settings}
    return visit(handler, get("/", *fields, method=method, version=version), method=method, **settings)


def is_gzip(response: RawResponse) -> bool:
    if response.header("content-encoding") is None:
        return False
    assert response.header("content-encoding") == "gzip"
    assert response.header("content-length") in (None, str(len(response.body)))
    return True


def test_a_text_is_compressed_where_the_client_takes_it() -> None:
    response = answered(text, ZIP)
    assert is_gzip(response) and gzip.decompress(response.body).decode() == TEXT
    assert len(response.body) < len(TEXT) / 5
    assert response.header("vary") == "Accept-Encoding"
    assert response.header("content-type") == "text/plain; charset=utf-8"


def test_not_unless_it_is_switched_on() -> None:
    response = answered(text, ZIP, auto_compress=False)
    assert not is_gzip(response) and response.header("vary") is None and response.body.decode() == TEXT


@pytest.mark.parametrize("accepted, expected", [
    (None, False), ("", False), ("gzip", True), ("GZIP", True), ("x-gzip", True), ("gzip, deflate, br", True),
    ("deflate,gzip", True), ("gzip;q=1", True), ("gzip;q=0.001", True), ("gzip; q=0.5", True),
    ("gzip;q=0", False), ("gzip;q=0.000", False), ("gzip ; q=0.0", False), ("deflate, br", False),
    ("identity", False), ("*", True), ("*;q=0.5", True), ("*;q=0", False), ("gzip;q=0, *", False),
    ("gzip, *;q=0", True), ("identity, *;q=0", False), ("gzip;q=1.000", True), ("gzip;Q=0", False),
    ("gzip;q=nonsense", False), ("gzip;q=", False), ("notgzip", False), (",,gzip,,", True),
    ("gzip;x=y", True),
])
def test_who_takes_it(accepted: str | None, expected: bool) -> None:
    """RFC 9110 12.4.2, 12.5.3.  Vary is there either way: another client would have got another answer."""
    response = answered(text, *([f"Accept-Encoding: {accepted}"] if accepted is not None else []))
    assert is_gzip(response) == expected
    assert (gzip.decompress(response.body) if expected else response.body).decode() == TEXT
    assert response.header("vary") == "Accept-Encoding"


def test_two_fields_are_one_list() -> None:
    assert is_gzip(answered(text, "Accept-Encoding: br", "Accept-Encoding: gzip"))


@pytest.mark.parametrize("content_type, expected", [
    ("text/html", True), ("text/css; charset=utf-8", True), ("TEXT/PLAIN", True), ("application/json", True),
    ("application/json; charset=utf-8", True), ("application/javascript", True),
    ("application/problem+json", True), ("image/svg+xml", True),
    ("application/xhtml+xml; charset=utf-8", True), ("application/wasm", True), ("text/event-stream", True),
    ("image/png", False), ("image/jpeg", False), ("video/mp4", False), ("application/zip", False),
    ("application/gzip", False), ("application/octet-stream", False), ("font/woff2", False),
    ("application/pdf", False), ("application/jsonx", False),
])
def test_which_types(content_type: str, expected: bool) -> None:
    def write(response: HttpResponse) -> None:
        response.headers.set("content-type", content_type)
        response.write(TEXT)

    response = answered(write, ZIP)
    assert is_gzip(response) == expected
    assert response.header("vary") == ("Accept-Encoding" if expected else None)


def test_no_type_no_compression() -> None:
    def write(response: HttpResponse) -> None:
        response.headers.remove_all("content-type")
        response.write(TEXT)

    assert not is_gzip(answered(write, ZIP))


@pytest.mark.parametrize("coding", ["br", "identity", "gzip"])
def test_what_has_a_coding_stays_as_it_is(coding: str) -> None:
    def write(response: HttpResponse) -> None:
        response.headers.set("content-encoding", coding)
        response.write(TEXT)

    response = answered(write, ZIP)
    assert response.header("content-encoding") == coding and response.body.decode() == TEXT


@pytest.mark.parametrize("vary, expected", [
    ("Accept", "Accept, Accept-Encoding"), ("accept-encoding", "accept-encoding"),
    ("Accept, Accept-Encoding", "Accept, Accept-Encoding"), ("*", "*"),
])
def test_vary_is_added_once(vary: str, expected: str) -> None:
    def write(response: HttpResponse) -> None:
        response.headers.set("vary", vary)
        response.write(TEXT)

    assert ", ".join(answered(write, ZIP).get_all("vary")) == expected


@pytest.mark.parametrize("etag, expected", [('"x"', 'W/"x"'), ('W/"x"', 'W/"x"')])
def test_a_strong_etag_becomes_weak(etag: str, expected: str) -> None:
    """The bytes are others (RFC 9110 8.8.3); uncompressed it stays."""
    def write(response: HttpResponse) -> None:
        response.headers.set("etag", etag)
        response.write(TEXT)

    assert answered(write, ZIP).header("etag") == expected
    assert answered(write).header("etag") == etag


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(status: int) -> None:
    def write(response: HttpResponse) -> None:
        response.status_code = status
        response.write(TEXT)

    assert answered(write, ZIP).header("content-encoding") is None


def test_a_range_stays_a_range() -> None:
    def write(response: HttpResponse) -> None:
        response.status_code = 206
        response.headers.set("content-range", "bytes 0-9/100")
        response.write("0123456789")

    response = answered(write, ZIP)
    assert response.body == b"0123456789" and response.header("content-encoding") is None


def test_nothing_is_not_compressed() -> None:
    response = answered(lambda response: None, ZIP)
    assert response.body == b"" and response.header("content-length") == "0"
    assert response.header("content-encoding") is None


def test_head_says_what_get_would() -> None:
    head, full = answered(text, ZIP, method="HEAD"), answered(text, ZIP)
    assert [name for name, _ in head.fields] == [name for name, _ in full.fields]
    assert head.header("content-length") == full.header("content-length") == str(len(full.body))


# What depends on what the client takes (RFC 9110 8.6, 9.3.2, 15.3.7, 15.4.5).
NEGOTIATED = ("vary", "etag", "content-encoding", "content-type")


def negotiated(response: RawResponse) -> dict[str, list[str]]:
    return {name: response.get_all(name) for name in NEGOTIATED}


def tagged(body: str, *, counted: bool = False, flushed: bool = False,
           skips: bool = False) -> Callable[[HttpRequest], None]:
    """A handler with an ETag; ``skips``: it counts what it would write, and for HEAD leaves that away."""
    def handler(request: HttpRequest) -> None:
        response = request.response
        response.headers.set("etag", '"x"')
        if counted or skips:
            response.content_length = len(body)
        if flushed:
            response.flush()
        if not (skips and request.method == "HEAD"):
            response.write(body)
        response.close()

    return handler


@pytest.mark.parametrize("body, how", [
    (body, how) for body in ("", "small", TEXT, BIG)
    for how in ({}, {"counted": True}, {"flushed": True}, {"skips": True})
    if body or how], ids=lambda value: str(value if isinstance(value, dict) else len(value)))
@pytest.mark.parametrize("fields", [[ZIP], ["Accept-Encoding: br"], []], ids=["gzip", "another", "none"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_head_has_what_get_has(how: dict[str, bool], version: str, fields: list[str], body: str) -> None:
    """And no Content-Length that differs from GET's, whether the handler writes the body for HEAD or not."""
    handler = tagged(body, **how)
    with serving(handler, auto_compress=True) as server:
        answers = []
        for method in ("GET", "HEAD"):
            with RawClient(server.port) as client:
                raw = get("/", *fields, method=method, version=version)
                answers.append(client.send(raw).read_response(method))
        full, head = answers
        assert negotiated(head) == negotiated(full) and full.header("vary") == "Accept-Encoding"
        assert head.header("content-length") in (None, full.header("content-length"))
        compresses = fields == [ZIP] and (len(body) > 100 or how == {"flushed": True})
        assert is_gzip(full) == compresses and full.header("etag") == ('W/"x"' if compresses else '"x"')
        if how == {"skips": True} and not compresses:
            assert head.header("content-length") == str(len(body))


def test_head_whose_content_nobody_knows() -> None:
    """A handler that writes nothing for HEAD, and does not say how much that would be: Vary, and no promise."""
    def handler(request: HttpRequest) -> None:
        request.response.headers.set("etag", '"x"')
        if request.method == "GET":
            request.response.write(TEXT)
        request.response.close()

    with serving(handler, auto_compress=True) as server, RawClient(server.port) as client:
        full = client.get("/", ZIP)
        head = client.send(get("/", ZIP, method="HEAD")).read_response("HEAD")
        assert is_gzip(full)
        for name in ("vary", "etag", "content-type"):
            assert head.header(name) == full.header(name)
        assert head.header("content-length") is None and head.header("content-encoding") is None


@pytest.mark.parametrize("fields", [[ZIP], []], ids=["gzip", "none"])
@pytest.mark.parametrize("length", [None, len(TEXT), 5], ids=["not counted", "text", "small"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_304_has_the_etag_and_vary_of_the_answer(method: str, length: int | None, fields: list[str]) -> None:
    """Also one of a handler's own making; where it does not say how long the answer would be, it counts as long."""
    def handler(request: HttpRequest) -> None:
        response = request.response
        response.headers.set("etag", '"x"')
        if length is not None:
            response.content_length = length
        if "if-none-match" in request.headers:
            response.status_code = 304
        else:
            response.write("x" * (len(TEXT) if length is None else length))
        response.close()

    with serving(handler, auto_compress=True) as server, RawClient(server.port) as client:
        full = client.get("/", *fields)
        raw = get("/", *fields, f"If-None-Match: {full.header('etag')}", method=method)
        response = client.send(raw).read_response(method)
        assert response.status == 304
        assert (response.header("etag"), response.header("vary")) == (full.header("etag"), "Accept-Encoding")
        assert response.header("content-length") in (None, full.header("content-length"))
        assert response.header("content-encoding") is None


def test_a_range_has_the_vary_of_the_whole() -> None:
    def write(response: HttpResponse) -> None:
        response.status_code = 206
        response.headers.set("content-range", "bytes 0-2199/3000")
        response.headers.set("etag", '"x"')
        response.write(TEXT)

    for fields in ([ZIP], []):
        response = answered(write, *fields)
        assert (response.header("vary"), response.header("content-encoding")) == ("Accept-Encoding", None)
        assert response.header("etag") == '"x"' and response.body.decode() == TEXT


@pytest.mark.parametrize("write", [lambda r: r.redirect("/x"), lambda r: r.close()], ids=["redirect", "nothing"])
def test_an_answer_without_a_body_is_the_same_to_head(write: Write) -> None:
    head, full = answered(write, ZIP, method="HEAD"), answered(write, ZIP)
    assert negotiated(head) == negotiated(full) and full.header("content-encoding") is None


@pytest.mark.parametrize("body, expected", [("x", False), ("Hello, world!", False), ("ab" * 50, False), (TEXT, True)],
                         ids=lambda value: str(len(value)) if isinstance(value, str) else "")
def test_a_body_too_small_to_gain_by_it_is_not_compressed(body: str, expected: bool) -> None:
    response = answered(lambda response: response.write(body), ZIP)
    assert is_gzip(response) == expected and response.header("vary") == "Accept-Encoding"
    assert expected or response.body.decode() == body


def test_a_declared_length_is_of_what_is_written() -> None:
    def write(response: HttpResponse) -> None:
        response.content_length = len(BIG)
        for _ in range(100):
            response.write(TEXT)

    response = answered(write, ZIP)
    assert is_gzip(response) and gzip.decompress(response.body).decode() == BIG
    response = answered(write)
    assert not is_gzip(response) and response.header("content-length") == str(len(BIG))


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_long_text_is_compressed_while_it_is_written(version: str) -> None:
    def write(response: HttpResponse) -> None:
        for _ in range(100):
            response.write(TEXT)

    response = answered(write, ZIP, version=version)
    assert is_gzip(response) and gzip.decompress(response.body).decode() == BIG
    assert (response.header("transfer-encoding") == "chunked") == (version == "1.1")


def test_flush_lets_the_client_have_what_is_there() -> None:
    """A stream of events is no use in the compressor's buffer."""

    def handler(request: HttpRequest) -> None:
        for number in range(3):
            request.response.write(f"event {number}\n")
            request.response.flush()
        request.response.close()

    data = raw_answer(handler, get("/", ZIP, "Connection: close"), auto_compress=True)
    size, _, rest = data.partition(b"\r\n\r\n")[2].partition(b"\r\n")
    assert zlib.decompressobj(31).decompress(rest[:int(size, 16)]) == b"event 0\n"
    assert data.endswith(b"\r\n0\r\n\r\n")


def test_unbuffered_writes_are_compressed_too() -> None:
    def write(response: HttpResponse) -> None:
        response.buffer_output = False
        for _ in range(10):
            response.write(TEXT)

    response = answered(write, ZIP)
    assert is_gzip(response) and gzip.decompress(response.body).decode() == TEXT * 10


def test_empty_flushes() -> None:
    def write(response: HttpResponse) -> None:
        response.flush()
        response.flush()
        response.write(TEXT)
        response.flush()
        response.flush()

    response = answered(write, ZIP)
    assert (gzip.decompress(response.body) if is_gzip(response) else response.body).decode() == TEXT


def test_error_answers_are_plain() -> None:
    with serving(lambda request: None, auto_compress=True) as server, RawClient(server.port) as client:
        response = client.send(b"GET / HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n").read_response()
        assert response.status == 400 and response.header("content-encoding") is None


def test_a_failed_handler_is_answered_compressed_or_not(caplog: pytest.LogCaptureFixture) -> None:
    def write(response: HttpResponse) -> None:
        response.write(TEXT)
        raise ZeroDivisionError

    response = answered(write, ZIP)
    body = gzip.decompress(response.body) if is_gzip(response) else response.body
    assert (response.status, body) == (500, b"500 Internal Server Error\n")


def test_it_may_be_switched_while_it_serves() -> None:
    with serving(answering(TEXT)) as server, RawClient(server.port) as client:
        assert server.auto_compress is False
        for switched in (False, True, False):
            server.auto_compress = switched
            assert is_gzip(client.get("/", ZIP)) == switched


def test_other_clients_read_it() -> None:
    with serving(answering(TEXT), auto_compress=True) as server:
        response = requests.get(f"http://127.0.0.1:{server.port}/", timeout=PATIENCE)
        assert response.text == TEXT and response.headers["content-encoding"] == "gzip"
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request("GET", "/", headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(connection.getresponse().read()).decode() == TEXT
        connection.close()


@pytest.mark.parametrize("size", [16383, 16384, 16385, 70_000])
@pytest.mark.parametrize("streamed", [False, True])
def test_content_of_any_size_comes_out_as_it_was(size: int, streamed: bool) -> None:
    """Also where the window of what compresses it depends on its size."""
    content = bytes(random.Random(size).choices(b"abc", k=size // 2)) * 2 + b"x" * (size % 2)

    def handler(request: HttpRequest) -> None:
        if streamed:
            request.response.flush()
        request.response.add(content)
        request.response.close()

    with serving(handler, auto_compress=True) as server, RawClient(server.port) as client:
        answer = client.get("/", ZIP)
    assert answer.header("content-encoding") == "gzip" and gzip.decompress(answer.body) == content
