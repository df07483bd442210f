"""``for request in server:`` and its relatives: who gets which request, and how it ends."""
from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from blockingio import EventSink, HttpRequest, HttpServer, StateError
from tests.peers import PATIENCE, RawClient, TlsContexts, eventually, serving
from tests.server.visits import answering, get, in_background, is_free, reset_once_heard, running, tell


@contextmanager
def asking(server: HttpServer, *targets: str) -> Iterator[list[RawClient]]:
    """A connection for each target, whose request is with the server before the next one's."""
    with ExitStack() as stack:
        clients = []
        for target in targets:
            client = stack.enter_context(RawClient(server.port))
            clients.append(client.send(get(target)))
        yield clients


def queued(server: HttpServer, number: int) -> None:
    """Wait until that many requests have come."""
    eventually(lambda: server.connections_info().active == number)


def answer(request: HttpRequest, server: HttpServer | None = None) -> str:
    path = request.uri.path
    tell(request)
    return path


# ------------------------------------------------------------------ one reader

def test_a_loop_that_is_left_goes_on_where_it_was() -> None:
    """Nothing is lost between two loops, and nothing is read ahead."""
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        for number in range(3):
            client.send(get(f"/{number}"))
            for request in server:
                assert answer(request) == f"/{number}"
                break
            assert client.read_response().body == b"/%d" % number


def test_take_leaves_the_next_one() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, asking(server, "/", "/", "/", "/") as clients:
        assert server.take(1).map(answer).to_list() == ["/"]  # from now on it accepts
        queued(server, 3)
        assert len(server.take(2).map(answer).to_list()) == 2
        assert server.connections_info().active == 1, "the fourth is not taken off"
        assert answer(next(iter(server))) == "/"
        for client in clients:
            assert client.read_response().status == 200


def test_views_and_answers_of_a_stream() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, asking(server, "/a") as [client]:
        request = server.first()
        request.response.write(request.uri.path)
        request.response.close()
        assert client.read_response().body == b"/a"
        client.send(get("/b"))
        assert server.where(lambda request: request.method == "GET").map(answer).first() == "/b"
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
            assert answer(server.timeout(PATIENCE).first()) == "/late"
            assert client.read_response().body == b"/late"
        with pytest.raises(TimeoutError):
            server.timeout(0).first()
        with asking(server, "/loop") as [client]:
            assert answer(next(iter(server))) == "/loop"
            assert client.read_response().body == b"/loop"


def test_timeout_in_a_loop() -> None:
    """The way to look after something else now and then."""
    with HttpServer.bind("127.0.0.1", 0) as server:
        requests = server.timeout(0.02)
        with pytest.raises(TimeoutError):
            next(iter(requests))
        with asking(server, "/1", "/2") as clients:
            assert sorted(answer(request) for request in requests.take(2)) == ["/1", "/2"]
            for client in clients:
                assert client.read_response().status == 200
        with pytest.raises(TimeoutError):
            next(iter(requests))
        server.close()
        assert list(requests) == []


def test_the_wait_within_the_package() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        with pytest.raises(TimeoutError, match="0.01 seconds"):
            server._next_within(0.01)
        requests = iter(server)
        assert iter(requests) is requests
        with asking(server, "/") as [client]:
            answer(server._next_within(PATIENCE))
            assert client.read_response().status == 200
        server.close()
        with pytest.raises(StopIteration):
            server._next_within(PATIENCE)


def test_timeout_with_an_end() -> None:
    def end(sink: EventSink[HttpRequest]) -> None:
        sink.close()

    with HttpServer.bind("127.0.0.1", 0) as server:
        assert list(server.timeout(0.02, end)) == []
        with asking(server, "/") as [client]:
            answer(server.first())
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
        answer(server.first())
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


# --------------------------------------------------- for_each and listen: workers

def at_once(number: int) -> tuple[Callable[[HttpRequest], None], list[str]]:
    """A handler that finishes only where that many are at work together."""
    together = threading.Barrier(number)
    names: list[str] = []

    def handler(request: HttpRequest) -> None:
        names.append(threading.current_thread().name)
        together.wait(PATIENCE)
        tell(request)

    return handler, names


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_for_each_with_workers(workers: int) -> None:
    handler, names = at_once(workers)
    with serving(handler, workers=workers) as server:
        with asking(server, *["/"] * workers) as clients:
            for client in clients:
                assert client.read_response().status == 200
    assert len(names) == workers


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_listen_with_workers(workers: int) -> None:
    handler, names = at_once(workers)
    done = threading.Event()
    with HttpServer.bind("127.0.0.1", 0) as server:
        server.listen(handler, on_done=done.set, workers=workers)
        with asking(server, *["/"] * workers) as clients:
            for client in clients:
                assert client.read_response().status == 200
        assert not done.is_set()
        server.close()
        assert done.wait(PATIENCE)
    assert len(names) == workers


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers(workers: int) -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        with pytest.raises(ValueError, match=str(workers)):
            server.for_each(tell, workers=workers)
        with pytest.raises(ValueError, match=str(workers)):
            server.listen(tell, workers=workers)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_handler_that_fails_is_answered_and_logged(workers: int, caplog: pytest.LogCaptureFixture) -> None:
    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/good":
            tell(request)
        else:
            request.response.write("never sent")
            raise ZeroDivisionError("of the handler")

    with serving(handler, workers=workers) as server, RawClient(server.port) as client:
        for _ in range(3):
            response = client.get("/bad?x")
            assert (response.status, response.header("content-type")) == (500, "text/plain; charset=utf-8")
            assert b"never sent" not in response.body and b"ZeroDivision" not in response.body
            assert client.get("/good").body == b"/good"  # on the same connection
    records = [record for record in caplog.records if record.name == "blockingio"]
    assert len(records) == 3
    for record in records:
        assert record.levelname == "ERROR" and "/bad?x" in record.getMessage()
        assert record.exc_info and record.exc_info[0] is ZeroDivisionError


def test_a_handler_that_fails_in_the_middle_aborts(caplog: pytest.LogCaptureFixture) -> None:
    """The client must not take what it got for the whole."""

    def handler(request: HttpRequest) -> None:
        request.response.write("the first half")
        request.response.flush()
        raise ZeroDivisionError

    with serving(handler) as server, RawClient(server.port) as client:
        received = client.send(get()).read_until_eof()
    assert b"the first half" in received and not received.endswith(b"0\r\n\r\n")
    assert len(caplog.records) == 1


def test_a_handler_that_fails_after_close_has_answered(caplog: pytest.LogCaptureFixture) -> None:
    def handler(request: HttpRequest) -> None:
        tell(request)
        raise ZeroDivisionError

    with serving(handler) as server, RawClient(server.port) as client:
        for _ in range(2):
            assert client.get("/done").body == b"/done"
    assert len(caplog.records) == 2


def test_a_failing_handler_of_a_client_that_has_gone(caplog: pytest.LogCaptureFixture) -> None:
    gone = threading.Event()

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/bad":
            assert gone.wait(PATIENCE)
            raise ZeroDivisionError
        tell(request)

    with serving(handler) as server:
        reset_once_heard(server, get("/bad"))
        gone.set()
        with RawClient(server.port) as client:
            assert client.get("/good").body == b"/good"
    assert len(caplog.records) == 1


def test_a_status_and_headers_of_a_failed_handler_are_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    def handler(request: HttpRequest) -> None:
        response = request.response
        response.status_code = 201
        response.reason_phrase = "Made"
        response.headers.set("x-made", "yes")
        response.content_length = 5
        response.headers.set("content-type", "text/plain; charset=utf-16")
        raise ZeroDivisionError

    with serving(handler) as server, RawClient(server.port) as client:
        response = client.get()
        assert (response.status, response.reason) == (500, "Internal Server Error")
        assert response.header("x-made") is None and response.header("x-frame-options") == "SAMEORIGIN"
        assert response.body == b"500 Internal Server Error\n"


def test_on_error_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    errors: list[Exception] = []

    def handler(request: HttpRequest) -> None:
        raise ZeroDivisionError

    with HttpServer.bind("127.0.0.1", 0) as server:
        server.listen(handler, on_error=errors.append)
        with RawClient(server.port) as client:
            assert client.get().status == client.get().status == 500
            eventually(lambda: len(errors) == 2)
    assert {type(error) for error in errors} == {ZeroDivisionError} and len(caplog.records) == 2


def test_cancel_on_error(caplog: pytest.LogCaptureFixture) -> None:
    def handler(request: HttpRequest) -> None:
        raise ZeroDivisionError

    with HttpServer.bind("127.0.0.1", 0) as server:
        subscription = server.listen(handler, cancel_on_error=True, workers=2)
        with RawClient(server.port) as client:
            assert client.get().status == 500
            eventually(lambda: subscription.as_future().cancelled())
            with running(server):
                assert client.get("/next").body == b"/next"


def test_listen_without_on_data_answers() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        server.listen(None)
        response = client.get()
        assert (response.status, response.body) == (200, b"")


def test_pause_leaves_requests_until_resume() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        subscription = server.listen(tell, workers=2)
        with asking(server, "/before") as [client]:
            assert client.read_response().body == b"/before"
            assert not subscription.is_paused
            subscription.pause()
            subscription.pause()
            assert subscription.is_paused
            client.send(get("/paused"))
            queued(server, 1)
            subscription.resume()
            assert subscription.is_paused and server.connections_info().active == 1
            with pytest.raises(TimeoutError):
                client.seconds = 0.05
                client.read_response()
            client.seconds = PATIENCE
            subscription.resume()
            assert not subscription.is_paused
            assert client.read_response().body == b"/paused"


def test_a_paused_servers_requests_are_there_for_others() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        subscription = server.listen(tell, workers=3)
        subscription.pause()
        with asking(server, "/other") as [client]:
            request = server.timeout(PATIENCE).first()
            request.response.write("by another")
            request.response.close()
            assert client.read_response().body == b"by another"


def test_pause_from_a_handler_and_close() -> None:
    done = threading.Event()
    with HttpServer.bind("127.0.0.1", 0) as server:

        def handler(request: HttpRequest) -> None:
            subscription.pause()
            tell(request)

        subscription = server.listen(handler, on_done=done.set)
        with asking(server, "/") as [client]:
            assert client.read_response().status == 200
        server.close()
        subscription.resume()
        assert done.wait(PATIENCE)


def test_cancel_leaves_the_server_open() -> None:
    done: list[str] = []
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        subscription = server.listen(tell, workers=3, on_done=lambda: done.append("done"))
        assert client.get("/1").body == b"/1"
        subscription.cancel()
        subscription.cancel()
        client.send(get("/2"))
        request = server.first()
        assert request.uri.path == "/2"
        tell(request)
        assert client.read_response().body == b"/2"
    assert not done


def test_cancel_from_a_handler_finishes_that_one() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:

        def handler(request: HttpRequest) -> None:
            subscription.cancel()
            tell(request)

        subscription = server.listen(handler, workers=2)
        assert client.get("/last").body == b"/last"
        client.send(get("/next"))
        with running(server):
            assert client.read_response().body == b"/next"


@pytest.mark.parametrize("stop", ["cancel", "pause"])
def test_a_view_that_is_listened_to_no_more_gives_its_request_back(stop: str) -> None:
    """It was waiting inside the server when it was stopped: what comes then is the next reader's."""
    seen: list[HttpRequest] = []
    with HttpServer.bind("127.0.0.1", 0) as server:
        subscription = server.map(lambda request: request).listen(answering("heard", seen))
        with asking(server, "/1") as [client]:
            assert client.read_response().body == b"heard"
            getattr(subscription, stop)()
            client.send(get("/2"))
            request = server.timeout(PATIENCE).first()
            assert request.uri.path == "/2"
            tell(request)
            assert client.read_response().body == b"/2"
        subscription.cancel()
    assert len(seen) == 1


def test_a_view_that_is_listened_to_no_more_when_the_server_is_closed() -> None:
    """What it gives back then is answered by nobody: the client is told."""
    with HttpServer.bind("127.0.0.1", 0) as server:
        subscription = server.map(lambda request: request).listen(tell)
        with asking(server, "/1") as [client]:
            assert client.read_response().body == b"/1"
            subscription.cancel()
            queued(server, 0)
            client.send(get("/2"))
            queued(server, 1)
            server.close()
            assert client.read_response().status == 503


def test_a_view_that_has_had_its_fill_holds_nothing_up() -> None:
    """It is still there when the server is closed, but takes no more."""
    with HttpServer.bind("127.0.0.1", 0) as server, asking(server, "/1", "/2") as clients:
        view = server.take(1)
        for request in view:
            queued(server, 2)
            tell(request)
        server.close()
        assert sorted(client.read_response().status for client in clients) == [200, 503]
        assert list(view) == []


def test_as_future_of_a_server() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        future = server.listen(tell).as_future("closed")
        assert not future.done()
        server.close()
        assert future.result(PATIENCE) == "closed"


def test_listen_on_a_closed_server_is_done() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    server.close()
    done = threading.Event()
    assert server.listen(tell, on_done=done.set, workers=2).as_future(1).result(PATIENCE) == 1
    assert done.is_set()


def test_for_each_can_be_interrupted() -> None:
    """KeyboardInterrupt from a handler is no error of the handler's: it ends for_each, all workers of it."""
    def handler(request: HttpRequest) -> None:
        raise KeyboardInterrupt

    def serve() -> None:
        with pytest.raises(KeyboardInterrupt):
            server.for_each(handler, workers=3)

    with HttpServer.bind("127.0.0.1", 0) as server, in_background(serve):
        with asking(server, "/") as [client]:
            assert client.read_response().status == 500


@pytest.mark.parametrize("workers", [1, 3])
def test_system_exit_ends_for_each(workers: int) -> None:
    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/exit":
            raise SystemExit(3)
        tell(request)

    def serve() -> None:
        with pytest.raises(SystemExit) as caught:
            server.for_each(handler, workers=workers)
        assert caught.value.code == 3

    with HttpServer.bind("127.0.0.1", 0) as server, in_background(serve):
        with asking(server, "/1", "/exit") as clients:
            assert [client.read_response().status for client in clients] == [200, 500]


def test_system_exit_ends_a_loop() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, asking(server, "/exit") as [client]:
        with pytest.raises(SystemExit):
            for request in server:
                with request.response:
                    raise SystemExit
        assert client.read_response().status == 500


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
