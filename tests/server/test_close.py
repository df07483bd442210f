"""close(): from anywhere, at any time; what becomes of those who are served, and of those who wait."""
from __future__ import annotations

import gc
import selectors
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from blockingio import HttpRequest, HttpResponse, HttpServer
from blockingio.errors import BadMessage
from blockingio.server import connection_loop as connection_module
from blockingio.server.listener import Listener
from tests.peers import PATIENCE, RawClient, TlsContexts, eventually
from tests.server.visits import asking, get, in_background, is_free, queued, running, tell, to_the_end


# ------------------------------------------------------------------------ close

@pytest.mark.parametrize("force", [False, True], ids=["graceful", "by force"])
def test_close_from_another_thread_ends_every_loop(force: bool) -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, ExitStack() as stack:
        loops: list[Callable[[], object]] = [
            lambda: list(server), lambda: list(server), server.drain,
            lambda: server.for_each(tell, workers=2), lambda: server.take(5).to_list(),
            lambda: server.timeout(PATIENCE).to_list(),
        ]
        threads = [stack.enter_context(in_background(loop)) for loop in loops]
        eventually(lambda: all(thread.is_alive() for thread in threads))
        server.close(force=force)
        assert is_free(server.port)
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_what_has_come_before_close_is_still_served() -> None:
    served: list[str] = []
    server = HttpServer.bind("127.0.0.1", 0)
    with asking(server, "/1", "/2", "/3") as clients:
        for request in server:
            if not served:
                queued(server, 3)
                server.close()
            served.append(request.uri.path)
            tell(request)
        assert sorted(served) == ["/1", "/2", "/3"]
        for client in clients:
            response = client.read_response()
            assert (response.status, response.header("connection")) == (200, "close")
            assert client.is_ended()


def test_what_nobody_will_take_gets_503() -> None:
    """The loop has been left, so the client is told instead of being left to wait."""
    with HttpServer.bind("127.0.0.1", 0) as server, asking(server, "/1", "/2") as clients:
        first = server.first()
        queued(server, 2)
        server.close()
        tell(first)
        assert sorted(client.read_response().status for client in clients) == [200, 503]
        assert all(client.is_ended() for client in clients)


def test_close_by_force_cuts_what_is_in_progress() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, asking(server, "/1", "/2") as clients:
        first = server.first()
        queued(server, 2)
        first.response.write("begun")
        first.response.flush()
        server.close(force=True)
        assert all(b"200" in client.read_until_eof() or client.is_ended() for client in clients)
        first.response.write("x" * 100_000)
        first.response.close()
        eventually(lambda: not server.connections_info().total)


def test_close_ends_what_is_not_a_request_yet(tls_contexts: TlsContexts) -> None:
    """Promptly, with idle and half-open connections about, and without an answer to them."""
    with HttpServer.bind("127.0.0.1", 0) as plain, running(plain):
        with HttpServer.bind_secure("127.0.0.1", 0, tls_contexts.server) as secure, running(secure):
            with ExitStack() as stack:
                ports = (plain.port, plain.port, plain.port, secure.port, secure.port)
                clients = [stack.enter_context(RawClient(port)) for port in ports]
                assert clients[0].get().status == 200
                for client, sent in zip(clients[2:], (b"GET / HT", b"", b"\x16\x03\x01")):
                    client.send(sent)
                eventually(lambda: plain.connections_info().total == 3)
                eventually(lambda: secure.connections_info().total == 2)
                began = time.monotonic()
                plain.close()
                secure.close()
                assert time.monotonic() - began < PATIENCE
                assert is_free(plain.port) and is_free(secure.port)
                for client in clients:
                    assert client.is_ended()
            eventually(lambda: plain.connections_info().total + secure.connections_info().total == 0)


def test_close_leaves_active_responses_alone() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, asking(server, "/1") as [client]:
        response = server.first().response
        began = time.monotonic()
        server.close()
        assert time.monotonic() - began < PATIENCE and is_free(server.port)
        assert server.connections_info().total == 1
        response.write("as if nothing had happened")
        response.close()
        answer = client.read_response()
        assert (answer.body, answer.header("connection")) == (b"as if nothing had happened", "close")
        assert client.is_ended()
    eventually(lambda: server.connections_info().total == 0)


def test_close_from_the_loop_with_requests_waiting() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    with asking(server, "/1", "/2") as clients:
        count = 0
        for request in server:
            if not count:
                queued(server, 2)
            server.close()
            count += 1
            tell(request)
        assert count == 2
        assert [client.read_response().status for client in clients] == [200, 200]


@pytest.mark.parametrize("force", [False, True], ids=["graceful", "by force"])
def test_close_from_a_worker_while_others_wait(force: bool) -> None:
    server = HttpServer.bind("127.0.0.1", 0)

    def handler(request: HttpRequest) -> None:
        server.close(force=force)
        request.response.close()

    with in_background(lambda: server.for_each(handler, workers=3)):
        with asking(server, "/") as [client]:
            assert client.read_until_eof().startswith(b"" if force else b"HTTP/1.1 200 OK")
    assert is_free(server.port)


CALLBACKS: dict[str, Callable[[HttpServer, HttpRequest], object]] = {
    "the access log": lambda server, request: setattr(server, "access_log", lambda record: server.close()),
    "done": lambda server, request: request.response.done.add_done_callback(lambda future: server.close()),
    "on_timeout": lambda server, request: setattr(request.session, "on_timeout", server.close),
    "nothing but itself": lambda server, request: server.close(),
}


@pytest.mark.parametrize("callback", CALLBACKS.values(), ids=CALLBACKS)
def test_close_from_a_callback(callback: Callable[[HttpServer, HttpRequest], object]) -> None:
    """On whatever thread that comes, it returns, and the loop ends."""
    server = HttpServer.bind("127.0.0.1", 0)
    server.session_timeout = 0.02
    server.access_log = str

    def handler(request: HttpRequest) -> None:
        callback(server, request)
        request.response.close()

    with in_background(lambda: server.for_each(handler)), RawClient(server.port) as client:
        assert client.get().status == 200
        try:
            if not client.send(get()).is_ended():  # it was quicker than the callback
                assert client.read_response().status in (200, 503) and client.is_ended()
        except ConnectionError:
            pass
        eventually(lambda: is_free(server.port))


def collects(monkeypatch: pytest.MonkeyPatch, server: HttpServer, where: str) -> None:
    """A collection comes on a thread that close() waits for: the accept thread, or one that hands over a request."""
    if where == "accepting":
        forget_wakes = Listener._forget_wakes

        def woken(listener: Listener) -> None:
            forget_wakes(listener)
            gc.collect()

        monkeypatch.setattr(Listener, "_forget_wakes", woken)
    else:

        def make(*args: Any) -> HttpRequest:
            eventually(lambda: server.state.closing)
            gc.collect()
            return HttpRequest(*args)

        monkeypatch.setattr(connection_module, "HttpRequest", make)


@pytest.mark.parametrize("where", ["accepting", "handing over"])
def test_a_loop_that_is_collected_beside_close(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end wants to know whether the server is closed, on whatever thread it comes."""
    loop: Any = None
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        loop = Cycle()
        loop.requests = iter(server)
        client.send(get())
        tell(next(loop.requests))
        assert client.read_response().status == 200
        collects(monkeypatch, server, where)
        gc.disable()
        try:
            loop = None
            if where != "accepting":
                client.send(get())
                eventually(lambda: any(connection.hands_over for connection in server.state.connections))
            with in_background(server.close):
                pass
        finally:
            gc.enable()
        if where != "accepting":
            assert client.read_response().status == 503
        assert client.is_ended()


class Cycle:
    """Garbage that only a collection finds."""

    requests: Any
    server: Any

    def __init__(self) -> None:
        self.itself = self


def test_a_server_that_is_collected_as_it_hands_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the very thread that close() would wait for."""
    cycle: Any = Cycle()
    cycle.server = HttpServer.bind("127.0.0.1", 0)
    port = cycle.server.port
    with RawClient(port) as client:
        client.send(get())
        tell(cycle.server.first())
        assert client.read_response().status == 200
        gc.disable()
        try:
            cycle = None

            def make(*args: Any) -> HttpRequest:
                with pytest.warns(ResourceWarning, match=str(port)):
                    gc.collect()
                return HttpRequest(*args)

            monkeypatch.setattr(connection_module, "HttpRequest", make)
            client.send(get())
            assert client.read_response().status == 503 and client.is_ended()
        finally:
            gc.enable()
    assert is_free(port)


def test_a_server_that_is_collected_on_its_accept_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """In between its last look at whether it shall stop and its wait."""
    cycle: Any = Cycle()
    cycle.server = HttpServer.bind("127.0.0.1", 0)
    port = cycle.server.port
    select = selectors.DefaultSelector.select

    def collect(selector: Any, timeout: float | None = None) -> Any:
        if threading.current_thread().name.startswith("blockingio accept") and not is_free(port):
            with pytest.warns(ResourceWarning, match=str(port)):
                gc.collect()
        return select(selector, timeout)

    with RawClient(port) as client:
        client.send(get())
        tell(cycle.server.first())
        assert client.read_response().status == 200
        gc.disable()
        try:
            cycle = None
            monkeypatch.setattr(selectors.DefaultSelector, "select", collect)
            with suppress(OSError), RawClient(port):
                eventually(lambda: is_free(port))
        finally:
            gc.enable()
        assert client.is_ended()


def test_every_close_returns_no_sooner_than_the_port_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that finds another at work, which waits for the accept thread."""
    forget_wakes = Listener._forget_wakes
    waited_for, go_on = threading.Barrier(3), threading.Event()
    stop = Listener.stop
    looking = threading.Lock()  # is_free takes the port for a moment
    free: list[bool] = []

    def woken(listener: Listener) -> None:
        assert go_on.wait(PATIENCE)
        forget_wakes(listener)

    def stopping(listener: Listener) -> None:
        waited_for.wait(PATIENCE)
        stop(listener)

    def close() -> None:
        server.close()
        with looking:
            free.append(is_free(server.port))

    with HttpServer.bind("127.0.0.1", 0) as server, running(server), RawClient(server.port) as client:
        assert client.get().status == 200
        monkeypatch.setattr(Listener, "_forget_wakes", woken)
        monkeypatch.setattr(Listener, "stop", stopping)
        with in_background(close), in_background(close):
            waited_for.wait(PATIENCE)
            monkeypatch.undo()
            assert not free
            go_on.set()
    assert free == [True, True]


def test_close_from_a_signal_handler_in_the_middle_of_close(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Listener.stop

    def interrupted(listener: Listener) -> None:
        monkeypatch.undo()
        server.close()
        assert is_free(server.port)
        stop(listener)

    with HttpServer.bind("127.0.0.1", 0) as server, running(server), RawClient(server.port) as client:
        assert client.get().status == 200
        monkeypatch.setattr(Listener, "stop", interrupted)
        server.close()
        assert client.is_ended() and list(server) == []


def test_close_after_one_that_ctrl_c_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does what that one has left."""

    def interrupted(listener: Listener) -> None:
        raise KeyboardInterrupt

    with HttpServer.bind("127.0.0.1", 0) as server, running(server), RawClient(server.port) as client:
        assert client.get().status == 200
        with monkeypatch.context() as patch:
            patch.setattr(Listener, "stop", interrupted)
            with pytest.raises(KeyboardInterrupt):
                server.close()
        server.close()
        assert is_free(server.port) and client.is_ended() and list(server) == []


def test_close_where_telling_a_client_fails(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, the next one is told, and iterators end as ever."""
    fail = HttpResponse.fail
    failed: list[HttpResponse] = []

    def fail_once(response: HttpResponse, status: int, error: BadMessage | None) -> None:
        if not failed:
            failed.append(response)
            raise LookupError("as the test wants it")
        fail(response, status, error)

    monkeypatch.setattr(HttpResponse, "fail", fail_once)
    with HttpServer.bind("127.0.0.1", 0) as server, asking(server, "/1", "/2", "/3") as clients:
        first = server.first()
        queued(server, 3)
        server.close()
        assert list(server) == []
        tell(first)
        answers = sorted(to_the_end(client)[:12] for client in clients)
        assert answers == [b"", b"HTTP/1.1 200", b"HTTP/1.1 503"]
    assert len(caplog.records) == 1


def test_a_pipelined_request_behind_close_is_not_begun() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    seen = []
    with RawClient(server.port) as client:
        client.send(get("/1") + get("/2"))
        for request in server:
            seen.append(request.uri.path)
            server.close()
            tell(request)
        assert client.read_response().header("connection") == "close"
        assert client.is_ended()
    assert seen == ["/1"]


# ---------------------------------------------------------- the context manager

def test_the_context_manager_closes() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        assert isinstance(server, HttpServer)
    assert is_free(server.port) and list(server) == []
    with pytest.raises(ZeroDivisionError):
        with HttpServer.bind("127.0.0.1", 0) as server:
            raise ZeroDivisionError
    assert is_free(server.port)


# -------------------------------------------------------- a server that is dropped

def test_a_dropped_server_is_closed_with_a_warning() -> None:
    server: HttpServer | None = HttpServer.bind("127.0.0.1", 0)
    assert server
    port = server.port
    with RawClient(port) as client:
        client.send(get())
        tell(server.first())
        assert client.read_response().status == 200
        with pytest.warns(ResourceWarning, match=rf"127\.0\.0\.1:{port}"):
            server = None
            gc.collect()
        assert client.is_ended()
    assert is_free(port)
