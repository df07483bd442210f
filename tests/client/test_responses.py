"""What the client makes of responses: heads, bodies, interim ones, and those that are no HTTP."""

from __future__ import annotations

import json
import socket
import threading
import tracemalloc
from datetime import datetime, timezone
from typing import Any

import pytest

from blockingio import HttpClient, HttpClientResponse, HttpException, StateError
from tests.client.servers import OK, Peer, answering, scripted
from tests.peers import PATIENCE


class Answered:
    """A response to a GET, which the server sent in these pieces before it closed the connection."""

    def __init__(self, client: HttpClient, *pieces: bytes, method: str = "GET") -> None:
        def script(peer: Peer) -> None:
            peer.demand()
            peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                peer.send(piece)

        self.client = client
        self._server = scripted(script)
        self._method = method

    def __enter__(self) -> HttpClientResponse:
        server = self._server.__enter__()
        self.url = server.url()
        return self.client.open_url(self._method, self.url).close()

    def __exit__(self, *exc_info: Any) -> None:
        self._server.__exit__(*exc_info)


def test_the_head(client: HttpClient) -> None:
    head = (
        b"HTTP/1.1 404 Nothing Like That\r\nContent-Length: 0\r\nX-A: 1\r\nx-a:2  \r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    with Answered(client, head) as response:
        assert (response.status_code, response.reason_phrase) == (404, "Nothing Like That")
        assert response.headers.get_all("X-a") == ["1", "2"]
        assert response.headers.date == datetime(1994, 11, 6, 8, 49, 37, tzinfo=timezone.utc)
        assert response.headers.content_type is not None and response.headers.content_type.charset == "utf-8"
        assert (response.content_length, response.persistent_connection) == (0, True)
        assert (response.is_redirect, response.redirects, response.certificate) == (False, [], None)
        assert response.connection_info is not None
        with pytest.raises(HttpException):
            response.headers.set("x-b", "1")
        assert repr(response).startswith("<HttpClientResponse 404 Nothing Like That to http://127.0.0.1:")


@pytest.mark.parametrize(
    "line, reason",
    [
        (b"HTTP/1.1 200", ""),
        (b"HTTP/1.1 200 ", ""),
        (b"HTTP/1.0 200 Fine", "Fine"),
        (b"HTTP/1.1 200 caf\xe9", "café"),
        (b"HTTP/1.7 200 OK", "OK"),
    ],
)
def test_status_lines(client: HttpClient, line: bytes, reason: str) -> None:
    with Answered(client, line + b"\r\ncontent-length: 2\r\n\r\nok") as response:
        assert (response.status_code, response.reason_phrase, response.read()) == (200, reason, b"ok")


@pytest.mark.parametrize("status", [200, 299, 404, 500, 599, 999])
def test_any_status_is_the_users(client: HttpClient, status: int) -> None:
    with Answered(client, b"HTTP/1.1 %d X\r\ncontent-length: 2\r\n\r\nok" % status) as response:
        assert (response.status_code, response.read()) == (status, b"ok")


# ------------------------------------------------------------------ bodies

BODIES = {
    "counted": b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world",
    "chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nx-t: 1\r\n\r\n",
    "until close": b"HTTP/1.1 200 OK\r\n\r\nhello world",
    "until close, 1.0": b"HTTP/1.0 200 OK\r\n\r\nhello world",
}


@pytest.mark.parametrize("raw", BODIES.values(), ids=BODIES)
def test_a_body_however_framed(client: HttpClient, raw: bytes) -> None:
    with Answered(client, raw) as response:
        assert response.read() == b"hello world"
        assert response.read() == response.read(5) == b""


@pytest.mark.parametrize("raw", BODIES.values(), ids=BODIES)
def test_a_body_that_comes_byte_by_byte(client: HttpClient, raw: bytes) -> None:
    with Answered(client, *(raw[at : at + 1] for at in range(len(raw)))) as response:
        assert b"".join(response) == b"hello world"
        assert list(response) == []


@pytest.mark.parametrize("raw", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("size", [1, 2, 4, 11, 12])
def test_read_gives_what_it_is_asked_for(client: HttpClient, raw: bytes, size: int) -> None:
    """As a binary file: fewer only at the end."""
    with Answered(client, *(raw[at : at + 3] for at in range(0, len(raw), 3))) as response:
        assert response.read(0) == b""
        parts = []
        while part := response.read(size):
            parts.append(part)
        assert b"".join(parts) == b"hello world"
        assert all(len(part) == size for part in parts[:-1])


def test_a_response_is_a_stream_and_a_file(client: HttpClient) -> None:
    raw = b'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"a": [1]}'
    with Answered(client, raw) as response:
        assert json.load(response) == {"a": [1]}
    with Answered(client, raw) as response:
        assert response.map(len).fold(0, lambda total, size: total + size) == 10


@pytest.mark.parametrize("read", [None, 1000, 65536])
def test_a_large_body_is_never_held(client: HttpClient, read: int | None) -> None:
    """Memory does not grow with the body."""
    size = 16 * 1024 * 1024

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        piece = bytes(size // 16)
        for _ in range(16):
            peer.send(piece)

    with scripted(script) as server:
        response = client.get_url(server.url()).close()
        chunks = iter(response) if read is None else iter(lambda: response.read(read), b"")
        tracemalloc.start()
        try:
            total = sum(map(len, chunks))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert total == size
        # A few chunks of 64 KiB at a time, and the piece that the script sends from this same process.
        assert peak < size // 16 + 1_000_000
        client.close()


def test_iteration_goes_on_where_it_stopped(client: HttpClient) -> None:
    with Answered(
        client,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
    ) as response:
        assert next(iter(response)) == b"a"
        assert response.read(1) == b"b"
        assert list(response) == [b"c"]


@pytest.mark.parametrize(
    "method, head",
    [
        ("GET", b"HTTP/1.1 204 No Content\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 100\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n"),
        ("HEAD", b"HTTP/1.1 404 Not Found\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"),
    ],
)
def test_responses_without_a_body(client: HttpClient, method: str, head: bytes) -> None:
    with scripted(answering(head + b"\r\n", OK)) as server:
        response = client.open_url(method, server.url()).close()
        assert response.read() == b"" and list(response) == []
        assert client.get_url(server.url()).close().read() == b"ok"
        client.close()
        assert server.connections == 1


def test_head_keeps_the_length_it_names(client: HttpClient) -> None:
    with Answered(client, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", method="HEAD") as response:
        assert response.content_length == 100


@pytest.mark.parametrize(
    "raw, message",
    [
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello",
            "the connection ended after 5 of 11 bytes of a body",
        ),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", "ended in the middle of a chunk"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "ended in the framing"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "ended in the framing"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "chunk's size is b'zz', expected hex digits",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
            "chunk's size is b'-1', expected hex digits",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
            "longer than its size says",
        ),
    ],
)
def test_a_body_that_ends_early_or_is_broken(client: HttpClient, raw: bytes, message: str) -> None:
    answered = Answered(client, raw)
    with answered as response:
        with pytest.raises(HttpException, match=message) as caught:
            response.read()
        assert str(caught.value.uri) == answered.url
        with pytest.raises(HttpException):  # it does not look like an end later on
            response.read()
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_a_body_that_is_reset(client: HttpClient) -> None:
    has_read = threading.Event()

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nuntil")
        has_read.wait(PATIENCE)
        peer.reset()

    with scripted(script) as server:
        response = client.get_url(server.url()).close()
        assert response.read(5) == b"until"
        has_read.set()
        with pytest.raises(HttpException, match="the connection broke in the middle of a message"):
            response.read()


# ------------------------------------------------------------------ interim responses, other protocols


def test_interim_responses_are_skipped(client: HttpClient) -> None:
    with Answered(
        client,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
        b"HTTP/1.1 102 Processing\r\n\r\n" + OK,
    ) as response:
        assert (response.status_code, response.read()) == (200, b"ok")
        assert "link" not in response.headers


def test_interim_responses_without_end(client: HttpClient) -> None:
    with scripted(answering(b"HTTP/1.1 100 Continue\r\n\r\n" * 101)) as server:
        with pytest.raises(HttpException, match="100 interim responses came, expected a final one"):
            client.get_url(server.url()).close()


@pytest.mark.parametrize("sent_with_it", [b"", b"frame"])
def test_switching_protocols_hands_over_the_socket(client: HttpClient, sent_with_it: bytes) -> None:
    def script(peer: Peer) -> None:
        asked = peer.demand()
        assert (asked.header("connection"), asked.header("upgrade")) == ("upgrade", "echo")
        peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n" + sent_with_it
        )
        peer.send(peer.exactly(5).upper())
        assert peer.is_ended()

    with scripted(script) as server:
        request = client.get_url(server.url())
        request.headers.set("connection", "upgrade")
        request.headers.set("upgrade", "echo")
        response = request.close()
        assert (response.status_code, response.read()) == (101, b"")
        with response.detach_socket() as sock:
            assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"
            client.close(force=True)  # it is no more the client's
            sock.settimeout(PATIENCE)
            sock.sendall(b"hello")
            got = b""
            while len(got) < len(sent_with_it) + 5:
                got += sock.recv(100)
            assert got == sent_with_it + b"HELLO"
        with pytest.raises(StateError):
            response.detach_socket()


def test_an_upgrade_that_is_refused_is_a_response(client: HttpClient) -> None:
    with scripted(answering(OK, OK)) as server:
        for _ in range(2):
            request = client.get_url(server.url())
            request.headers.set("upgrade", "echo")
            assert request.close().read() == b"ok"
        client.close()
        assert server.connections == 1


def test_a_dropped_101_closes_the_connection(client: HttpClient) -> None:
    with scripted(answering(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")) as server:
        client.get_url(server.url()).close()
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_what_was_read_too_far_comes_first_from_a_detached_socket(client: HttpClient) -> None:
    """Without an Upgrade nobody knows in advance that the connection is wanted."""
    with Answered(client, b"HTTP/1.1 200 OK\r\n\r\nTest!", b" and more") as response:
        with response.detach_socket() as sock:
            sock.settimeout(PATIENCE)
            assert sock.recv(2, socket.MSG_PEEK) == b"Te"
            assert sock.recv(2) == b"Te"
            buffer = bytearray(2)
            assert sock.recv_into(buffer) == 2 and buffer == b"st"
            with sock.makefile("rb") as file:
                assert file.read() == b"! and more"


@pytest.mark.parametrize("head, raw, rest", [
    (b"Content-Length: 5", b"Test!", b"st!"),
    (b"Transfer-Encoding: chunked", b"5\r\nTest!\r\n0\r\n\r\n", b"st!\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"2\r\nTe\r\n3\r\nst!\r\n0\r\n\r\n", b"\r\n3\r\nst!\r\n0\r\n\r\n"),
])
def test_what_was_not_read_of_a_body_comes_first_from_a_detached_socket(client: HttpClient, head: bytes, raw: bytes,
                                                                        rest: bytes) -> None:
    """As it came: with its head, or behind it."""
    for pieces in ([b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b and more" % (head, raw)],
                   [b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % head, raw, b" and more"]):
        with Answered(client, *pieces) as response:
            assert response.read(2) == b"Te"
            with response.detach_socket() as sock:
                sock.settimeout(PATIENCE)
                with sock.makefile("rb") as file:
                    assert file.read() == rest + b" and more"


def test_what_was_read_too_far_over_tls(certificates: Any) -> None:
    with (
        scripted(answering(b"HTTP/1.1 200 OK\r\n\r\nTest!"), context=certificates.server_context()) as server,
        HttpClient(context=certificates.client_context()) as client,
    ):
        client.find_proxy = None
        response = client.get_url(f"https://localhost:{server.port}/").close()
        with response.detach_socket() as sock:
            sock.settimeout(PATIENCE)
            assert sock.recv(100) == b"Test!"


def test_a_response_that_was_read_has_no_socket_to_give(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        response = client.get_url(server.url()).close()
        response.read()
        with pytest.raises(StateError, match="the response has been read"):
            response.detach_socket()
        client.close()


def test_connect_by_hand(client: HttpClient) -> None:
    def script(peer: Peer) -> None:
        asked = peer.demand()
        assert asked.line == f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        peer.send(peer.exactly(2))

    with scripted(script) as server:
        response = client.open("CONNECT", "127.0.0.1", server.port, "/").close()
        assert response.read() == b""
        with response.detach_socket() as sock:
            sock.settimeout(PATIENCE)
            sock.sendall(b"hi")
            assert sock.recv(2) == b"hi"


# ------------------------------------------------------------------ cookies


def test_cookies_that_are_set(client: HttpClient) -> None:
    with Answered(
        client,
        b"HTTP/1.1 200 OK\r\nset-cookie: a=1; Path=/; Secure; SameSite=Lax\r\ncontent-length: 0\r\n"
        b'set-cookie: b=2; Expires=nonsense\r\nset-cookie: no cookie\r\nset-cookie: c="3"\r\n\r\n',
    ) as response:
        assert [(cookie.name, cookie.value) for cookie in response.cookies] == [
            ("a", "1"),
            ("b", "2"),
            ("c", '"3"'),
        ]
        assert response.cookies[0].path == "/" and response.cookies[0].secure
        assert response.cookies is response.cookies


# ------------------------------------------------------------------ what is no HTTP

MALFORMED = {
    "nothing at all": (b"", "the server ended the connection before its response came"),
    "half a head": (b"HTTP/1.1 200 OK\r\nx", "the connection ended after 18 bytes of a head"),
    "not HTTP": (b"SSH-2.0-OpenSSH\r\n\r\n", "the status line is 'SSH-2.0-OpenSSH', expected HTTP-version"),
    "HTTP/0.9": (b"<html>\r\n\r\n", "the status line is '<html>'"),
    "HTTP/2": (b"HTTP/2.0 200 OK\r\n\r\n", "HTTP/2.0, expected HTTP/1.1"),
    "no status": (b"HTTP/1.1 OK\r\n\r\n", "the status line is 'HTTP/1.1 OK'"),
    "two digits": (b"HTTP/1.1 20 OK\r\n\r\n", "the status line"),
    "four digits": (b"HTTP/1.1 2000 OK\r\n\r\n", "the status line"),
    "status 0xx": (b"HTTP/1.1 099 OK\r\n\r\n", "the status line"),
    "a control character": (b"HTTP/1.1 200 O\0K\r\n\r\n", "the status line"),
    "a field without colon": (
        b"HTTP/1.1 200 OK\r\nfield\r\n\r\n",
        "a header line is 'field', expected a name",
    ),
    "a blank before the colon": (b"HTTP/1.1 200 OK\r\nfield : x\r\n\r\n", "a header line is 'field : x'"),
    "an empty name": (b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", "a header line is ': x'"),
    "a length that is none": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 1a\r\n\r\n",
        "Content-Length is '1a', expected digits",
    ),
    "a negative length": (
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "Content-Length is '-1', expected digits",
    ),
    "an endless length": (
        b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 30 + b"\r\n\r\n",
        "Content-Length has 30 digits",
    ),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 16\r\n\r\n",
        "the Content-Lengths differ: '5 and 16', expected one",
    ),
    "a list of lengths": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\n",
        "the Content-Lengths differ: '5 and 6', expected one",
    ),
    "an unknown coding": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        "Transfer-Encoding is",
    ),
    "a bare CR": (b"HTTP/1.1 200 OK\rx: y\r\n\r\n", "the status line is"),
    "a bare CR that comes early": (b"HTTP/1.1 200 OK\rx: y", r"a head contains b'\\rx'"),
    "too many fields": (
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n",
        "200 fields, expected 128 at most",
    ),
    "too long a head": (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70000 + b"\r\n\r\n", "header section has"),
}


@pytest.mark.parametrize("raw, message", MALFORMED.values(), ids=MALFORMED)
def test_malformed_responses(client: HttpClient, raw: bytes, message: str) -> None:
    with scripted(answering(raw, then_close=True)) as server:
        request = client.get_url(server.url())
        with pytest.raises(HttpException, match=message) as caught:
            request.close()
        assert caught.value.uri == request.uri
        assert type(caught.value) is HttpException
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_a_folded_line_is_one_value(client: HttpClient) -> None:
    """obs-fold, which a user agent has to take (RFC 9112 5.2)."""
    with Answered(client, b"HTTP/1.1 200 OK\r\nx-a: one\r\n\t two\r\ncontent-length: 0\r\n\r\n") as response:
        assert response.headers["x-a"] == "one two"


@pytest.mark.parametrize(
    "fields", [b"content-length: 2\r\ncontent-length: 2\r\n", b"content-length: 2, 2\r\n"]
)
def test_one_length_said_twice(client: HttpClient, fields: bytes) -> None:
    with Answered(client, b"HTTP/1.1 200 OK\r\n" + fields + b"\r\nok") as response:
        assert response.read() == b"ok"


def test_empty_lines_before_a_response_are_skipped(client: HttpClient) -> None:
    with Answered(client, b"\r\n\r\n" + OK) as response:
        assert response.read() == b"ok"


def test_a_socket_with_a_timeout_of_its_own(client: HttpClient) -> None:
    """Nothing in the contract limits the wait for a response, but who makes the socket may."""

    def factory(*args: object) -> socket.socket:
        return socket.create_connection(("127.0.0.1", server.port), 0.5)

    def silent(peer: Peer) -> None:
        peer.demand()
        assert peer.is_ended()

    def stops(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha")
        assert peer.is_ended()

    client.connection_factory = factory
    with scripted(silent, stops, answering(OK, OK)) as server:
        with pytest.raises(HttpException, match="no response came in the time that the socket allows"):
            client.get_url(server.url()).close()
        with pytest.raises(HttpException, match="did not come in time"):
            client.get_url(server.url()).close().read()
        for _ in range(2):
            assert client.get_url(server.url()).close().read() == b"ok"
        client.close()
        assert server.connections == 3


# ------------------------------------------------------------------ text and JSON


def typed(content_type: str | None, body: bytes) -> bytes:
    field = b"" if content_type is None else b"content-type: %b\r\n" % content_type.encode("latin-1")
    return b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (field, len(body), body)


@pytest.mark.parametrize(
    "content_type, body, text",
    [
        (None, "caf\u00e9".encode(), "caf\u00e9"),
        ("text/plain", "caf\u00e9".encode(), "caf\u00e9"),
        ("text/plain; charset=", "caf\u00e9".encode(), "caf\u00e9"),
        ("no type at all; charset", "caf\u00e9".encode(), "caf\u00e9"),
        ('text/html; charset="unclosed', "caf\u00e9".encode(), "caf\u00e9"),
        ("text/plain; charset=UTF-8", "caf\u00e9".encode(), "caf\u00e9"),
        ("text/plain; charset=iso-8859-1", b"caf\xe9", "caf\u00e9"),
        ("text/plain; charset=windows-1252", b"\x80", "\u20ac"),
        ("text/plain; charset=iso-8859-1; charset=utf-8", b"caf\xe9", "caf\u00e9"),
        ("text/plain; charset=utf-16", "caf\u00e9".encode("utf-16"), "caf\u00e9"),
        ("image/png", b"", ""),
    ],
)
def test_text(client: HttpClient, content_type: str | None, body: bytes, text: str) -> None:
    with Answered(client, typed(content_type, body)) as response:
        assert response.text() == text
        assert response.text() == "" and response.read() == b"", "there is no more"


def test_text_is_what_is_left(client: HttpClient) -> None:
    with Answered(client, typed(None, b"hello world")) as response:
        assert response.read(6) == b"hello "
        assert response.text() == "world"


@pytest.mark.parametrize("charset", ["klingon", "hex", "rot13", "zlib", "unicode_escape", "utf-8;", "\xe9", "../x"])
def test_a_charset_that_python_does_not_have(client: HttpClient, charset: str) -> None:
    if charset == "utf-8;":
        charset = '"utf-8;"'
    with Answered(client, typed(f"text/plain; charset={charset}", b"{}")) as response:
        with pytest.raises(LookupError, match="the charset is .*, expected one that Python knows"):
            response.text()
        with pytest.raises(LookupError, match="the charset is"):
            response.json()
        assert response.read() == b"{}", "it can still be read"


def test_text_that_is_not_in_its_charset(client: HttpClient) -> None:
    with Answered(client, typed("text/plain; charset=utf-8", b"caf\xe9")) as response:
        with pytest.raises(HttpException, match="the body is not in its charset, utf-8") as caught:
            response.text()
        assert caught.value.uri is not None


@pytest.mark.parametrize(
    "content_type, body, value",
    [
        ("application/json", b' {"a": [1, null, "caf\xc3\xa9"]} ', {"a": [1, None, "caf\u00e9"]}),
        (None, b"1", 1),
        ("text/html", b'"x"', "x"),
        ("application/json; charset=latin-1", b'"\xe9"', "\u00e9"),
        ("application/json", b"\xef\xbb\xbf[]", []),
    ],
)
def test_json(client: HttpClient, content_type: str | None, body: bytes, value: Any) -> None:
    with Answered(client, typed(content_type, body)) as response:
        assert response.json() == value


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"hello", b"\xff", b"[1,]", b"NaN", b'{"a": Infinity}', b"[" * 200_000],
    ids=lambda body: body[:9],
)
def test_what_is_no_json(client: HttpClient, body: bytes) -> None:
    with Answered(client, typed("application/json", body)) as response:
        with pytest.raises(ValueError):
            response.json()


@pytest.mark.parametrize("read", [HttpClientResponse.text, HttpClientResponse.json])
def test_text_and_json_of_a_body_that_is_cut_short(client: HttpClient, read: Any) -> None:
    with Answered(client, b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}") as response:
        with pytest.raises(HttpException, match="2 of 3 bytes"):
            read(response)


# ------------------------------------------------------------------ limits


def with_field(size: int, body: bytes = b"ok") -> bytes:
    """A response whose header section has so many bytes."""
    block = b"content-length: %d\r\nx: " % len(body)
    return b"HTTP/1.1 200 OK\r\n" + block + b"y" * (size - len(block)) + b"\r\n\r\n" + body


def test_limits_begin_as_the_servers_do(client: HttpClient) -> None:
    assert (client.max_header_size, client.max_header_count) == (64 * 1024, 128)
    with scripted(answering(with_field(64 * 1024), with_field(64 * 1024 + 1), then_close=True)) as server:
        assert client.get_url(server.url()).close().read() == b"ok"
        with pytest.raises(HttpException, match="65537 bytes, expected no more than 65536"):
            client.get_url(server.url()).close()


@pytest.mark.parametrize("name", ["max_header_size", "max_header_count"])
@pytest.mark.parametrize("value", [-1, 1.5, "1", None])
def test_what_is_no_limit(client: HttpClient, name: str, value: Any) -> None:
    before = getattr(client, name)
    with pytest.raises(ValueError, match=f"{name} cannot be {value!r}"):
        setattr(client, name, value)
    assert getattr(client, name) == before


def test_a_limit_can_be_raised(client: HttpClient) -> None:
    client.max_header_size, client.max_header_count = 1_000_000, 5000
    raw = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" + b"x: y\r\n" * 4000 + b"z: " + b"z" * 500_000 + b"\r\n\r\nok"
    with scripted(answering(raw)) as server:
        response = client.get_url(server.url()).close()
        assert response.read() == b"ok" and len(response.headers.get_all("x")) == 4000
        client.close()


@pytest.mark.parametrize("limit", [{"max_header_size": 30}, {"max_header_count": 2}])
@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 103 \r\na: b\r\n\r\n"], ids=["final", "interim"])
def test_a_limit_that_is_lowered_holds_for_the_next_head(
    client: HttpClient, limit: dict[str, int], before: bytes
) -> None:
    """Also for one that repeats the last to the byte, on the same connection."""
    raw = before + b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: yyyyyyyy\r\nz: 1\r\n\r\n"

    def script(peer: Peer) -> None:
        for _ in range(3):
            peer.demand()
            peer.send(raw)
        assert peer.is_ended()

    with scripted(script) as server:
        for _ in range(2):
            assert client.get_url(server.url()).close().status_code == 200
        for name, value in limit.items():
            setattr(client, name, value)
        with pytest.raises(HttpException, match="the header section has"):
            client.get_url(server.url()).close()
        assert server.connections == 1


@pytest.mark.parametrize(
    "limit, message", [({"max_header_size": 30}, "framing has over"), ({"max_header_count": 3}, "over 3")]
)
def test_limits_hold_for_trailers(client: HttpClient, limit: dict[str, int], message: str) -> None:
    trailers = b"a: bbbbbbbbbbb\r\n" * 4
    for name, value in limit.items():
        setattr(client, name, value)
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    with Answered(client, head + b"0\r\n" + trailers + b"\r\n") as response:
        with pytest.raises(HttpException, match=message):
            response.read()
