"""How a request ends: done, abort, close twice, exceptions in between."""

from __future__ import annotations

import gc
import os
import socket
import threading
from concurrent.futures import Future, wait
from typing import Any

import pytest

from blockingio import HttpClient, HttpClientResponse, HttpException, StateError, Uri
from tests.client.servers import OK, Peer, answering, dies_at_the_second, ended, scripted
from tests.peers import PATIENCE, eventually


def test_done_is_what_close_gives(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        request = client.get_url(server.url())
        done = request.done
        assert isinstance(done, Future) and not done.done()
        response = request.close()
        assert done.result(0) is response
        assert request.done is done
        assert request.close() is response
        response.read()
        client.close()


def test_done_asked_for_afterwards(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        request = client.get_url(server.url())
        response = request.close()
        assert request.done.result(0) is response
        response.read()
        client.close()


def test_done_of_a_response_that_was_dropped(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        request = client.get_url(server.url())
        request.close()
        assert isinstance(request.done.exception(0), StateError)
        client.close()


def test_another_thread_waits_for_done(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        request = client.get_url(server.url())
        got: list[HttpClientResponse] = []
        thread = threading.Thread(target=lambda: got.append(request.done.result(PATIENCE)))
        thread.start()
        response = request.close()
        thread.join(PATIENCE)
        assert got == [response]
        response.read()
        client.close()


def test_done_of_a_redirected_request_is_the_last_response(client: HttpClient) -> None:
    moved = b"HTTP/1.1 302 Found\r\nlocation: /new\r\ncontent-length: 0\r\n\r\n"
    with scripted(answering(moved, OK)) as server:
        request = client.get_url(server.url())
        done = request.done
        response = request.close()
        assert done.result(0) is response and response.status_code == 200
        response.read()
        client.close()


def test_done_of_a_request_that_was_dropped(client: HttpClient) -> None:
    with scripted(ended) as server:
        done = client.get_url(server.url()).done
        with pytest.raises(HttpException, match="dropped without close"):
            done.result(0)


@pytest.mark.parametrize("is_asked_first", [True, False])
def test_done_of_a_request_that_failed(client: HttpClient, is_asked_first: bool) -> None:
    with scripted(answering(b"nonsense\r\n\r\n")) as server:
        request = client.get_url(server.url())
        done = request.done if is_asked_first else None
        with pytest.raises(HttpException) as caught:
            request.close()
        assert request.done.exception(0) is caught.value
        assert done is None or done is request.done
        with pytest.raises(HttpException) as again:
            request.close()
        assert again.value is caught.value


def test_several_requests_at_once_by_their_futures(client: HttpClient) -> None:
    with scripted(answering(OK), answering(OK), answering(OK)) as server:
        requests = [client.get_url(server.url(f"/{number}")) for number in range(3)]
        threads = [threading.Thread(target=request.close) for request in requests]
        futures = [request.done for request in requests]
        for thread in threads:
            thread.start()
        finished, pending = wait(futures, PATIENCE)
        assert not pending
        assert sorted(future.result().read() for future in finished) == [b"ok"] * 3
        for thread in threads:
            thread.join(PATIENCE)
        client.close()


# ------------------------------------------------------------------ abort


def test_abort_before_anything_was_sent(client: HttpClient) -> None:
    with scripted(ended) as server:
        request = client.post_url(server.url())
        request.abort()
        error = request.done.exception(0)
        assert isinstance(error, HttpException)
        assert (error.message, error.uri) == ("the request was aborted", request.uri)
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"
        with pytest.raises(HttpException, match="the request was aborted"):
            request.close()


def test_writes_after_an_abort_do_nothing(client: HttpClient) -> None:
    with scripted(ended) as server:
        request = client.post_url(server.url())
        request.write("before")
        request.abort()
        request.write("after")
        request.add(bytes(1_000_000))
        request.add_stream([b"x"])
        request.flush()
        request.abort()


def test_abort_with_an_exception_of_ones_own(client: HttpClient) -> None:
    error = LookupError("changed my mind")
    with scripted(ended) as server:
        request = client.post_url(server.url())
        done = request.done
        request.abort(error)
        assert done.exception(0) is error
        with pytest.raises(LookupError, match="changed my mind"):
            request.close()


def aborted_while_waiting(client: HttpClient, request: Any, is_waiting: threading.Event) -> BaseException:
    """What close() raises in one thread when another one aborts."""
    caught: list[BaseException] = []

    def close() -> None:
        try:
            request.close()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=close)
    thread.start()
    assert is_waiting.wait(PATIENCE)
    request.abort()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    eventually(lambda: repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>")
    return caught[0]


def test_abort_while_another_thread_waits_for_the_response(client: HttpClient) -> None:
    has_come = threading.Event()

    def script(peer: Peer) -> None:
        peer.demand()
        has_come.set()
        assert peer.is_ended()

    with scripted(script) as server:
        request = client.get_url(server.url())
        error = aborted_while_waiting(client, request, has_come)
        assert isinstance(error, HttpException) and error.message == "the request was aborted"
        assert request.done.exception(0) is error


def test_abort_while_another_thread_sends(client: HttpClient) -> None:
    has_begun, has_aborted = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        peer.socket.recv(1000)
        has_begun.set()
        has_aborted.wait(PATIENCE)  # the client's buffers fill up meanwhile
        ended(peer)

    with scripted(script) as server:
        request = client.post_url(server.url())
        request.content_length = 1 << 30
        caught: list[BaseException] = []

        def send() -> None:
            try:
                for _ in range(1024):
                    request.add(bytes(1 << 20))
                request.close()
            except BaseException as error:
                caught.append(error)

        thread = threading.Thread(target=send)
        thread.start()
        assert has_begun.wait(PATIENCE)
        request.abort()
        has_aborted.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert isinstance(caught[0], HttpException) and caught[0].message == "the request was aborted"
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_abort_in_the_middle_of_a_redirect(client: HttpClient) -> None:
    has_come = threading.Event()

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 302 Found\r\nlocation: /new\r\ncontent-length: 0\r\n\r\n")
        peer.demand()
        has_come.set()
        assert peer.is_ended()

    with scripted(script) as server:
        request = client.get_url(server.url())
        error = aborted_while_waiting(client, request, has_come)
        assert isinstance(error, HttpException) and error.message == "the request was aborted"


def test_abort_from_a_callback(client: HttpClient) -> None:
    with scripted(
        answering(b"HTTP/1.1 401 X\r\nwww-authenticate: Basic\r\ncontent-length: 0\r\n\r\n")
    ) as server:
        request = client.get_url(server.url())

        def authenticate(*args: object) -> bool:
            request.abort()
            return False

        client.authenticate = authenticate
        with pytest.raises(HttpException, match="the request was aborted"):
            request.close()
        client.close()


def test_abort_while_a_redirect_is_on_its_way(client: HttpClient) -> None:
    """Between the two requests: there is a connection, and nothing goes out on it."""
    with scripted(answering(b"HTTP/1.1 302 Found\r\nlocation: /new\r\ncontent-length: 0\r\n\r\n")) as server:
        request = client.get_url(server.url())

        def find_proxy(url: Uri) -> str:
            request.abort()
            return "DIRECT"

        client.find_proxy = find_proxy
        with pytest.raises(HttpException, match="the request was aborted"):
            request.close()
        assert "0 active" in repr(client)
        client.close()


def test_abort_while_a_request_is_sent_once_more(client: HttpClient) -> None:
    """The first connection is gone, the second is being made."""
    def factory(*args: object) -> socket.socket:
        if server.connections:
            request.abort()
        return socket.create_connection(("127.0.0.1", server.port))

    client.connection_factory = factory
    with scripted(dies_at_the_second, ended) as server:
        client.get_url(server.url()).close().read()
        request = client.get_url(server.url())
        with pytest.raises(HttpException, match="the request was aborted"):
            request.close()
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_abort_comes_too_late(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        request = client.get_url(server.url())
        response = request.close()
        request.abort()
        assert response.read() == b"ok"
        assert request.done.result(0) is response
        assert repr(client) == "<HttpClient 0 active, 1 idle, 0 waiting>"
        client.close()


def test_abort_frees_a_place(client: HttpClient) -> None:
    client.max_connections_per_host = 1
    with scripted(ended, answering(OK)) as server:
        request = client.get_url(server.url())
        request.abort()
        assert client.get_url(server.url()).close().read() == b"ok"  # though the object is still there
        client.close()
        assert request.done.exception(0)


# ------------------------------------------------------------------ interruptions


def test_ctrl_c_while_waiting_for_the_response(client: HttpClient) -> None:
    class Interrupted(socket.socket):
        def recv(self, *args: Any) -> bytes:
            raise KeyboardInterrupt

    def factory(*args: object) -> socket.socket:
        sock = Interrupted()
        sock.connect(("127.0.0.1", server.port))
        return sock

    with scripted(ended) as server:
        client.connection_factory = factory
        request = client.get_url(server.url())
        with pytest.raises(KeyboardInterrupt):
            request.close()
        assert isinstance(request.done.exception(0), KeyboardInterrupt)
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_ctrl_c_while_reading(client: HttpClient) -> None:
    class Interrupted(socket.socket):
        reads = 0

        def recv(self, *args: Any) -> bytes:
            self.reads += 1
            if self.reads == 2:
                raise KeyboardInterrupt
            return super().recv(*args)

    def factory(*args: object) -> socket.socket:
        sock = Interrupted()
        sock.connect(("127.0.0.1", server.port))
        return sock

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        assert peer.is_ended()

    with scripted(script) as server:
        client.connection_factory = factory
        response = client.get_url(server.url()).close()
        assert response.read(4) == b"half"
        with pytest.raises(KeyboardInterrupt):
            response.read()
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


# ------------------------------------------------------------------ finalizers


@pytest.mark.parametrize("how", ["by the socket", "by its descriptor", "with force"])
@pytest.mark.parametrize("what", ["response", "request", "client"])
def test_a_finalizer_never_raises(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch, how: str, what: str
) -> None:
    """Whatever became of the socket meanwhile: Python could only print it."""
    unraisable: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", unraisable.append)
    sockets = []

    def connect(url: Uri, host: str | None, port: int | None) -> socket.socket:
        sockets.append(socket.create_connection(("127.0.0.1", server.port)))
        return sockets[0]

    def script(peer: Peer) -> None:
        if peer.ask() is not None:
            peer.send(OK[:-1] if what == "response" else OK)
            ended(peer)

    with scripted(script) as server:
        client.connection_factory = connect
        left: Any = client.get_url(server.url())
        if what != "request":
            left = left.close()
        if what == "client":
            left.read()
        if how == "with force":
            client.close(force=True)
        elif how == "by the socket":
            sockets[0].shutdown(socket.SHUT_RDWR)
            sockets[0].close()
        else:
            sockets[0].shutdown(socket.SHUT_RDWR)
            os.close(sockets[0].detach())
        del left
        gc.collect()
        client.close(force=True)
    assert unraisable == []
