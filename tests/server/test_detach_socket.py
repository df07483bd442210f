"""detach_socket: the connection is the handler's, with all that the client had sent already."""
from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from blockingio import HttpRequest, StateError
from tests.peers import PATIENCE, RawClient, eventually, serving
from tests.server.visits import get, post, raw_answer, small_window, tell, visit

MIB = 1 << 20
#: Seconds of a limit that is to be met.
SOON = 0.2


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
