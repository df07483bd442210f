"""Damaged responses.  Whatever a server sends, the client gives a response or raises HttpException: it never
hangs, raises nothing else, and keeps no connection on which it could take one response for another."""

from __future__ import annotations

import gzip
import random
import socket

import pytest

from blockingio import HttpClient, HttpClientDigestCredentials, HttpClientResponse, HttpException, StateError, Uri
from tests.peers import eventually

GOOD = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nset-cookie: a=b; path=/\r\n\r\nhello world",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nx-t: 1\r\n\r\n",
    b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nhello world",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 31\r\n\r\n"
    + gzip.compress(b"hello world"),
    b"HTTP/1.1 302 Found\r\nlocation: /a?b#c\r\ncontent-length: 0\r\n\r\n",
    b'HTTP/1.1 401 Who\r\nwww-authenticate: Digest realm="r", nonce="n", qop="auth"\r\n'
    b"content-length: 0\r\n\r\n",
]
PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b"=", b'"', b"%", b"0", b"-1", b"9" * 30,
    b"\xff", b"ffffffffffffffff", b"HTTP/1.1 200 OK\r\n\r\n", b"content-length: 5\r\n", b"\r\n\r\n", b"101",
    b"transfer-encoding: chunked\r\n", b"content-encoding: gzip\r\n", b"x: " + b"y" * 70_000, b"304",
    b"HTTP/9.9",
]


def damage(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data) + 1)
        end = min(at + chance.choice((0, 0, 1, 1, 4, 20)), len(data))
        data = data[:at] + chance.choice((b"", *PIECES)) + data[end:]
        if chance.random() < 0.1:
            data = data[: chance.randrange(len(data) + 1)]
    return data


@pytest.mark.parametrize("seed", range(8))
def test_damaged_responses(seed: int) -> None:
    chance = random.Random(seed)
    ends: list[socket.socket] = []
    answers: list[bytes] = []

    def factory(*args: object) -> socket.socket:
        ours, theirs = socket.socketpair()
        ends.append(theirs)
        theirs.sendall(answers[-1])
        theirs.shutdown(socket.SHUT_WR)
        return ours

    outcomes = set()
    for _ in range(150):
        with HttpClient() as client:
            client.find_proxy = None
            client.connection_factory = factory
            answers.append(damage(chance.choice(GOOD), chance))
            try:
                request = client.get_url("http://a.example/")
                request.max_redirects = 2
                response = request.close()
                response.read()
                assert isinstance(response.cookies, list)
                del response  # a 101 keeps its connection until then
                outcomes.add("response")
            except HttpException:
                outcomes.add("HttpException")
            # Without the GIL a response that is dropped may be gone only a moment later.
            eventually(lambda: repr(client).startswith("<HttpClient 0 active"))
        for end in ends:
            end.close()
        ends.clear()
    assert outcomes == {"response", "HttpException"}


#: What fields that a client reads are made of, and what is neither.
NAMES = [
    b"location", b"location", b"www-authenticate", b"proxy-authenticate", b"authentication-info", b"set-cookie",
    b"content-type", b"date", b"expires", b"host", b"content-encoding", b"connection", b"content-length",
]
WORDS = [
    b"http:", b"https:", b"//", b"a", b"b.example", b".", b":", b"@", b"%00", b"%", b"%zz", b"%41", b"%2f", b"[", b"]",
    b"::1", b"\xff", b"\xc3\xbc", b"xn--", b"/", b"\\", b"?", b"#", b" ", b"\t", b"80", b"99999", b'"', b"a%3Ab:c@",
    b"Basic ", b"Digest ", b"realm=", b"nonce=", b"qop=", b"auth", b"algorithm=", b"MD5-sess", b"SHA-256",
    b"stale=true", b"userhash=true", b",", b";", b"=", b"charset=", b"utf-8", b"expires=", b"max-age=", b"9" * 40,
    b"Sun, 06 Nov 1994 08:49:37 GMT", b"-1", b"opaque=", b"nextnonce=", b"gzip", b"v1.x", b"%25a",
]


def look_at(response: HttpClientResponse) -> None:
    """Whatever there is to be seen of it."""
    for name in ("cookies", "is_redirect", "redirects", "persistent_connection", "content_length"):
        getattr(response, name)
    for name in ("date", "expires", "host", "port", "content_type", "content_length", "chunked_transfer_encoding"):
        getattr(response.headers, name)
    assert repr(response) and repr(response.headers)
    try:
        response.text()
    except LookupError:
        pass  # a charset that nobody knows
    try:
        response.redirect()
    except StateError:
        pass  # no Location


@pytest.mark.parametrize("seed", range(6))
def test_fields_that_make_no_sense(seed: int) -> None:
    """A host that cannot be looked up is an OSError, as where it is the user's; all else is an HttpException."""
    chance = random.Random(seed)
    ends: list[socket.socket] = []
    answer = b""

    def factory(*args: object) -> socket.socket:
        ours, theirs = socket.socketpair()
        ends.append(theirs)
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        return ours

    def add_some(uri: Uri, scheme: str, realm: str | None) -> bool:
        client.add_credentials(uri, realm or "", HttpClientDigestCredentials("\xfc", "p"))
        return True

    for _ in range(150):
        fields = [b"%b: %b\r\n" % (chance.choice(NAMES), b"".join(chance.choices(WORDS, k=chance.randrange(8))))
                  for _ in range(chance.randint(1, 3))]
        status = chance.choice((200, 301, 302, 303, 307, 401, 407, 204))
        answer = b"HTTP/1.1 %d X\r\n%bcontent-length: 0\r\n\r\n" % (status, b"".join(fields))
        with HttpClient() as client:
            client.find_proxy = (lambda url: "PROXY p.example:1") if chance.random() < 0.3 else None
            client.connection_factory = factory
            client.authenticate = add_some
            try:
                request = client.get_url("http://a.example/")
                request.max_redirects = 2
                look_at(request.close())
            except (HttpException, OSError) as error:
                assert str(error)
        for end in ends:
            end.close()
        ends.clear()
