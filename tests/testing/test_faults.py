"""Answers that go wrong on purpose: what the wire shows of them, in the clear and under TLS, and what clients say."""
from __future__ import annotations

import http.client
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from blockingio import HttpClient, HttpException, HttpRequest, SecurityContext
from blockingio.testing import Fault, RunningServer, serving
from tests.peers import PATIENCE, RawClient

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
BODY = b"0123456789"

secure = pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])


@contextmanager
def connected(server: RunningServer) -> Iterator[RawClient]:
    sock = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    if server.context is not None:
        context = ssl.create_default_context(cadata=server.context.certificate_pem)
        sock = context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)
    with RawClient.on(sock) as client:
        yield client


def heard(client: RawClient, request: bytes = GET) -> tuple[bytes, bytes, str]:
    """Head and body of what comes in answer, and how it ends: "end" for an orderly one, or "reset"."""
    client.send(request)
    data = b""
    client.socket.settimeout(PATIENCE)
    try:
        while piece := client.socket.recv(65536):
            data += piece
        end = "end"
    except (ConnectionResetError, ssl.SSLEOFError):  # the latter is all that ssl tells of an end without close_notify
        end = "reset"
    head, blank, body = data.partition(b"\r\n\r\n")
    return head + blank, body, end


@secure
@pytest.mark.parametrize("request_bytes", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("fault, framing, body, end", [
    (Fault(close_before_head=True), b"", b"", "end"),
    (Fault(reset=True), b"", b"", "reset"),
    (Fault(reset=True, close_before_head=True), b"", b"", "reset"),
    (Fault(cut_after=4), b"content-length: 10\r\n", b"0123", "end"),
    (Fault(cut_after=0), b"content-length: 10\r\n", b"", "end"),
    (Fault(cut_after=99), b"content-length: 10\r\n", BODY, "end"),
    (Fault(cut_after=4, reset=True), b"content-length: 10\r\n", b"0123", "reset"),
    (Fault(cut_after=0, reset=True), b"content-length: 10\r\n", b"", "reset"),
    (Fault(wrong_length=5), b"content-length: 15\r\n", BODY, "end"),
    (Fault(wrong_length=-10), b"content-length: 0\r\n", BODY, "end"),
    (Fault(wrong_length=5, cut_after=3), b"content-length: 15\r\n", b"012", "end"),
    (Fault(bad_chunk=True), b"transfer-encoding: chunked\r\n", b"a\r\n0123456789\r\nno-size\r\n", "end"),
    (Fault(bad_chunk=True, cut_after=3), b"transfer-encoding: chunked\r\n", b"a\r\n012", "end"),
    (Fault(bad_chunk=True, delay=0.001, rate=1000), b"transfer-encoding: chunked\r\n",
     b"a\r\n0123456789\r\nno-size\r\n", "end"),
    (Fault(cut_after=8, reset=True, rate=200), b"content-length: 10\r\n", b"01234567", "reset"),
], ids=repr)
def test_what_the_wire_shows(fault: Fault, framing: bytes, body: bytes, end: str, request_bytes: bytes,
                             secure: bool) -> None:
    with serving(secure=secure) as server:
        server.on("*", "/", status=203, body=BODY, headers={"X-A": "b"}, fault=fault)
        with connected(server) as client:
            head, seen, ended = heard(client, request_bytes)
    assert (seen, ended) == (body, end)
    if framing:
        assert head.startswith(b"HTTP/1.1 203 ") and b"\r\nx-a: b\r\n" in head and head.endswith(framing + b"\r\n")
        assert b"connection:" not in head and head.count(b"content-length:") + head.count(b"transfer-encoding:") == 1
    else:
        assert not head
    assert [record.body for record in server.requests] == [b"hello" if request_bytes is POST else b""]


@secure
def test_a_delay_and_a_rate_leave_the_message_whole(secure: bool) -> None:
    with serving(secure=secure) as server:
        server.on("GET", "/", body=BODY, fault=Fault(delay=0.1))
        server.on("GET", "/slow", body=BODY * 3, fault=Fault(rate=200))
        with connected(server) as client:
            began = time.monotonic()
            assert client.get("/").body == BODY
            assert time.monotonic() - began >= 0.1
            began = time.monotonic()
            client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            pieces: list[bytes] = []
            while not pieces or not b"".join(pieces).endswith(b"\r\n\r\n" + BODY * 3):
                pieces.append(client.socket.recv(65536))
            assert time.monotonic() - began >= 30 / 200
            assert len(pieces) >= 3 and b"\r\ncontent-length: 30\r\n" in pieces[0]
            assert client.get("/").body == BODY  # the connection goes on


def test_a_response_that_has_no_content() -> None:
    with serving() as server:
        server.on("HEAD", "/", body=BODY, fault=Fault(wrong_length=1))
        server.on("HEAD", "/slow", body=BODY, fault=Fault(rate=1))
        server.on("GET", "/", status=304, body=BODY, fault=Fault(bad_chunk=True))
        with RawClient(server.port) as client:
            client.send(b"HEAD /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.read_response("HEAD").header("content-length") == "10"
            head, body, _ = heard(client, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert head.endswith(b"content-length: 11\r\n\r\n") and not body
        with RawClient(server.port) as client:
            assert heard(client)[1] == b""


def test_faults_keep_to_times_and_hold_with_actions() -> None:
    calls: list[float] = []

    def action(request: HttpRequest) -> None:
        calls.append(time.monotonic())
        request.response.close()

    with serving() as server:
        server.on("GET", "/", action=action, fault=Fault(delay=0.05))
        server.on("GET", "/", action=action, fault=Fault(close_before_head=True), times=2)
        began = time.monotonic()
        for _ in range(2):
            with RawClient(server.port) as client:
                assert heard(client) == (b"", b"", "end")
        assert not calls
        with RawClient(server.port) as client:
            assert client.get().status == 200
        assert len(calls) == 1 and calls[0] - began >= 0.05


class WireOfTls:
    """A TLS client that keeps what comes on the socket apart from what it means."""

    def __init__(self, server: RunningServer) -> None:
        assert server.context is not None
        context = ssl.create_default_context(cadata=server.context.certificate_pem)
        self.socket = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._pump(self._tls.do_handshake)

    def _pump(self, step: Callable[[], bytes | None]) -> bytes:
        while True:
            try:
                return step() or b""
            except ssl.SSLWantReadError:
                self.flush()
                self._incoming.write(self.socket.recv(65536))
            finally:
                self.flush()

    def flush(self) -> None:
        if self._outgoing.pending:
            self.socket.sendall(self._outgoing.read())

    def send(self, data: bytes) -> None:
        self._tls.write(data)
        self.flush()

    def read_until(self, end: bytes) -> None:
        seen = b""
        while not seen.endswith(end):
            seen += self._pump(self._tls.read)


@pytest.mark.parametrize("request_bytes", [GET, POST], ids=["a thread receives", "no thread receives"])
def test_a_reset_over_tls_is_nothing_but_a_reset(request_bytes: bytes) -> None:
    """No alert of OpenSSL's, to which the end of its input is a fault, and no close_notify (RFC 8446 6)."""
    with serving(secure=True) as server:
        for _ in range(5):
            server.on("*", "/", fault=Fault(reset=True))
            server.on("*", "/", body=BODY, times=1)  # behind it no session ticket is on its way
            client = WireOfTls(server)
            with client.socket:
                client.send(GET)
                client.read_until(BODY)
                client.send(request_bytes)
                assert select.select([client.socket], [], [], PATIENCE)[0]
                with pytest.raises(ConnectionResetError):
                    raise AssertionError(f"found {client.socket.recv(65536)!r}, expected a reset")


@secure
@pytest.mark.parametrize("fault", [
    Fault(reset=True), Fault(close_before_head=True), Fault(cut_after=5), Fault(cut_after=5, reset=True),
    Fault(bad_chunk=True), Fault(wrong_length=3)], ids=repr)
def test_what_clients_make_of_it(fault: Fault, secure: bool) -> None:
    """Each notices, ours by an HttpException: POST, which is not sent a second time."""
    with serving(secure=secure) as server:
        server.on("POST", "/", body=BODY, fault=fault)
        trust, tls = None, None
        if server.context is not None:
            trust = SecurityContext()
            trust.set_trusted_certificates_bytes(server.context.certificate_pem.encode())
            tls = ssl.create_default_context(cadata=server.context.certificate_pem)
        with HttpClient(context=trust) as client, pytest.raises(HttpException):
            client.post_url(server.url).close().read()
        connection = (http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE) if tls is None else
                      http.client.HTTPSConnection("127.0.0.1", server.port, timeout=PATIENCE, context=tls))
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            connection.request("POST", "/", b"x")
            connection.getresponse().read()
        connection.close()
        if not secure:
            with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
                requests.post(server.url, timeout=PATIENCE)
