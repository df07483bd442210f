"""Ends of every kind: the garbage collector, close() from everywhere, two on one port, minutes later."""
from __future__ import annotations

import gc
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from blockingio import HttpRequest, HttpServer
from tests.neighbours import SOON
from tests.peers import PATIENCE, RawClient, eventually, serving
from tests.server.visits import is_free


# -------------------------------------------------------------- garbage collection

def test_a_server_collected_before_its_first_request() -> None:
    server: HttpServer | None = HttpServer.bind("127.0.0.1", 0)
    assert server
    port = server.port
    with pytest.warns(ResourceWarning, match=str(port)):
        del server
        gc.collect()
    assert is_free(port)


def test_a_server_collected_after_requests() -> None:
    """The loop is left by break, and nobody keeps the server: port, threads and connections go with it."""
    server: HttpServer | None = HttpServer.bind("127.0.0.1", 0)
    assert server
    port = server.port
    with RawClient(port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for request in server:
            request.response.close()
            break
        assert client.read_response().status == 200
        gone = weakref.ref(server)
        with pytest.warns(ResourceWarning, match=str(port)):
            del request, server
            gc.collect()
        assert gone() is None
        assert client.is_ended()
    eventually(lambda: is_free(port))


def test_a_server_in_use_by_a_response_alone() -> None:
    """What was begun can still be answered."""
    server: HttpServer | None = HttpServer.bind("127.0.0.1", 0)
    assert server
    with RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = server.first().response
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del server
            gc.collect()
        response.write("late")
        response.close()
        assert client.read_response().body == b"late"
        assert client.is_ended()


# ------------------------------------------------------------------ ends of a server

def test_iteration_after_close() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    server.close()
    for _ in range(2):
        assert list(server) == []
        assert server.to_list() == []
    server.for_each(lambda request: pytest.fail("a request came"), workers=2)
    assert server.length() == 0


def test_iteration_after_close_with_requests_before() -> None:
    with serving(lambda request: request.response.close()) as server:
        with RawClient(server.port) as client:
            assert client.get().status == 200
        server.close()
        assert list(server) == []


@pytest.mark.parametrize("force", [False, True], ids=["graceful", "by force"])
def test_close_from_inside_the_loop(force: bool) -> None:
    """The loop ends by itself, and the response that was open is finished, unless by force."""
    server = HttpServer.bind("127.0.0.1", 0)
    with RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for request in server:
            server.close(force=force)
            assert is_free(server.port)
            request.response.write("last")
            request.response.close()
        if not force:
            response = client.read_response()
            assert (response.status, response.body, response.header("connection")) == (200, b"last", "close")
        assert client.is_ended()


@pytest.mark.parametrize("workers", [1, 4])
def test_close_from_a_worker(workers: int) -> None:
    server = HttpServer.bind("127.0.0.1", 0)

    def handler(request: HttpRequest) -> None:
        server.close()
        request.response.close()

    with RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server.for_each(handler, workers=workers)
        assert client.read_response().status == 200
        assert client.is_ended()


def test_close_twice() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    for force in (False, False, True, True, False):
        server.close(force=force)
    assert is_free(server.port)


def test_close_from_many_threads_at_once() -> None:
    with serving(lambda request: request.response.close(), workers=2) as server:
        with RawClient(server.port) as client:
            assert client.get().status == 200
            together = threading.Barrier(8)

            def close(force: bool) -> None:
                together.wait(PATIENCE)
                server.close(force=force)

            threads = [threading.Thread(target=close, args=(number % 2 == 0,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
                assert not thread.is_alive()
            assert client.is_ended()


# ----------------------------------------------------------------- two on one port

@pytest.mark.needs("socket.SO_REUSEPORT")
def test_two_servers_on_one_port() -> None:
    def named(name: str) -> Callable[[HttpRequest], None]:
        def handler(request: HttpRequest) -> None:
            request.response.write(name)
            request.response.close()
        return handler

    def answers(port: int) -> set[bytes]:
        found = set()
        for _ in range(100):
            with RawClient(port) as client:
                found.add(client.get("/", "Connection: close").body)
        return found

    with HttpServer.bind("127.0.0.1", 0, shared=True) as one:
        with HttpServer.bind("127.0.0.1", one.port, shared=True) as two:
            with background(one, named("one")), background(two, named("two")):
                assert answers(one.port) == {b"one", b"two"}
                two.close()
                assert answers(one.port) == {b"one"}


class background:
    """Serve a server on a thread; the end of the block closes it."""

    def __init__(self, server: HttpServer, handler: Callable[[HttpRequest], Any]) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.for_each, args=(handler,))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc_info: object) -> None:
        self._server.close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("shared", [(False, False), (True, False), (False, True)])
def test_two_servers_on_one_port_that_do_not_share(shared: tuple[bool, bool]) -> None:
    with HttpServer.bind("127.0.0.1", 0, shared=shared[0]) as server:
        with pytest.raises(OSError, match=rf"127\.0\.0\.1.*{server.port}"):
            HttpServer.bind("127.0.0.1", server.port, shared=shared[1])


# --------------------------------------------------------------- minutes later

def test_a_response_closed_by_another_thread_much_later() -> None:
    """Later than every limit of the server; other clients are served meanwhile."""
    kept: list[HttpRequest] = []

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/kept":
            kept.append(request)
        else:
            request.response.close()

    with serving(handler, workers=None, idle_timeout=SOON, header_timeout=SOON,
                 body_timeout=SOON) as server, RawClient(server.port) as client:
        client.send(b"GET /kept HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: kept)
        for _ in range(3):  # three times the idle limit, one after another
            with RawClient(server.port) as other:
                assert other.get().status == 200
                assert other.is_ended()
        gc.collect()

        def finish() -> None:
            kept[0].response.write("late")
            kept[0].response.close()

        thread = threading.Thread(target=finish)
        thread.start()
        assert client.read_response().body == b"late"
        thread.join(PATIENCE)
        assert client.get().status == 200  # and the connection is as good as before


def test_a_response_kept_past_the_servers_end() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    with RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = server.first().response
        server.close()
        assert is_free(server.port)
        response.write("late")
        response.close()
        assert client.read_response().body == b"late"
        assert client.is_ended()
