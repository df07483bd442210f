"""HttpBodyHandler over real sockets: bodies as what they say they are."""
from __future__ import annotations

import http.server
import json
import threading
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, unquote

import pytest
import requests

from blockingio import HttpClient, HttpException, HttpRequest, HttpServer
from blockingio.http_server import HttpBodyFileUpload, HttpBodyHandler, HttpRequestBody
from tests.peers import PATIENCE, RawClient, RawResponse, collecting, eventually, serving

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
PART = b"--b\r\nContent-Disposition: form-data; name=a"


class Bodies:
    """A server that takes each request's body; what came of it, a body or an error, is in ``found``."""

    def __init__(self, **arguments: str) -> None:
        self.found: list[HttpRequestBody | HttpException] = []
        self.arguments = arguments

    def handle(self, request: HttpRequest) -> None:
        try:
            body = HttpBodyHandler.process_request(request, **self.arguments)
        except HttpException as error:
            self.found.append(error)
        else:
            self.found.append(body)
            assert body.request is request
            request.response.close()


def post(port: int, content_type: str | None, body: bytes, *fields: str) -> RawResponse:
    lines = ["POST / HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *fields]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    with RawClient(port) as client:
        return client.send("\r\n".join([*lines, "", ""]).encode() + body).read_response()


def process(content_type: str | None, body: bytes, **arguments: str) -> HttpRequestBody | HttpException:
    """What comes of one body; 200 where it is a body, 400 where it is an error."""
    bodies = Bodies(**arguments)
    with serving(bodies.handle) as server:
        response = post(server.port, content_type, body)
    [found] = bodies.found
    assert response.status == (400 if isinstance(found, HttpException) else 200)
    return found


@pytest.mark.parametrize(("content_type", "body", "kind", "value"), [
    (None, b"\0\1", "binary", b"\0\1"),
    (None, b"", "binary", b""),
    ("application/octet-stream", b"\xff", "binary", b"\xff"),
    ("image/png", b"\x89PNG", "binary", b"\x89PNG"),
    ("nonsense", b"x", "binary", b"x"),
    ("multipart/mixed; boundary=b", b"x", "binary", b"x"),
    ("text/plain", "Grüße".encode(), "text", "Grüße"),
    ("text/plain; charset=latin-1", "Grüße".encode("latin-1"), "text", "Grüße"),
    ("Text/CSV", b"a,b", "text", "a,b"),
    ("text/plain", b"", "text", ""),
    ("application/json", b'{"a": [1.5, null, true, "\xc3\xbc"]}', "json", {"a": [1.5, None, True, "ü"]}),
    ("application/json; charset=utf-8", b" 1 ", "json", 1),
    ("application/json", b'\xef\xbb\xbf"x"', "json", "x"),
    ("application/json; charset=latin-1", b'"\xfc"', "json", "ü"),
    ("application/problem+json", b"[]", "json", []),
    ("image/x+json", b"[]", "json", []),
    (FORM, b"a=1&b=2&a=3", "form", {"a": "3", "b": "2"}),
    (FORM, b"a=x+y%26z&%C3%BC=%E2%82%AC&c", "form", {"a": "x y&z", "ü": "€", "c": ""}),
    (FORM, b"", "form", {}),
    (FORM + "; charset=latin-1", b"a=%FC", "form", {"a": "ü"}),
    (FORM + "; charset=latin-1", b"\xfc%20=%FC\xfc", "form", {"ü ": "üü"}),
    (FORM + "; charset=shift_jis", b"%83A=\x83\x5c%82\xa0", "form", {"ア": "ソあ"}),
    (FORM + "; charset=utf-16", b"a=%C3%BC", "form", {"a": "ü"}),
    (FORM, "ü=%20ü&€".encode(), "form", {"ü": " ü", "€": ""}),
])
def test_bodies(content_type: str | None, body: bytes, kind: str, value: object) -> None:
    found = process(content_type, body)
    assert isinstance(found, HttpRequestBody)
    assert (found.type, found.body) == (kind, value)
    assert repr(found).startswith(f"HttpRequestBody({kind!r}, ")


@pytest.mark.parametrize(("content_type", "body", "message"), [
    ("text/plain", b"\xff", "not in utf-8"),
    ("text/plain; charset=nonsense", b"x", "charset is 'nonsense'"),
    ("text/plain; charset=zlib", b"x", "charset is 'zlib'"),
    ("application/json", b"", "no JSON"),
    ("application/json", b"{", "no JSON"),
    ("application/json", b"{} {}", "no JSON"),
    ("application/json", b"NaN", "NaN is no JSON"),
    ("application/json", b"[Infinity]", "Infinity is no JSON"),
    ("application/json", b"[" * 200_000, "no JSON"),
    ("application/json", b"9" * 5000, "no JSON"),
    ("application/json", b"\xff", "not in utf-8"),
    (FORM + "; charset=nonsense", b"a=1", "charset is 'nonsense'"),
    ("multipart/form-data", b"--b--", "boundary"),
    ("multipart/form-data; boundary=", b"--b--", "boundary"),
    (MULTIPART, b"", "ended"),
    (MULTIPART, PART + b"\r\n\r\nx", "ended"),
    (MULTIPART, b"--b\r\n\r\nx\r\n--b--", "no Content-Disposition"),
    (MULTIPART, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", "expected a name"),
    (MULTIPART, PART + b"\r\n\r\n\xff\r\n--b--", "utf-8"),
    (MULTIPART, (PART + b"\r\n\r\nx\r\n") * 1001 + b"--b--", "over 1000 parts"),
    (MULTIPART, PART + b"x" * 16384 + b"\r\n\r\nx\r\n--b--", "over 16384 bytes"),
])
def test_broken_bodies_are_answered_and_raised(content_type: str, body: bytes, message: str) -> None:
    found = process(content_type, body)
    assert isinstance(found, HttpException)
    assert message in str(found)
    assert found.uri is not None and found.uri.path == "/"


@pytest.mark.parametrize("query", [
    "n=100%", "n=%zz", "n=%E9", "n=%4", "%=%%", "n=%C3%BC%", "%E9=%C3", "a=1&&b&=c&a=2", "n=a+b%2B", "n=%00",
    "n=%ED%A0%80", "n=a=b",
])
def test_a_form_is_decoded_as_a_query_is(query: str) -> None:
    queries = []

    def handle(request: HttpRequest) -> None:
        queries.append(dict(request.uri.query_parameters))
        queries.append(HttpBodyHandler.process_request(request).body)
        request.response.close()

    with serving(handle) as server, RawClient(server.port) as client:
        client.send(f"POST /?{query} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
                    f"Content-Length: {len(query)}\r\n\r\n{query}".encode())
        assert client.read_response().status == 200
    assert queries[0] == queries[1] != {}


def test_a_default_encoding() -> None:
    for content_type, body, value in (("text/plain", b"\xfc", "ü"), (FORM, b"a=%FC", {"a": "ü"}),
                                      ("text/plain; charset=utf-8", b"\xc3\xbc", "ü"),
                                      ("application/json", b'"\xc3\xbc"', "ü")):
        found = process(content_type, body, default_encoding="latin-1")
        assert isinstance(found, HttpRequestBody) and found.body == value


def test_a_form_of_a_browser() -> None:
    """As Chromium sends it, the boundary split in two by the second write."""
    bodies = Bodies()
    boundary = "----WebKitFormBoundaryX3bY6SRqzQ2vlIQ9"
    parts = [
        b'name="text"\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\nyou',
        b'name="file"; filename="a%22b.txt"\r\nContent-Type: text/plain\r\n\r\nhello\n',
        b'name="picture"; filename="p.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n',
        b'name="none"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n',
        b'name="twice"\r\n\r\n1',
        b'name="twice"\r\n\r\n2',
    ]
    start = f"--{boundary}\r\nContent-Disposition: form-data; ".encode()
    body = b"".join(start + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    head = (f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: multipart/form-data; boundary={boundary}\r\n\r\n").encode()
    with serving(bodies.handle) as server, RawClient(server.port) as client:
        at = body.index(b"--" + boundary.encode(), 300) + 10
        client.send(head + body[:at])
        eventually(lambda: server.connections_info().active == 1)
        assert client.send(body[at:]).read_response().status == 200
    [found] = bodies.found
    assert isinstance(found, HttpRequestBody)
    assert found.type == "form"
    assert list(found.body) == ["text", "file", "picture", "none", "twice"]
    assert (found.body["text"], found.body["twice"]) == ("Grüße\r\nyou", "2")
    file, picture, none = found.body["file"], found.body["picture"], found.body["none"]
    assert isinstance(file, HttpBodyFileUpload)
    assert (file.filename, file.content_type and file.content_type.mime_type, file.content) == \
        ('a"b.txt', "text/plain", "hello\n")
    assert (picture.filename, picture.content) == ("p.png", b"\x89PNG\r\n")
    assert (none.filename, none.content) == ("", b"")
    assert repr(file) == "HttpBodyFileUpload('a\"b.txt', ContentType.parse('text/plain'), 6 long)"


def test_forms_of_requests() -> None:
    bodies = Bodies()
    with serving(bodies.handle) as server:
        url = f"http://127.0.0.1:{server.port}/"
        requests.post(url, data={"a": "1 2", "b": "ü&="}, timeout=PATIENCE)
        requests.post(url, json={"a": [1]}, timeout=PATIENCE)
        requests.post(url, data={"a": "1"}, timeout=PATIENCE, files=[
            ("f", ("x.bin", bytes(200_000), "application/octet-stream")), ("g", ("y", "text"))])
        requests.post(url, data=iter([b"in ", b"chunks"]), headers={"Content-Type": "text/plain"},
                      timeout=PATIENCE)
    form, data, files, chunks = bodies.found
    assert isinstance(form, HttpRequestBody) and form.body == {"a": "1 2", "b": "ü&="}
    assert isinstance(data, HttpRequestBody) and data.body == {"a": [1]}
    assert isinstance(files, HttpRequestBody) and files.body["a"] == "1"
    assert files.body["f"].content == bytes(200_000)
    file = files.body["g"]
    assert (file.filename, file.content_type, file.content) == ("y", None, "text")
    assert isinstance(chunks, HttpRequestBody) and chunks.body == "in chunks"


@pytest.mark.parametrize(("parameter", "boundary"), [
    ("*****", "*****"), ("a.b*c", "a.b*c"), ('"[x]^$"', "[x]^$"), ("[x]^$", "[x]^$"), (r'"a\"b"', 'a"b'),
    ('"a b;c"', "a b;c"),
])
def test_any_printable_boundary_and_names_as_clients_write_them(parameter: str, boundary: str) -> None:
    start = f"--{boundary}\r\nContent-Disposition: form-data; ".encode()
    found = process(f"multipart/form-data; boundary={parameter}", b"".join((
        start, b'name="test\\"\r\n\r\n1\r\n', start, b'name="f"; filename="dir\\"\r\n\r\n2\r\n',
        start, b"name=g; filename=my file.txt\r\n\r\n3\r\n", f"--{boundary}--\r\n".encode())))
    assert isinstance(found, HttpRequestBody)
    assert list(found.body) == ["test\\", "f", "g"]
    assert found.body["test\\"] == "1"
    assert [found.body[name].filename for name in "fg"] == ["dir\\", "my file.txt"]


def test_a_part_that_is_no_text_is_a_file_even_without_a_name() -> None:
    found = process(MULTIPART, PART + b"\r\nContent-Type: image/png\r\n\r\nx\r\n--b--")
    assert isinstance(found, HttpRequestBody)
    assert (found.body["a"].filename, found.body["a"].content) == ("", b"x")


CSV = "name;größe\n" + "ä;1\n" * 100_000


@pytest.mark.parametrize(("field", "data", "content"), [
    ("text/csv", CSV.encode("latin-1"), None),
    ("text/csv", CSV.encode(), CSV),
    ("text/csv", CSV.encode() + b"\xc3", None),
    ("text/csv", "\ufeff".encode() + b"a", "\ufeffa"),
    ("text/csv", CSV.encode("utf-16"), None),
    ("text/csv; charset=utf-16", CSV.encode("utf-16"), CSV),
    ("text/csv; charset=utf-16", CSV.encode("utf-16")[:-1], None),
    ("text/csv; charset=latin-1", CSV.encode("latin-1"), CSV),
    ("text/csv; charset=ascii", CSV.encode("latin-1"), None),
    ("text/csv; charset=x-no-such-charset", CSV.encode(), None),
    ("text/csv; charset=zlib", CSV.encode(), None),
    ("application/json", b"\xff", None),
    (None, b"\xff", None),
    (None, b"", ""),
])
def test_a_file_that_is_not_in_its_charset_is_bytes(field: str | None, data: bytes, content: str | None) -> None:
    """And the rest of the form is as it would be."""
    typed = f"\r\nContent-Type: {field}".encode() if field is not None else b""
    found = process(MULTIPART, PART + b"; filename=a.csv" + typed + b"\r\n\r\n" + data
                    + b"\r\n--b\r\nContent-Disposition: form-data; name=c\r\n\r\nd\r\n--b--")
    assert isinstance(found, HttpRequestBody)
    assert found.body["c"] == "d"
    assert found.body["a"].filename == "a.csv"
    assert found.body["a"].content == (data if content is None else content)


@pytest.mark.parametrize(("content_type", "start", "end", "times"), [
    (None, b"", b"", 1),
    ("text/plain", b"", b"", 1),
    ("text/plain; charset=latin-1", b"", b"", 1),
    ("application/json", b'"', b'"', 2),  # the text, and what json.loads makes of it
    (MULTIPART, PART + b"; filename=x\r\nContent-Type: image/png\r\n\r\n", b"\r\n--b--", 1),
    (MULTIPART, PART + b"; filename=x\r\n\r\n", b"\r\n--b--", 1),
    (MULTIPART, PART + b"\r\n\r\n", b"\r\n--b--", 1),
])
def test_a_body_is_held_once(content_type: str | None, start: bytes, end: bytes, times: int) -> None:
    size = 16 * 2**20
    peaks = []

    def handle(request: HttpRequest) -> None:
        # While it is traced, for coverage say, CPython does not make a str longer where it is.
        trace = sys.gettrace()
        sys.settrace(None)
        tracemalloc.start()
        try:
            body = HttpBodyHandler.process_request(request)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
            sys.settrace(trace)
        assert body.body
        request.response.close()

    with serving(handle) as server, RawClient(server.port) as client:
        fields = f"Content-Type: {content_type}\r\n" if content_type else ""
        client.send(f"POST / HTTP/1.1\r\nHost: localhost\r\n{fields}"
                    f"Content-Length: {len(start) + size + len(end)}\r\n\r\n".encode() + start)
        for _ in range(16):
            client.send(b"x" * 2**20)
        assert client.send(end).read_response().status == 200
    assert peaks[0] < (times + 0.5) * size


def test_a_body_that_is_too_large_is_413() -> None:
    bodies = Bodies()
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(bodies.handle, max_body_size=1000) as server, RawClient(server.port) as client:
        client.send(head + b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n")
        assert client.read_response().status == 413
    assert [type(found) for found in bodies.found] != [HttpRequestBody]
    assert isinstance(bodies.found[0], HttpException)


def test_a_body_that_is_cut_short() -> None:
    bodies = Bodies()
    with serving(bodies.handle) as server:
        with RawClient(server.port) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx")
        eventually(lambda: bodies.found)
    assert isinstance(bodies.found[0], HttpException)


def test_an_answer_that_was_begun_is_cut_off() -> None:
    def handle(request: HttpRequest) -> None:
        request.response.write("so far, so good")
        request.response.flush()
        with pytest.raises(HttpException):
            HttpBodyHandler.process_request(request)

    with serving(handle) as server, RawClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    b"Content-Length: 1\r\n\r\n{")
        with pytest.raises((EOFError, ConnectionError)):
            client.read_response()


@contextmanager
def listening(use: Callable[[HttpServer], None]) -> Iterator[HttpServer]:
    """A server that ``use`` reads on a thread of its own."""
    with HttpServer.bind("127.0.0.1", 0) as server:
        thread = threading.Thread(target=use, args=(server,))
        thread.start()
        try:
            yield server
        finally:
            server.close()
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_as_a_transformer_it_passes_over_what_is_broken() -> None:
    found = []

    def use(server: HttpServer) -> None:
        for body in server.transform(HttpBodyHandler()):
            found.append(body.body)
            body.request.response.write(f"{body.type}")
            body.request.response.close()

    with listening(use) as server:
        assert post(server.port, "application/json", b"[1]").body == b"json"
        assert post(server.port, "application/json", b"[").status == 400
        assert post(server.port, "text/plain", b"x").body == b"text"
    assert found == [[1], "x"]


def test_as_a_transformer_it_keeps_no_request() -> None:
    """One that is dropped unanswered is closed for the user while the next is awaited."""
    def use(server: HttpServer) -> None:
        with pytest.warns(ResourceWarning, match="dropped without close"), collecting():
            for body in HttpBodyHandler(default_encoding="latin-1").bind(server):
                assert body.body == "ü"
                del body

    with listening(use) as server:
        assert post(server.port, "text/plain", b"\xfc").status == 200


class AnswerOfThePath(http.server.BaseHTTPRequestHandler):
    """Answers with what the path says: /=content-type/body, percent-encoded."""

    def do_GET(self) -> None:
        _, media_type, body = (unquote(part) for part in self.path.split("/"))
        self.send_response(200)
        if media_type != "=":
            self.send_header("Content-Type", media_type[1:])
        data = body.encode("latin-1")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), AnswerOfThePath) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(PATIENCE)


def quoted(text: str) -> str:
    return quote(text, safe="")


def test_responses(answering: int) -> None:
    with HttpClient() as client:
        for media_type, body, kind, value in (
                ("application/json", json.dumps({"a": 1}), "json", {"a": 1}), ("", "x", "binary", b"x"),
                ("text/plain", "x", "text", "x"), (FORM, "a=b", "form", {"a": "b"})):
            response = client.get("127.0.0.1", answering, f"/={quoted(media_type)}/{quoted(body)}").close()
            found = HttpBodyHandler.process_response(response)
            assert (found.type, found.body) == (kind, value)
            assert found.response is response
        response = client.get("127.0.0.1", answering, f"/={quoted('application/json')}/{quoted('{')}").close()
        with pytest.raises(HttpException, match="no JSON"):
            HttpBodyHandler.process_response(response)
        response = client.get("127.0.0.1", answering, f"/={quoted('text/plain')}/%C3%BC").close()
        assert HttpBodyHandler.process_response(response, default_encoding="latin-1").body == "ü"


# ------------------------------------------------------------------ a handler that lets the error pass

BROKEN = [
    ("application/json", b"{a}", "400 Bad Request: the body is no JSON: Expecting property name"),
    ("application/json", b"", "400 Bad Request: the body is no JSON"),
    ("text/plain; charset=klingon", b"x", "400 Bad Request: the charset is 'klingon', expected one"),
    ("text/plain; charset=utf-8", b"\xff", "400 Bad Request: the text is not in utf-8"),
    ("multipart/form-data", b"x", "400 Bad Request: the Content-Type is multipart/form-data: expected a boundary"),
    (MULTIPART, b"x", "400 Bad Request: the multipart body ended in part 0"),
    (MULTIPART, b"--b\r\n\r\nx\r\n--b--", "400 Bad Request: "),
    ("text/plain", b"x" * 101, "413 Content Too Large: "),
]


@pytest.mark.parametrize("content_type, body, said", BROKEN)
def test_a_broken_body_is_no_error_of_the_handler(content_type: str, body: bytes, said: str) -> None:
    """Nothing is logged, which each test judges, and the client learns why."""
    def handle(request: HttpRequest) -> None:
        HttpBodyHandler.process_request(request)
        request.response.close()

    with serving(handle, max_body_size=100) as server:
        answer = post(server.port, content_type, body)
        assert answer.body.decode().startswith(said) and answer.header("content-type") == "text/plain; charset=utf-8"
        assert post(server.port, "text/plain", b"x").status == 200


def test_a_broken_body_of_a_client_elsewhere_is_answered_without_the_reason() -> None:
    def handle(request: HttpRequest) -> None:
        HttpBodyHandler.process_request(request)

    with serving(handle, trusted_proxies=["127.0.0.1"]) as server:
        answer = post(server.port, "application/json", b"{a}", "X-Forwarded-For: 192.0.2.7")
        assert (answer.status, answer.body) == (400, b"400 Bad Request\n")


def test_an_answer_that_was_begun_is_cut_where_the_body_is_broken() -> None:
    def handle(request: HttpRequest) -> None:
        request.response.write("a")
        request.response.flush()
        HttpBodyHandler.process_request(request)

    with serving(handle) as server, RawClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    b"Content-Length: 1\r\n\r\n{")
        with pytest.raises(EOFError):
            client.read_response()
