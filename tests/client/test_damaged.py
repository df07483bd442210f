"""Damaged responses.  Whatever a server sends, the client gives a response or raises HttpException: it never
hangs, raises nothing else, and keeps no connection on which it could take one response for another."""

from __future__ import annotations

import gzip
import random
import socket

import pytest

from blockingio import HttpClient, HttpException

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
]  # fmt: skip


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
            assert repr(client).startswith("<HttpClient 0 active"), answers[-1]
        for end in ends:
            end.close()
        ends.clear()
    assert outcomes == {"response", "HttpException"}
