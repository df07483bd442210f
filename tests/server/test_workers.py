"""for_each and listen: workers, pauses, ends, and handlers that fail."""
from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from blockingio import HttpRequest, HttpResponse, HttpServer
from blockingio.errors import BadMessage
from tests.peers import PATIENCE, RawClient, eventually, holds_in_child, serving
from tests.server.visits import (
    answering, asking, get, in_background, queued, reset_once_heard, running, tell, to_the_end,
)


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


@pytest.mark.parametrize("workers", [1, 3])
def test_a_handlers_failure_whose_answer_fails_too(workers: int, monkeypatch: pytest.MonkeyPatch,
                                                   caplog: pytest.LogCaptureFixture) -> None:
    """Both are logged, the client is not left to wait, and for_each goes on."""

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/bad":
            raise ZeroDivisionError
        tell(request)

    def fail(response: HttpResponse, status: int, error: BadMessage | None) -> None:
        raise LookupError("as the test wants it")

    monkeypatch.setattr(HttpResponse, "fail", fail)
    with serving(handler, workers=workers) as server:
        for _ in range(workers):
            with RawClient(server.port) as client:
                assert to_the_end(client.send(get("/bad"))) == b""
        with RawClient(server.port) as client:
            assert client.get("/good").body == b"/good"
    kinds = [record.exc_info and record.exc_info[0] for record in caplog.records]
    assert kinds == [ZeroDivisionError, LookupError] * workers


def test_a_status_and_headers_of_a_failed_handler_are_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    def handler(request: HttpRequest) -> None:
        response = request.response
        response.status_code = 201
        response.reason_phrase = "Made"
        response.headers.set("x-made", "yes")
        response.content_length = 500
        response.headers.set("content-type", "text/plain; charset=utf-16")
        if request.uri.path == "/written":
            response.write("a part of it")
        raise ZeroDivisionError

    with serving(handler) as server, RawClient(server.port) as client:
        for target in ("/", "/written", "/"):
            response = client.get(target)
            assert (response.status, response.reason) == (500, "Internal Server Error")
            assert response.header("x-made") is None and response.header("x-frame-options") == "SAMEORIGIN"
            assert response.body == b"500 Internal Server Error\n"


@pytest.mark.parametrize("name, value", [
    ("content-type", "text/plain; charset=klingon"), ("content-type", "text/plain; charset=utf-16"),
    ("content-type", "application/json"), ("content-encoding", "br"), ("content-length", "2"),
    ("transfer-encoding", "chunked"),
])
def test_default_headers_that_do_not_fit_an_error(name: str, value: str, caplog: pytest.LogCaptureFixture) -> None:
    """They are those of what the handlers write."""

    def handler(request: HttpRequest) -> None:
        raise ZeroDivisionError

    with serving(handler) as server, RawClient(server.port) as client:
        server.default_response_headers.set(name, value)
        for _ in range(2):
            response = client.get()
            assert (response.status, response.body) == (500, b"500 Internal Server Error\n")
            assert response.header("content-type") == "text/plain; charset=utf-8"
            assert response.header("content-encoding") is None and response.header("transfer-encoding") is None
        response = client.send(b"nonsense\r\n\r\n").read_response()
        assert response.status == 400 and response.body.startswith(b"400 Bad Request: the request line is")
        assert response.header("content-type") == "text/plain; charset=utf-8"
        assert response.header("content-encoding") is None and response.header("transfer-encoding") is None


def test_a_default_charset_that_python_lacks(caplog: pytest.LogCaptureFixture) -> None:
    """The handler's own error, which the server survives."""
    with serving(tell) as server, RawClient(server.port) as client:
        server.default_response_headers.set("content-type", "text/plain; charset=klingon")
        for _ in range(2):
            assert client.get().status == 500
    assert "klingon" in caplog.text


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
            queued(server, 0)
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


def test_a_request_that_a_paused_view_gave_back_is_answered_once() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        subscription = server.where(lambda request: True).listen(answering("heard"))
        with asking(server, "/1") as [client]:
            assert client.read_response().body == b"heard"
            subscription.pause()
            queued(server, 0)
            client.send(get("/2"))
            queued(server, 1)
            subscription.resume()
            assert client.read_response().body == b"heard"
            client.send(get("/3"))
            assert client.read_response().body == b"heard"
        subscription.cancel()


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
        with RawClient(server.port) as client:
            assert client.get("/1").status == 200
            assert client.get("/exit").status == 500


def test_system_exit_ends_a_loop() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, asking(server, "/exit") as [client]:
        with pytest.raises(SystemExit):
            for request in server:
                with request.response:
                    raise SystemExit
        assert client.read_response().status == 500


# ------------------------------------------------------------ what is no Exception

class Outcome(BaseException):
    """As a test framework ends a test with, in whatever thread."""


FATAL = [asyncio.CancelledError, GeneratorExit, SystemExit, KeyboardInterrupt, Outcome]


def fatal(kind: type[BaseException]) -> Callable[[HttpRequest], None]:
    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/fatal":
            raise kind("of the handler")
        tell(request)

    return handler


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("kind", FATAL)
def test_for_each_ends_with_what_is_no_exception(kind: type[BaseException], workers: int) -> None:
    """Of whichever worker: the client is answered, all others end, and it is raised."""
    def serve() -> None:
        with pytest.raises(kind, match="of the handler"):
            server.for_each(fatal(kind), workers=workers)

    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client, in_background(serve) as thread:
        assert client.send(get("/fatal")).read_response().status == 500
        thread.join(PATIENCE)
        assert not thread.is_alive()
        client.send(get("/next"))
        with running(server):
            assert client.read_response().body == b"/next"


def test_for_each_raises_what_a_background_worker_died_of() -> None:
    """Also where it is another's than the calling thread's that gets the request."""
    def handler(request: HttpRequest) -> None:
        together.wait(PATIENCE)
        tell(request)
        if threading.current_thread().name.startswith("blockingio worker"):
            raise Outcome("in the background")

    def serve() -> None:
        with pytest.raises(Outcome, match="in the background"):
            server.for_each(handler, workers=2)

    together = threading.Barrier(2)
    with HttpServer.bind("127.0.0.1", 0) as server, in_background(serve), asking(server, "/", "/") as clients:
        for client in clients:
            assert client.read_response().status == 200


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("kind", FATAL)
def test_listen_ends_with_what_is_no_exception(kind: type[BaseException], workers: int) -> None:
    """on_error is told, on_done follows, a future fails; the server stays open for the next reader."""
    told: list[object] = []
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        subscription = server.listen(fatal(kind), on_error=lambda error: told.append(type(error)),
                                     on_done=lambda: told.append("done"), workers=workers)
        future = subscription.as_future()
        client.send(get("/fatal"))
        with pytest.raises(kind):
            future.result(PATIENCE)
        eventually(lambda: told == [kind, "done"])
        assert client.read_response().status == 500
        client.send(get("/next"))
        with running(server):
            assert client.read_response().body == b"/next"


def test_listen_ends_with_nobody_to_be_told(caplog: pytest.LogCaptureFixture) -> None:
    """Then it is logged: never a server that accepts and nobody reads, without a word."""
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        subscription = server.listen(fatal(Outcome))
        assert client.send(get("/fatal")).read_response().status == 500
        eventually(lambda: caplog.records)
        with pytest.raises(Outcome):
            subscription.as_future().result(PATIENCE)
    assert caplog.records[0].levelname == "ERROR" and "has ended" in caplog.records[0].getMessage()


@pytest.mark.needs("os.fork")
def test_in_a_forked_child_listening_is_cancelled() -> None:
    """Its workers are the parent's, and answer there."""
    with HttpServer.bind("127.0.0.1", 0) as server:
        subscription = server.listen(lambda request: request.response.close(), workers=2)

        def is_over() -> bool:
            server.close()
            return subscription.as_future().cancelled()

        assert holds_in_child(is_over)
        with RawClient(server.port) as client:
            assert client.get().status == 200
    assert subscription.as_future(1).result(PATIENCE) == 1
