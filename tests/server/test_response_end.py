"""How a response ends: closed, failed, dropped, past its deadline, taken over, or by the client's leaving."""
from __future__ import annotations

import gc
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from blockingio import HttpException, HttpRequest, HttpResponse, HttpServer, StateError
from tests.peers import PATIENCE, RawClient, eventually, serving
from tests.server.visits import (
    get, in_background, post, raw_answer, reset_once_heard, running, small_window, tell, visit,
)

MIB = 1 << 20
#: Seconds of a limit that is to be met.
SOON = 0.2


def to_the_end(client: RawClient) -> bytes:
    """What comes until the connection ends, by a reset too."""
    try:
        return client.read_until_eof()
    except ConnectionError:
        return b""


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
            return tell(request)
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


# ------------------------------------------------------------------- detach_socket

UPGRADE = get("/", "Connection: Upgrade", "Upgrade: echo")


def upgrade(request: HttpRequest) -> socket.socket:
    response = request.response
    response.status_code = 101
    response.headers.set("upgrade", "echo")
    response.headers.set("connection", "Upgrade")
    return response.detach_socket()


def echo(sock: socket.socket) -> None:
    with sock:
        sock.settimeout(PATIENCE)
        while data := sock.recv(65536):
            sock.sendall(data.upper())


@pytest.mark.parametrize("raw",
                         [UPGRADE, get(), get("/", "Connection: close"), post(b""), get(version="1.0")],
                         ids=["with Upgrade", "without", "close", "post", "1.0"])
@pytest.mark.parametrize("early", [b"", b"early "], ids=["", "with early data"])
def test_detach_socket(raw: bytes, early: bytes) -> None:
    """The head goes out, then the connection is the handler's, with all that the client had sent already."""
    threads: list[threading.Thread] = []

    def handler(request: HttpRequest) -> None:
        sock = upgrade(request)
        assert request.response.closed and request.response.done.result(0) is request.response
        with pytest.raises(StateError):
            request.response.write("x")
        threads.append(threading.Thread(target=echo, args=(sock,)))
        threads[-1].start()

    with serving(handler) as server, RawClient(server.port) as client:
        response = client.send(raw + early).read_response()
        assert (response.status, response.header("upgrade")) == (101, "echo")
        assert response.header("content-length") is None and response.header("transfer-encoding") is None
        assert (response.header("connection") or "").lower() == "upgrade"
        assert client.read_exactly(len(early)) == early.upper()
        for _ in range(3):
            assert client.send(b"abc").read_exactly(3) == b"ABC"
        client.send(b"x" * MIB)
        assert client.read_exactly(MIB) == b"X" * MIB
        client.send(b"last").finish_sending()
        assert client.read_until_eof() == b"LAST"
        for thread in threads:
            thread.join(PATIENCE)
        eventually(lambda: not server.connections_info().total)


def test_detach_socket_without_a_head() -> None:
    def handler(request: HttpRequest) -> None:
        with request.response.detach_socket(write_headers=False) as sock:
            sock.sendall(b"ICY 200 OK\r\n\r\n")

    assert raw_answer(handler, UPGRADE) == b"ICY 200 OK\r\n\r\n"
    assert raw_answer(handler, get()) == b"ICY 200 OK\r\n\r\n"


def test_detach_socket_behind_what_was_written() -> None:
    def handler(request: HttpRequest) -> None:
        request.response.write("written ")
        with request.response.detach_socket() as sock:
            sock.sendall(b"by hand")

    head, _, rest = raw_answer(handler, UPGRADE).partition(b"\r\n\r\n")
    assert rest == b"written by hand"
    assert head.startswith(b"HTTP/1.1 200 OK\r\n") and b"content-length" not in head


def test_detach_socket_of_a_tunnel() -> None:
    """CONNECT: the head, then bytes."""
    def handler(request: HttpRequest) -> None:
        assert request.method == "CONNECT"
        echo(request.response.detach_socket())

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n")
        assert client.read_response("HEAD").status == 200
        assert client.send(b"abc").read_exactly(3) == b"ABC"


@pytest.mark.parametrize("flush", [False, True])
def test_detach_socket_behind_what_a_slow_client_has_not_taken(flush: bool) -> None:
    """In order: first all that was written, then what is sent by hand."""
    def handler(request: HttpRequest) -> None:
        response = request.response
        response.write(b"x" * 4 * MIB)
        if flush:
            response.flush()
        with response.detach_socket() as sock:
            sock.sendall(b"by hand")

    for raw in (UPGRADE, get()):
        with serving(handler) as server, small_window(server.port) as client:
            client.send(raw)
            assert client.read_exactly(9) == b"HTTP/1.1 "
            received = client.read_until_eof()
            assert received.endswith(b"by hand") and received.count(b"x" * 64) >= 4 * MIB // 64 - 100


def test_a_detached_socket_whose_owner_goes_away() -> None:
    """The client's end comes with it, whatever the client still sends."""
    for raw in (UPGRADE, get()):
        with serving(lambda request: upgrade(request).close()) as server, RawClient(server.port) as client:
            assert client.send(raw).read_response().status == 101
            with pytest.raises(ConnectionError):
                for _ in range(1000):
                    client.send(b"x" * 100_000)
            eventually(lambda: not server.connections_info().total)


def test_a_detached_socket_that_sends_to_a_client_that_goes_away() -> None:
    ended = threading.Event()

    def handler(request: HttpRequest) -> None:
        with upgrade(request) as sock:
            sock.settimeout(PATIENCE)
            with pytest.raises(ConnectionError):
                while True:
                    sock.sendall(b"x" * 100_000)
        ended.set()

    for raw in (UPGRADE, get()):
        ended.clear()
        with serving(handler) as server:
            client = RawClient(server.port).send(raw)
            assert client.read_response().status == 101
            client.read_exactly(100_000)
            client.reset()
            assert ended.wait(PATIENCE)
            eventually(lambda: not server.connections_info().total)


def test_a_detached_socket_is_quiet_for_longer_than_every_limit() -> None:
    """Then both sides speak, the client first."""
    def handler(request: HttpRequest) -> None:
        with upgrade(request) as sock:
            sock.settimeout(PATIENCE)
            sock.sendall(sock.recv(100))

    limits: dict[str, Any] = {"idle_timeout": 0.05, "header_timeout": 0.05, "body_timeout": 0.05}
    for raw in (UPGRADE, get()):
        with serving(handler, **limits) as server, RawClient(server.port) as client:
            assert client.send(raw).read_response().status == 101
            threading.Event().wait(0.12)
            assert client.send(b"late").read_exactly(4) == b"late"


def test_detach_socket_of_a_closed_response() -> None:
    def handler(request: HttpRequest) -> None:
        tell(request)
        with pytest.raises(StateError):
            request.response.detach_socket()

    assert visit(handler, get("/x")).body == b"/x"


def test_a_detached_socket_outlives_its_server() -> None:
    sockets: list[socket.socket] = []
    with serving(lambda request: sockets.append(upgrade(request))) as server:
        client = RawClient(server.port).send(UPGRADE)
        assert client.read_response().status == 101
        eventually(lambda: sockets)
    with client, sockets[0] as sock:
        sock.settimeout(PATIENCE)
        assert client.send(b"still").socket and sock.recv(5) == b"still"
        sock.sendall(b"here")
        assert client.read_exactly(4) == b"here"


def test_a_detached_socket_has_no_limits() -> None:
    """The server's timeouts are of its own connections."""
    sockets: list[socket.socket] = []
    limits: dict[str, Any] = {"idle_timeout": SOON, "header_timeout": SOON, "body_timeout": SOON}
    for raw in (UPGRADE, get()):
        with serving(lambda request: sockets.append(upgrade(request)), **limits) as server:
            with RawClient(server.port) as client, RawClient(server.port) as idle:
                assert client.send(raw).read_response().status == 101
                assert idle.is_ended()  # so the time is up
                with sockets.pop() as sock:
                    sock.settimeout(PATIENCE)
                    assert client.send(b"late").socket and sock.recv(4) == b"late"
                    sock.sendall(b"too")
                    assert client.read_exactly(3) == b"too"


def test_a_detached_socket_whose_client_goes_away() -> None:
    ended = threading.Event()

    def handler(request: HttpRequest) -> None:
        with upgrade(request) as sock:
            sock.settimeout(PATIENCE)
            try:
                assert sock.recv(10) == b""
            except ConnectionError:
                pass
        ended.set()

    for raw in (UPGRADE, get()):
        for reset in (False, True):
            ended.clear()
            with serving(handler) as server:
                client = RawClient(server.port).send(raw)
                assert client.read_response().status == 101
                client.reset() if reset else client.close()
                assert ended.wait(PATIENCE)


def test_detach_socket_with_a_body_left() -> None:
    """What was not read of it comes out of the socket."""
    def handler(request: HttpRequest) -> None:
        assert request.read(3) == b"abc"
        with request.response.detach_socket(write_headers=False) as sock:
            sock.settimeout(PATIENCE)
            data = b""
            while len(data) < 6:
                data += sock.recv(10)
            sock.sendall(data)

    assert raw_answer(handler, post(b"abcdefghi")) == b"defghi"


# ----------------------------------------------------------------- dropped responses

@contextmanager
def forgotten(times: int = 1) -> Iterator[None]:
    """Exactly so many ResourceWarnings come; they may come on any thread."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    texts = [str(warning.message) for warning in caught if issubclass(warning.category, ResourceWarning)]
    assert len(texts) == times, texts
    assert all("without close()" in text for text in texts), texts


def dropped(request: HttpRequest) -> bool:
    request.response.write("forgotten")
    return False


DROPPING: dict[str, Callable[[HttpServer], object]] = {
    "for_each": lambda server: server.for_each(dropped),
    "workers": lambda server: server.for_each(dropped, workers=3),
    "listen": lambda server: server.listen(dropped).as_future().result(PATIENCE),
    "a loop": lambda server: [dropped(request) for request in server],
    "a loop over a view": lambda server: [None for _ in server.map(dropped)],
    "first()": lambda server: (dropped(server.first()), dropped(server.first()), server.drain()),
    "element_at()": lambda server: (dropped(server.element_at(0)), dropped(server.element_at(0)),
                                    server.drain()),
    "take()": lambda server: [dropped(request) for request in server.take(2)],
    "timeout()": lambda server: [dropped(request) for request in server.timeout(PATIENCE)],
    "where()": lambda server: server.where(dropped).to_list(),
}


@pytest.mark.parametrize("drop", DROPPING.values(), ids=DROPPING)
def test_a_dropped_response_is_closed_before_the_next_request(drop: Callable[[HttpServer], object]) -> None:
    """A forgotten close never leaves a browser spinning: the answers come before there is another request."""
    with forgotten(2), HttpServer.bind("127.0.0.1", 0) as server, in_background(lambda: drop(server)):
        try:
            with RawClient(server.port) as client:
                for _ in range(2):
                    response = client.get()
                    assert (response.status, response.body) == (200, b"forgotten")
        finally:
            server.close()


def test_a_loop_with_a_variable_that_keeps_the_last_one() -> None:
    """The variable holds the last request while the loop waits: that counts for nothing."""

    def loop() -> None:
        for request in server:
            request.response.write("forgotten")

    def loop_with_two_names() -> None:
        for request in server:
            response = request.response  # noqa: F841  holds it, as a user might
            response.write("forgotten")
            del response

    for work in (loop, loop_with_two_names):
        with forgotten(2), HttpServer.bind("127.0.0.1", 0) as server, in_background(work):
            try:
                with RawClient(server.port) as client:
                    for _ in range(2):
                        assert client.get().body == b"forgotten"
            finally:
                server.close()


def test_a_loop_at_module_level() -> None:
    """There the variable is in a dict."""
    code = "for request in server:\n    request.response.write('forgotten')\n"
    with forgotten(2), HttpServer.bind("127.0.0.1", 0) as server:
        with in_background(lambda: exec(code, {"server": server})):
            try:
                with RawClient(server.port) as client:
                    for _ in range(2):
                        assert client.get().body == b"forgotten"
            finally:
                server.close()


def test_the_last_request_of_a_loop_that_is_left() -> None:
    """It is the caller's until the caller lets it go."""
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        client.send(get())
        for request in server:
            break
        client.seconds = 0.05
        with pytest.raises(TimeoutError):
            client.read_response()
        client.seconds = PATIENCE
        with forgotten():
            del request
            assert client.read_response().status == 200


@pytest.mark.parametrize("keep", [lambda request: request, lambda request: request.response,
                                  lambda request: (request,), lambda request: request.response.write,
                                  lambda request: {"x": [request]}])
def test_a_response_that_somebody_holds_stays_open(keep: Callable[[HttpRequest], object]) -> None:
    """In a list, say, for another thread to answer; while the loop goes on."""
    kept: list[object] = []
    answered = threading.Event()

    def loop() -> None:
        for request in server:
            if request.uri.path == "/kept":
                kept.append(keep(request))
                answered.set()
            else:
                tell(request)

    with HttpServer.bind("127.0.0.1", 0) as server, in_background(loop):
        try:
            with RawClient(server.port) as client, RawClient(server.port) as other:
                client.send(get("/kept"))
                assert answered.wait(PATIENCE)
                client.seconds = 0.05
                with pytest.raises(TimeoutError):
                    client.read_response()
                for _ in range(3):
                    assert other.get("/other").body == b"/other"
                with pytest.raises(TimeoutError):
                    client.read_response()
                client.seconds = PATIENCE
                with forgotten():
                    kept.clear()
                    assert client.read_response().status == 200
        finally:
            server.close()


def test_a_response_that_a_thread_holds_stays_open() -> None:
    go_on = threading.Event()
    threads: list[threading.Thread] = []

    def finish(request: HttpRequest) -> None:
        assert go_on.wait(PATIENCE)
        request.response.write("by a thread")
        request.response.close()

    def loop() -> None:
        for request in server:
            threads.append(threading.Thread(target=finish, args=(request,)))
            threads[-1].start()

    with HttpServer.bind("127.0.0.1", 0) as server, in_background(loop):
        try:
            with RawClient(server.port) as client, RawClient(server.port) as other:
                client.send(get())
                other.send(get())
                eventually(lambda: len(threads) == 2)
                go_on.set()
                assert client.read_response().body == other.read_response().body == b"by a thread"
        finally:
            go_on.set()
            server.close()
            for thread in threads:
                thread.join(PATIENCE)


@pytest.mark.parametrize("prepare, status, body", [
    (lambda response: None, 200, b""),
    (lambda response: response.write("written"), 200, b"written"),
    (lambda response: setattr(response, "status_code", 404), 404, b""),
    (lambda response: (response.write("x" * 100), response.flush()), 200, b"x" * 100),
])
def test_what_a_dropped_response_had_is_sent(prepare: Callable[[HttpResponse], object], status: int,
                                             body: bytes) -> None:
    with forgotten(2), serving(lambda request: prepare(request.response)) as server:
        with RawClient(server.port) as client:
            for _ in range(2):
                response = client.get()
                assert (response.status, response.body) == (status, body)


def test_a_dropped_response_that_is_not_whole() -> None:
    def handler(request: HttpRequest) -> None:
        request.response.content_length = 10
        request.response.write("half")

    with forgotten(), serving(handler) as server, RawClient(server.port) as client:
        assert to_the_end(client.send(get())) == b""


def test_the_warning_names_the_request() -> None:
    with pytest.warns(ResourceWarning, match="without close.*GET /which/one"):
        with serving(lambda request: None) as server, RawClient(server.port) as client:
            assert client.get("/which/one").status == 200


def test_a_dropped_request_with_a_body() -> None:
    with forgotten(2), serving(lambda request: None) as server, RawClient(server.port) as client:
        for _ in range(2):
            assert client.send(post(b"x" * 1000)).read_response().status == 200


def test_a_dropped_response_of_a_client_that_has_gone() -> None:
    gone = threading.Event()

    def handler(request: HttpRequest) -> None:
        assert gone.wait(PATIENCE)
        request.response.write("x")

    with forgotten(), serving(handler) as server:
        reset_once_heard(server)
        gone.set()
        eventually(lambda: not server.connections_info().total)


def test_a_dropped_response_in_a_cycle() -> None:
    """The garbage collector finds it, in its own time."""

    def handler(request: HttpRequest) -> None:
        cycle: list[object] = [request]
        cycle.append(cycle)

    with forgotten(), serving(handler) as server, RawClient(server.port) as client:
        client.send(get())
        eventually(lambda: server.connections_info().active)
        eventually(lambda: gc.collect() and not server.connections_info().active)
        assert client.read_response().status == 200


def test_an_exception_that_leaves_a_loop_lets_the_request_go() -> None:
    def loop() -> None:
        for request in server:
            raise ZeroDivisionError

    with forgotten(), HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        client.send(get())
        with pytest.raises(ZeroDivisionError):
            loop()
        gc.collect()
        assert client.read_response().status == 200


# ---------------------------------------------------------------------- slow readers

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
        received = to_the_end(client)
        assert len(received) < 8 * MIB and not received.endswith(b"0\r\n\r\n")
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
