"""A request that is sent again, after a challenge or by a redirect: with all of its body, or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from blockingio import (
    HttpClient, HttpClientBasicCredentials, HttpClientDigestCredentials, HttpClientRequest, StateError, Uri)
from tests.client.servers import EMPTY, OK, Asked, always, answering, scripted

KEPT = 256 * 1024  # bytes of an upload that are kept

MOVED = b"HTTP/1.1 %d X\r\nlocation: /new\r\ncontent-length: 0\r\n\r\n"


def pattern(size: int) -> bytes:
    return b"".join(b"%08d" % number for number in range(size // 8 + 1))[:size]


def at_once(request: HttpClientRequest, data: bytes) -> None:
    request.add(data)


def in_pieces(request: HttpClientRequest, data: bytes) -> None:
    request.add_stream(data[at : at + 1000] for at in range(0, len(data), 1000))


def without_a_buffer(request: HttpClientRequest, data: bytes) -> None:
    request.buffer_output = False
    in_pieces(request, data)


def flushed(request: HttpClientRequest, data: bytes) -> None:
    request.flush()
    request.add(data[:10])
    request.flush()
    request.add(data[10:])
    request.flush()


def counted(request: HttpClientRequest, data: bytes) -> None:
    request.content_length = len(data)
    in_pieces(request, data)


def chunked(request: HttpClientRequest, data: bytes) -> None:
    request.headers.chunked_transfer_encoding = True
    request.add(data)


def as_text(request: HttpClientRequest, data: bytes) -> None:
    request.headers.set("content-type", "text/plain; charset=utf-8")
    print(data.decode(), end="", file=request)


WAYS = [at_once, in_pieces, without_a_buffer, flushed, counted, chunked, as_text]
SIZES = [1, 4000, 100_000, KEPT]
Fill = Callable[[HttpClientRequest, bytes], None]


def once_challenged(status: int, requests: list[Asked]) -> Callable[[Asked], bytes]:
    """A server, or a proxy, that wants Digest once."""
    of, answer = (b"www", "authorization") if status == 401 else (b"proxy", "proxy-authorization")

    def reply(asked: Asked) -> bytes:
        requests.append(asked)
        if asked.header(answer) is not None:
            return OK
        return (b'HTTP/1.1 %d X\r\n%b-authenticate: Digest realm="r", nonce="n", qop="auth"\r\n'
                b"content-length: 4\r\n\r\nwho?" % (status, of))

    return reply


@pytest.mark.parametrize("fill", WAYS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("status", [401, 407])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_challenged_request_is_sent_again_with_its_body(
    client: HttpClient, method: str, status: int, size: int, fill: Fill
) -> None:
    requests: list[Asked] = []
    data = pattern(size)
    with scripted(always(once_challenged(status, requests))) as server:
        credentials = HttpClientDigestCredentials("u", "p")
        url = server.url("/x")
        if status == 401:
            client.add_credentials(Uri.parse(url), "r", credentials)
        else:
            client.find_proxy = lambda url: f"PROXY 127.0.0.1:{server.port}"
            client.add_proxy_credentials("127.0.0.1", server.port, "r", credentials)
        request = client.open_url(method, url)
        fill(request, data)
        response = request.close()
        assert (response.status_code, response.read()) == (200, b"ok")
        client.close()
    assert [(asked.method, asked.body) for asked in requests] == [(method, data)] * 2


@pytest.mark.parametrize("fill", [at_once, in_pieces, without_a_buffer, counted])
def test_a_body_that_is_not_kept_leaves_the_challenge_to_the_user(client: HttpClient, fill: Fill) -> None:
    """Then the next request is sent with credentials at once."""
    requests: list[Asked] = []
    data = pattern(KEPT + 1)
    with scripted(always(once_challenged(401, requests))) as server:
        client.add_credentials(Uri.parse(server.url()), "r", HttpClientDigestCredentials("u", "p"))
        for status, body in ((401, b"who?"), (200, b"ok")):
            request = client.post_url(server.url())
            fill(request, data)
            response = request.close()
            assert (response.status_code, response.read()) == (status, body)
        client.close()
    assert [asked.body for asked in requests] == [data] * 2


def test_the_user_is_asked_for_credentials_also_where_the_body_is_lost(client: HttpClient) -> None:
    def authenticate(url: Uri, scheme: str, realm: str | None) -> bool:
        client.add_credentials(url, "r", HttpClientDigestCredentials("u", "p"))
        return True

    requests: list[Asked] = []
    client.authenticate = authenticate
    with scripted(always(once_challenged(401, requests))) as server:
        for status in (401, 200):
            request = client.post_url(server.url())
            request.add(bytes(KEPT + 1))
            response = request.close()
            assert response.status_code == status
            response.read()
        client.close()
    assert len(requests) == 2


def test_several_challenges_get_the_whole_body_each(client: HttpClient) -> None:
    passwords = iter("abc")

    def authenticate(url: Uri, scheme: str, realm: str | None) -> bool:
        client.add_credentials(url, "r", HttpClientBasicCredentials("u", next(passwords)))
        return True

    refused = b'HTTP/1.1 401 X\r\nwww-authenticate: Basic realm="r"\r\ncontent-length: 0\r\n\r\n'
    client.authenticate = authenticate
    with scripted(answering(refused, refused, refused, OK)) as server:
        request = client.put_url(server.url())
        request.write("body")
        assert request.close().read() == b"ok"
        client.close()
    assert [asked.body for asked in server.asked] == [b"body"] * 4


# ------------------------------------------------------------------ redirects


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("size", [4, KEPT])
def test_a_redirect_by_hand_takes_the_body_along(
    client: HttpClient, method: str, status: int, size: int
) -> None:
    data = pattern(size)
    with scripted(answering(MOVED % status, OK)) as server:
        request = client.open_url(method, server.url("/old"))
        request.headers.set("content-type", "text/x")
        request.add(data)
        response = request.close()
        assert response.status_code == status
        assert response.redirect().read() == b"ok"
        client.close()
    new = server.asked[1]
    assert (new.line, new.body, new.header("content-length")) == (f"{method} /new HTTP/1.1", data, str(size))
    assert (new.header("content-type"), new.header("transfer-encoding")) == ("text/x", None)


@pytest.mark.parametrize("status, method", [(303, None), (307, "GET"), (307, "PUT")])
def test_another_method_has_no_body(client: HttpClient, status: int, method: str | None) -> None:
    with scripted(answering(MOVED % status, EMPTY)) as server:
        request = client.post_url(server.url("/old"))
        request.headers.set("content-type", "text/x")
        request.add(bytes(KEPT + 1))  # that it is lost does not matter then
        request.follow_redirects = False
        request.close().redirect(method)
        client.close()
    new = server.asked[1]
    assert (new.method, new.body, new.header("content-type")) == (method or "GET", b"", None)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_by_hand_of_a_body_that_is_lost(client: HttpClient, status: int) -> None:
    with scripted(answering(MOVED % status)) as server:
        request = client.put_url(server.url("/old"))
        request.add(bytes(KEPT + 1))
        response = request.close()
        with pytest.raises(StateError, match=re.escape(f"expected {KEPT} bytes at most")):
            response.redirect()
        assert response.status_code == status and response.read() == b""
        client.close()


@pytest.mark.parametrize("status, size, followed", [
    (302, 4, b"0123"), (307, 4, b"0123"), (303, 4, b""), (303, KEPT + 1, b""), (302, KEPT + 1, None),
    (307, KEPT + 1, None)])
def test_a_get_with_a_body_is_followed_with_it(
    client: HttpClient, status: int, size: int, followed: bytes | None
) -> None:
    """dart:io follows it without asking; a 303 asks for another document, and what is lost is the user's."""
    data = b"0123" if size == 4 else bytes(size)
    with scripted(answering(*[MOVED % status, OK][: 1 if followed is None else 2])) as server:
        request = client.get_url(server.url("/old"))
        request.add(data)
        response = request.close()
        assert response.status_code == (status if followed is None else 200)
        response.read()
        client.close()
    assert [asked.body for asked in server.asked] == [data] + ([] if followed is None else [followed])


def test_a_redirect_that_is_challenged_keeps_the_body(client: HttpClient) -> None:
    requests: list[Asked] = []
    reply = once_challenged(401, requests)

    def answer(asked: Asked) -> bytes:
        if asked.target == "/old":
            return MOVED % 307
        return reply(asked)

    with scripted(always(answer)) as server:
        client.add_credentials(Uri.parse(server.url("/new")), "r", HttpClientDigestCredentials("u", "p"))
        request = client.post_url(server.url("/old"))
        request.write("body")
        assert request.close().redirect().read() == b"ok"
        client.close()
    assert [asked.body for asked in requests] == [b"body"] * 2
