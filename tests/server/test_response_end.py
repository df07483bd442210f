"""How a response ends: closed, failed, past its deadline, or by the client's leaving."""
from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from blockingio import HttpException, HttpRequest, HttpResponse, StateError
from tests.peers import PATIENCE, RawClient, eventually, serving
from tests.server.visits import get, raw_answer, reset_once_heard, small_window, tell, to_the_end, visit

MIB = 1 << 20
#: Seconds of a limit that is to be met.
SOON = 0.2


# ---------------------------------------------------------- the context manager

def test_it_closes_itself() -> None:
    def handler(request: HttpRequest) -> None:
        with request.response as response:
            assert response is request.response
            response.write("inside")
        assert response.closed

    assert visit(handler).body == b"inside"


def test_closed_inside() -> None:
    def handler(request: HttpRequest) -> None:
        with request.response as response:
            tell(request)
            assert response.closed

    assert visit(handler).status == 200


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_before_anything_was_sent_is_a_500(error: type[BaseException]) -> None:
    def handler(request: HttpRequest) -> None:
        with pytest.raises(error):
            with request.response as response:
                response.status_code = 201
                response.write("not to be sent")
                raise error

    with serving(handler) as server, RawClient(server.port) as client:
        for _ in range(2):
            response = client.get()
            assert response.status == 500 and b"not to be sent" not in response.body


def test_an_exception_after_something_was_sent_aborts() -> None:
    def handler(request: HttpRequest) -> None:
        with pytest.raises(ZeroDivisionError):
            with request.response as response:
                response.write("sent")
                response.flush()
                raise ZeroDivisionError
        assert response.closed and not response.is_connected

    received = raw_answer(handler, get())
    assert b"4\r\nsent\r\n" in received and not received.endswith(b"0\r\n\r\n")


def test_an_exception_after_close_changes_nothing() -> None:
    def handler(request: HttpRequest) -> None:
        with pytest.raises(ZeroDivisionError):
            with request.response:
                tell(request)
                raise ZeroDivisionError

    assert visit(handler, get("/done")).body == b"/done"


def test_an_exception_where_the_client_has_gone() -> None:
    seen = threading.Event()

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/next":
            tell(request)
            return
        with pytest.raises(ZeroDivisionError):
            with request.response as response:
                while response.is_connected:
                    response.write("x")
                    response.flush()
                raise ZeroDivisionError
        seen.set()

    with serving(handler) as server:
        reset_once_heard(server)
        assert seen.wait(PATIENCE)
        with RawClient(server.port) as client:
            assert client.get("/next").status == 200


# --------------------------------------------------------------------- add_error

@pytest.mark.parametrize("sent", [False, True], ids=["before anything was sent", "in the middle"])
def test_add_error_aborts(sent: bool) -> None:
    def handler(request: HttpRequest) -> None:
        response = request.response
        response.write("begun")
        if sent:
            response.flush()
        response.add_error(ZeroDivisionError())
        assert response.closed and not response.is_connected
        response.write("ignored")
        response.close()
        with pytest.raises(HttpException):
            response.done.result(PATIENCE)

    with serving(handler) as server, RawClient(server.port) as client:
        received = to_the_end(client.send(get()))
        assert not received.endswith(b"0\r\n\r\n") and b"ignored" not in received and bool(received) == sent


def test_add_error_where_the_end_delimits_the_body() -> None:
    """An orderly end would make it look complete (RFC 9112 8)."""

    def handler(request: HttpRequest) -> None:
        request.response.write("begun")
        request.response.flush()
        request.response.add_error(ZeroDivisionError())

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(get(version="1.0"))
        with pytest.raises(ConnectionResetError):
            client.read_until_eof()


# -------------------------------------------------------------------------- done

def test_done_before_and_after() -> None:
    results: list[Any] = []

    def handler(request: HttpRequest) -> None:
        response = request.response
        future = response.done
        assert not future.done() and response.done is future
        future.add_done_callback(lambda future: results.append(future.result()))
        response.write("x")
        assert not future.done()
        response.close()
        assert results == [response] and response.done.result(0) is response

    assert visit(handler).status == 200
    assert len(results) == 1


def test_done_asked_for_after_close() -> None:
    def handler(request: HttpRequest) -> None:
        request.response.close()
        assert request.response.done.result(0) is request.response

    assert visit(handler).status == 200


def test_done_waits_for_a_slow_reader() -> None:
    futures: list[Any] = []

    def handler(request: HttpRequest) -> None:
        request.response.write(b"x" * 8 * MIB)
        request.response.close()
        futures.append(request.response.done)

    with serving(handler) as server, small_window(server.port) as client:
        client.send(get())
        eventually(lambda: futures)
        assert not futures[0].done()
        assert len(client.read_response().body) == 8 * MIB
        assert isinstance(futures[0].result(PATIENCE), HttpResponse)


def test_done_fails_where_the_client_goes_away() -> None:
    responses: list[HttpResponse] = []

    def handler(request: HttpRequest) -> None:
        responses.append(request.response)
        request.response.write(b"x" * 8 * MIB)
        request.response.close()

    with serving(handler) as server:
        client = small_window(server.port).send(get())
        client.read_exactly(1000)
        eventually(lambda: responses and responses[0].closed)
        assert responses[0].is_connected
        client.reset()
        assert isinstance(responses[0].done.exception(PATIENCE), HttpException)
        assert not responses[0].is_connected
        assert "disconnected" in repr(responses[0])


def test_a_cancelled_done_harms_nobody() -> None:
    def handler(request: HttpRequest) -> None:
        assert request.response.done.cancel()
        tell(request)

    with serving(handler) as server, RawClient(server.port) as client:
        for _ in range(2):
            assert client.get("/x").body == b"/x"


# ------------------------------------------------------------------- is_connected

def test_socket_errors_are_swallowed() -> None:
    """Once the client is gone, writes do nothing; the handler goes on as if nothing had happened."""
    ended: list[HttpResponse] = []

    def handler(request: HttpRequest) -> None:
        response = request.response
        assert response.is_connected
        began = time.monotonic()
        while response.is_connected and time.monotonic() - began < PATIENCE:
            response.write(b"x" * 100_000)
            response.flush()
        for _ in range(3):
            response.write("more")
            response.writeln()
            response.flush()
        response.close()
        response.close()
        response.write("after the end")
        ended.append(response)

    with serving(handler) as server:
        client = RawClient(server.port).send(get())
        client.read_exactly(1000)
        client.reset()
        eventually(lambda: ended)
        assert not ended[0].is_connected
        eventually(lambda: not server.connections_info().total)


def test_a_client_that_resets_before_the_first_write() -> None:
    go_on = threading.Event()
    ended: list[HttpResponse] = []

    def handler(request: HttpRequest) -> None:
        assert go_on.wait(PATIENCE)
        eventually(lambda: not request.response.is_connected)
        request.response.write("x" * 100_000)
        request.response.close()
        ended.append(request.response)

    with serving(handler) as server:
        reset_once_heard(server)
        go_on.set()
        eventually(lambda: ended)
        assert isinstance(ended[0].done.exception(PATIENCE), HttpException)


def test_a_client_that_ends_its_half_gets_its_answer() -> None:
    """No more requests come: that is all it says."""
    go_on = threading.Event()

    def handler(request: HttpRequest) -> None:
        assert go_on.wait(PATIENCE)
        assert request.response.is_connected
        request.response.write("x" * 200_000)
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(get()).finish_sending()
        threading.Timer(0.05, go_on.set).start()
        assert client.read_response().body == b"x" * 200_000
        assert client.is_ended()


# ---------------------------------------------------------------------- deadline

def test_a_deadline_that_is_kept() -> None:
    def handler(request: HttpRequest) -> None:
        response = request.response
        assert response.deadline is None
        response.deadline = 30
        assert response.deadline == 30
        tell(request)

    with serving(handler) as server, RawClient(server.port) as client:
        for _ in range(3):
            assert client.get("/x").body == b"/x"


def test_a_deadline_that_passes() -> None:
    """The response is closed, the connection ends, further data is ignored."""
    ended: list[HttpResponse] = []

    def handler(request: HttpRequest) -> None:
        response = request.response
        response.deadline = SOON
        response.write("begun")
        response.flush()
        eventually(lambda: not response.is_connected)
        response.write("ignored")
        response.flush()
        response.close()
        ended.append(response)

    with serving(handler) as server, RawClient(server.port) as client:
        began = time.monotonic()
        received = to_the_end(client.send(get()))
        assert SOON * 0.9 < time.monotonic() - began < PATIENCE
        assert b"begun" in received and b"ignored" not in received and not received.endswith(b"0\r\n\r\n")
        eventually(lambda: ended)
        assert isinstance(ended[0].done.exception(PATIENCE), HttpException)


def test_a_deadline_ends_a_response_that_waits_for_a_slow_reader() -> None:
    def handler(request: HttpRequest) -> None:
        response = request.response
        response.deadline = SOON
        began = time.monotonic()
        for _ in range(16):
            response.write(b"x" * MIB)
        response.flush()
        assert time.monotonic() - began < PATIENCE
        response.close()

    with serving(handler) as server, small_window(server.port) as client:
        client.send(get())
        eventually(lambda: not server.connections_info().total)


def test_a_deadline_is_taken_back_or_moved() -> None:
    def handler(request: HttpRequest) -> None:
        response = request.response
        response.deadline = SOON
        response.deadline = None if request.uri.path == "/none" else 30
        threading.Event().wait(SOON * 1.5)
        tell(request)

    with serving(handler, workers=2) as server, RawClient(server.port) as one, RawClient(server.port) as two:
        one.send(get("/none"))
        two.send(get("/later"))
        assert (one.read_response().body, two.read_response().body) == (b"/none", b"/later")


@pytest.mark.parametrize("seconds", [float("inf"), 1e12])
def test_a_deadline_in_a_very_long_time(seconds: float) -> None:
    def handler(request: HttpRequest) -> None:
        try:
            request.response.deadline = seconds
        except (ValueError, OverflowError):
            pass
        tell(request)

    with serving(handler) as server, RawClient(server.port) as client:
        assert client.get("/x").body == b"/x"


def test_a_deadline_that_comes_too_late() -> None:
    """It was on its way when the response was closed: the connection's next request is none of its business."""
    deadlines: list[Any] = []

    def handler(request: HttpRequest) -> None:
        if deadlines:
            deadlines[0]._expire()
        else:
            request.response.deadline = 30
            deadlines.append(request.response._deadline)
        tell(request)

    with serving(handler) as server, RawClient(server.port) as client:
        for _ in range(3):
            assert client.get("/x").body == b"/x"


def test_a_deadline_after_close_is_none() -> None:
    def handler(request: HttpRequest) -> None:
        tell(request)
        request.response.deadline = 0

    with serving(handler) as server, RawClient(server.port) as client:
        for _ in range(3):
            assert client.get("/x").body == b"/x"


# ---------------------------------------------------------------- an empty status

def test_an_interim_status_is_no_answer() -> None:
    """The client would wait for another one: the connection ends, so it need not."""

    def handler(request: HttpRequest) -> None:
        request.response.status_code = int(request.uri.path[1:])
        try:
            request.response.close()
        except (HttpException, StateError):
            pass

    for status in (100, 101, 103):
        with serving(handler) as server, RawClient(server.port) as client:
            received = to_the_end(client.send(get(f"/{status}")))
            assert received == b"" or received.startswith(b"HTTP/1.1 ")
