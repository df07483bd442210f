"""close(): from anywhere, at any time; what becomes of those who are served, and of those who wait."""
from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from blockingio import HttpRequest, HttpServer
from tests.peers import PATIENCE, RawClient, TlsContexts, eventually
from tests.server.visits import asking, get, in_background, is_free, queued, running, tell


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
                assert time.monotonic() - began < 1
                assert is_free(plain.port) and is_free(secure.port)
                for client in clients:
                    assert client.is_ended()
            eventually(lambda: plain.connections_info().total + secure.connections_info().total == 0)


def test_close_leaves_active_responses_alone() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, asking(server, "/1") as [client]:
        response = server.first().response
        began = time.monotonic()
        server.close()
        assert time.monotonic() - began < 1 and is_free(server.port)
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
