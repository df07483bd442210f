"""Proxies: which one, the environment's rules, absolute-form, CONNECT, and their credentials."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from blockingio import (
    HttpClient,
    HttpClientBasicCredentials,
    HttpClientDigestCredentials,
    HttpException,
    InternetAddress,
    Uri,
)
from blockingio.client.proxy import Proxy, parse_proxies
from tests.client.servers import OK, Asked, Peer, always, answering, basic, scripted


@pytest.fixture
def client() -> Iterator[HttpClient]:
    with HttpClient() as client:
        yield client


# ------------------------------------------------------------------ the PAC form


@pytest.mark.parametrize(
    "answer, expected",
    [
        ("DIRECT", [None]),
        (" direct ; ", [None]),
        ("PROXY a:1", [Proxy("a", 1)]),
        ("PROXY a:1; PROXY b:2; DIRECT", [Proxy("a", 1), Proxy("b", 2), None]),
        ("PROXY a:1;PROXY  b:2;;DIRECT;", [Proxy("a", 1), Proxy("b", 2), None]),
        ("proxy [::1]:3128", [Proxy("::1", 3128)]),
        ("HTTP a:1", [Proxy("a", 1)]),
        ("PROXY a:1\r\n", [Proxy("a", 1)]),
        ("PROXY user:pass@a:1", [Proxy("a", 1, basic("user", "pass"))]),
        ("PROXY us%40er:p%3Ass%25@a:1", [Proxy("a", 1, basic("us@er", "p:ss%"))]),
        ("PROXY user:100%@a:1", [Proxy("a", 1, basic("user", "100%"))]),
        ("PROXY user:%C3%A4@a:1", [Proxy("a", 1, basic("user", "ä"))]),
        ("PROXY user@a:1", [Proxy("a", 1, basic("user", ""))]),
        ("PROXY @a:1", [Proxy("a", 1)]),
        ("PROXY us@er:p ss@a:1", [Proxy("a", 1, basic("us@er", "p ss"))]),
    ],
)
def test_answers(answer: str, expected: list[Proxy | None]) -> None:
    assert parse_proxies(answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "",
        ";",
        "PROXY",
        "PROXY a",
        "PROXY a:",
        "PROXY :1",
        "PROXY a:b",
        "PROXY a:0",
        "PROXY a:65536",
        "PROXY a:1:2",
        "PROXY ::1:80",
        "SOCKS a:1",
        "HTTPS a:1",
        "a:1",
        "PROXY a:1, DIRECT",
        "PROXY a:1 DIRECT",
        "PROXY a/b:1",
        "PROXY a\0:1",
        "DIRECT; nonsense",
    ],
)
def test_bad_answers(client: HttpClient, answer: str) -> None:
    client.find_proxy = lambda url: answer
    with pytest.raises(HttpException):
        client.get_url("http://127.0.0.1:1/")


def test_an_answer_of_another_type(client: HttpClient) -> None:
    client.find_proxy = lambda url: None  # type: ignore[assignment, return-value]
    with pytest.raises(HttpException, match="find_proxy answered None"):
        client.get_url("http://127.0.0.1:1/")


def test_no_password_in_what_is_shown() -> None:
    assert repr(parse_proxies("PROXY user:secret@a:1")) == "[<Proxy a:1>]"
    with pytest.raises(HttpException) as caught:
        parse_proxies("PROXY user:secret@a:b")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("answer", ["PROXY us:er:pa%00ss@a:1"])
def test_a_password_that_cannot_be_sent(answer: str) -> None:
    with pytest.raises(HttpException, match="cannot be sent"):
        parse_proxies(answer)


def test_an_exception_in_find_proxy_is_the_users(client: HttpClient) -> None:
    def find_proxy(url: Uri) -> str:
        raise LookupError(str(url))

    client.find_proxy = find_proxy
    with pytest.raises(LookupError, match="http://a.example/x"):
        client.get_url("http://a.example/x")


# ------------------------------------------------------------------ the environment


@pytest.mark.parametrize(
    "url, environment, expected",
    [
        ("http://a.example/", {}, "DIRECT"),
        ("http://a.example/", {"http_proxy": ""}, "DIRECT"),
        ("http://a.example/", {"http_proxy": " "}, "DIRECT"),
        ("http://a.example/", {"http_proxy": "p"}, "PROXY p:1080"),
        ("http://a.example/", {"http_proxy": "p:8080"}, "PROXY p:8080"),
        ("http://a.example/", {"http_proxy": "http://p"}, "PROXY p:1080"),
        ("http://a.example/", {"http_proxy": "http://p:8080/"}, "PROXY p:8080"),
        ("http://a.example/", {"http_proxy": "http://p:8080/index.html"}, "PROXY p:8080"),
        ("http://a.example/", {"http_proxy": "[::ffff:1]"}, "PROXY [::ffff:1]:1080"),
        ("http://a.example/", {"http_proxy": "http://[::ffff:1]:8080/"}, "PROXY [::ffff:1]:8080"),
        ("http://a.example/", {"http_proxy": "http://user:p%40ss@p:8080"}, "PROXY user:p%40ss@p:8080"),
        ("http://a.example/", {"http_proxy": "http://user:p@ss@p:8080"}, "PROXY user:p%40ss@p:8080"),
        ("http://a.example/", {"http_proxy": "HTTP://p:8080"}, "PROXY p:8080"),
        ("http://a.example/", {"https_proxy": "p:1"}, "DIRECT"),
        ("https://a.example/", {"http_proxy": "p:1"}, "DIRECT"),
        ("https://a.example/", {"https_proxy": "p:1", "http_proxy": "q:1"}, "PROXY p:1"),
        ("https://a.example/", {"HTTPS_PROXY": "p:1"}, "PROXY p:1"),
        ("http://a.example/", {"http_proxy": "p:1", "HTTP_PROXY": "q:1"}, "PROXY p:1"),
        ("http://a.example/", {"http_proxy": "", "HTTP_PROXY": "q:1"}, "DIRECT"),
        ("http://a.example/", {"HTTP_PROXY": "q:1"}, "PROXY q:1"),
        # In a CGI program HTTP_PROXY is what a client sent as a field "Proxy".
        ("http://a.example/", {"HTTP_PROXY": "q:1", "REQUEST_METHOD": "GET"}, "DIRECT"),
        ("http://a.example/", {"http_proxy": "p:1", "REQUEST_METHOD": "GET"}, "PROXY p:1"),
        ("https://a.example/", {"HTTPS_PROXY": "q:1", "REQUEST_METHOD": "GET"}, "PROXY q:1"),
        ("ftp://a.example/", {"ftp_proxy": "p:1"}, "DIRECT"),
    ],
)
def test_the_environment(url: str, environment: dict[str, str], expected: str) -> None:
    assert HttpClient.find_proxy_from_environment(Uri.parse(url), environment=environment) == expected


@pytest.mark.parametrize(
    "no_proxy, direct, proxied",
    [
        (
            "a.example",
            ["http://a.example/", "http://b.a.example/", "http://A.Example:8080/", "http://a.example./"],
            ["http://nota.example/", "http://a.example.org/", "http://example/"],
        ),
        (".a.example", ["http://a.example/", "http://b.a.example/"], ["http://nota.example/"]),
        ("*.a.example", ["http://b.a.example/"], ["http://nota.example/"]),
        ("A.EXAMPLE", ["http://a.example/"], []),
        ("*", ["http://a.example/", "http://10.0.0.1/", "http://[::1]/"], []),
        ("b,*", ["http://a.example/"], []),
        (
            "a.example:8080",
            ["http://a.example:8080/", "http://b.a.example:8080/"],
            ["http://a.example/", "http://a.example:80/"],
        ),
        ("a.example:80", ["http://a.example/"], ["http://a.example:8080/"]),
        (
            ",,  , www.b.example,,.example    ",
            ["http://a.example/", "http://www.b.example/"],
            ["http://a.other/"],
        ),
        ("x a.example\ty", ["http://a.example/"], []),
        (
            "127.0.0.1",
            ["http://127.0.0.1/"],
            ["http://127.0.0.2/", "http://1.127.0.0.1.example/", "http://[::1]/"],
        ),
        ("127.0.0.1:81", ["http://127.0.0.1:81/"], ["http://127.0.0.1/"]),
        ("0.0.1", [], ["http://127.0.0.1/"]),  # an address has no part that would be a domain
        (
            "10.0.0.0/8",
            ["http://10.0.0.1/", "http://10.255.255.255/"],
            ["http://11.0.0.0/", "http://9.255.255.255/"],
        ),
        ("10.1.2.3/8", ["http://10.9.9.9/"], []),
        ("10.0.0.4/31", ["http://10.0.0.4/", "http://10.0.0.5/"], ["http://10.0.0.6/"]),
        ("10.0.0.0/0", ["http://1.2.3.4/"], ["http://[::1]/", "http://a.example/"]),
        ("10.0.0.0/33", [], ["http://10.0.0.0/"]),
        ("10.0.0.0/x", [], ["http://10.0.0.0/"]),
        ("10.0.0.0/", [], ["http://10.0.0.0/"]),
        ("10.0.0/8", [], ["http://10.0.0.0/"]),
        ("::1", ["http://[::1]/", "http://[0:0:0:0:0:0:0:1]:8080/"], ["http://[::2]/"]),
        ("[::1]", ["http://[::1]/"], ["http://[::2]/"]),
        ("[::1]:8080", ["http://[::1]:8080/"], ["http://[::1]/"]),
        ("fe80::/10", ["http://[fe80::1]/", "http://[febf::1]/"], ["http://[fec0::1]/"]),
        ("::ffff:10.0.0.1", ["http://10.0.0.1/", "http://[::ffff:10.0.0.1]/"], []),
        ("[", [], ["http://[::1]/"]),
        ("[]", [], ["http://[::1]/"]),
        ("", [], ["http://a.example/"]),
        (".", [], ["http://a.example/"]),
        ("a.example.", ["http://a.example/", "http://b.a.example./"], ["http://example./"]),
        (
            "b\u00fccher.example",
            ["http://b\u00fccher.example/", "http://xn--bcher-kva.example/", "http://a.B\u00dcCHER.example./"],
            ["http://bucher.example/"],
        ),
        ("*.xn--bcher-kva.example", ["http://b\u00fccher.example/"], ["http://xn--bcher-kva.example.org/"]),
        ("\u00fc" * 70 + " .. a.example \udcff", ["http://a.example/"], ["http://b.example/"]),  # no hosts
    ],
)
def test_no_proxy(no_proxy: str, direct: list[str], proxied: list[str]) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        environment = {"http_proxy": "p:1", name: no_proxy}
        for url in direct:
            assert (
                HttpClient.find_proxy_from_environment(Uri.parse(url), environment=environment) == "DIRECT"
            ), url
        for url in proxied:
            assert (
                HttpClient.find_proxy_from_environment(Uri.parse(url), environment=environment) == "PROXY p:1"
            ), url


@pytest.mark.parametrize("value", ["https://p:1", "HTTPS://p", "socks5://p:1", "socks://p", "ftp://p:1", "x-y://p:1"])
@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"])
def test_a_scheme_that_is_not_spoken_with_proxies(client: HttpClient, name: str, value: str) -> None:
    url = Uri.parse(f"{name[:-6].lower()}://a.example/")
    value = value.replace("://", "://user:secret@")
    with pytest.raises(HttpException, match=f"{name} names a proxy by .*, expected http://") as caught:
        HttpClient.find_proxy_from_environment(url, environment={name: value})
    assert "secret" not in str(caught.value) and "PROXY p" not in str(caught.value)


def test_nothing_goes_in_plain_text_to_a_proxy_by_https(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with scripted(lambda peer: peer.is_ended()) as proxy:
        monkeypatch.setenv("http_proxy", f"https://user:secret@127.0.0.1:{proxy.port}")
        with pytest.raises(HttpException, match="http_proxy names a proxy by https://"):
            client.get_url("http://a.example/")
        assert proxy.connections == 0


@pytest.mark.parametrize(
    "value", ["p q", "p:0", "p:65536", "p:x", "[::1", ":80", "http://", "u:secret@", "u:secret@:80"]
)
def test_a_variable_that_is_no_proxy(value: str) -> None:
    with pytest.raises(HttpException, match="the environment variable http_proxy is ") as caught:
        HttpClient.find_proxy_from_environment(Uri.parse("http://a/"), environment={"http_proxy": value})
    assert "secret" not in str(caught.value)


PASSWORDS = ["p/ss", "p;ss", "p@ss", "p ss", "p:ss", "p#ss", "p?ss", "p%ss", "p%40ss", "pä", "//", "@", ";"]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("prefix", ["", "http://"])
@pytest.mark.parametrize("wrap", [lambda found: found, lambda found: f"{found}; DIRECT"])
def test_a_proxys_password_survives(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch, prefix: str, password: str, wrap: Any
) -> None:
    """Whatever its characters, and also where a function of the user's adds to the answer."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    client.find_proxy = lambda url: wrap(HttpClient.find_proxy_from_environment(url))
    meant = password.replace("%40", "@")  # what is encoded already is meant so
    with scripted(answering(OK)) as proxy:
        monkeypatch.setenv("http_proxy", f"{prefix}us/er:{password}@127.0.0.1:{proxy.port}")
        assert client.get_url("http://a.example/").close().read() == b"ok"
        client.close()
    assert proxy.asked[0].header("proxy-authorization") == basic("us/er", meant)


@pytest.mark.parametrize(
    "answer",
    ["PROXY user:secret@a:b", "PROXY user:sec;ret@a:1", "PROXY user:sec ret@", "SOCKS user:secret@a:1"],
)
def test_an_answer_that_is_none_shows_no_password(client: HttpClient, answer: str) -> None:
    client.find_proxy = lambda url: answer
    with pytest.raises(HttpException) as caught:
        client.get_url("http://a/")
    assert "sec" not in str(caught.value) and "ret" not in str(caught.value)


def test_no_proxy_in_lower_case_goes_first() -> None:
    environment = {"http_proxy": "p:1", "no_proxy": "b.example", "NO_PROXY": "a.example"}
    assert (
        HttpClient.find_proxy_from_environment(Uri.parse("http://a.example/"), environment=environment)
        == "PROXY p:1"
    )


def test_the_environment_is_the_default(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.find_proxy is HttpClient.find_proxy_from_environment
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    with scripted(answering(OK)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}/")
        assert client.get_url("http://a.example/x").close().read() == b"ok"
        client.close()
    assert proxy.asked[0].target == "http://a.example/x"


def test_the_environment_counts_the_moment_that_it_changes(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    with scripted(answering(*[OK] * 3)) as server, scripted(answering(*[OK] * 4)) as proxy:
        url, named = server.url("/x"), {"http_proxy": f"http://127.0.0.1:{proxy.port}/"}

        def ask() -> None:
            assert client.get_url(url).close().read() == b"ok"

        ask()
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, named["http_proxy"])
            ask()
            monkeypatch.delenv(name)
        ask()
        with monkeypatch.context() as replaced:
            replaced.setattr(os, "environ", dict(named))
            ask()
        ask()
        os.environ.update(named)
        ask()
        monkeypatch.delenv("http_proxy")
        client.close()
    assert [asked.target for asked in server.asked] == ["/x"] * 3
    assert [asked.target for asked in proxy.asked] == [url] * 4


# ------------------------------------------------------------------ http: absolute-form


@pytest.mark.parametrize(
    "url, target, host",
    [
        ("http://a.example/x?y#z", "http://a.example/x?y", "a.example"),
        ("http://a.example", "http://a.example/", "a.example"),
        ("http://a.example:8080/", "http://a.example:8080/", "a.example:8080"),
        ("http://[::1]:81/", "http://[::1]:81/", "[::1]:81"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/", "xn--bcher-kva.example"),
        ("http://user:pass@a.example/", "http://a.example/", "a.example"),
    ],
)
def test_http_is_asked_for_by_its_whole_url(client: HttpClient, url: str, target: str, host: str) -> None:
    with scripted(answering(OK)) as proxy:
        client.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        request = client.get_url(url)
        assert request.connection_info is not None
        assert request.connection_info.remote_port == proxy.port
        assert request.close().read() == b"ok"
        client.close()
    assert (proxy.asked[0].target, proxy.asked[0].header("host")) == (target, host)


def test_proxies_are_tried_in_order(client: HttpClient) -> None:
    with scripted(answering(OK)) as proxy, socket.socket() as refusing, scripted(answering()) as unused:
        refusing.bind(("127.0.0.1", 0))
        answer = (
            f"PROXY 127.0.0.1:{refusing.getsockname()[1]}; PROXY 127.0.0.1:{proxy.port}; "
            f"PROXY 127.0.0.1:{unused.port}; DIRECT"
        )
        client.find_proxy = lambda url: answer
        assert client.get_url("http://a.example/").close().read() == b"ok"
        client.close()
        assert unused.connections == 0


def test_direct_at_last(client: HttpClient) -> None:
    with scripted(answering(OK)) as server, socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        client.find_proxy = lambda url: f"PROXY 127.0.0.1:{refusing.getsockname()[1]}; DIRECT"
        assert client.get_url(server.url("/x")).close().read() == b"ok"
        client.close()
    assert server.asked[0].target == "/x"


def test_the_last_error_is_raised(client: HttpClient) -> None:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], two.getsockname()[1]
        client.find_proxy = lambda url: "; ".join(f"PROXY 127.0.0.1:{port}" for port in ports)
        with pytest.raises(ConnectionRefusedError, match=f"port = {ports[1]}"):
            client.get_url("http://a.example/")
    assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_a_redirect_may_leave_the_proxy(client: HttpClient) -> None:
    """What the library made for the proxy is not told to the server."""
    with scripted(answering(OK)) as server:
        moved = f"HTTP/1.1 302 Found\r\nlocation: {server.url('/new')}\r\ncontent-length: 0\r\n\r\n".encode()
        with scripted(answering(moved)) as proxy:
            client.find_proxy = lambda url: (
                "DIRECT" if url.path == "/new" else f"PROXY u:p@127.0.0.1:{proxy.port}"
            )
            assert client.get_url(server.url("/old")).close().read() == b"ok"
            client.close()
        assert proxy.asked[0].header("proxy-authorization") == basic("u", "p")
    assert server.asked[0].target == "/new"
    assert server.asked[0].header("proxy-authorization") is None


def test_a_factory_is_told_of_the_proxy(client: HttpClient) -> None:
    calls = []

    def factory(url: Uri, host: str | None, port: int | None) -> socket.socket:
        calls.append((str(url), host, port))
        return socket.create_connection(("127.0.0.1", proxy.port))

    with scripted(answering(OK)) as proxy:
        client.find_proxy = lambda url: "PROXY p.example:3128"
        client.connection_factory = factory
        assert client.get_url("http://a.example/").close().read() == b"ok"
        client.close()
    assert calls == [("http://a.example/", "p.example", 3128)]


# ------------------------------------------------------------------ credentials for proxies


def guarded(text: str, check: Any) -> Any:
    """A proxy that wants credentials."""

    def answer(asked: Asked) -> bytes:
        if check(asked.header("proxy-authorization")):
            return OK
        return (
            b"HTTP/1.1 407 Who Are You\r\nproxy-authenticate: %b\r\ncontent-length: 4\r\n\r\nwho?"
            % text.encode()
        )

    return always(answer)


def test_credentials_in_the_url_of_a_proxy(client: HttpClient) -> None:
    with scripted(answering(OK)) as proxy:
        client.find_proxy = lambda url: f"PROXY us%40er:pa%3Ass@127.0.0.1:{proxy.port}"
        request = client.get_url("http://a.example/")
        assert request.headers.value("proxy-authorization") == basic("us@er", "pa:ss")
        request.close().read()
        client.close()
    assert proxy.asked[0].header("proxy-authorization") == basic("us@er", "pa:ss")


def test_credentials_added_for_a_proxy_are_sent_at_once(client: HttpClient) -> None:
    with scripted(answering(OK)) as proxy, scripted(answering(OK)) as server:
        client.add_proxy_credentials("127.0.0.1", proxy.port, "r", HttpClientBasicCredentials("u", "p"))
        client.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        client.get_url("http://a.example/").close().read()
        client.find_proxy = None
        client.get_url(server.url()).close().read()
        client.close()
    assert proxy.asked[0].header("proxy-authorization") == basic("u", "p")
    assert server.asked[0].header("proxy-authorization") is None


def test_digest_for_a_proxy(client: HttpClient) -> None:
    def check(value: str | None) -> bool:
        # RFC 7616 3.4.6: the request-target as it is sent, which is absolute.
        parts = ('uri="http://a.example/x"', 'nonce="n"', "nc=0000000")
        return value is not None and all(part in value for part in parts)

    with scripted(guarded('Digest realm="r", nonce="n", qop="auth"', check)) as proxy:
        client.add_proxy_credentials("127.0.0.1", proxy.port, "r", HttpClientDigestCredentials("u", "p"))
        client.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        for _ in range(2):
            assert client.get_url("http://a.example/x").close().read() == b"ok"
        client.close()


def test_authenticate_proxy(client: HttpClient) -> None:
    calls = []

    def authenticate(host: str, port: int, scheme: str, realm: str | None) -> bool:
        calls.append((host, port, scheme, realm))
        client.add_proxy_credentials(host, port, "r", HttpClientBasicCredentials("u", "p"))
        return True

    with scripted(guarded('Basic realm="r"', lambda value: value == basic("u", "p"))) as proxy:
        client.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        client.authenticate_proxy = authenticate
        assert client.get_url("http://a.example/").close().read() == b"ok"
        assert calls == [("127.0.0.1", proxy.port, "Basic", "r")]
        client.close()


@pytest.mark.parametrize("authenticate", [None, lambda *args: False, lambda *args: True])
def test_a_proxy_that_is_not_satisfied(client: HttpClient, authenticate: Any) -> None:
    client.authenticate_proxy = authenticate
    with scripted(guarded('Basic realm="r"', lambda value: False)) as proxy:
        client.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        response = client.get_url("http://a.example/").close()
        assert (response.status_code, response.read()) == (407, b"who?")
        client.close()


def test_nextnonce_of_a_proxy(client: HttpClient) -> None:
    nonces = []

    def answer(asked: Asked) -> bytes:
        value = asked.header("proxy-authorization")
        if value is None:
            return (
                b'HTTP/1.1 407 X\r\nproxy-authenticate: Digest realm="r", nonce="n0", qop="auth"\r\n'
                b"content-length: 0\r\n\r\n"
            )
        match = re.search('nonce="([^"]*)"', value)
        assert match
        nonces.append(match[1])
        return (
            f'HTTP/1.1 200 OK\r\nproxy-authentication-info: nextnonce="n{len(nonces)}"\r\n'
            "content-length: 0\r\n\r\n"
        ).encode()

    with scripted(always(answer)) as proxy:
        client.add_proxy_credentials("127.0.0.1", proxy.port, "r", HttpClientDigestCredentials("u", "p"))
        client.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        for _ in range(3):
            client.get_url("http://a.example/").close()
        client.close()
    assert nonces == ["n0", "n1", "n2"]


# ------------------------------------------------------------------ https: tunnels


class Tunnel:
    """A proxy that answers CONNECT itself and then plays the server, with TLS; or refuses."""

    def __init__(
        self, context: Any, *refusals: bytes, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    ) -> None:
        self.context = context
        self.refusals = list(refusals)
        self.answer = answer
        self.connects: list[Asked] = []
        self.asked: list[Asked] = []

    def __call__(self, peer: Peer) -> None:
        asked = peer.ask()
        if asked is None:
            return
        self.connects.append(asked)
        if self.refusals:
            peer.send(self.refusals.pop(0))
            assert peer.is_ended()
            return
        peer.send(self.answer)
        peer.secure(self.context)
        while (request := peer.ask()) is not None:
            self.asked.append(request)
            peer.send(OK)


@pytest.fixture
def secure(certificates: Any) -> Iterator[HttpClient]:
    with HttpClient(context=certificates.client_context()) as client:
        yield client


def test_https_goes_through_a_tunnel(secure: HttpClient, certificates: Any) -> None:
    tunnel = Tunnel(certificates.server_context())
    with scripted(tunnel) as proxy:
        secure.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        for _ in range(2):
            response = secure.get_url("https://localhost:8443/x?y").close()
            assert response.read() == b"ok"
        assert response.certificate is not None
        assert response.connection_info is not None
        assert response.connection_info.remote_address == InternetAddress.LOOPBACK_IP_V4
        secure.close()
        assert proxy.connections == 1
    connect = tunnel.connects[0]
    assert (connect.line, connect.header("host")) == ("CONNECT localhost:8443 HTTP/1.1", "localhost:8443")
    assert connect.header("user-agent") == secure.user_agent
    assert connect.header("proxy-authorization") is None
    assert [asked.line for asked in tunnel.asked] == ["GET /x?y HTTP/1.1"] * 2
    assert tunnel.asked[0].header("host") == "localhost:8443"


def test_the_port_is_always_there_in_connect(secure: HttpClient, certificates: Any) -> None:
    tunnel = Tunnel(certificates.server_context())
    with scripted(tunnel) as proxy:
        secure.find_proxy = lambda url: f"PROXY u:p@127.0.0.1:{proxy.port}"
        secure.user_agent = None
        assert secure.get_url("https://localhost/").close().read() == b"ok"
        secure.close()
    assert tunnel.connects[0].line == "CONNECT localhost:443 HTTP/1.1"
    assert tunnel.connects[0].header("proxy-authorization") == basic("u", "p")
    assert tunnel.connects[0].header("user-agent") is None
    assert tunnel.asked[0].header("proxy-authorization") is None  # not for the server
    assert tunnel.asked[0].header("host") == "localhost"


def test_an_ipv6_host_in_connect(secure: HttpClient, certificates: Any) -> None:
    tunnel = Tunnel(certificates.server_context())
    with scripted(tunnel) as proxy:
        secure.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        assert secure.get_url("https://[::1]/").close().read() == b"ok"
        secure.close()
    assert tunnel.connects[0].line == "CONNECT [::1]:443 HTTP/1.1"


def test_interim_responses_to_connect(secure: HttpClient, certificates: Any) -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 204 Fine\r\nx: y\r\n\r\n"
    with scripted(Tunnel(certificates.server_context(), answer=answer)) as proxy:
        secure.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        assert secure.get_url("https://localhost/").close().read() == b"ok"
        secure.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: frobnicate\r\n\r\n",
        b"HTTP/1.1 103 \r\ncontent-length: -1\r\n\r\nHTTP/1.1 200\ncontent-length: -1\n\n",
    ],
)
def test_framing_means_nothing_in_an_answer_to_connect(
    secure: HttpClient, certificates: Any, answer: bytes
) -> None:
    with scripted(Tunnel(certificates.server_context(), answer=answer)) as proxy:
        secure.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        assert secure.get_url("https://localhost/").close().read() == b"ok"
        secure.close()


def test_the_head_of_an_answer_to_connect_has_its_limits(secure: HttpClient) -> None:
    secure.max_header_count = 2
    with scripted(answering(b"HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n")) as proxy:
        secure.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        with pytest.raises(HttpException, match="did not answer CONNECT: the header section has 3 fields"):
            secure.get_url("https://localhost/")


@pytest.mark.parametrize(
    "refusal, message",
    [
        (
            b"HTTP/1.1 403 Not For You\r\ncontent-length: 2\r\n\r\nno",
            "refused CONNECT localhost:443: 403 Not For You",
        ),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "refused CONNECT localhost:443: 502 Bad Gateway"),
        (b"HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", "refused CONNECT localhost:443: 302 Found"),
        (b"HTTP/1.1 407 Who\r\ncontent-length: 0\r\n\r\n", "refused CONNECT localhost:443: 407 Who"),
        (b"nonsense\r\n\r\n", "did not answer CONNECT: the status line is 'nonsense'"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 101, "did not answer CONNECT: 100 interim responses"),
    ],
)
def test_a_refused_tunnel(secure: HttpClient, refusal: bytes, message: str) -> None:
    with scripted(answering(refusal)) as proxy:
        secure.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        with pytest.raises(HttpException, match=re.escape(message)) as caught:
            secure.get_url("https://localhost/")
        assert f"the proxy 127.0.0.1:{proxy.port}" in caught.value.message
        assert str(caught.value.uri) == "https://localhost/"
        assert repr(secure) == "<HttpClient 0 active, 0 idle, 0 waiting>"


@pytest.mark.parametrize("started", [b"", b"HTTP/1.1 200"])
def test_a_proxy_that_goes_away(secure: HttpClient, started: bytes) -> None:
    with scripted(answering(started, then_close=True)) as proxy:
        secure.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        with pytest.raises(HttpException, match="did not answer CONNECT"):
            secure.get_url("https://localhost/")


@pytest.mark.parametrize("started", [b"", b"HTTP/1.1 200"])
def test_a_proxy_that_does_not_answer(secure: HttpClient, started: bytes) -> None:
    with scripted(answering(started)) as proxy:
        secure.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        secure.connection_timeout = 0.1
        with pytest.raises(
            TimeoutError,
            match=f"no answer to CONNECT within 0.1 seconds, address = 127.0.0.1, port = {proxy.port}",
        ):
            secure.get_url("https://localhost/")


def test_the_next_proxy_where_a_tunnel_is_refused(secure: HttpClient, certificates: Any) -> None:
    with (
        scripted(answering(b"HTTP/1.1 503 X\r\n\r\n")) as bad,
        scripted(Tunnel(certificates.server_context())) as good,
    ):
        secure.find_proxy = lambda url: f"PROXY 127.0.0.1:{bad.port}; PROXY 127.0.0.1:{good.port}"
        assert secure.get_url("https://localhost/").close().read() == b"ok"
        secure.close()


ASKS = b"HTTP/1.1 407 Who\r\nproxy-authenticate: %b\r\ncontent-length: 0\r\n\r\n"


def test_credentials_for_a_tunnel(secure: HttpClient, certificates: Any) -> None:
    tunnel = Tunnel(
        certificates.server_context(), ASKS % b'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'
    )
    with scripted(tunnel) as proxy:
        secure.add_proxy_credentials("127.0.0.1", proxy.port, "r", HttpClientDigestCredentials("u", "p"))
        secure.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        assert secure.get_url("https://localhost/").close().read() == b"ok"
        secure.close()
    first, second = tunnel.connects
    assert first.header("proxy-authorization") is None
    value = second.header("proxy-authorization")
    assert value is not None and 'uri="localhost:443"' in value and "nc=00000001" in value


def test_authenticate_proxy_for_a_tunnel(secure: HttpClient, certificates: Any) -> None:
    def authenticate(host: str, port: int, scheme: str, realm: str | None) -> bool:
        secure.add_proxy_credentials(host, port, realm or "", HttpClientBasicCredentials("u", "p"))
        return True

    tunnel = Tunnel(certificates.server_context(), ASKS % b'Basic realm="r"')
    with scripted(tunnel) as proxy:
        secure.authenticate_proxy = authenticate
        secure.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        assert secure.get_url("https://localhost/").close().read() == b"ok"
        secure.close()
    assert tunnel.connects[1].header("proxy-authorization") == basic("u", "p")


@pytest.mark.parametrize("authenticate", [lambda *args: False, lambda *args: True])
def test_a_tunnel_for_which_nobody_has_credentials(secure: HttpClient, authenticate: Any) -> None:
    with scripted(answering(ASKS % b'Basic realm="r"')) as proxy:
        secure.authenticate_proxy = authenticate
        secure.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        with pytest.raises(HttpException, match="refused CONNECT localhost:443: 407"):
            secure.get_url("https://localhost/")


def test_wrong_credentials_for_a_tunnel_end_somewhere(secure: HttpClient) -> None:
    def authenticate(host: str, port: int, scheme: str, realm: str | None) -> bool:
        secure.add_proxy_credentials(host, port, "r", HttpClientBasicCredentials("u", "p"))
        return True

    with scripted(answering(ASKS % b'Basic realm="r"')) as proxy:
        secure.authenticate_proxy = authenticate
        secure.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        with pytest.raises(HttpException, match="refused CONNECT localhost:443: 407"):
            secure.get_url("https://localhost/")


def test_a_bad_certificate_behind_a_tunnel(certificates: Any) -> None:
    """The second connection goes through the proxy too."""
    tunnel = Tunnel(certificates.server_context())

    def script(peer: Peer) -> None:
        try:
            tunnel(peer)
        except OSError:
            pass  # the first handshake is broken off

    with scripted(script) as proxy, HttpClient() as client:
        client.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"
        client.bad_certificate_callback = lambda certificate, host, port: (host, port) == ("localhost", 443)
        assert client.get_url("https://localhost/").close().read() == b"ok"
        client.close()
    assert len(tunnel.connects) == 2
