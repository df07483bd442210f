"""HttpRequest: what its head says; the body is in test_body.py."""
from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
import requests

from blockingio import Cookie, HttpException, HttpRequest, HttpServer, InternetAddress, Stream, Uri
from tests.peers import RawClient, serving
from tests.server.visits import get, post, tell, visit


def asked(raw: bytes, look: Callable[[HttpRequest], Any], **settings: Any) -> Any:
    """What `look` says of the request that these bytes are; the client gets a 200."""
    seen: list[Any] = []

    def handler(request: HttpRequest) -> None:
        try:
            seen.append(look(request))
        finally:
            request.response.close()

    method = raw.lstrip(b"\r\n").partition(b" ")[0].decode()
    assert visit(handler, raw, method=method, **settings).status == 200
    return seen[0]


# ----------------------------------------------------------------- request line

@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE",
                                    "PROPFIND", "get", "M-SEARCH", "X!#$%&'*+-.^_`|~9"])
def test_method(method: str) -> None:
    """Case matters (RFC 9110 9.1), and there is no list of those that exist."""
    assert asked(get(method=method), lambda request: request.method) == method


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_protocol_version(version: str) -> None:
    assert asked(get(version=version), lambda request: request.protocol_version) == version


def test_a_higher_minor_version_is_read_as_1_1() -> None:
    """RFC 9110 2.5."""
    assert asked(get(version="1.7"), lambda request: request.protocol_version) == "1.1"


def test_empty_lines_before_a_request_are_skipped() -> None:
    """RFC 9112 2.2."""
    assert asked(b"\r\n\r\n" + get("/x"), lambda request: request.uri.path) == "/x"


@pytest.mark.parametrize("target, path, query, parameters", [
    ("/", "/", "", {}),
    ("/a/b%20c", "/a/b%20c", "", {}),
    ("/?", "/", "", {}),
    ("/a?b=c&d=e%20f+g&h", "/a", "b=c&d=e%20f+g&h", {"b": "c", "d": "e f g", "h": ""}),
    ("/a?x=1&x=2", "/a", "x=1&x=2", {"x": "2"}),
    ("/a?%C3%BC=%E2%82%AC", "/a", "%C3%BC=%E2%82%AC", {"\u00fc": "\u20ac"}),
    ("/../a/./b/../c", "/../a/./b/../c", "", {}),
    ("//a.example/b", "//a.example/b", "", {}),
    ("/:80/x:y@z", "/:80/x:y@z", "", {}),
    ("/a;b=c", "/a;b=c", "", {}),
    ("http://a.example:81/b?c=d", "/b", "c=d", {"c": "d"}),
])
def test_uri(target: str, path: str, query: str, parameters: dict[str, str]) -> None:
    """As it came: nothing decoded, nothing normalized."""
    uri: Uri = asked(get(target), lambda request: request.uri)
    assert (uri.path, uri.query, dict(uri.query_parameters)) == (path, query, parameters)


@pytest.mark.parametrize("target", ["/a|b", "/[x]", "/a^b`c{d}", '/"quoted"', "/a\\b", "/<a>", "/%ff%00%C3",
                                    "/?%", "/?a=%zz&b", "/?a=%ff", "/??", "/?=", "/?&&", "/?[x]={y}|z", "/:",
                                    "/a:b/c", "//", "///", "//:99999/", "//[/", "//@", "/?a\\b", "/;;",
                                    "/%2e%2e/%2F"])
def test_a_strange_target_never_breaks_a_handler(target: str) -> None:
    """What a client sends is no reason for a traceback: the target is accepted, so it can be looked at."""

    def look(request: HttpRequest) -> str:
        uri = request.uri
        for part in ("query", "query_parameters", "query_parameters_all", "has_query", "host", "port",
                     "path_segments", "fragment", "authority", "scheme", "user_info", "is_absolute"):
            getattr(uri, part)
            getattr(request.requested_uri, part)
        str(uri), repr(uri), hash(uri), repr(request), str(request.requested_uri)
        return uri.path

    # As a browser writes it, where it is no URI: percent-encoded, with the same meaning.
    assert unquote(asked(get(target), look)) == unquote(target.partition("?")[0])


def test_the_asterisk_form() -> None:
    def look(request: HttpRequest) -> tuple[str, str]:
        return request.uri.path, str(request.requested_uri)

    assert asked(get("*", method="OPTIONS"), look) == ("*", "http://localhost")


@pytest.mark.parametrize("fields", [b"", b"X-Forwarded-Host: b.example\r\n"], ids=["", "behind a proxy"])
def test_the_authority_form(fields: bytes) -> None:
    def handler(request: HttpRequest) -> None:
        uri = request.uri
        assert (uri.scheme, uri.host, uri.port, uri.path) == ("", "a.example", 443, "")
        assert str(request.requested_uri) == "http://a.example:443"
        request.response.status_code = 501
        request.response.close()

    raw = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n" + fields + b"\r\n"
    assert visit(handler, raw, method="CONNECT").status == 501


# ---------------------------------------------------------------- requested_uri

@pytest.mark.parametrize("target, fields, expected", [
    ("/x?y=z", ["Host: a.example"], "http://a.example/x?y=z"),
    ("/x", ["Host: a.example:8080"], "http://a.example:8080/x"),
    ("/x", ["Host: a.example:80"], "http://a.example/x"),
    ("/x", ["Host: a.example:"], "http://a.example/x"),
    ("/x", ["Host: A.Example"], "http://a.example/x"),
    ("/x", ["Host: [::1]:81"], "http://[::1]:81/x"),
    ("/x", ["Host: [::1]"], "http://[::1]/x"),
    ("/x?", ["Host: a.example"], "http://a.example/x?"),
    ("/", ["Host: a.example", "X-Forwarded-Proto: https"], "https://a.example/"),
    ("/", ["Host: a.example", "X-Forwarded-Proto: HTTPS"], "https://a.example/"),
    ("/", ["Host: a.example:443", "X-Forwarded-Proto: https"], "https://a.example/"),
    ("/", ["Host: a.example", "X-Forwarded-Proto: gopher"], "http://a.example/"),
    ("/", ["Host: a.example", "X-Forwarded-Proto:"], "http://a.example/"),
    ("/", ["Host: a.example", "X-Forwarded-Host: b.example"], "http://b.example/"),
    ("/", ["Host: a.example", "X-Forwarded-Host: b.example:81"], "http://b.example:81/"),
    ("/", ["Host: a.example", "X-Forwarded-Host: b.example, c.example"], "http://b.example/"),
    ("/", ["Host: a.example", "X-Forwarded-Host: [::2]:81"], "http://[::2]:81/"),
    ("/", ["Host: a.example", "X-Forwarded-Proto: https, http", "X-Forwarded-Host: b.example"],
     "https://b.example/"),
    ("http://c.example/x", ["Host: a.example"], "http://c.example/x"),
    ("http://c.example", ["Host: a.example"], "http://c.example/"),
    ("http://c.example?q", ["Host: a.example"], "http://c.example/?q"),
    ("http://c.example/x", ["Host: a.example", "X-Forwarded-Host: b.example"], "http://c.example/x"),
    ("http://c.example/x", ["Host: a.example", "X-Forwarded-Proto: https"], "http://c.example/x"),
    ("https://c.example:444?q", ["Host: a.example", "X-Forwarded-Proto: http", "X-Forwarded-Host: b.example:81"],
     "https://c.example:444/?q"),
    ("http://c!.example/x", ["Host: a.example", "X-Forwarded-Host: b.example"], "http://c!.example/x"),
    ("/", ["Host: a.example", "X-Forwarded-Proto: wss"], "wss://a.example/"),
    ("/x?y", ["Host: a.example:81", "X-Forwarded-Proto: WS"], "ws://a.example:81/x?y"),
    ("/", ["Host: a.example", "X-Forwarded-Proto: wss, http", "X-Forwarded-Host: b.example"], "wss://b.example/"),
    ("//c.example/x", ["Host: a.example"], "http://a.example//c.example/x"),
])
def test_requested_uri(target: str, fields: list[str], expected: str) -> None:
    raw = "\r\n".join([f"GET {target} HTTP/1.1", *fields, "", ""]).encode()
    assert asked(raw, lambda request: str(request.requested_uri)) == expected


@pytest.mark.parametrize("host", ["a.example:99999", "a.example:0", "[::::]", "[1.2.3.4]", "[]", "a b", "a/b",
                                  "a@b", "a?b", "a#b", "a:b", ":80", "a..b", "-", "%41", "<script>", "a\\b",
                                  "a:-1", "\u00e4.example", "a:+1", "[::1]x", "a,", ","])
@pytest.mark.parametrize("field", ["X-Forwarded-Host", "X-Forwarded-Proto"])
def test_a_strange_forwarded_host_never_breaks_a_handler(field: str, host: str) -> None:
    raw = get("/x?y", f"{field}: {host}")
    uri: Uri = asked(raw, lambda request: request.requested_uri)
    assert (uri.path, uri.query, uri.scheme) == ("/x", "y", "http")
    assert uri.host and 0 < uri.port < 65536
    assert Uri.parse(str(uri)) == uri


@pytest.mark.parametrize("host", ["", "_", "a_b.example", "%41.example", "a!$&'()*+,;=b", "[v1.a:b]",
                                  "1.2.3.4", "999.1.1.1", "a:0", "a:00080", "xn--bcher-kva.example",
                                  "a.example.", "[::1%25]"])
def test_a_strange_host_never_breaks_a_handler(host: str) -> None:
    """Where the head is accepted, requested_uri has to be something."""
    raw = f"GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    def handler(request: HttpRequest) -> None:
        uri = request.requested_uri
        assert uri.path == "/x" and uri.host and Uri.parse(str(uri)) == uri
        request.response.close()

    assert visit(handler, raw).status in (200, 400)


def test_a_request_without_host_asked_the_server_itself() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        client.send(b"GET /x HTTP/1.0\r\n\r\n")
        request = server.first()
        assert str(request.requested_uri) == f"http://127.0.0.1:{server.port}/x"
        request.response.close()


def test_a_request_without_host_by_ipv6() -> None:
    try:
        server = HttpServer.bind(InternetAddress.LOOPBACK_IP_V6, 0)
    except OSError:
        pytest.skip("the system has no IPv6")
    with server, RawClient(server.port, "::1") as client:
        client.send(b"GET /x HTTP/1.0\r\n\r\n")
        request = server.first()
        assert str(request.requested_uri) == f"http://[::1]:{server.port}/x"
        request.response.close()


# ---------------------------------------------------------------------- headers

def test_headers_are_all_there() -> None:
    raw = get("/", "X-One: a", "x-one: b", "Accept:  text/html , */* ", "Empty:", "Latin: caf\u00e9")
    headers = asked(raw, lambda request: request.headers)
    assert headers.get_all("X-ONE") == ["a", "b"] and headers["x-one"] == "a, b"
    assert headers["accept"] == "text/html , */*"
    assert headers["empty"] == "" and headers["latin"] == "caf\u00e9"
    assert headers.host == "localhost" and headers.value("absent") is None


@pytest.mark.parametrize("change", [
    lambda headers: headers.set("x", "y"), lambda headers: headers.add("x", "y"),
    lambda headers: headers.clear(), lambda headers: headers.remove_all("host"),
    lambda headers: headers.remove("host", "localhost"), lambda headers: headers.__setitem__("x", "y"),
    lambda headers: headers.__delitem__("host"), lambda headers: setattr(headers, "content_length", 5),
    lambda headers: setattr(headers, "host", "a"),
])
def test_headers_are_immutable(change: Callable[[Any], None]) -> None:
    def look(request: HttpRequest) -> str | None:
        with pytest.raises(HttpException):
            change(request.headers)
        return request.headers.host

    assert asked(get(), look) == "localhost"


def test_the_same_head_again_is_the_same_request_again() -> None:
    """Clients repeat themselves, and the server remembers: nothing of one request may show in another."""
    seen: list[tuple[str, str | None, str, list[str]]] = []

    def handler(request: HttpRequest) -> None:
        seen.append((request.uri.path, request.headers.value("x"), request.protocol_version,
                     [cookie.value for cookie in request.cookies]))
        for cookie in request.cookies:
            cookie.value = "changed"
        request.cookies.append(Cookie("mine", "only"))
        tell(request)

    heads = [get("/1", "X: 1", "Cookie: a=b")] * 3 + [get("/2", "X: 1", "Cookie: a=b"), get("/2", "X: 2")]
    heads += [get("/2", "X: 2", "Connection: keep-alive", version="1.0"), get("/1", "X: 1", "Cookie: a=b")]
    with serving(handler) as server, RawClient(server.port) as client:
        for head in heads:
            client.send(head)
            assert client.read_response().status == 200
    assert seen == [("/1", "1", "1.1", ["b"])] * 3 + [("/2", "1", "1.1", ["b"]), ("/2", "2", "1.1", []),
                                                      ("/2", "2", "1.0", []), ("/1", "1", "1.1", ["b"])]


@pytest.mark.parametrize("fields, expected", [
    ([], []),
    (["Cookie: a=b"], [("a", "b")]),
    (["Cookie: a=b; c=d"], [("a", "b"), ("c", "d")]),
    (["Cookie: a=b", "Cookie: c=d"], [("a", "b"), ("c", "d")]),
    (["Cookie: a=b; odd name=x; c=d; nothing; =e"], [("a", "b"), ("odd name", "x"), ("c", "d")]),
    (['Cookie: q="a b"; e="say \\"hi\\""; j={"a":[1,2]}; t=a b; a[b]=1'],
     [("q", '"a b"'), ("e", '"say \\"hi\\""'), ("j", '{"a":[1,2]}'), ("t", "a b"), ("a[b]", "1")]),
    (["Cookie: u=caf\u00c3\u00a9"], [("u", "caf\u00c3\u00a9")]),
    (["Cookie: a=b; a=c"], [("a", "b"), ("a", "c")]),
    (["Cookie: ;;;"], []),
])
def test_cookies(fields: list[str], expected: list[tuple[str, str]]) -> None:
    cookies = asked(get("/", *fields), lambda request: request.cookies)
    assert [(cookie.name, cookie.value) for cookie in cookies] == expected


@pytest.mark.parametrize("echo", [lambda response, cookies: response.cookies.extend(cookies),
                                  lambda response, cookies: str(cookies[0])], ids=["in the answer", "as text"])
def test_what_only_a_client_may_send_does_not_go_out(echo: Callable[[Any, list[Cookie]], object],
                                                     caplog: pytest.LogCaptureFixture) -> None:
    """Read leniently, sent strictly: a cookie that could not be made here is a ValueError, and the answer a 500."""
    def handler(request: HttpRequest) -> None:
        assert request.cookies[0].value == "a b" and "a b" in repr(request.cookies[0])
        echo(request.response, request.cookies)
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        response = client.get("/", "Cookie: x=a b")
        assert (response.status, response.header("set-cookie")) == (500, None)
        assert client.get("/", "Cookie: x=a b").status == 500
    assert ["a cookie's value is" in str(record.exc_info) for record in caplog.records] == [True, True]


# -------------------------------------------------------------- the rest of it

@pytest.mark.parametrize("raw, expected", [
    (get(), 0),
    (post(b""), 0),
    (post(b"abc"), 3),
    (get(version="1.0"), 0),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", -1),
    (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 0),
])
def test_content_length(raw: bytes, expected: int) -> None:
    assert asked(raw, lambda request: request.content_length) == expected


@pytest.mark.parametrize("raw, expected", [
    (get(), True), (get("/", "Connection: keep-alive"), True), (get("/", "Connection: close"), False),
    (get("/", "Connection: x, Close"), False), (get(version="1.0"), False),
    (get("/", "Connection: keep-alive", version="1.0"), True),
    (get("/", "Connection: Keep-Alive", version="1.0"), True),
    (get("/", "Connection: close, keep-alive"), False),
])
def test_persistent_connection(raw: bytes, expected: bool) -> None:
    assert asked(raw, lambda request: request.persistent_connection) is expected


def test_connection_info() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        client.send(get())
        request = server.first()
        info = request.connection_info
        assert info and info.remote_address == InternetAddress.LOOPBACK_IP_V4
        assert (info.remote_port, info.local_port) == (client.socket.getsockname()[1], server.port)
        other = request.response.connection_info
        assert other and other.remote_port == info.remote_port
        request.response.close()


def test_no_certificate_without_tls() -> None:
    assert asked(get(), lambda request: request.certificate) is None


def test_it_is_a_stream_and_a_readable_file() -> None:
    def look(request: HttpRequest) -> None:
        assert isinstance(request, Stream) and not request.is_broadcast
        assert repr(request) == "<HttpRequest POST / HTTP/1.1>"
        assert request.readable()

    asked(post(b"abc"), look)


def test_a_handler_may_hang_something_on_no_request() -> None:
    """A misspelt attribute is an error, not a new attribute."""

    def look(request: HttpRequest) -> None:
        with pytest.raises(AttributeError):
            request.respons = 1  # type: ignore[attr-defined]
        with pytest.raises(AttributeError):
            request.response.status = 404  # type: ignore[attr-defined]

    asked(get(), look)


# -------------------------------------------------------- other clients' requests

def test_requests_is_understood() -> None:
    def handler(request: HttpRequest) -> None:
        cookie = request.cookies[0]
        request.response.write(f"{request.method} {request.uri} {request.read().decode()} {cookie.value}")
        request.response.close()

    with serving(handler) as server, requests.Session() as session:
        url = f"http://127.0.0.1:{server.port}/a"
        for number in range(3):
            response = session.post(url, params={"b": "c d"}, data={"e": number}, cookies={"f": "g"},
                                    timeout=5)
            assert response.text == f"POST /a?b=c+d e={number} g"
            assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_http_client_is_understood() -> None:
    def handler(request: HttpRequest) -> None:
        request.response.write(f"{request.method} {request.uri} {request.read().decode()}")
        request.response.close()

    with serving(handler) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        for body, chunked in (("abc", False), (iter([b"d", b"ef"]), True)):
            connection.request("PUT", "/x", body=body, encode_chunked=chunked)
            response = connection.getresponse()
            assert response.status == 200 and response.read() == (b"PUT /x def" if chunked else b"PUT /x abc")
        connection.close()
