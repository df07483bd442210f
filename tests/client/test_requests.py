"""What the client sends: the request line, the fields, the methods' twins."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

import blockingio
from blockingio import Cookie, HttpClient, HttpClientRequest, HttpException, InternetAddress, StateError, Uri
from blockingio.client.origins import Origins
from blockingio.testing import serving
from tests.client.servers import EMPTY, OK, Asked, answering, scripted


def ask(client: HttpClient, make: Callable[[int], HttpClientRequest], response: bytes = EMPTY) -> Asked:
    """What a server is asked by the request that ``make`` opens, given its port."""
    with scripted(answering(response)) as server:
        make(server.port).close().read()
        client.close()
    return server.asked[0]


def test_a_get_byte_for_byte(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        response = client.get("127.0.0.1", server.port, "/path?query").close()
        assert response.read() == b"ok"
        client.close()
    assert server.asked[0].raw == (
        b"GET /path?query HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n"
        b"user-agent: blockingio/%b\r\naccept-encoding: gzip\r\n\r\n"
        % (server.port, blockingio.__version__.encode())
    )


@pytest.mark.parametrize("name", ["get", "post", "put", "delete", "patch", "head"])
def test_methods_and_their_twins(client: HttpClient, name: str) -> None:
    response = EMPTY
    with scripted(answering(response, response)) as server:
        getattr(client, name)("127.0.0.1", server.port, "/x").close()
        getattr(client, name + "_url")(server.url("/x")).close()
        client.close()
    assert [asked.line for asked in server.asked] == [f"{name.upper()} /x HTTP/1.1"] * 2


@pytest.mark.parametrize("method, sent", [("OPTIONS", "OPTIONS"), ("get", "GET"), ("M-SEARCH", "M-SEARCH")])
def test_open_takes_any_method_and_sends_it_in_upper_case(client: HttpClient, method: str, sent: str) -> None:
    assert ask(client, lambda port: client.open(method, "127.0.0.1", port, "/")).method == sent


@pytest.mark.parametrize("method", ["", "G T", "GET\r\n", "GET\0", "GÉT", "A:B"])
def test_a_method_is_a_token(client: HttpClient, method: str) -> None:
    with pytest.raises(ValueError, match="a method is a token"):
        client.open(method, "127.0.0.1", 80, "/")


def test_a_cookie_that_cannot_be_written(client: HttpClient) -> None:
    """One that a request brought to a server, say, which reads leniently."""
    cookie, = Cookie.parse_cookie_header(["a=b c"])
    with scripted(answering(EMPTY)) as server:
        request = client.get("127.0.0.1", server.port, "/")
        request.cookies.append(cookie)
        with pytest.raises(ValueError, match="a cookie's value"):
            request.close()
        client.close()


def test_a_method_of_another_type(client: HttpClient) -> None:
    with pytest.raises(TypeError):
        client.open(1, "127.0.0.1", 80, "/")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path, target",
    [
        ("/", "/"),
        ("", "/"),
        ("x", "/x"),
        ("x/y?a=b", "/x/y?a=b"),
        ("?q", "/?q"),
        ("/x#fragment", "/x"),
        ("/x?a#b?c", "/x?a"),
        ("#f", "/"),
        ("/x?", "/x?"),
        ("/a b/ä", "/a%20b/%C3%A4"),
        ("/%41", "/%41"),
        ("//x", "//x"),
    ],
)
def test_paths_of_open(client: HttpClient, path: str, target: str) -> None:
    assert ask(client, lambda port: client.get("127.0.0.1", port, path)).target == target


@pytest.mark.parametrize(
    "rest, target", [("", "/"), ("/", "/"), ("?q", "/?q"), ("/x#f", "/x"), ("#f", "/"), ("/x?a#b", "/x?a")]
)
def test_paths_of_urls(client: HttpClient, rest: str, target: str) -> None:
    assert ask(client, lambda port: client.get_url(f"http://127.0.0.1:{port}{rest}")).target == target


def test_a_url_may_be_a_uri(client: HttpClient) -> None:
    asked = ask(
        client, lambda port: client.get_url(Uri(scheme="http", host="127.0.0.1", port=port, path="/u"))
    )
    assert asked.target == "/u"


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "/path", "http:///path", "http:", "mailto:a@b", "//127.0.0.1/"]
)
def test_a_url_that_cannot_be_asked_for(client: HttpClient, url: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        client.get_url(url)


@pytest.mark.parametrize("rest, target", [
    ("/a b", "/a%20b"), ("/é b", "/%C3%A9%20b"), ('/a"b', "/a%22b"), ("/100%", "/100%25"), ("/%zz?%", "/%25zz?%25"),
    ("/a%20b", "/a%20b"), ("/a\tb?c d", "/a%09b?c%20d"), ("/x?a|b[c]", "/x?a%7Cb%5Bc%5D"), ("?a b", "/?a%20b"),
    ("/x# y", "/x")])
def test_what_a_uri_cannot_hold_is_encoded(client: HttpClient, rest: str, target: str) -> None:
    """One way for a path and for a URL, ASCII or not."""
    with scripted(answering(EMPTY, EMPTY, EMPTY)) as server:
        client.get("127.0.0.1", server.port, rest).close()
        client.get_url(f"http://127.0.0.1:{server.port}{rest}").close()
        client.open_url("GET", f"http://127.0.0.1:{server.port}{rest}").close()
        client.close()
    assert [asked.target for asked in server.asked] == [target] * 3


@pytest.mark.parametrize("path", ["/\r\nx", "/a\nb", "/a\0b", "/a b\r", "/x?\n", "/x#\r\ny", "/%\n", "/é\r\n",
                                  "/\ud800"])
def test_nothing_breaks_out_of_the_request_line(client: HttpClient, path: str) -> None:
    with pytest.raises(ValueError):
        client.get("127.0.0.1", 80, path)
    with pytest.raises(ValueError):
        client.get_url("http://127.0.0.1" + path)


@pytest.mark.parametrize("host", ["a b", "a\"b", "a\tb", " a", "[::1", "a%20b"])
def test_a_host_is_not_encoded(client: HttpClient, host: str) -> None:
    """It names something: a blank in it means that another one was meant."""
    with pytest.raises(ValueError):
        client.get_url(f"http://{host}/x y")


class Pair:
    """connection_factory: any URL is answered by this test's own server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.calls: list[tuple[str, str | None, int | None]] = []

    def __call__(self, url: Uri, proxy_host: str | None, proxy_port: int | None) -> socket.socket:
        self.calls.append((str(url), proxy_host, proxy_port))
        return socket.create_connection(("127.0.0.1", self.port))


@pytest.mark.parametrize(
    "url, host",
    [
        ("http://example.com/", "example.com"),
        ("http://example.com:80/", "example.com"),
        ("http://example.com:443/", "example.com:443"),
        ("http://EXAMPLE.com:8080/", "example.com:8080"),
        ("http://[::1]/", "[::1]"),
        ("http://[2001:DB8::1]:8080/", "[2001:db8::1]:8080"),
        ("http://[fe80::1%25eth0]:81/", "[fe80::1]:81"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
        ("http://B%C3%9CCHER.example:81/", "xn--bcher-kva.example:81"),
        ("http://例え.テスト/", "xn--r8jz45g.xn--zckzah"),
        ("http://user:password@example.com/", "example.com"),
    ],
)
def test_the_host_field(client: HttpClient, url: str, host: str) -> None:
    with scripted(answering(EMPTY)) as server:
        client.connection_factory = Pair(server.port)
        request = client.get_url(url)
        request.close()
        client.close()
    assert server.asked[0].header("host") == host
    assert server.asked[0].raw.split(b"\r\n")[1].startswith(b"host: ")  # first, as RFC 9110 7.2 wants it


@pytest.mark.parametrize(
    "host", ["ä" * 64 + ".example", "a%0D%0Ab: c", "a%20b", "a%00", "a%2Fb", "a%40b", "a%3A80", "%FF"]
)
def test_a_host_that_is_none(client: HttpClient, host: str) -> None:
    with pytest.raises(ValueError, match="no name that can be looked up|expected"):
        client.get_url(f"http://{host}/")


def test_the_host_field_with_tls_leaves_out_443(certificates: Any) -> None:
    with scripted(answering(EMPTY), context=certificates.server_context()) as server:
        with HttpClient(context=certificates.client_context()) as client:
            client.find_proxy = None
            client.connection_factory = Pair(server.port)
            client.get_url("https://localhost/").close()
    assert server.asked[0].header("host") == "localhost"


def test_an_ipv6_server() -> None:
    with scripted(answering(OK), host="::1") as server, HttpClient() as client:
        client.find_proxy = None
        request = client.get("::1", server.port, "/")
        assert request.connection_info is not None
        assert request.connection_info.remote_address == InternetAddress.LOOPBACK_IP_V6
        assert request.close().read() == b"ok"
    assert server.asked[0].header("host") == f"[::1]:{server.port}"


def test_the_user_agent_can_be_changed_and_left_out(client: HttpClient) -> None:
    assert client.user_agent == f"blockingio/{blockingio.__version__}"
    with serving() as server:
        server.on("GET", "/")
        client.user_agent = "Mine/1"
        client.get_url(server.url).close()
        client.user_agent = None
        client.get_url(server.url).close()
    assert [asked.headers.get("user-agent") for asked in server.requests] == ["Mine/1", None]
    assert client.user_agent is None
    with pytest.raises(ValueError):
        client.user_agent = "a\r\nb: c"


def test_each_origin_has_its_own_host_field(client: HttpClient) -> None:
    """Also where one client asks many, or changes the fields of a request to one."""
    hosts = {80: "a.example", 8080: "a.example:8080"}
    with scripted(answering(*[EMPTY] * 3), answering(*[EMPTY] * 3)) as server:
        client.find_proxy = lambda url: f"PROXY 127.0.0.1:{server.port}"
        for port in hosts:
            changed = client.get_url(f"http://a.example:{port}/")
            changed.headers.set("host", "b.example")
            changed.close()
            client.get_url(f"http://a.example:{port}/").close()
            client.get_url(f"http://a.example:{port}/").close()
        client.close()
    for number, host in enumerate(hosts.values()):
        fields = [asked.header("host") for asked in server.asked[3 * number : 3 * number + 3]]
        assert fields == ["b.example", host, host]


def test_what_is_known_of_origins_is_bounded() -> None:
    origins = Origins("Mine/1")
    for number in 2 * [*range(150)]:
        uri = Uri.parse(f"HTTP://H{number}.example:{number + 1}/{number}?{number}")
        origin, headers = origins.of(uri)
        assert origin == ("http", f"h{number}.example", number + 1)
        assert list(headers.items()) == [
            ("host", f"h{number}.example" + (f":{number + 1}" if number != 79 else "")), ("user-agent", "Mine/1"),
            ("accept-encoding", "gzip")]
        assert 1 <= len(origins) <= 100
    known = len(origins)
    assert origins.of(Uri.parse(f"http://{'h' * 60_000}.example/"))[0][1].startswith("hhh")
    assert len(origins) == known


def test_headers_are_the_users_until_the_first_write(client: HttpClient) -> None:
    with scripted(answering(EMPTY)) as server:
        request = client.post_url(server.url())
        request.headers.add("x-a", "1")
        request.headers.set("X-Case", "2", preserve_header_case=True)
        request.headers.remove_all("accept-encoding")
        request.write("x")
        with pytest.raises(HttpException):
            request.headers.add("x-late", "1")
        with pytest.raises(HttpException):
            request.content_length = 5
        with pytest.raises(HttpException):
            request.persistent_connection = False
        request.close()
        client.close()
    asked = server.asked[0]
    assert asked.header("x-a") == "1" and asked.header("accept-encoding") is None
    assert b"\r\nX-Case: 2\r\n" in asked.raw


def test_cookies_are_sent(client: HttpClient) -> None:
    with serving() as server:
        server.on("GET", "/")
        request = client.get_url(server.url)
        request.cookies.append(Cookie("a", "1"))
        request.cookies.append(Cookie("b", "2"))
        request.close()
        request = client.get_url(server.url)
        request.headers.set("cookie", "c=3")
        request.cookies.append(Cookie("d", "4"))
        request.close()
    assert [asked.headers["cookie"] for asked in server.requests] == ["a=1; b=2", "c=3; d=4"]


def test_a_connection_that_is_not_to_last(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        request = client.get_url(server.url())
        assert request.persistent_connection
        request.persistent_connection = False
        assert request.close().read() == b"ok"
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"
    assert server.asked[0].header("connection") == "close"


def test_what_a_request_says_of_itself(client: HttpClient) -> None:
    with scripted(answering(EMPTY)) as server:
        request = client.put("127.0.0.1", server.port, "/x")
        assert (request.method, str(request.uri)) == ("PUT", server.url("/x"))
        assert (request.follow_redirects, request.max_redirects, request.buffer_output) == (True, 5, True)
        assert request.content_length == -1
        assert request.connection_info is not None
        assert request.connection_info.remote_port == server.port
        assert request.connection_info.remote_address == InternetAddress.LOOPBACK_IP_V4
        assert repr(request) == f"<HttpClientRequest PUT {server.url('/x')} open>"
        request.close()
        assert repr(request).endswith(" closed>")
        client.close()


def test_a_closed_client_opens_nothing(client: HttpClient) -> None:
    client.close()
    client.close()
    with pytest.raises(StateError, match="the client is closed"):
        client.get_url("http://127.0.0.1:1/")
    assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting, closed>"


@pytest.mark.parametrize("context", ["context", 1, object()])
def test_a_context_of_another_type(context: Any) -> None:
    with pytest.raises(TypeError, match="expected a SecurityContext"):
        HttpClient(context=context)


@pytest.mark.needs("socket.AF_UNIX")
def test_a_unix_domain_socket(client: HttpClient, tmp_path: Any) -> None:
    """connection_factory gives the socket, a Unix-domain one here."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()

    def factory(url: Uri, proxy_host: str | None, proxy_port: int | None) -> socket.socket:
        assert (str(url), proxy_host, proxy_port) == ("http://docker/info", None, None)
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(tmp_path / "s"))
        return sock

    client.connection_factory = factory
    with listener:
        request = client.get_url("http://docker/info")
        peer, _ = listener.accept()
        with peer:
            peer.sendall(OK)
            response = request.close()
            assert response.read() == b"ok"
            assert response.connection_info is not None
            assert response.connection_info.remote_port == 0
            assert peer.recv(65536).startswith(b"GET /info HTTP/1.1\r\nhost: docker\r\n")


def test_a_factory_that_gives_no_socket(client: HttpClient) -> None:
    client.connection_factory = lambda url, host, port: None  # type: ignore[assignment, return-value]
    with pytest.raises(TypeError, match="connection_factory gave NoneType"):
        client.get_url("http://127.0.0.1/")
    assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"
