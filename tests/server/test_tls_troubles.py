"""HTTPS with clients that get stuck, speak something else, go away or read slowly: they delay nobody."""
from __future__ import annotations

import os
import socket
import ssl
import time

import pytest

from blockingio import HttpException, HttpRequest, HttpResponse, HttpServer
from tests.peers import PATIENCE, RawClient, TlsContexts, eventually, serving
from tests.server.visits import (
    answering, assert_others_are_served, body_length, get, post, reading, running, small_window, tell,
)

MIB = 1 << 20
#: Seconds of a limit that is to be met.
SOON = 0.2


# ------------------------------------------------------------- stuck and strange

@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
                         ids=["nothing", "a byte", "half a hello"])
def test_a_client_stuck_in_the_handshake(sent: bytes, tls_contexts: TlsContexts) -> None:
    """It delays nobody, and has header_timeout."""
    with serving(tell, context=tls_contexts.server, header_timeout=SOON) as server:
        with RawClient(server.port) as stuck:
            began = time.monotonic()
            stuck.send(sent)
            assert_others_are_served(server, tls_contexts.client)
            assert stuck.is_ended()
            assert SOON * 0.8 < time.monotonic() - began < PATIENCE
        eventually(lambda: not server.connections_info().total)


@pytest.mark.parametrize("sent",
                         [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\0" * 1000, b"\x16\x03\x01\x00\x05hello",
                          b"x" * 100_000], ids=["plain HTTP", "zeros", "a bad record", "much"])
@pytest.mark.parametrize("end", ["waits", "goes", "resets"])
def test_a_client_that_speaks_no_tls(sent: bytes, end: str, tls_contexts: TlsContexts) -> None:
    """No request, nothing logged; the connection ends by itself."""
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
    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/big":
            for _ in range(pieces):
                request.response.write(b"x" * (20 * MIB // pieces))
            request.response.close()
        else:
            tell(request)

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
