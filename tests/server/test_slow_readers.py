"""Clients that take their answers slowly, or not at all: each costs its own thread, and delays nobody."""
from __future__ import annotations

import socket
import threading

import pytest

from blockingio import HttpException, HttpRequest, HttpResponse, HttpServer
from blockingio.server.response_writer import ResponseWriter
from tests.peers import PATIENCE, RawClient, eventually, serving
from tests.server.visits import big_or_tell, get, in_background, running, small_window, tell, to_the_end

MIB = 1 << 20
#: Seconds of a limit that is to be met.
SOON = 0.2


@pytest.mark.parametrize("pieces", [1, 20, 320],
                         ids=["in one write", "in large pieces", "in pieces of 64 KiB"])
def test_a_client_that_never_reads_does_not_delay_the_loop(pieces: int) -> None:
    """A plain loop, on one thread: the good client beside it is served in the seconds that RawClient waits."""
    with HttpServer.bind("127.0.0.1", 0) as server, running(server, big_or_tell(20 * MIB, pieces)):
        with small_window(server.port) as never, RawClient(server.port) as good:
            never.send(get("/big"))
            eventually(lambda: server.connections_info().active)
            for _ in range(5):
                assert good.get("/good").body == b"/good"


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
    monkeypatch.setattr("blockingio.server.budget.SEND_QUEUES_SIZE", MIB)
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
    monkeypatch.setattr("blockingio.server.budget.SEND_QUEUES_SIZE", MIB)
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


# ------------------------------------------------- what could not be sent

@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_nothing_goes_out_behind_what_was_not_sent(version: str) -> None:
    """A client that takes nothing for too long, and then goes on: what it has got, it cannot take for the whole."""
    go_on = threading.Event()

    def handler(request: HttpRequest) -> None:
        response = request.response
        for _ in range(40):
            response.write(b"x" * (MIB // 4))
        eventually(lambda: not response.is_connected)
        client_goes_on.set()
        assert go_on.wait(PATIENCE)
        response.write(b"BEHIND" * MIB)
        response.close()

    client_goes_on = threading.Event()
    with serving(handler, body_timeout=SOON) as server, small_window(server.port) as client:
        client.send(get(version=version))
        assert client_goes_on.wait(PATIENCE)
        received = b""
        client.socket.settimeout(SOON)
        with pytest.raises(TimeoutError):  # all that the system has; no end
            while data := client.socket.recv(65536):
                received += data
        go_on.set()
        client.socket.settimeout(PATIENCE)
        with pytest.raises(ConnectionError):
            while data := client.socket.recv(65536):
                received += data
            raise AssertionError("an orderly end")
        assert b"BEHIND" not in received and len(received) < 10 * MIB
        eventually(lambda: not server.connections_info().total)


@pytest.mark.parametrize("raw", [get(), get("/", "Connection: close"), get(version="1.0")],
                         ids=["1.1", "close", "1.0"])
def test_the_system_has_no_thread_for_a_slow_reader(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection ends, broken; nothing of it is left, and the server goes on."""
    responses: list[HttpResponse] = []

    def refuse(*arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/good":
            tell(request)
            return
        with monkeypatch.context() as patch:
            patch.setattr(server.state.threads, "run", refuse)
            request.response.write(b"x" * 8 * MIB)
        assert not request.response.is_connected
        request.response.write(b"BEHIND")
        request.response.close()
        responses.append(request.response)

    with serving(handler) as server, small_window(server.port) as client:
        client.send(raw)
        eventually(lambda: responses and not server.connections_info().total)
        assert isinstance(responses[0].done.exception(0), HttpException)
        assert not server.state.budget._used
        with pytest.raises(ConnectionError):
            client.read_until_eof()
        with RawClient(server.port) as good:
            assert good.get("/good").body == b"/good"


def test_done_that_is_asked_for_just_as_sending_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sending thread has yet to tell the response."""
    seen: list[BaseException | None] = []
    told = ResponseWriter._finish

    def finish(response: HttpResponse, sent: bool) -> None:
        with in_background(lambda: seen.append(response.done.exception(PATIENCE))):
            pass
        told(response, sent)

    def handler(request: HttpRequest) -> None:
        request.response.write(b"x" * 8 * MIB)
        request.response.close()

    monkeypatch.setattr(ResponseWriter, "_finish", finish)
    with serving(handler, body_timeout=SOON) as server, small_window(server.port) as client:
        client.send(get())
        assert isinstance(eventually(lambda: seen)[0], HttpException)
