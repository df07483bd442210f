"""detach_socket: the connection is the handler's, with all that the client had sent already."""
from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from blockingio import HttpException, HttpRequest, HttpServer, StateError
from tests.conftest import Leftovers
from tests.peers import PATIENCE, RawClient, eventually, serving
from tests.server.visits import GET, get, post, post_chunks, raw_answer, small_window, tell, to_the_end, visit

MIB = 1 << 20
#: Seconds of a limit that is to be met.
SOON = 0.4


UPGRADE = get("/", "Connection: Upgrade", "Upgrade: echo")
DETACHED = [UPGRADE, get(), get("/", "Connection: close")]


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


@pytest.mark.parametrize("status, method, length", [
    (200, "GET", "7"), (304, "GET", "7"), (404, "POST", "7"), (200, "HEAD", "7"), (101, "GET", None),
    (204, "GET", None), (200, "CONNECT", None)])
def test_detach_socket_with_a_content_length(status: int, method: str, length: str | None) -> None:
    """It is sent, but where none may be (RFC 9110 8.6)."""
    def handler(request: HttpRequest) -> None:
        request.response.status_code = status
        request.response.content_length = 7
        with request.response.detach_socket() as sock:
            sock.sendall(b"by hand")

    target = "a.example:443" if method == "CONNECT" else "/"
    with serving(handler) as server, RawClient(server.port) as client:
        response = client.send(get(target, method=method)).read_response("HEAD")
        assert (response.status, response.header("content-length")) == (status, length)
        assert client.read_until_eof() == b"by hand"


@pytest.mark.parametrize("raw", [UPGRADE, get()], ids=["with Upgrade", "without"])
@pytest.mark.parametrize("chunked", [False, True])
def test_detach_socket_behind_a_flush(raw: bytes, chunked: bool) -> None:
    """What is still buffered goes out as what was promised: where that is chunks, as one."""
    def handler(request: HttpRequest) -> None:
        response = request.response
        if not chunked:
            response.content_length = 100
        response.write("one ")
        response.flush()
        response.write("two ")
        with response.detach_socket() as sock:
            sock.sendall(b"by hand")

    body = raw_answer(handler, raw).partition(b"\r\n\r\n")[2]
    assert body == (b"4\r\none \r\n4\r\ntwo \r\nby hand" if chunked else b"one two by hand")


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


@pytest.mark.parametrize("raw", DETACHED, ids=["with Upgrade", "without", "close"])
@pytest.mark.parametrize("force", [False, True], ids=["graceful", "by force"])
def test_a_detached_socket_outlives_its_server(raw: bytes, force: bool) -> None:
    sockets: list[socket.socket] = []
    with serving(lambda request: sockets.append(upgrade(request))) as server:
        client = RawClient(server.port).send(raw)
        assert client.read_response().status == 101
        eventually(lambda: sockets)
        assert not server.connections_info().total
        server.close(force=force)
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
                eventually(lambda: sockets)
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


@pytest.mark.parametrize("size", [6, 5000, 60_000])
def test_detach_socket_with_a_body_left(size: int) -> None:
    """What was not read of it comes out of the socket."""
    rest = bytes(index % 251 for index in range(size))

    def handler(request: HttpRequest) -> None:
        assert request.read(3) == b"abc"
        with request.response.detach_socket(write_headers=False) as sock:
            sock.settimeout(PATIENCE)
            data = b""
            while len(data) < size:
                data += sock.recv(65536)
            sock.sendall(data)

    assert raw_answer(handler, post(b"abc" + rest)) == rest


# ------------------------------------------------- it is not the server's any more

@contextmanager
def detached(raw: bytes = GET, **settings: Any) -> Iterator[tuple[HttpServer, RawClient, socket.socket]]:
    """A server, a client of it whose connection was handed over, and the socket that its new owner has."""
    sockets: list[socket.socket] = []
    with serving(lambda request: sockets.append(upgrade(request)), **settings) as server:
        with RawClient(server.port) as client:
            assert client.send(raw).read_response().status == 101
            with eventually(lambda: sockets)[0] as sock:
                sock.settimeout(PATIENCE)
                yield server, client, sock


@pytest.mark.parametrize("raw", DETACHED, ids=["with Upgrade", "without", "close"])
def test_a_detached_socket_makes_room(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, for a client that waits; it is not cut for one that comes later."""
    monkeypatch.setattr("blockingio.server.listener._RETRY_TIME", 60)  # it has to be told
    detach, sockets = threading.Event(), []

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/other":
            tell(request)
        else:
            assert detach.wait(PATIENCE)
            sockets.append(upgrade(request))

    with serving(handler, max_connections=1) as server, RawClient(server.port) as client:
        client.send(raw)
        eventually(lambda: server.connections_info().active)
        with RawClient(server.port) as other:
            other.send(get("/other"))
            eventually(lambda: server._listener and server._listener._waits_for_room)
            threading.Event().wait(0.05)  # until it really waits
            detach.set()
            assert other.read_response().body == b"/other"
            eventually(lambda: server.connections_info().idle == 1)  # so there is one that can be cut
            with RawClient(server.port) as later:
                assert later.get("/other").body == b"/other"
        assert client.read_response().status == 101
        with sockets[0] as sock:
            sock.sendall(b"still here")
            assert client.read_exactly(10) == b"still here"


@pytest.mark.parametrize("raw", DETACHED, ids=["with Upgrade", "without", "close"])
def test_the_owner_of_a_detached_socket_closes_it_and_the_client_does_not(raw: bytes,
                                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of the connection after a moment: of its sockets only the client's own."""
    monkeypatch.setattr("blockingio.server.relay.LINGER_TIME", SOON)
    with serving(lambda request: upgrade(request).close()) as server:
        eventually(lambda: server._listener)
        before = Leftovers()
        with RawClient(server.port) as client:
            assert client.send(raw).read_response().status == 101
            assert client.read_until_eof() == b""
            eventually(lambda: [text for text in before.now() if "socket" in text] == [
                f"descriptor {client.socket.fileno()} on socket:[{os.fstat(client.socket.fileno()).st_ino}]"])


def test_the_owner_of_a_detached_socket_ends_its_sending_and_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """For longer than a client that does not close is waited for."""
    monkeypatch.setattr("blockingio.server.relay.LINGER_TIME", 0.01)
    for raw in DETACHED:
        with detached(raw) as (_, client, sock):
            sock.sendall(b"all of mine")
            sock.shutdown(socket.SHUT_WR)
            assert client.read_until_eof() == b"all of mine"
            threading.Event().wait(0.05)
            assert client.send(b"yours").socket and sock.recv(10) == b"yours"
            client.finish_sending()
            assert sock.recv(10) == b""


def test_a_detached_socket_whose_client_goes_away_later() -> None:
    """When what it sends is passed on already."""
    for raw in DETACHED:
        with detached(raw) as (_, client, sock):
            assert client.send(b"early").socket and sock.recv(10) == b"early"
            client.reset()
            try:
                assert sock.recv(10) == b""
            except ConnectionError:
                pass


# ------------------------------------------------- what was read too far

@pytest.mark.parametrize("stream", [
    b"\r\nhello\r\n", b"\r\n", b"\r", b"\r\n\r\n\r\nhello", b"\r\nhello\r\n\r\nmore",
    b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nmore", b"hello\r\n\r\nmore", b"POST / HTTP/1.1\r\n\r\n", b"a\n\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc", b"\0\r\n\r\n",
])
@pytest.mark.parametrize("raw", DETACHED, ids=["with Upgrade", "without", "close"])
def test_what_a_client_sends_comes_as_it_is(raw: bytes, stream: bytes) -> None:
    """Looking like HTTP or not, sent before or after the socket was handed over, or in between."""
    for early in {0, 1, len(stream)}:
        with detached(raw + stream[:early]) as (_, client, sock):
            if early and early < len(stream):
                assert sock.recv(early) == stream[:early], "the rest need not come first"
            else:
                early = 0 if not early else len(stream)
            client.send(stream[early:]).finish_sending()
            rest = stream if early == len(stream) else stream[early:]
            assert b"".join(iter(lambda: sock.recv(100), b"")) == rest


@pytest.mark.parametrize("stream", [
    post(b"abc") + b"more", post_chunks(b"abc", b"d"), post(b"a" * 9000), post_chunks(b"a" * 3000, b"b" * 9000) + b"more",
    b"\r\n" + post(b"a" * 9000),
], ids=["short", "chunked", "long", "long chunked", "behind an empty line"])
def test_a_request_that_was_read_too_far_comes_as_it_was(stream: bytes) -> None:
    """It is ready to be handed over, its body with it, when the socket is."""
    detach, sockets = threading.Event(), []

    def handler(request: HttpRequest) -> None:
        assert detach.wait(PATIENCE)
        sockets.append(upgrade(request))

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(get())
        source = eventually(lambda: [connection.source for connection in list(server.state.connections)])[0]
        eventually(lambda: source.counts()[0] == 1)
        client.send(stream)
        eventually(lambda: source.counts()[0] == 2)
        detach.set()
        with eventually(lambda: sockets)[0] as sock:
            sock.settimeout(PATIENCE)
            client.send(b"end").finish_sending()
            assert b"".join(iter(lambda: sock.recv(65536), b"")) == stream + b"end"


def test_more_early_data_than_the_system_takes_at_once() -> None:
    """Nobody can read it before detach_socket() has returned."""
    early = b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 2 * MIB
    detach, sockets = threading.Event(), []

    def handler(request: HttpRequest) -> None:
        assert detach.wait(PATIENCE)
        sockets.append(upgrade(request))

    with serving(handler, max_header_size=4 * MIB) as server, RawClient(server.port) as client:
        client.send(get() + early)
        eventually(lambda: [len(connection.source.partial) for connection in list(server.state.connections)]
                   == [len(early)])
        detach.set()
        with eventually(lambda: sockets)[0] as sock:
            sock.settimeout(PATIENCE)
            client.send(b"end").finish_sending()
            assert b"".join(iter(lambda: sock.recv(65536), b"")) == early + b"end"


@pytest.mark.parametrize("what", ["threads", "sockets"])
def test_detach_socket_where_the_system_has_nothing_left(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection ends, and the server goes on."""
    seen: list[Any] = []

    def refuse(*arguments: Any) -> None:
        raise RuntimeError("can't start new thread") if what == "threads" else OSError(24, "Too many open files")

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/other":
            tell(request)
            return
        with monkeypatch.context() as patch:
            if what == "threads":
                patch.setattr(server.state.threads, "run", refuse)
            else:
                patch.setattr(socket, "socketpair", refuse)
            with pytest.raises((RuntimeError, OSError)) as caught:
                request.response.detach_socket(write_headers=False)
        seen.extend((request.response.done.exception(PATIENCE), caught.type))

    with serving(handler) as server:
        with RawClient(server.port) as client:
            assert client.send(get()).is_ended()
            eventually(lambda: seen and not server.connections_info().total)
        assert isinstance(seen[0], HttpException)
        with RawClient(server.port) as client:
            assert client.get("/other").body == b"/other"


def test_detach_socket_behind_a_hole() -> None:
    """The client has taken too little for too long: its new owner cannot send it what would come next."""
    for raw in DETACHED:
        detach, seen = threading.Event(), []

        def handler(request: HttpRequest) -> None:
            request.response.write(b"x" * 8 * MIB)
            eventually(lambda: not request.response.is_connected)
            with request.response.detach_socket() as sock:
                sock.settimeout(PATIENCE)
                with pytest.raises(OSError):
                    while True:
                        sock.sendall(b"BEHIND")
                seen.append(request.response.done.exception(PATIENCE))
            detach.set()

        with serving(handler, body_timeout=SOON) as server, small_window(server.port) as client:
            client.send(raw)
            assert detach.wait(PATIENCE)
            assert b"BEHIND" not in to_the_end(client) and isinstance(seen[0], HttpException)
