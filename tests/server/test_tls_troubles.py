"""HTTPS with clients that get stuck, speak something else, go away or read slowly: they delay nobody."""
from __future__ import annotations

import logging
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from blockingio import AccessRecord, HttpException, HttpRequest, HttpResponse, HttpServer
from blockingio.net.tls_channel import handshake_turns
from blockingio.net.turns import FEW
from tests.neighbours import assert_others_are_served
from tests.peers import PATIENCE, RawClient, TlsContexts, eventually, serving
from tests.server.visits import (
    answering, big_or_tell, body_length, get, post, reading, running, small_window, tell, to_the_end,
)

MIB = 1 << 20
#: Seconds of a limit that is to be met.
SOON = 0.5
#: Clients in a handshake: more than may compute at once.
MANY = max(FEW, os.cpu_count() or 1) + 4


# ------------------------------------------------------------- stuck and strange

@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
                         ids=["nothing", "a byte", "half a hello"])
def test_a_client_stuck_in_the_handshake(sent: bytes, tls_contexts: TlsContexts) -> None:
    """It delays nobody, and has header_timeout."""
    with serving(tell, context=tls_contexts.server, header_timeout=SOON) as server:
        began = time.monotonic()  # before it is accepted
        with RawClient(server.port) as stuck:
            stuck.send(sent)
            assert_others_are_served(server, tls_contexts.client)
            assert stuck.is_ended()
            assert SOON * 0.9 < time.monotonic() - began < SOON + PATIENCE * 2
        eventually(lambda: not server.connections_info().total)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
                         ids=["nothing", "half a hello"])
def test_a_client_stuck_in_the_handshake_keeps_no_turn(sent: bytes, tls_contexts: TlsContexts) -> None:
    """Handshakes are computed in turns, and only what a client has sent is computed."""
    with serving(tell, context=tls_contexts.server) as server, ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(RawClient(server.port)).send(sent)
        eventually(lambda: server.connections_info().total == MANY)
        assert_others_are_served(server, tls_contexts.client)
        eventually(lambda: repr(handshake_turns) == "<Turns 0 inside, 0 waiting>")
        assert server.connections_info().total >= MANY


def test_a_callback_that_waits_holds_up_no_other_client(tls_contexts: TlsContexts) -> None:
    """Not for long: it has its turn of the handshake as long as it waits."""
    goes_on = threading.Event()
    held: list[str] = []

    def hold(_: object, name: str | None, context: object) -> None:
        if name == "held.example":
            held.append(name)
            assert goes_on.wait(PATIENCE * 2)

    tls_contexts.server.sni_callback = hold
    hello = client_hello(tls_contexts.client, "held.example")
    with serving(tell, context=tls_contexts.server) as server, ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(RawClient(server.port)).send(hello)
        try:
            eventually(lambda: len(held) == MANY)
            assert_others_are_served(server, tls_contexts.client)
        finally:
            goes_on.set()


def test_requests_that_are_not_taken_hold_up_no_handshake(tls_contexts: TlsContexts) -> None:
    """They go first where they wait for a processor only."""
    goes_on = threading.Event()

    def hold(request: HttpRequest) -> None:
        assert goes_on.wait(PATIENCE * 2)
        tell(request)

    hello = client_hello(tls_contexts.client, "localhost")
    with serving(hold, context=tls_contexts.server) as server, ExitStack() as stack:
        try:
            for _ in range(3):
                stack.enter_context(RawClient(server.port, context=tls_contexts.client)).send(get())
            clients = [stack.enter_context(RawClient(server.port)).send(hello) for _ in range(MANY)]
            for client in clients:
                assert client.read_exactly(1) == b"\x16"  # a record of the handshake
        finally:
            goes_on.set()


def client_hello(context: ssl.SSLContext, name: str) -> bytes:
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("sent",
                         [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\0" * 1000, b"\x16\x03\x01\x00\x05hello",
                          b"x" * 100_000], ids=["plain HTTP", "zeros", "a bad record", "much"])
@pytest.mark.parametrize("end", ["waits", "goes", "resets"])
def test_a_client_that_speaks_no_tls(sent: bytes, end: str, tls_contexts: TlsContexts) -> None:
    """No request; the connection ends by itself."""
    seen: list[HttpRequest] = []
    with serving(answering("x", seen), context=tls_contexts.server) as server:
        with RawClient(server.port) as client:
            try:
                client.send(sent)
                if end == "waits":
                    client.read_until_eof()
                elif end == "resets":
                    client.reset()
            except ConnectionError:
                pass
        eventually(lambda: not server.connections_info().total)
        assert not seen
        with RawClient(server.port, context=tls_contexts.client) as client:
            assert client.get().status == 200


HEAD_END = " HTTP/1.1\r\nHost: a.example:80\r\n\r\n"


@pytest.mark.parametrize(("raw", "location"), [
    (f"{method} {target}{HEAD_END}", f"https://a.example:80{target}")
    for method in ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS")
    for target in ("/", "/x?y=z%20", "/a/ttp://b")
] + [
    ("GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n", "https://a.example:{port}/x"),
    ("GET /x HTTP/1.0\r\nHost: [::1]\r\n\r\n", "https://[::1]:{port}/x"),
    ("GET //b.example HTTP/1.1\r\nHost: a.example\r\n\r\n", "https://a.example:{port}/b.example"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + "x" * 100_000, "https://a:{port}/"),
    # What cannot be told:
    ("GET / HTTP/1.0\r\n\r\n", None), ("GET / HTTP/1.1\r\n\r\n", None), ("GET / HT", None),
    ("GET / HTTP/1.1\r\nHost: a\r\n", None), ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", None),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", None), ("GET /\u00e9 HTTP/1.1\r\nHost: a\r\n\r\n", None),
    ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", None), ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", None),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", None), ("M-SEARCH * HTTP/1.1\r\n\r\n", None),
    ("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", None),
], ids=lambda value: repr(value[:40]) if value else "None")
def test_plain_http_is_told_so(raw: str, location: str | None, tls_contexts: TlsContexts,
                               caplog: pytest.LogCaptureFixture) -> None:
    """In plain HTTP, as it is all that the client can read, and where to go; and who runs the server can see it."""
    seen: list[HttpRequest] = []
    records: list[AccessRecord] = []
    caplog.set_level(logging.INFO, "blockingio")
    settings: dict[str, Any] = {"access_log": records.append, "allowed_hosts": ["a.example", "a", "::1"]}
    with serving(answering("x", seen), context=tls_contexts.server, **settings) as server:
        with RawClient(server.port) as client:
            response = client.send(raw.encode("latin-1")).read_response()
            status = 308 if location else 400
            assert (response.status, response.header("connection")) == (status, "close")
            assert response.header("location") == (location and location.format(port=server.port))
            assert b"plain HTTP" in response.body and b"https" in response.body
            assert client.is_ended()
        eventually(lambda: not server.connections_info().total)
        assert not seen and [record.status for record in records] == [status]
        server.allowed_hosts = None
        with RawClient(server.port, context=tls_contexts.client) as client:
            assert client.get().body == b"x"
    line, = [record for record in caplog.records if record.levelno == logging.INFO]
    assert line.name == "blockingio" and "plain HTTP" in line.getMessage() and "127.0.0.1" in line.getMessage()


def distrust(port: int, contexts: TlsContexts) -> None:
    with pytest.raises(ssl.SSLError):
        RawClient(port, context=ssl.create_default_context())


def nothing_shared(port: int, contexts: TlsContexts) -> None:
    contexts.client.maximum_version = ssl.TLSVersion.TLSv1_2
    contexts.client.set_ciphers("PSK")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        RawClient(port, context=contexts.client)


def leave(port: int, contexts: TlsContexts) -> None:
    RawClient(port).close()


def send_nonsense(port: int, contexts: TlsContexts) -> None:
    with RawClient(port) as client:
        to_the_end(client.send(b"\x16\x03\x01\x00\x05hello"))


def be_slow(port: int, contexts: TlsContexts) -> None:
    with RawClient(port) as client:
        assert client.is_ended()


@pytest.mark.parametrize("fail, reason", [
    (distrust, "TLSV1_ALERT_UNKNOWN_CA"), (nothing_shared, "[A-Z]+_[A-Z_]+"), (send_nonsense, "[A-Z]+_[A-Z_]+"),
    (leave, "EOF|reset"), (be_slow, "timed out")],
    ids=lambda value: getattr(value, "__name__", None) or "")
def test_a_handshake_that_fails_is_logged_at_debug(
        fail: Callable[[int, TlsContexts], None], reason: str, tls_contexts: TlsContexts,
        caplog: pytest.LogCaptureFixture) -> None:
    """With OpenSSL's reason; above DEBUG nothing is, since anybody can make one fail."""
    caplog.set_level(logging.DEBUG, "blockingio")
    tls_contexts.server.maximum_version = ssl.TLSVersion.TLSv1_2  # so that the client's end of it is part of it
    with serving(tell, context=tls_contexts.server, header_timeout=SOON if fail is be_slow else 20) as server:
        fail(server.port, tls_contexts)
        eventually(lambda: not server.connections_info().total and caplog.records)
    record, = caplog.records
    assert (record.name, record.levelno) == ("blockingio", logging.DEBUG)
    assert re.search(f"handshake with 127.0.0.1 failed: .*(?:{reason})", record.getMessage()), record.getMessage()


def test_a_client_that_distrusts_us(tls_contexts: TlsContexts) -> None:
    with serving(tell, context=tls_contexts.server) as server:
        with pytest.raises(ssl.SSLError):
            RawClient(server.port, context=ssl.create_default_context())
        eventually(lambda: not server.connections_info().total)
        assert_others_are_served(server, tls_contexts.client)


def test_a_cut_without_close_notify(tls_contexts: TlsContexts) -> None:
    """In a head it is nothing, in a body it is an HttpException."""
    errors: list[Exception] = []

    with serving(reading(errors), context=tls_contexts.server) as server:
        for sent in (b"", b"GET / HT", post(b"abc")[:-1]):
            client = RawClient(server.port, context=tls_contexts.client).send(sent)
            client.socket.shutdown(socket.SHUT_RDWR)
            client.close()
        eventually(lambda: errors and not server.connections_info().total)
        assert_others_are_served(server, tls_contexts.client)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", post(b"abc")[:-1]],
                         ids=["idle", "in a head", "in a body"])
def test_a_broken_record(sent: bytes, tls_contexts: TlsContexts) -> None:
    """What no key fits ends the connection; a body that it was in the middle of is an HttpException."""
    errors: list[Exception] = []

    with serving(reading(errors), context=tls_contexts.server) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            client.send(sent)
            with socket.socket(fileno=os.dup(client.socket.fileno())) as raw:
                raw.settimeout(PATIENCE)
                raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
            eventually(lambda: errors or not sent.startswith(b"POST"))
        eventually(lambda: not server.connections_info().total)
        assert len(errors) == (1 if sent.startswith(b"POST") else 0)
        assert_others_are_served(server, tls_contexts.client)


def test_a_reset_at_any_time(tls_contexts: TlsContexts) -> None:
    with serving(body_length, context=tls_contexts.server) as server:
        for sent in (b"", b"GET / HT", get(), post(b"abc")[:-1]):
            RawClient(server.port, context=tls_contexts.client).send(sent).reset()
        eventually(lambda: not server.connections_info().total)


# -------------------------------------------------------------------- slow readers

@pytest.mark.parametrize("pieces", [1, 20])
def test_a_client_that_never_reads_delays_nobody(pieces: int, tls_contexts: TlsContexts) -> None:
    handler = big_or_tell(20 * MIB, pieces)
    with HttpServer.bind_secure("127.0.0.1", 0, tls_contexts.server) as server, running(server, handler):
        with small_window(server.port, tls_contexts.client) as never:
            never.send(get("/big"))
            eventually(lambda: server.connections_info().active)
            for _ in range(3):
                assert_others_are_served(server, tls_contexts.client)


def test_a_slow_reader_gets_it_whole(tls_contexts: TlsContexts) -> None:
    data = bytes(range(256)) * 4096 * 6

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/good":
            tell(request)
            return
        for at in range(0, len(data), MIB):
            request.response.write(data[at:at + MIB])
        request.response.close()

    with serving(handler, context=tls_contexts.server, workers=2) as server:
        with small_window(server.port, tls_contexts.client) as client:
            client.send(get("/big"))
            assert_others_are_served(server, tls_contexts.client)
            assert client.read_response().body == data
            assert client.get("/good").body == b"/good"


def test_a_client_that_never_reads_counts_as_gone(tls_contexts: TlsContexts) -> None:
    def handler(request: HttpRequest) -> None:
        responses.append(request.response)
        request.response.write(b"x" * 20 * MIB)
        request.response.close()

    responses: list[HttpResponse] = []
    with serving(handler, context=tls_contexts.server, body_timeout=SOON) as server:
        with small_window(server.port, tls_contexts.client) as client:
            client.send(get())
            eventually(lambda: responses)
            assert isinstance(responses[0].done.exception(PATIENCE), HttpException)
        eventually(lambda: not server.connections_info().total)
