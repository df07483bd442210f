"""Clients that take their answers slowly, or not at all: each costs its own thread, and delays nobody."""
from __future__ import annotations

import socket
import threading
import time

import pytest

from blockingio import HttpException, HttpRequest, HttpResponse, HttpServer
from tests.peers import PATIENCE, RawClient, eventually, serving
from tests.server.visits import get, running, small_window, tell, to_the_end

MIB = 1 << 20
#: Seconds of a limit that is to be met.
SOON = 0.2


@pytest.mark.parametrize("pieces", [1, 20, 320],
                         ids=["in one write", "in large pieces", "in pieces of 64 KiB"])
def test_a_client_that_never_reads_does_not_delay_the_loop(pieces: int) -> None:
    """A plain loop, on one thread: the good client beside it is served within a second."""

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/big":
            for _ in range(pieces):
                request.response.write(b"x" * (20 * MIB // pieces))
            request.response.close()
        else:
            tell(request)

    with HttpServer.bind("127.0.0.1", 0) as server, running(server, handler):
        with small_window(server.port) as never, RawClient(server.port) as good:
            never.send(get("/big"))
            eventually(lambda: server.connections_info().active)
            for _ in range(5):
                began = time.monotonic()
                good.seconds = 2
                assert good.get("/good").body == b"/good"
                assert time.monotonic() - began < 1


def test_a_client_that_never_reads_counts_as_gone() -> None:
    responses: list[HttpResponse] = []

    def handler(request: HttpRequest) -> None:
        responses.append(request.response)
        request.response.write(b"x" * 8 * MIB)
        request.response.close()

    with serving(handler, body_timeout=SOON) as server, small_window(server.port) as client:
        client.send(get())
        eventually(lambda: responses)
        assert isinstance(responses[0].done.exception(PATIENCE), HttpException)
        assert not responses[0].is_connected


def test_small_answers_to_a_client_that_does_not_read() -> None:
    """The kernel's buffer is full at the end of one and at the beginning of the next."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with HttpServer.listen_on(sock) as server, running(server), small_window(server.port) as client:
            client.send(b"".join(get(f"/{number}") for number in range(300)))
            threading.Event().wait(0.05)
            for number in range(300):
                assert client.read_response().body == b"/%d" % number


def test_what_a_server_holds_for_slow_readers_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past it the writer waits for its client; all arrives, and is still in order."""
    monkeypatch.setattr("blockingio.server.outbox.OUTBOXES_SIZE", MIB)
    written: list[int] = []

    def handler(request: HttpRequest) -> None:
        for number in range(32):
            request.response.write(bytes([number]) * MIB)
            written.append(number)
        request.response.close()

    with serving(handler) as server, small_window(server.port) as client:
        client.send(get())
        eventually(lambda: written)
        threading.Event().wait(0.05)
        assert len(written) < 20
        assert client.read_response().body == b"".join(bytes([number]) * MIB for number in range(32))


def test_a_writer_that_waits_for_a_client_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockingio.server.outbox.OUTBOXES_SIZE", MIB)
    ended = threading.Event()

    def handler(request: HttpRequest) -> None:
        for _ in range(32):
            request.response.write(b"x" * MIB)
        assert not request.response.is_connected
        request.response.close()
        ended.set()

    with serving(handler) as server:
        client = small_window(server.port).send(get())
        client.read_exactly(1000)
        client.reset()
        assert ended.wait(PATIENCE)


def test_an_exception_behind_what_a_slow_client_has_not_taken() -> None:
    """It must not take what comes for the whole."""
    def handler(request: HttpRequest) -> None:
        with pytest.raises(ZeroDivisionError):
            with request.response:
                request.response.write(b"x" * 8 * MIB)
                raise ZeroDivisionError

    with serving(handler) as server, small_window(server.port) as client:
        client.send(get())
        assert not to_the_end(client).endswith(b"0\r\n\r\n")
        eventually(lambda: not server.connections_info().total)


def test_close_by_force_frees_a_writer_that_waits() -> None:
    ended = threading.Event()

    def handler(request: HttpRequest) -> None:
        for _ in range(64):
            request.response.write(b"x" * MIB)
        request.response.flush()
        assert not request.response.is_connected
        request.response.close()
        ended.set()

    with serving(handler) as server, small_window(server.port) as client:
        client.send(get())
        assert client.read_exactly(9) == b"HTTP/1.1 "
        server.close(force=True)
        assert ended.wait(PATIENCE)


def test_flush_waits_for_a_slow_reader() -> None:
    flushed = threading.Event()

    def handler(request: HttpRequest) -> None:
        request.response.write(b"x" * 8 * MIB)
        request.response.flush()
        flushed.set()
        request.response.close()

    with serving(handler) as server, small_window(server.port) as client:
        client.send(get())
        assert client.read_exactly(9) == b"HTTP/1.1 "
        assert not flushed.wait(0.05)
        rest = client.read_exactly(8 * MIB)
        assert len(rest) == 8 * MIB and flushed.wait(PATIENCE)
