"""HttpResponse: what its head says, from the status line to the cookies."""
from __future__ import annotations

import json
import time
from datetime import datetime, timezone

import pytest
import requests

from blockingio import (
    ContentType, Cookie, HttpDate, HttpException, HttpRequest, HttpResponse, HttpStatus, StateError, Uri,
)
from tests.peers import PATIENCE, RawClient, serving
from tests.server.visits import Write, answered, get

KIB = 1024


def big(response: HttpResponse) -> None:
    for _ in range(10):
        response.write(b"x" * 20 * KIB)


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
    monkeypatch.setattr("blockingio.server.response_head.time", lambda: now[0])
    with serving(lambda request: request.response.close()) as server, RawClient(server.port) as client:
        for seconds, shown in ((0.9, "01:46:40"), (1.0, "01:46:41"), (1.9, "01:46:41"), (60.0, "01:47:40"),
                               (0.0, "01:46:40")):
            now[0] = 1_000_000_000 + seconds
            assert client.get().header("date") == f"Sun, 09 Sep 2001 {shown} GMT"


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
    ("http://b.example/", "http://b.example/"), ("?q", "?q"), ("", ""), ("/a b", "/a%20b"),
    ("/\u00e9 b", "/%C3%A9%20b"), ('/a"b', "/a%22b"), ("/100%", "/100%25"), ("/%zz?%#%", "/%25zz?%25#%25"),
    ("/a%20b%C3%A9", "/a%20b%C3%A9"), ("/a\tb\x7f", "/a%09b%7F"),
    ("/<a>|[b]\\^`{c}", "/%3Ca%3E%7C%5Bb%5D%5C%5E%60%7Bc%7D"),
    ("?a b&\u20ac", "?a%20b&%E2%82%AC"), ("#a b", "#a%20b"), ("http://b.example/a b", "http://b.example/a%20b"),
    ("http://me:p w@b.example/x", "http://me:p%20w@b.example/x"), ("//b.example/a b", "//b.example/a%20b"),
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
                         ["/a\r\nset-cookie: b=c", "/a\nb", "/a\0", "\r\n\r\nbody", "/\u20ac\r\nx: y", "/%\r", "/a b\n",
                          "http://a b/", "http://a\"b/", "http://b.example:x/ y", "http://[::1/ y", "a b:c", "/\ud800"])
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
