"""A response that is dropped without close() is closed for the user, with a ResourceWarning."""
from __future__ import annotations

import gc
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType

import pytest

from blockingio import HttpRequest, HttpResponse, HttpServer
from blockingio.http_server import VirtualHost
from blockingio.net.system import HAS_GIL
from tests.peers import PATIENCE, RawClient, collecting, eventually, serving
from tests.server.visits import (
    get, in_background, post, post_chunks, reset_once_heard, small_window, tell, to_the_end)

Put = Callable[[HttpRequest], object]


@contextmanager
def forgotten(times: int = 1) -> Iterator[None]:
    """Exactly so many ResourceWarnings come; they may come on any thread."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with collecting():
            yield
        gc.collect()
    texts = [str(warning.message) for warning in caught if issubclass(warning.category, ResourceWarning)]
    assert len(texts) == times, texts
    assert all("without close()" in text for text in texts), texts


def answered_although_forgotten(server: HttpServer) -> None:
    """Two requests, the second once the first is answered; then the server is closed."""
    try:
        with RawClient(server.port) as client:
            for _ in range(2):
                response = client.get()
                assert (response.status, response.body) == (200, b"forgotten")
    finally:
        server.close()


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
        answered_although_forgotten(server)


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
            answered_although_forgotten(server)


def test_a_loop_at_module_level() -> None:
    """There the variable is in a dict."""
    code = "for request in server:\n    request.response.write('forgotten')\n"
    with forgotten(2), HttpServer.bind("127.0.0.1", 0) as server:
        with in_background(lambda: exec(code, {"server": server})):
            answered_although_forgotten(server)


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


def put_next(server: HttpServer, put: Put) -> None:
    requests = iter(server)
    try:
        while True:
            put(next(requests))
    except StopIteration:
        pass


def put_and_delete(server: HttpServer, put: Put) -> None:
    for request in server:
        put(request)
        del request


def put_pairs(server: HttpServer, put: Put) -> None:
    for pair in server.map(lambda request: (1, request)):
        put(pair[1])
        del pair


def put_by_map(server: HttpServer, put: Put) -> None:
    for _ in map(put, server):
        pass


def put_by_next_of_a_view(server: HttpServer, put: Put) -> None:
    requests = iter(server.where(lambda request: True))
    try:
        while True:
            put(next(requests))
    except StopIteration:
        pass


def put_by_listen(server: HttpServer, put: Put) -> None:
    server.where(lambda request: True).listen(put).as_future().result(PATIENCE)


def put_by_a_host(server: HttpServer, put: Put) -> None:
    hosts = VirtualHost()
    requests = hosts.add_host("*")
    hosts.add_source(server.where(lambda request: True))
    requests.for_each(put)


@pytest.mark.parametrize("give", [put_next, put_and_delete, put_pairs, put_by_map, put_by_next_of_a_view,
                                  put_by_listen, put_by_a_host], ids=lambda give: give.__name__)
def test_what_only_a_queue_holds_stays_open(give: Callable[[HttpServer, Put], None]) -> None:
    """There is no loop's variable then, so the one reference that there is belongs to the program."""
    queue: SimpleQueue[HttpRequest] = SimpleQueue()
    with forgotten(0), HttpServer.bind("127.0.0.1", 0) as server, \
            in_background(lambda: give(server, queue.put)):
        try:
            with RawClient(server.port) as first, RawClient(server.port) as second:
                first.send(get("/first"))
                eventually(lambda: queue.qsize() == 1)
                second.send(get("/second"))  # so the next one has been asked for
                eventually(lambda: queue.qsize() == 2)
                for client, target in ((first, "/first"), (second, "/second")):
                    assert tell(queue.get()) == target
                    assert client.read_response().body == target.encode()
        finally:
            server.close()


def test_two_that_are_asked_for_one_after_the_other() -> None:
    """Their variables are no loop's."""
    with forgotten(0), HttpServer.bind("127.0.0.1", 0) as server:
        with RawClient(server.port) as one, RawClient(server.port) as two:
            one.send(get("/"))
            two.send(get("/"))
            requests = iter(server)
            first = next(requests)
            second = next(requests)
            for request in (first, second):
                tell(request)
            assert one.read_response().body == two.read_response().body == b"/"
            del first, second, request, requests


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
    with pytest.warns(ResourceWarning, match="without close.*GET /which/one"), collecting():
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


def test_an_exception_that_leaves_a_loop_is_answered() -> None:
    """With 500, and no warning: nobody has forgotten anything."""
    def loop() -> None:
        for request in server:
            raise ZeroDivisionError

    with forgotten(0), HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        client.send(get())
        with pytest.raises(ZeroDivisionError):
            loop()
        gc.collect()
        assert client.read_response().status == 500


def test_a_warning_that_is_made_an_error_keeps_nobody_waiting() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        client.send(get())
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            with pytest.raises(ResourceWarning):
                for request in server:
                    request.response.write("forgotten")
        assert client.read_response().body == b"forgotten"


# ------------------------------------------------------------ what has been answered

def test_a_loop_lets_go_of_what_is_answered_without_a_finalizer() -> None:
    """A Ctrl-C that arrives in one, on the thread of the loop, the interpreter would drop."""
    ended = 2  # connections that end with their answer
    large = b"x" * 5_000_000
    called: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == "__del__" and isinstance(frame.f_locals["self"], HttpResponse):
            called.append(str(frame.f_locals["self"]))

    def loop(server: HttpServer) -> None:
        sys.setprofile(note)
        for request in server:
            path = request.uri.path
            if path == "/error":
                request.response.fail(500)
                continue
            request.read()
            with request.response as response:
                response.write(large if path == "/large" else path)

    gc.collect()  # what other tests have left
    with HttpServer.bind("127.0.0.1", 0) as server, in_background(lambda: loop(server)):
        try:
            with RawClient(server.port) as client, small_window(server.port) as slow:
                slow.send(get("/large"))
                for _ in range(3):
                    assert client.get("/kept").body == b"/kept"
                assert client.send(post(b"body")).read_response().body == b"/"
                assert client.send(post_chunks(b"bo", b"dy")).read_response().body == b"/"
                assert client.send(get("/head", method="HEAD")).read_response("HEAD").status == 200
                assert client.get("/error").status == 500
                assert client.get("/last", "Connection: close").body == b"/last"
                assert slow.read_response().body == large
            with RawClient(server.port) as client:
                assert client.send(get("/old", version="1.0")).read_until_eof().endswith(b"/old")
            with RawClient(server.port) as client:
                assert client.get("/next").body == b"/next"  # by now it has let go of all others
        finally:
            server.close()
    # Without the GIL they keep it, and the connection's thread calls it, unless that is done with its last answer.
    assert called == [] if HAS_GIL else len(called) <= ended
