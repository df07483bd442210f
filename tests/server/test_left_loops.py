"""What becomes of the request of a loop that is left: by an exception it is answered, else it is the caller's."""
from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from blockingio import HttpRequest, HttpServer, Stream
from tests.peers import PATIENCE, RawClient, eventually
from tests.server.visits import get, running, tell


class Left(BaseException):
    """What leaves a loop."""


kept: list[Any] = []


@pytest.fixture(autouse=True)
def keeps_nothing() -> Iterator[None]:
    yield
    kept.clear()


def fail(request: HttpRequest) -> None:
    kept.append(request)  # as an exception's traceback may
    raise Left


def in_the_body(requests: Stream[HttpRequest]) -> None:
    for request in requests:
        kept.append(request)
        raise Left


def in_a_handler(requests: Stream[HttpRequest]) -> None:
    for request in requests:
        fail(request)


def in_an_operator(requests: Stream[HttpRequest]) -> None:
    for request in requests:
        kept.append(request)
        try:
            1 / 0
        except ZeroDivisionError as error:
            raise Left from error


def in_a_with(requests: Stream[HttpRequest]) -> None:
    for request in requests:
        with suppress(KeyError), threading.Lock():
            fail(request)


def in_a_try(requests: Stream[HttpRequest]) -> None:
    for request in requests:
        try:
            fail(request)
        except KeyError:
            pass
        finally:
            kept.append(request)


def in_an_inner_loop(requests: Stream[HttpRequest]) -> None:
    for request in requests:
        for _ in range(3):
            fail(request)


def caught_around_the_loop(requests: Stream[HttpRequest]) -> None:
    try:
        for request in requests:
            fail(request)
    except Left as error:
        kept.append(error)
        raise Left from None


def with_a_variable_for_the_iterator(requests: Stream[HttpRequest]) -> None:
    for request in iter(requests):
        fail(request)


def at_module_level(requests: Stream[HttpRequest]) -> None:
    exec("for request in requests:\n    fail(request)\n", {"requests": requests, "fail": fail})


def with_something_written(requests: Stream[HttpRequest]) -> None:
    for request in requests:
        request.response.status_code = 201
        request.response.write("half of it")
        fail(request)


FAILING = [in_the_body, in_a_handler, in_an_operator, in_a_with, in_a_try, in_an_inner_loop,
           caught_around_the_loop, with_a_variable_for_the_iterator, at_module_level, with_something_written]


def over_a_view(server: Stream[HttpRequest]) -> None:
    for request in server.where(lambda request: True):
        fail(request)


def over_a_view_with_a_limit(server: Stream[HttpRequest]) -> None:
    for request in server.timeout(PATIENCE):
        fail(request)


@pytest.mark.parametrize("loop", [*FAILING, over_a_view, over_a_view_with_a_limit])
def test_an_exception_that_leaves_the_loop(loop: Callable[[Stream[HttpRequest]], None]) -> None:
    """The client is answered with 500, although somebody keeps the exception and all that it has seen."""
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        client.send(get())
        with pytest.raises(Left) as caught:
            loop(server)
        response = client.read_response()
        assert (response.status, response.body) == (500, b"500 Internal Server Error\n")
        assert caught.value
        client.send(get("/next"))
        with running(server):
            assert client.read_response().body == b"/next"


def test_what_was_answered_or_begun_stays_as_it_is() -> None:
    """A second answer would be the next request's."""
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        client.send(get("/1"))
        with pytest.raises(Left):
            for request in server:
                tell(request)
                raise Left
        assert client.read_response().body == b"/1"
        client.send(get("/2"))
        with pytest.raises(Left):
            for request in server:
                request.response.write("begun, ")
                request.response.flush()
                raise Left
        request.response.write("and ended")
        request.response.close()
        assert client.read_response().body == b"begun, and ended"


def by_break(server: HttpServer) -> HttpRequest:
    for request in server:
        break
    return request


def by_return(server: HttpServer) -> HttpRequest:
    for request in server:
        with threading.Lock():
            return request
    raise AssertionError


def by_break_after_an_exception(server: HttpServer) -> HttpRequest:
    for request in server:
        try:
            fail(request)
        except Left as error:
            kept.append(error)
            break
    return request


def by_next(server: HttpServer) -> HttpRequest:
    return next(iter(server))


def by_next_after_an_exception(server: HttpServer) -> HttpRequest:
    try:
        raise Left
    except Left as error:
        kept.append(error)
    return next(iter(server))


def by_closing_the_iterator(server: HttpServer) -> HttpRequest:
    with closing(iter(server)) as requests:  # type: ignore[type-var]
        for request in requests:
            break
    return request


def by_dropping_the_iterator(server: HttpServer) -> HttpRequest:
    requests = iter(server)
    for request in requests:
        break
    del requests
    return request


def by_a_users_generator(server: HttpServer) -> HttpRequest:
    def wanted() -> Iterator[HttpRequest]:
        for request in server:
            if request.uri.path:
                yield request

    for request in wanted():
        break
    return request


@pytest.mark.parametrize("leave", [by_break, by_return, by_break_after_an_exception, by_next,
                                   by_next_after_an_exception,
                                   by_closing_the_iterator, by_dropping_the_iterator, by_a_users_generator,
                                   lambda server: server.first(), lambda server: server.timeout(PATIENCE).first()])
def test_a_loop_that_is_left_without_an_exception(leave: Callable[[HttpServer], HttpRequest]) -> None:
    """Its last request is the caller's, who may answer whenever."""
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        client.send(get())
        request = leave(server)
        client.seconds = 0.05
        with pytest.raises(TimeoutError):
            client.read_response()
        client.seconds = PATIENCE
        tell(request)
        assert client.read_response().body == b"/"


@pytest.mark.parametrize("body", ["1 / 0", "raise SystemExit(3)", "handle(request)", "raise KeyboardInterrupt"])
def test_an_exception_that_ends_the_program(body: str) -> None:
    """The client has its answer although nothing of the program is left."""
    program = textwrap.dedent(f"""
        from blockingio import HttpServer
        def handle(request):
            assert request is None
        server = HttpServer.bind("127.0.0.1", 0)
        print(server.port, flush=True)
        for request in server:
            {body}
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout
        with RawClient(int(process.stdout.readline())) as client:
            assert client.get().status == 500
        assert process.wait(PATIENCE) != 0
    finally:
        process.kill()
        process.communicate()


def test_a_thread_whose_loop_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        thread = threading.Thread(target=in_a_handler, args=(server,))
        thread.start()
        assert client.get().status == 500
        thread.join(PATIENCE)
        eventually(lambda: seen)
