"""Bodies that are too long, malformed, left unread, slow, cut short, or read too late."""
from __future__ import annotations

import threading
import warnings
from contextlib import suppress
from typing import Any

import pytest

from blockingio import HttpException, HttpRequest, HttpServer, StateError
from tests.peers import PATIENCE, RawClient, collecting, eventually, serving
from tests.server.visits import body_by, get, post, post_chunks, raw_answer, reading, tell, visit

KIB = 1024
MIB = 1024 * KIB
#: Seconds of a limit that is to be met.
SOON = 0.2
BIG = bytes(range(256)) * 4 * KIB


# ---------------------------------------------------------------------- limits

def test_a_declared_body_past_the_limit() -> None:
    called: list[HttpRequest] = []
    with serving(called.append, max_body_size=10) as server, RawClient(server.port) as client:
        response = client.send(post(b"x" * 11)).read_response()
        assert (response.status, response.header("connection")) == (413, "close")
        assert client.is_ended()
    assert not called


def test_a_chunked_body_past_the_limit_in_a_loop() -> None:
    """The error is the reader's; a handler that does not answer otherwise has answered 413."""
    errors: list[Exception] = []

    with serving(reading(errors), workers=None, max_body_size=10) as server, RawClient(server.port) as client:
        client.send(post_chunks(b"x" * 6, b"x" * 5))
        response = client.read_response()
        assert (response.status, response.header("connection")) == (413, "close")
        assert client.is_ended()
    assert len(errors) == 1 and "11" in str(errors[0]) and "10" in str(errors[0])


def test_a_chunked_body_past_the_limit_in_a_worker() -> None:
    """It is not the handler's failure: nothing is logged."""
    response = visit(body_by(lambda request: request.read()), post_chunks(b"x" * 11), max_body_size=10)
    assert (response.status, response.header("connection")) == (413, "close")


def test_a_handler_may_answer_a_body_past_the_limit_otherwise() -> None:
    def handler(request: HttpRequest) -> None:
        with pytest.raises(HttpException):
            request.read()
        with pytest.raises(HttpException):
            request.read()  # once broken, broken
        request.response.status_code = 200
        request.response.write("too much for me")
        request.response.close()

    with serving(handler, max_body_size=10) as server, RawClient(server.port) as client:
        response = client.send(post_chunks(b"x" * 11)).read_response()
        assert (response.status, response.header("connection")) == (200, "close")
        assert response.body == b"too much for me"
        assert client.is_ended()


def test_a_body_past_the_limit_after_the_response_began() -> None:
    """Too late for a status: the client sees that it is not the whole."""

    def handler(request: HttpRequest) -> None:
        request.response.write("begun")
        request.response.flush()
        request.response.write(request.read())

    raw = raw_answer(handler, post_chunks(b"x" * 11), max_body_size=10)
    assert b"begun" in raw and not raw.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("max_body_size", [10, None])
def test_a_body_within_the_limit(max_body_size: int | None) -> None:
    for raw in (post(b"x" * 10), post_chunks(b"x" * 5, b"x" * 5)):
        response = visit(body_by(lambda request: request.read()), raw, max_body_size=max_body_size)
        assert response.body == b"x" * 10


# -------------------------------------------------------------- malformed bodies

@pytest.mark.parametrize("body", [
    b"3\r\nabcd\r\n0\r\n\r\n", b"x\r\nabc\r\n0\r\n\r\n", b"-1\r\n", b"0x3\r\nabc\r\n", b"3\nabc\n0\n\n",
    b" 3\r\nabc\r\n", b"\r\n\r\n", b"3 abc\r\n", b"11111111111111111\r\n",
    b"3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n", b"3\r\nabc\r\n0\r\nbad trailer\r\n\r\n",
    b"3\r\nabc\r\n0\r\nHost: a\r\n\r\n", b"3;\x00\r\nabc\r\n", b"3" + b";x" * 3000 + b"\r\nabc\r\n",
], ids=lambda body: repr(body[:20]))
@pytest.mark.parametrize("caught", [True, False], ids=["caught", "in a worker"])
def test_a_broken_body_gets_400(body: bytes, caught: bool) -> None:
    """HttpException from read(), 400 unless the handler says otherwise, and the connection ends."""

    def handler(request: HttpRequest) -> None:
        if not caught:
            request.read()
        with pytest.raises(HttpException):
            request.read()
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        response = client.read_response()
        assert (response.status, response.header("connection")) == (400, "close")
        assert client.is_ended()


# ------------------------------------------------------------------ left unread

@pytest.mark.parametrize("raw", [post(b"x" * 200 * KIB), post_chunks(*[b"x" * 50 * KIB] * 4), post(b"x"),
                                 post_chunks(b"x"), post_chunks(), post_chunks(b"x", trailers=b"a: b\r\n")],
                         ids=["counted", "chunked", "a byte", "a chunk", "nothing", "a trailer"])
@pytest.mark.parametrize("part", [0, 1], ids=["unread", "begun"])
def test_an_unread_body_is_drained(raw: bytes, part: int) -> None:
    def handler(request: HttpRequest) -> None:
        request.read(part)
        tell(request)

    with serving(handler) as server, RawClient(server.port) as client:
        for _ in range(2):
            response = client.send(raw).read_response()
            assert (response.status, response.header("connection")) == (200, None)
        assert client.get("/next").body == b"/next"


def test_a_body_that_is_too_much_to_drain_ends_the_connection() -> None:
    """And says so, with an answer that arrives although the client is still sending."""
    with serving(tell) as server, RawClient(server.port) as client:
        client.send(b"POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (300 * KIB))
        client.send(b"x" * 300 * KIB)
        response = client.read_response()
        assert (response.body, response.header("connection")) == (b"/big", "close")
        assert client.is_ended()


def test_an_endless_body_that_nobody_reads() -> None:
    """How much comes is not known before: it is read away up to the limit, then the connection ends."""
    with serving(tell) as server, RawClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert client.read_response().status == 200
        chunk = b"10000\r\n" + b"x" * 64 * KIB + b"\r\n"
        sent = 0
        with pytest.raises(ConnectionError):
            while sent < 64 * MIB:
                client.send(chunk)
                sent += len(chunk)


def test_a_broken_body_of_a_request_that_is_dropped() -> None:
    """Nothing of the failure keeps the request alive: it is closed for the user."""

    def swallow(request: HttpRequest) -> None:
        with suppress(HttpException):
            request.read()

    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with collecting(), serving(swallow) as server, RawClient(server.port) as client:
            assert client.send(head + b"zz\r\n").read_response().status == 400
            assert client.is_ended()


def test_a_broken_body_that_nobody_reads_ends_the_connection() -> None:
    with serving(tell) as server, RawClient(server.port) as client:
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"none\r\nGET /smuggled HTTP/1.1\r\n\r\n")
        assert client.read_response().body == b"/x"
        assert client.is_ended()


def test_a_slow_unread_body_ends_the_connection() -> None:
    with serving(tell, body_timeout=SOON) as server, RawClient(server.port) as client:
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert client.read_response().body == b"/x"
        assert client.is_ended()


# ------------------------------------------------------------- slow, cut, too late

def test_a_slow_body_gets_408() -> None:
    errors: list[Exception] = []

    with serving(reading(errors), body_timeout=SOON) as server, RawClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        response = client.read_response()
        assert (response.status, response.header("connection")) == (408, "close")
        assert client.is_ended()
    assert len(errors) == 1 and "in time" in str(errors[0])


@pytest.mark.parametrize("start", [b"Content-Length: 10\r\n\r\nabc",
                                   b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
                                   b"Transfer-Encoding: chunked\r\n\r\n5",
                                   b"Transfer-Encoding: chunked\r\n\r\n",
                                   b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc",
                                   b"Content-Length: 10\r\n\r\n",
                                   b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n"],
                         ids=["counted", "in a chunk", "in a size", "no chunk", "behind a chunk", "no byte",
                              "in trailers"])
@pytest.mark.parametrize("end", ["closed", "reset", "half closed"])
def test_a_client_that_goes_away_mid_body(start: bytes, end: str) -> None:
    """HttpException from read(), however it is read; nothing is logged, and the server goes on."""
    errors: list[Exception] = []
    began = threading.Event()

    def handler(request: HttpRequest) -> None:
        if request.uri.path != "/lost":
            tell(request)
            return
        began.set()
        try:
            for _ in request:
                pass
        except HttpException as error:
            errors.append(error)
            with pytest.raises(HttpException):
                request.read(1)
        request.response.close()

    with serving(handler) as server:
        with RawClient(server.port) as client:
            client.send(b"POST /lost HTTP/1.1\r\nHost: a\r\n" + start)
            assert began.wait(PATIENCE)
            if end == "reset":
                client.reset()
            elif end == "half closed":
                client.finish_sending()
                received = client.read_until_eof()
                assert received.startswith(b"HTTP/1.1 400 ") and b"connection: close\r\n" in received
        eventually(lambda: errors)
        with RawClient(server.port) as client:
            assert client.get("/good").body == b"/good"
    assert len(errors) == 1


def test_a_worker_whose_client_goes_away_logs_nothing() -> None:
    done = threading.Event()

    def handler(request: HttpRequest) -> None:
        try:
            request.read()
        finally:
            done.set()

    with serving(handler) as server:
        with RawClient(server.port) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert done.wait(PATIENCE)
        eventually(lambda: not server.connections_info().total)


@pytest.mark.parametrize("raw", [post(b"abc"), post_chunks(b"abc"), post(BIG)])
def test_a_body_after_close(raw: bytes) -> None:
    """The connection has it then: the wrong time, said as such."""
    errors: list[Exception] = []

    def handler(request: HttpRequest) -> None:
        request.response.close()
        for read in (request.read, lambda: request.read(1), lambda: list(request), request.to_list):
            try:
                read()
            except StateError as error:
                errors.append(error)

    with serving(handler) as server, RawClient(server.port) as client:
        assert client.send(raw).read_response().status == 200
        eventually(lambda: len(errors) == 4)


def test_a_body_after_close_that_was_read_before_is_at_its_end() -> None:
    seen = []

    def handler(request: HttpRequest) -> None:
        request.read()
        request.response.close()
        seen.append(request.read())

    with serving(handler) as server, RawClient(server.port) as client:
        assert client.send(post(b"abc")).read_response().status == 200
        eventually(lambda: seen == [b""])


def test_close_while_another_thread_reads() -> None:
    """The reader gets its piece or an error, and the connection is not read by two at once."""
    results: list[Any] = []
    reading = threading.Event()

    def read(request: HttpRequest) -> None:
        reading.set()
        try:
            results.append(request.read())
        except (StateError, HttpException) as error:
            results.append(error)

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/next":
            tell(request)
            return
        thread = threading.Thread(target=read, args=(request,))
        thread.start()
        threads.append(thread)
        assert reading.wait(PATIENCE)
        tell(request)

    threads: list[threading.Thread] = []
    with serving(handler) as server, RawClient(server.port) as client:
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        assert client.read_response().body == b"/x"
        client.send(b"def" + get("/next"))
        threads[0].join(PATIENCE)
        response = client.read_response() if not client.is_ended() else None
        assert response is None or response.status == 200
    assert len(results) == 1


def test_a_body_of_a_closed_server_can_still_be_read() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    with RawClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        request = server.first()
        server.close()
        client.send(b"def")
        assert request.read() == b"abcdef"
        request.response.close()
        assert client.read_response().status == 200


def test_a_body_of_a_server_closed_by_force() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    with RawClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        request = server.first()
        server.close(force=True)
        with pytest.raises(HttpException):
            request.read()
        request.response.close()
        assert client.is_ended()
