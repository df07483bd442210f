"""Redirects: which are followed, with which method and fields, and when it is enough."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from blockingio import Cookie, HttpClient, HttpException, RedirectException, RedirectInfo, StateError, Uri
from blockingio.client.redirects import is_trusted
from blockingio.testing import serving
from tests.client.servers import OK, Asked, Peer, always, answering, scripted


def to(location: str, status: int = 302, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Moved\r\nlocation: %b\r\ncontent-length: %d\r\n\r\n%b" % (
        status,
        location.encode("latin-1"),
        len(body),
        body,
    )


def described(redirects: list[RedirectInfo]) -> list[tuple[int, str, str]]:
    return [(info.status_code, info.method, info.location.path) for info in redirects]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_get_and_head_are_followed(client: HttpClient, status: int, method: str) -> None:
    body = b"" if method == "HEAD" else b"moved"
    ok = OK if method == "GET" else b"HTTP/1.1 200 OK\r\n\r\n"
    with scripted(answering(to("/new", status, body), ok)) as server:
        response = client.open_url(method, server.url("/old")).close()
        assert response.status_code == 200 and not response.is_redirect
        assert described(response.redirects) == [(status, method, "/new")]
        response.read()
        client.close()
        assert server.connections == 1
    assert [asked.line for asked in server.asked] == [f"{method} /old HTTP/1.1", f"{method} /new HTTP/1.1"]


def test_post_after_303_becomes_get_without_a_body(client: HttpClient) -> None:
    with serving() as server:
        server.on("POST", "/old", status=303, headers={"Location": "/new"})
        server.on("GET", "/new", body="ok")
        request = client.post_url(server.url + "/old")
        request.headers.set("content-type", "text/plain")
        request.headers.set("x-mine", "1")
        request.write("body")
        response = request.close()
        assert response.read() == b"ok"
        assert described(response.redirects) == [(303, "GET", "/new")]
    new = server.requests[1]
    assert (new.body, new.headers["x-mine"]) == (b"", "1")
    for name in ("content-length", "content-type", "transfer-encoding"):
        assert name not in new.headers


@pytest.mark.parametrize(
    "method, status",
    [
        ("POST", 301),
        ("POST", 302),
        ("POST", 307),
        ("POST", 308),
        ("PUT", 303),
        ("PUT", 307),
        ("DELETE", 302),
        ("PATCH", 308),
        ("OPTIONS", 301),
    ],
)
def test_others_are_the_users(client: HttpClient, method: str, status: int) -> None:
    with serving() as server:
        server.on(method, "/", status=status, headers={"Location": "/new"})
        response = client.open_url(method, server.url).close()
        assert (response.status_code, response.is_redirect, response.redirects) == (status, False, [])


@pytest.mark.parametrize("status", [300, 304, 305, 306, 309, 399, 200, 201])
def test_statuses_that_are_no_redirects(client: HttpClient, status: int) -> None:
    with scripted(answering(to("/new", status))) as server:
        response = client.get_url(server.url()).close()
        assert (response.status_code, response.is_redirect) == (status, False)
        client.close()


def test_not_followed_unless_wanted(client: HttpClient) -> None:
    with serving() as server:
        server.on("GET", "/", status=302, headers={"Location": "/new"}, body="moved")
        request = client.get_url(server.url)
        request.follow_redirects = False
        response = request.close()
        assert (response.status_code, response.is_redirect, response.redirects) == (302, True, [])
        assert response.read() == b"moved"


def test_without_a_location_it_is_the_users(client: HttpClient) -> None:
    with scripted(answering(b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n")) as server:
        response = client.get_url(server.url()).close()
        assert (response.status_code, response.is_redirect) == (302, True)
        with pytest.raises(StateError, match="no Location"):
            response.redirect()
        client.close()


@pytest.mark.parametrize(
    "location, target",
    [
        ("/a", "/a"),
        ("b", "/x/b"),
        ("../c", "/c"),
        ("?q", "/x/y?q"),
        ("d#fragment", "/x/d"),
        ("e f", "/x/e%20f"),
        ("\xe9", "/x/%E9"),
        ("\xc3\xa9", "/x/%C3%A9"),
        ("/100%", "/100%25"),
        ("/%zz?%&%41", "/%25zz?%25&%41"),
        ("/a%2fb%2", "/a%2fb%252"),
    ],
)
def test_a_location_may_be_relative(client: HttpClient, location: str, target: str) -> None:
    with scripted(answering(to(location), OK)) as server:
        response = client.get_url(server.url("/x/y?old")).close()
        assert server.asked[1].target == target
        assert str(response.redirects[0].location).startswith(server.url())
        response.read()
        client.close()


@pytest.mark.parametrize(
    "location",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http://[",
        "mailto:a@b",
        "http:///x",
        # Hosts that no name server can be asked for.
        "http://a%20b/",
        "http://local host/",
        "http://%00/",
        "//a b/",
        "//%00/",
        "http://\xff/",
        "http://a%2fb/",
        "http://a%zz/",
        "http://" + "\xc3\xbc" * 70 + ".example/",  # too long as IDNA has it
        "http://xn--\xc3\xbc/",
        "http://\xe2\x80\xae.example/",  # what IDNA forbids
        # User information that cannot be sent as Basic credentials.
        "http://a%3Ab:c@127.0.0.1/",
        "//a%0d%0ab@127.0.0.1/",
        "http://a:%00@127.0.0.1/",
        # Ports that are none.
        "http://a:99999/",
        "http://a:b/",
    ],
)
def test_a_location_that_leads_nowhere(client: HttpClient, location: str) -> None:
    with scripted(answering(to(location))) as server:
        with pytest.raises(HttpException, match="a redirect leads to"):
            client.get_url(server.url()).close()
        client.close()


@pytest.mark.parametrize("host", ["a..b", ".a", "a" * 64 + ".example"])
def test_a_location_with_a_name_that_tls_cannot_have(client: HttpClient, host: str) -> None:
    """Where nobody looked the name up before, as through a proxy, it is an OSError all the same."""
    with scripted(answering(to(f"https://{host}/")), lambda peer: peer.is_ended()) as server:
        client.connection_factory = anywhere(lambda: server.port)
        with pytest.raises(OSError, match=f"not a host name.*address = {host}, port = 443"):
            client.get_url("http://a.example/").close()
        client.close()


@pytest.mark.parametrize("path", ["/x/y?old", "/"])
def test_an_empty_location_is_no_redirect(client: HttpClient, path: str) -> None:
    with scripted(answering(to("", body=b"here"))) as server:
        response = client.get_url(server.url(path)).close()
        assert (response.status_code, response.redirects) == (302, [])
        with pytest.raises(StateError, match="no Location"):
            response.redirect()
        assert response.read() == b"here"
        client.close()


def test_a_redirect_by_hand_to_nowhere(client: HttpClient) -> None:
    with scripted(answering(to("http://a%20b/", 307))) as server:
        response = client.post_url(server.url()).close()
        with pytest.raises(HttpException, match="a redirect leads to"):
            response.redirect()
        client.close()


def test_max_redirects(client: HttpClient) -> None:
    count = 0

    def further(asked: Asked) -> bytes:
        nonlocal count
        count += 1
        return to(f"/{count}")

    with scripted(always(further)) as server:
        with pytest.raises(RedirectException, match="more than 5 redirects") as caught:
            client.get_url(server.url()).close()
        assert [info.location.path for info in caught.value.redirects] == ["/1", "/2", "/3", "/4", "/5"]
        assert isinstance(caught.value, HttpException)
        client.close()
        assert count == 6


@pytest.mark.parametrize("most", [0, 1, 2])
def test_max_redirects_can_be_set(client: HttpClient, most: int) -> None:
    with scripted(answering(*[to(f"/{number}") for number in range(most)], OK)) as server:
        request = client.get_url(server.url())
        request.max_redirects = most
        response = request.close()
        assert len(response.redirects) == most
        response.read()
        client.close()
    with (
        scripted(answering(*[to(f"/{number}") for number in range(most + 1)])) as server,
        HttpClient() as client,
    ):
        client.find_proxy = None
        request = client.get_url(server.url())
        request.max_redirects = most
        with pytest.raises(RedirectException) as caught:
            request.close()
        assert len(caught.value.redirects) == most


def test_loops(client: HttpClient) -> None:
    with scripted(always(lambda asked: to("/b" if asked.target == "/a" else "/a"))) as server:
        with pytest.raises(RedirectException, match="round in a circle") as caught:
            client.get_url(server.url("/a")).close()
        assert described(caught.value.redirects) == [(302, "GET", "/b"), (302, "GET", "/a")]
        client.close()


def test_the_body_of_a_redirect_is_read_away(client: HttpClient) -> None:
    with scripted(answering(to("/new", body=b"x" * 100_000), OK)) as server:
        assert client.get_url(server.url()).close().read() == b"ok"
        client.close()
        assert server.connections == 1


def test_a_body_that_is_too_long_costs_the_connection(client: HttpClient) -> None:
    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 302 Found\r\nlocation: /new\r\ncontent-length: 1000000000\r\n\r\n")
        assert peer.is_ended()

    with scripted(script, answering(OK)) as server:
        assert client.get_url(server.url()).close().read() == b"ok"
        client.close()


def test_one_connection_is_enough(client: HttpClient) -> None:
    client.max_connections_per_host = 1
    with scripted(answering(to("/a"), to("/b"), OK)) as server:
        assert client.get_url(server.url()).close().read() == b"ok"
        client.close()


# ------------------------------------------------------------------ what travels

FIELDS = {
    "authorization": "Basic eDp5",
    "cookie": "a=1",
    "www-authenticate": "x",
    "cookie2": "b",
    "x-mine": "1",
    "proxy-authorization": "Basic eDp5",
    "accept": "text/html",
}
SENSITIVE = {"authorization", "cookie", "www-authenticate", "cookie2", "proxy-authorization"}


@pytest.mark.parametrize(
    "first, second, travels",
    [
        ("http://a.example/", "http://a.example/x", True),
        ("http://a.example/", "http://A.EXAMPLE:80/x", True),
        ("http://a.example/", "http://sub.a.example/x", True),
        ("http://sub.a.example/", "http://a.example/x", False),
        ("http://a.example/", "http://b.example/x", False),
        ("http://a.example/", "http://nota.example/x", False),
        ("http://a.example/", "http://a.example.org/x", False),
        ("http://a.example/", "http://a.example:8080/x", False),
        ("http://a.example:8080/", "http://a.example/x", False),
        ("http://a.example/", "https://a.example/x", False),  # another port
        ("https://a.example/", "http://a.example/x", False),
        ("https://a.example/", "http://a.example:443/x", False),
        ("http://a.example:443/", "https://a.example/x", True),
        # Each host has several spellings.
        ("http://a.example/", "http://a.example./x", True),
        ("http://a.example./", "http://sub.a.example/x", True),
        ("http://a.example./", "http://nota.example/x", False),
        ("http://b\u00fccher.example/", "http://xn--bcher-kva.example/x", True),
        ("http://xn--bcher-kva.example/", "http://B\u00dcCHER.example./x", True),
        ("http://xn--bcher-kva.example/", "http://a.b\u00fccher.example/x", True),
        ("http://b\u00fccher.example/", "http://bucher.example/x", False),
        ("http://[::1]/", "http://[0:0:0:0:0:0:0:1]/x", True),
        ("http://[::1]/", "http://[::2]/x", False),
    ],
)
def test_whom_to_trust(first: str, second: str, travels: bool) -> None:
    assert is_trusted(Uri.parse(second), Uri.parse(first)) is travels


def anywhere(port: Callable[[], int]) -> Callable[[Uri, str | None, int | None], socket.socket]:
    return lambda url, proxy_host, proxy_port: socket.create_connection(("127.0.0.1", port()))


@pytest.mark.parametrize(
    "second, travels",
    [
        ("http://a.example/x", True),
        ("http://sub.a.example/x", True),
        ("http://b.example/x", False),
        ("http://a.example:81/x", False),
    ],
)
def test_what_is_for_one_server_stays_there(client: HttpClient, second: str, travels: bool) -> None:
    with scripted(
        answering(to(second), OK) if second.startswith("http://a.example/") else answering(to(second)),
        answering(OK),
    ) as server:
        client.connection_factory = anywhere(lambda: server.port)
        request = client.get_url("http://a.example/")
        for name, value in FIELDS.items():
            request.headers.set(name, value)
        request.cookies.append(Cookie("b", "2"))
        assert request.close().read() == b"ok"
        client.close()
    got = {name for name, _ in server.asked[1].fields} & FIELDS.keys()
    assert got == (FIELDS.keys() if travels else FIELDS.keys() - SENSITIVE)
    if travels:
        assert server.asked[1].header("cookie") == "a=1; b=2"
    assert server.asked[1].header("host") == second.split("/")[2]


def test_what_was_dropped_on_the_way_does_not_come_back(client: HttpClient) -> None:
    with scripted(
        answering(to("http://evil.example/")), answering(to("http://a.example/back")), answering(OK)
    ) as server:
        client.connection_factory = anywhere(lambda: server.port)
        client.idle_timeout = 0
        request = client.get_url("http://a.example/")
        request.headers.set("authorization", "Basic eDp5")
        assert request.close().read() == b"ok"
        client.close()
    assert [asked.header("authorization") for asked in server.asked] == ["Basic eDp5", None, None]


def test_credentials_in_the_url_are_not_for_the_next_host(client: HttpClient) -> None:
    with scripted(answering(to("http://b.example/")), answering(OK)) as server:
        client.connection_factory = anywhere(lambda: server.port)
        assert client.get_url("http://user:password@a.example/").close().read() == b"ok"
        client.close()
    assert [asked.header("authorization") for asked in server.asked] == ["Basic dXNlcjpwYXNzd29yZA==", None]


@pytest.mark.parametrize("location", ["/dir/", "//{host}/dir/", "http://{host}/dir/", "HTTP://{host}/dir/"])
@pytest.mark.parametrize("by_hand", [False, True])
def test_credentials_in_the_url_go_on_within_the_origin(
    client: HttpClient, location: str, by_hand: bool
) -> None:
    authorizations = []

    def answer(asked: Asked) -> bytes:
        authorizations.append(asked.header("authorization"))
        return OK if asked.target == "/dir/" else to(place, 301)

    with scripted(always(answer)) as server:
        place = location.format(host=f"127.0.0.1:{server.port}")
        request = client.get_url(f"http://user:p%40ss@127.0.0.1:{server.port}/dir")
        request.follow_redirects = not by_hand
        response = request.close()
        if by_hand:
            response = response.redirect()
        assert response.read() == b"ok"
        client.close()
    assert authorizations == ["Basic dXNlcjpwQHNz"] * 2


def test_credentials_in_the_location_go_before_those_in_the_url(client: HttpClient) -> None:
    with scripted(always(lambda asked: OK if asked.target == "/new" else to(place))) as server:
        place = f"http://x:y@127.0.0.1:{server.port}/new"
        response = client.get_url(f"http://user:password@127.0.0.1:{server.port}/").close()
        assert response.read() == b"ok"
        client.close()
    assert response.redirects[0].location.user_info == "x:y"


@pytest.mark.parametrize("location", ["http://user2:secret2@h:x/", "//u:secret2@[x]/", "ftp://u:secret2@a/"])
def test_an_error_shows_no_password(client: HttpClient, location: str) -> None:
    with scripted(answering(to(location))) as server:
        with pytest.raises(HttpException) as caught:
            client.get_url(f"http://user:secret@127.0.0.1:{server.port}/").close()
        assert caught.value.uri is not None and caught.value.uri.user_info == "user:secret"
        client.close()
    assert "secret" not in str(caught.value) and "secret" not in repr(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://u:secret@h h/",
        "http://u:secret@h:x/",
        "http://u:sec/secret@h/",
        "http://u:secret:secret@[::x]/",
        "ftp://u:secret@h/",
        "http://u:secret@",
        "http://u:secret@h x/%",
        "http://u:sec ret@[::x]/%",
        "//u:secret@h/",
        "http://u:secret@a:b:c/",
    ],
)
def test_a_url_that_is_refused_shows_no_password(client: HttpClient, url: str) -> None:
    with pytest.raises(ValueError) as caught:
        client.get_url(url)
    assert "sec" not in str(caught.value)


def test_a_repr_shows_no_password(client: HttpClient) -> None:
    with scripted(answering(to("/new"), OK)) as server:
        request = client.get_url(f"http://user:secret@127.0.0.1:{server.port}/")
        response = request.close()
        assert "secret" not in repr([request, response, response.redirects])
        response.read()
        client.close()


# ------------------------------------------------------------------ by hand


def test_redirect_by_hand(client: HttpClient) -> None:
    with scripted(answering(to("/new", 307, b"unread"), OK)) as server:
        request = client.post_url(server.url("/old"))
        request.headers.set("x-mine", "1")
        request.write("body")
        first = request.close()
        assert first.status_code == 307
        second = first.redirect()
        assert second.read() == b"ok"
        assert described(second.redirects) == [(307, "POST", "/new")]
        assert described(first.redirects) == []
        client.close()
        assert server.connections == 1
    asked = server.asked[1]
    assert (asked.line, asked.body, asked.header("content-length"), asked.header("x-mine")) == (
        "POST /new HTTP/1.1",
        b"body",
        "4",
        "1",
    )


def test_redirect_by_hand_to_somewhere_else(client: HttpClient) -> None:
    with scripted(answering(OK, OK, OK)) as server:
        response = client.get_url(server.url("/a/b")).close()
        response = response.redirect("put", Uri.parse("c"))
        assert described(response.redirects) == [(200, "PUT", "/a/c")]
        response = response.redirect(url=Uri.parse(server.url("/d")))
        assert described(response.redirects) == [(200, "PUT", "/a/c"), (200, "PUT", "/d")]
        response.read()
        client.close()
    assert [asked.line for asked in server.asked[1:]] == ["PUT /a/c HTTP/1.1", "PUT /d HTTP/1.1"]


def test_redirect_by_hand_and_loops(client: HttpClient) -> None:
    with scripted(always(lambda asked: to("/again"))) as server:
        request = client.get_url(server.url())
        request.follow_redirects = False
        response = request.close().redirect()
        with pytest.raises(RedirectException, match="round in a circle"):
            response.redirect()
        again = response.redirect(follow_loops=True)
        assert len(again.redirects) == 2
        del response, again
        client.close()


def test_redirect_by_hand_does_not_count(client: HttpClient) -> None:
    with scripted(answering(to("/1"), to("/2"), OK)) as server:
        request = client.get_url(server.url())
        request.follow_redirects = False
        request.max_redirects = 0
        response = request.close().redirect().redirect()
        assert response.read() == b"ok"
        assert len(response.redirects) == 2
        client.close()


def test_303_by_hand_asks_for_another_document(client: HttpClient) -> None:
    with scripted(answering(to("/new", 303), OK)) as server:
        response = client.put_url(server.url()).close()
        assert not response.is_redirect
        assert response.redirect().read() == b"ok"
        client.close()
    assert server.asked[1].method == "GET"


def test_redirect_info() -> None:
    info = RedirectInfo(302, "GET", Uri.parse("http://a.example/"))
    assert repr(info) == "<RedirectInfo 302 GET http://a.example/>"
