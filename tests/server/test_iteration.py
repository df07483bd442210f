"""``for request in server:`` and its relatives: who gets which request."""
from __future__ import annotations

import threading
from contextlib import ExitStack
from functools import partial
from types import FrameType

import pytest

from blockingio import EventSink, HttpRequest, HttpServer, StateError
from blockingio.server import request_queue
from tests.peers import PATIENCE, RawClient, eventually
from tests.server.visits import asking, get, in_background, is_free, queued, running, tell


# ------------------------------------------------------------------ one reader

def test_a_loop_that_is_left_goes_on_where_it_was() -> None:
    """Nothing is lost between two loops, and nothing is read ahead."""
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        for number in range(3):
            client.send(get(f"/{number}"))
            for request in server:
                assert tell(request) == f"/{number}"
                break
            assert client.read_response().body == b"/%d" % number


def test_take_leaves_the_next_one() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, asking(server, "/", "/", "/", "/") as clients:
        assert server.take(1).map(tell).to_list() == ["/"]  # from now on it accepts
        queued(server, 3)
        assert len(server.take(2).map(tell).to_list()) == 2
        assert server.connections_info().active == 1, "the fourth is not taken off"
        assert tell(next(iter(server))) == "/"
        for client in clients:
            assert client.read_response().status == 200


def test_views_and_answers_of_a_stream() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, asking(server, "/a") as [client]:
        request = server.first()
        request.response.write(request.uri.path)
        request.response.close()
        assert client.read_response().body == b"/a"
        client.send(get("/b"))
        assert server.where(lambda request: request.method == "GET").map(tell).first() == "/b"
        assert client.read_response().body == b"/b"
        with in_background(lambda: server.drain("ended")):
            server.close()
        with pytest.raises(StateError):
            server.first()
        assert server.is_empty() and server.length() == 0


def test_timeout_gives_up_and_swallows_nothing() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                server.timeout(0.02).first()
        with asking(server, "/late") as [client]:
            assert tell(server.timeout(PATIENCE).first()) == "/late"
            assert client.read_response().body == b"/late"
        with pytest.raises(TimeoutError):
            server.timeout(0).first()
        with asking(server, "/loop") as [client]:
            assert tell(next(iter(server))) == "/loop"
            assert client.read_response().body == b"/loop"


def test_timeout_in_a_loop() -> None:
    """The way to look after something else now and then."""
    with HttpServer.bind("127.0.0.1", 0) as server:
        requests = server.timeout(0.5)
        with pytest.raises(TimeoutError):
            next(iter(requests))
        with asking(server, "/1", "/2") as clients:
            answered: set[str] = set()

            def answer_next() -> bool:
                try:
                    answered.add(tell(next(iter(requests))))
                except TimeoutError:  # a busy machine
                    pass
                return answered == {"/1", "/2"}

            eventually(answer_next)
            for client in clients:
                assert client.read_response().status == 200
        with pytest.raises(TimeoutError):
            next(iter(requests))
        server.close()
        assert list(requests) == []


def test_the_wait_within_the_package() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        with pytest.raises(TimeoutError, match="0.01 seconds"):
            server._timed_iterator().within(0.01)
        requests = iter(server)
        assert iter(requests) is requests
        with asking(server, "/") as [client]:
            tell(server._timed_iterator().within(PATIENCE))
            assert client.read_response().status == 200
        server.close()
        with pytest.raises(StopIteration):
            server._timed_iterator().within(PATIENCE)


def test_a_wait_of_several_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The main thread looks up from time to time, in case that a Ctrl-C has woken nobody."""
    monkeypatch.setattr(request_queue, "nap_time", lambda: 0.01)
    with HttpServer.bind("127.0.0.1", 0) as server:
        with pytest.raises(TimeoutError, match="0.05 seconds"):
            server._timed_iterator().within(0.05)
        with asking(server, "/plain") as [client]:
            assert tell(next(iter(server))) == "/plain"
            assert client.read_response().status == 200


def test_timeout_with_an_end() -> None:
    def end(sink: EventSink[HttpRequest]) -> None:
        sink.close()

    with HttpServer.bind("127.0.0.1", 0) as server:
        assert list(server.timeout(0.02, end)) == []
        with asking(server, "/") as [client]:
            tell(server.first())
            assert client.read_response().status == 200


def test_timeout_beside_a_close() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        with in_background(lambda: list(server.timeout(PATIENCE))):
            eventually(lambda: not is_free(server.port))
            server.close()


def test_an_exception_ends_the_loop_and_not_the_server() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, asking(server, "/1", "/2") as clients:
        with pytest.raises(ZeroDivisionError):
            for request in server:
                with request.response:
                    raise ZeroDivisionError
        del request
        tell(server.first())
        assert sorted(client.read_response().status for client in clients) == [200, 500]


# --------------------------------------------------------------- several readers

def test_each_request_goes_to_one_of_several_threads() -> None:
    """And to several at once: each holds its own until all have one."""
    together = threading.Barrier(4)
    seen: list[str] = []

    def loop() -> None:
        for request in server:
            together.wait(PATIENCE)
            seen.append(request.uri.path)
            tell(request)

    with HttpServer.bind("127.0.0.1", 0) as server, ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(in_background(loop))
        stack.callback(server.close)
        for round in range(3):
            with asking(server, *(f"/{round}{number}" for number in range(4))) as clients:
                for number, client in enumerate(clients):
                    assert client.read_response().body == b"/%d%d" % (round, number)
    assert sorted(seen) == [f"/{round}{number}" for round in range(3) for number in range(4)]


def test_many_requests_and_many_threads() -> None:
    """None is lost, none is seen twice."""
    seen: list[str] = []

    def ask(first: int) -> None:
        with RawClient(server.port) as client:
            for number in range(first, first + 50):
                assert client.get(f"/{number}").body == b"/%d" % number

    def handler(request: HttpRequest) -> None:
        seen.append(request.uri.path)
        tell(request)

    with HttpServer.bind("127.0.0.1", 0) as server, ExitStack() as stack:
        stack.callback(server.close)
        for _ in range(3):
            stack.enter_context(running(server, handler))
        with ExitStack() as clients:
            for number in range(4):
                clients.enter_context(in_background(partial(ask, number * 50)))
    assert sorted(seen) == sorted(f"/{number}" for number in range(200))


def test_loops_and_workers_of_one_server_share() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, running(server):
        subscription = server.listen(tell, workers=2)
        with in_background(lambda: server.for_each(tell, workers=2)):
            for _ in range(20):
                with asking(server, "/a", "/b", "/c", "/d") as clients:
                    assert [client.read_response().body for client in clients] == [b"/a", b"/b", b"/c", b"/d"]
            subscription.cancel()
            with asking(server, "/after") as [client]:
                assert client.read_response().body == b"/after"
            server.close()


def test_a_plain_get_passes_seven_files() -> None:
    """So a reader can follow it: those whose functions are called for a request on a connection that is known."""
    files: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_globals.get("__name__", "").startswith("blockingio."):
            files.add(frame.f_globals["__name__"].removeprefix("blockingio."))

    def serve() -> None:
        for request in server:
            request.response.write("Hello, world!")
            request.response.close()

    threading.setprofile(note)
    try:
        with HttpServer.bind("127.0.0.1", 0) as server:
            thread = threading.Thread(target=serve)
            thread.start()
            with RawClient(server.port) as client:
                for _ in range(3):
                    assert client.get("/").body == b"Hello, world!"
                files.clear()
                for _ in range(3):
                    assert client.get("/").body == b"Hello, world!"
                passed = files - {"net.system"}  # it does what a system has no function for
    finally:
        threading.setprofile(None)
    thread.join(PATIENCE)
    assert len(passed) <= 7 and {"server.connection_loop", "server.request_queue", "server.response_writer"} <= passed
