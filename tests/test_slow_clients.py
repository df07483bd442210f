"""Clients that are slow, silent or gone: each meets its limit, and delays nobody beside it.

The limits are set small and the deadlines generous; a client's slowness is a pause between
two of its bytes, never a wait for the server.
"""
from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable

import pytest

from blockingio import HttpException, HttpRequest
from tests.neighbours import NEVER, PAUSE, POST, SOON, assert_others_are_served, assert_refused, hello, pause
from tests.peers import PATIENCE, RawClient, TlsContexts, eventually, serving, to_the_end

MIB = 1 << 20
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GET_BIG = GET.replace(b"/", b"/big", 1)


def small_window(port: int, context: ssl.SSLContext | None = None) -> RawClient:
    """A client whose kernel takes little before the client itself reads."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(PATIENCE)
    sock.connect(("127.0.0.1", port))
    return RawClient.on(context.wrap_socket(sock, server_hostname="localhost") if context else sock)


def trickle(client: RawClient, data: bytes, between: Callable[[], object] = lambda: None) -> int:
    """Send a byte at a time, slowly, until all is sent or the server has answered; how many were sent."""
    client.socket.setblocking(False)
    for at in range(len(data)):
        try:
            client.socket.recv(1, socket.MSG_PEEK)
            return at
        except BlockingIOError:
            pass
        client.socket.send(data[at:at + 1])
        pause()
        between()
    return len(data)


# ------------------------------------------------------------------------- time

def test_a_head_that_comes_too_slowly_gets_408() -> None:
    with serving(hello, header_timeout=SOON) as server, RawClient(server.port) as client:
        began = time.monotonic()
        trickle(client, b"GET / HTTP/1.1\r\n" + b"X-Slow: 1\r\n" * 1000)
        assert SOON * 0.9 < time.monotonic() - began < PATIENCE
        assert_refused(client, 408)
        assert_others_are_served(server)


def test_a_head_of_a_byte_now_and_then_delays_nobody() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with serving(hello, header_timeout=NEVER) as server, RawClient(server.port) as client:
        assert trickle(client, head, lambda: assert_others_are_served(server)) == len(head)
        assert client.read_response().status == 200


def test_a_head_that_stops_gets_408() -> None:
    with serving(hello, header_timeout=SOON) as server, RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a")
        assert_others_are_served(server)
        assert_refused(client, 408)


def test_a_second_head_that_stops_gets_408() -> None:
    """The time runs from the head's first byte, on a connection that was used before too."""
    with serving(hello, header_timeout=SOON) as server, RawClient(server.port) as client:
        assert client.get().status == 200
        client.send(b"GET /2 HT")
        assert_others_are_served(server)
        assert_refused(client, 408)


def test_empty_lines_do_not_go_on_for_ever() -> None:
    """RFC 9112 2.2 has them ignored, but not without end."""
    with serving(hello, header_timeout=SOON, idle_timeout=SOON) as server, RawClient(server.port) as client:
        try:
            sent = trickle(client, b"\r\n" * 1000)
        except ConnectionError:
            sent = 0
        assert sent < 1000 and PAUSE * sent < PATIENCE
        assert_others_are_served(server)


def test_silence_is_no_slow_head() -> None:
    """Browsers connect in advance: header_timeout begins with the first byte."""
    with serving(hello, header_timeout=SOON, idle_timeout=NEVER) as server:
        with RawClient(server.port) as silent, RawClient(server.port) as slow:
            slow.send(b"G")
            assert_refused(slow, 408)
            assert_others_are_served(server)
            assert silent.get().status == 200


@pytest.mark.parametrize("sent", [b"", GET], ids=["never used", "kept alive"])
def test_an_idle_connection_is_closed_without_an_answer(sent: bytes) -> None:
    with serving(hello, idle_timeout=SOON, header_timeout=NEVER) as server:
        began = time.monotonic()  # before it is accepted, from which on it is idle
        with RawClient(server.port) as client:
            if sent:
                assert client.send(sent).read_response().status == 200
            assert_others_are_served(server)
            assert client.read_until_eof() == b""
            assert SOON * 0.9 < time.monotonic() - began < SOON + PATIENCE * 2


def test_a_connection_in_use_is_not_idle() -> None:
    with serving(hello, idle_timeout=SOON * 2) as server, RawClient(server.port) as client:
        end = time.monotonic() + SOON * 4
        while time.monotonic() < end:
            assert client.get().status == 200
            pause()


def test_a_handler_at_work_is_no_idle_connection() -> None:
    go_on = threading.Event()

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/slow":
            go_on.wait(PATIENCE)
        hello(request)

    with serving(handler, workers=2, idle_timeout=SOON, header_timeout=SOON, body_timeout=SOON) as server:
        with RawClient(server.port) as client, RawClient(server.port) as idle:
            client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            assert idle.is_ended()  # so the time is up
            assert_others_are_served(server)
            go_on.set()
            assert client.read_response().status == 200


@pytest.mark.parametrize("start", [
    b"Content-Length: 10\r\n\r\n",
    b"Content-Length: 10\r\n\r\nabc",
    b"Transfer-Encoding: chunked\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\na",
    b"Transfer-Encoding: chunked\r\n\r\na\r\nabc",
    b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y",
], ids=["no body", "half a body", "no chunk", "half a size", "half a chunk", "half a trailer"])
def test_a_body_that_stops_gets_408(start: bytes) -> None:
    raised: list[Exception] = []

    def handler(request: HttpRequest) -> None:
        with request.response:
            try:
                request.read()
            except HttpException as error:
                raised.append(error)

    with serving(handler, workers=2, body_timeout=SOON, header_timeout=NEVER) as server:
        with RawClient(server.port) as client:
            client.send(POST + start)
            assert_others_are_served(server)
            assert_refused(client, 408)
    assert len(raised) == 1


def test_a_slow_body_without_gaps_is_taken() -> None:
    """body_timeout is of a gap, not of the body: 20 bytes here take longer than it."""
    with serving(hello, workers=2, body_timeout=SOON) as server, RawClient(server.port) as client:
        client.send(POST + b"Content-Length: 20\r\n\r\n")
        trickle(client, b"x" * 20)
        assert_others_are_served(server)
        assert client.read_response().body == b"20"


def test_a_slow_body_costs_no_loop_that_does_not_read_it() -> None:
    """The loop has one thread, and the head alone is what it waits for."""

    def handler(request: HttpRequest) -> None:
        request.response.write("unread")
        request.response.close()

    with serving(handler, body_timeout=NEVER) as server, RawClient(server.port) as client:
        client.send(POST + b"Content-Length: 20\r\n\r\nabc")
        assert client.read_response().body == b"unread"
        assert_others_are_served(server)


@pytest.mark.parametrize("start, more", [
    (b"Content-Length: 100000\r\n\r\n", b"x"),
    (b"Content-Length: 100000\r\n\r\n" + b"x" * 100, b"x"),
    (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    (b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    (b"Transfer-Encoding: chunked\r\n\r\n2710\r\n", b"x"),
    (b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
], ids=["counted", "counted, and begun", "chunk by chunk", "in a chunk's size", "in a chunk", "in the trailers"])
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "TLS"])
def test_a_body_that_dribbles_without_gaps_gets_408(start: bytes, more: bytes, is_secure: bool,
                                                    tls_contexts: TlsContexts,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """No gap is long, and there would never be an end; a worker is not held for as long."""
    monkeypatch.setattr("blockingio.server.pace.BODY_GRACE", SOON)
    errors: list[HttpException] = []

    def handler(request: HttpRequest) -> None:
        with request.response:
            try:
                request.read()
            except HttpException as error:
                errors.append(error)

    context = tls_contexts.client if is_secure else None
    with serving(handler, context=tls_contexts.server if is_secure else None, workers=1, body_timeout=NEVER,
                 min_body_rate=1000) as server:
        with RawClient(server.port, context=context) as client:
            client.send(POST + start)
            while not errors:
                client.send(more)
                pause()
            assert_refused(client, 408)
    assert "1000 bytes a second" in str(errors[0])


def test_a_body_that_stops_after_a_good_beginning_is_over_when_its_rate_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate is that of the whole body: what came quickly may be waited for longer, but not for ever."""
    monkeypatch.setattr("blockingio.server.pace.BODY_GRACE", SOON / 10)
    with serving(hello, body_timeout=NEVER, min_body_rate=50_000) as server, RawClient(server.port) as client:
        began = time.monotonic()
        client.send(POST + b"Content-Length: 100000\r\n\r\n" + b"x" * 20_000)
        assert_refused(client, 408)
        assert time.monotonic() - began >= 0.4  # 20,000 bytes of 50,000 a second


@pytest.mark.parametrize("rate", [5, None])
def test_a_slow_body_that_keeps_up_its_rate_is_taken(rate: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockingio.server.pace.BODY_GRACE", SOON)
    with serving(hello, min_body_rate=rate) as server, RawClient(server.port) as client:
        client.send(POST + b"Content-Length: 30\r\n\r\n" + b"x" * 10)
        trickle(client, b"x" * 20)
        assert client.read_response().body == b"30"
        assert client.get().status == 200


def test_a_handlers_own_time_is_not_the_bodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockingio.server.pace.BODY_GRACE", SOON)

    def handler(request: HttpRequest) -> None:
        with request.response as response:
            first = request.read(1)
            threading.Event().wait(SOON * 2)
            go_on.set()
            response.write(first + request.read())

    go_on = threading.Event()
    with serving(handler, min_body_rate=MIB) as server, RawClient(server.port) as client:
        client.send(POST + b"Content-Length: 10\r\n\r\n" + b"x" * 5)
        assert go_on.wait(PATIENCE)
        client.send(b"x" * 5)
        assert client.read_response().body == b"x" * 10


def test_a_body_that_nobody_reads_is_not_read_away_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockingio.server.pace.BODY_GRACE", SOON)

    def handler(request: HttpRequest) -> None:
        request.response.write("unread")
        request.response.close()

    with serving(handler, body_timeout=NEVER, min_body_rate=1000) as server, RawClient(server.port) as client:
        client.send(POST + b"Content-Length: 1000\r\n\r\nabc")
        assert client.read_response().body == b"unread"
        trickle(client, b"x" * 900)
        eventually(lambda: not server.connections_info().total)


def test_the_next_head_on_a_connection_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What limits a body ends with it."""
    monkeypatch.setattr("blockingio.server.pace.BODY_GRACE", SOON)
    with serving(hello, min_body_rate=1000) as server, RawClient(server.port) as client:
        client.send(POST + b"Content-Length: 3\r\n\r\nabc")
        assert client.read_response().body == b"3"
        threading.Event().wait(SOON * 2)
        assert trickle(client, b"GET / HTTP/1.1\r\n") == 16
        client.send(b"Host: a\r\n\r\n")
        assert client.read_response().status == 200


# -------------------------------------------------------------------------- TLS

@pytest.mark.parametrize("start", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
                         ids=["silent", "half a hello"])
def test_a_handshake_that_never_ends(start: bytes, tls_contexts: TlsContexts) -> None:
    with serving(hello, context=tls_contexts.server, header_timeout=SOON) as server:
        with RawClient(server.port) as client:
            client.send(start)
            assert_others_are_served(server, tls_contexts.client)
            assert client.is_ended()


def test_many_handshakes_that_never_end(tls_contexts: TlsContexts) -> None:
    with serving(hello, context=tls_contexts.server, header_timeout=NEVER) as server:
        clients = [RawClient(server.port).send(b"\x16\x03\x01") for _ in range(50)]
        assert_others_are_served(server, tls_contexts.client)
        for client in clients:
            client.close()


def test_plain_http_on_a_tls_port_delays_nobody(tls_contexts: TlsContexts) -> None:
    with serving(hello, context=tls_contexts.server) as server, RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert_others_are_served(server, tls_contexts.client)
        to_the_end(client)


# --------------------------------------------------------------- slow to take

def big(size: int) -> Callable[[HttpRequest], None]:
    def handler(request: HttpRequest) -> None:
        with request.response as response:
            response.write(b"x" * (size if request.uri.path == "/big" else 1))
    return handler


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "TLS"])
def test_one_thread_serves_others_while_a_client_reads_slowly(is_secure: bool,
                                                              tls_contexts: TlsContexts) -> None:
    """The loop has one thread: what a slow reader leaves waiting is no business of the loop's."""
    size = MIB // 2
    context = tls_contexts.client if is_secure else None
    with serving(big(size), context=tls_contexts.server if is_secure else None, workers=None,
                 body_timeout=NEVER) as server, small_window(server.port, context) as client:
        client.send(GET_BIG)
        taken = 0
        for _ in range(20):
            taken += len(client.socket.recv(1))
            assert_others_are_served(server, context)
            pause()
        assert taken == 20
        # Then all of it, and it is whole.
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        data = client.read_until_eof()
        assert data.count(b"x" * size) == 1 and data.endswith(b"\r\n\r\nx")


def test_a_response_past_every_buffer_reaches_a_slow_reader_whole() -> None:
    size = 6 * MIB
    with serving(big(size), workers=2, body_timeout=NEVER) as server, small_window(server.port) as client:
        client.send(GET_BIG)
        assert client.read_exactly(9) == b"HTTP/1.1 "
        for _ in range(10):
            assert_others_are_served(server)
            pause()
        assert len(client.read_exactly(size)) == size


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("taken", [0, 1000], ids=["never", "no more"])
def test_a_client_that_does_not_read_counts_as_gone(taken: int, is_secure: bool,
                                                    tls_contexts: TlsContexts) -> None:
    size = 12 * MIB  # past every buffer, the kernel's too
    responses = []

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/big":
            responses.append(request.response)
        big(size)(request)

    context = tls_contexts.client if is_secure else None
    with serving(handler, context=tls_contexts.server if is_secure else None, workers=2, body_timeout=SOON,
                 idle_timeout=NEVER) as server:
        with small_window(server.port, context) as client:
            client.send(GET_BIG)
            client.read_exactly(taken)
            eventually(lambda: responses)
            assert_others_are_served(server, context)
            eventually(lambda: not responses[0].is_connected)
            with pytest.raises(HttpException):
                responses[0].done.result(PATIENCE)
            eventually(lambda: server.connections_info().total == 0)
            assert_others_are_served(server, context)


def test_a_client_that_sends_requests_and_never_reads() -> None:
    """A pipeline whose answers nobody takes stops being read, and then counts as gone."""
    with serving(big(256 * 1024), workers=2, body_timeout=SOON) as server:
        with small_window(server.port) as client:
            try:
                client.send(GET_BIG * 200)
            except ConnectionError:
                pass
            assert_others_are_served(server)
            eventually(lambda: server.connections_info().total == 0)


# ------------------------------------------------------------------------- gone

@pytest.mark.parametrize("sent", [
    b"", b"GET / HT", GET, POST + b"Content-Length: 100\r\n\r\nabc",
    POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", GET_BIG,
], ids=["at once", "in a head", "before the answer", "in a body", "in a chunk", "in the answer"])
def test_clients_that_reset(sent: bytes) -> None:
    def handler(request: HttpRequest) -> None:
        with request.response as response:
            try:
                request.read()
            except HttpException:
                return
            response.write(b"x" * (4 * MIB if request.uri.path == "/big" else 1))

    with serving(handler, workers=2) as server:
        for _ in range(20):
            client = RawClient(server.port).send(sent)
            if sent == GET_BIG:
                client.read_exactly(1000)
            client.reset()
        assert_others_are_served(server)
        eventually(lambda: server.connections_info().total == 0)


def test_a_hundred_slow_clients_of_every_kind_delay_nobody() -> None:
    starts = [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n"] * 25
    with serving(hello, header_timeout=NEVER, idle_timeout=NEVER) as server:
        clients = [RawClient(server.port).send(start) for start in starts]
        try:
            eventually(lambda: server.connections_info().total == len(starts))
            for _ in range(10):
                assert_others_are_served(server)
        finally:
            for client in clients:
                client.close()
