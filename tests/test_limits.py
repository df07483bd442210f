"""How much a client may send, and how many may be there: each limit is answered, and delays nobody."""
from __future__ import annotations

import threading
from typing import Any

import pytest

from blockingio import HttpException, HttpRequest
from tests.neighbours import POST, SOON, assert_others_are_served, assert_refused, hello
from tests.peers import PATIENCE, RawClient, eventually, serving

MIB = 1 << 20


# ------------------------------------------------------------------------- size

@pytest.mark.parametrize("limit, head, status", [
    ({"max_header_size": 1000}, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1000 + b"\r\n\r\n", 431),
    ({"max_header_size": 1000}, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 300, 431),
    ({"max_header_count": 10}, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 10 + b"\r\n", 431),
    ({"max_target_length": 100}, b"GET /" + b"x" * 100 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ({"max_target_length": 100}, b"GET /" + b"x" * 10_000, 414),
], ids=["a long field", "fields without an end", "many fields", "a long target", "a target without an end"])
def test_a_head_past_a_limit(limit: dict[str, Any], head: bytes, status: int) -> None:
    with serving(hello, **limit) as server, RawClient(server.port) as client:
        client.send(head)
        assert_refused(client, status)
        assert_others_are_served(server)


def test_a_head_of_many_megabytes_is_refused_before_it_is_all_there() -> None:
    with serving(hello) as server, RawClient(server.port) as client:
        try:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (20 * MIB))
        except ConnectionError:
            pass
        try:
            assert client.read_response().status == 431
        except ConnectionError:
            pass  # a client that goes on sending for ever loses its answer in the end
        assert_others_are_served(server)


def test_a_declared_body_past_the_limit_gets_413_before_it_is_read() -> None:
    called: list[str] = []

    def handler(request: HttpRequest) -> None:
        called.append(request.uri.path)
        hello(request)

    with serving(handler, max_body_size=1000) as server, RawClient(server.port) as client:
        client.send(POST + b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
        assert_refused(client, 413)  # and no 100 before it
        assert_others_are_served(server)
    assert called == ["/good"]


def test_a_chunked_body_past_the_limit_gets_413_when_it_passes() -> None:
    raised: list[Exception] = []

    def handler(request: HttpRequest) -> None:
        with request.response:
            try:
                for _ in request:
                    pass
            except HttpException as error:
                raised.append(error)

    chunk = b"100\r\n" + b"x" * 256 + b"\r\n"
    with serving(handler, workers=2, max_body_size=1000) as server, RawClient(server.port) as client:
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3)
        assert_others_are_served(server)
        client.send(chunk)
        assert_refused(client, 413)
    assert len(raised) == 1


def test_a_body_at_the_limit_is_taken() -> None:
    with serving(hello, max_body_size=1000) as server, RawClient(server.port) as client:
        client.send(POST + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000)
        assert client.read_response().body == b"1000"
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n")
        assert client.read_response().body == b"1000"


# ------------------------------------------------------------- how many at once

def test_the_longest_idle_connection_makes_room() -> None:
    with serving(hello, max_connections=3) as server:
        clients = [RawClient(server.port) for _ in range(3)]
        try:
            for client in clients:
                assert client.get().status == 200
            assert clients[0].get().status == 200  # so the second one is idle for longest now
            assert_others_are_served(server)
            assert clients[1].is_ended()
            assert clients[2].get().status == clients[0].get().status == 200
        finally:
            for client in clients:
                client.close()


def test_silent_connections_make_room() -> None:
    """Idle are those too that have never said anything."""
    with serving(hello, max_connections=2) as server:
        with RawClient(server.port) as first, RawClient(server.port) as other:
            eventually(lambda: server.connections_info().total == 2)
            assert_others_are_served(server)
            assert first.is_ended()
            assert other.get().status == 200


def test_busy_connections_stay_and_the_newcomer_waits() -> None:
    go_on = threading.Event()

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/busy":
            assert go_on.wait(PATIENCE)
        hello(request)

    with serving(handler, workers=3, max_connections=2) as server:
        with RawClient(server.port) as one, RawClient(server.port) as two:
            for client in (one, two):
                client.send(b"GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
            eventually(lambda: server.connections_info().active == 2)
            with RawClient(server.port, seconds=PATIENCE) as newcomer:
                newcomer.send(b"GET /new HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                newcomer.socket.settimeout(SOON)
                with pytest.raises(TimeoutError):
                    newcomer.socket.recv(1)
                assert server.connections_info().total == 2
                go_on.set()
                assert newcomer.read_response().status == 200
            assert one.read_response().status == two.read_response().status == 200
