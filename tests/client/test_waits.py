"""response_timeout: how long a client waits for a response's head, and in its body; and for what it does not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from blockingio import HttpClient, HttpClientResponse, HttpException
from tests.client.servers import OK, Peer, Script, Site, answering, ended, scripted

SHORT = 0.2  # seconds that a test waits for in vain
FAIR = 1.0  # seconds in which a peer answers, and that a test can still wait through
LONG = 1.5  # seconds that no step of a test comes near, on a machine that has other work too


def no_head_in(seconds: float) -> str:
    return f"no response head came within {seconds:g} seconds after the request was sent"


NO_HEAD = no_head_in(SHORT)
NO_WHOLE_HEAD = r"no whole response head came within 0.2 seconds after the request was sent"


def after(seconds: float) -> None:
    """Time passes: it is what these tests are about."""
    threading.Event().wait(seconds)


def dribbling(start: bytes, piece: bytes) -> Script:
    """A server that answers with ``start`` and then such pieces, without end."""
    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(start)
        try:
            while True:
                after(SHORT / 8)
                peer.send(piece)
        except OSError:
            pass

    return script


def test_by_default_there_is_no_limit() -> None:
    client = HttpClient()
    assert client.response_timeout is None
    client.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_server_that_is_silent(site: Site, method: str) -> None:
    site.client.response_timeout = SHORT
    with site.serve(ended) as server:
        request = site.open(server, method=method)
        with pytest.raises(HttpException, match=NO_HEAD) as caught:
            request.close()
        assert caught.value.uri == request.uri
        assert repr(site.client) == "<HttpClient 0 active, 0 idle, 0 waiting>"
        assert server.connections == 1


def test_what_timed_out_is_not_sent_again(site: Site) -> None:
    """Not even where the connection had been used before, as it would be if that had ended."""
    site.client.response_timeout = FAIR
    seen = []

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(OK)
        seen.append(peer.demand())
        ended(peer)

    with site.serve(script) as server:
        assert site.get(server).read() == b"ok"
        with pytest.raises(HttpException, match=no_head_in(FAIR)):
            site.get(server)
        assert (server.connections, len(seen)) == (1, 1)


@pytest.mark.parametrize("start, piece, message", [
    (b"HTTP/1.1 200 OK\r\nx: ", b"x", NO_WHOLE_HEAD),
    (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n", NO_WHOLE_HEAD),
    (b"", b"HTTP/1.1 102 Processing\r\n\r\n", NO_HEAD),
])
def test_a_head_that_dribbles_is_too_late_all_the_same(
    site: Site, start: bytes, piece: bytes, message: str
) -> None:
    site.client.response_timeout = SHORT
    with site.serve(dribbling(start, piece)) as server:
        with pytest.raises(HttpException, match="no (whole )?response head came within 0.2 seconds"):
            site.get(server)


@pytest.mark.parametrize("head", [
    b"content-length: 10\r\n\r\nabc", b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    b"transfer-encoding: chunked\r\n\r\n5\r\nabc", b"connection: close\r\n\r\nabc"])
def test_a_gap_in_a_body(site: Site, head: bytes) -> None:
    """However it is read: in as many threads, for each waits until it is too late."""
    reads: list[Callable[[HttpClientResponse], object]] = [
        HttpClientResponse.read, list, lambda response: [response.read(3), response.read(1)]]
    site.client.response_timeout = FAIR

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 200 OK\r\n" + head)
        ended(peer)

    with site.serve(*[script] * len(reads)) as server, ThreadPoolExecutor(len(reads)) as pool:
        for reading in [pool.submit(read, site.get(server)) for read in reads]:
            with pytest.raises(HttpException,
                               match=f"no more of the response's body came for {FAIR:g} seconds") as caught:
                reading.result()
            assert caught.value.uri is not None
        assert repr(site.client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_a_body_that_takes_longer_than_a_gap(site: Site) -> None:
    site.client.response_timeout = LONG

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n")
        for _ in range(30):
            after(LONG / 20)
            peer.send(b"x")
        assert peer.is_ended()

    with site.serve(script) as server:
        assert site.get(server).read() == b"x" * 30
        site.client.close()


def test_a_slow_reader_does_not_count(site: Site) -> None:
    site.client.response_timeout = FAIR

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + bytes(1_000_000))
        assert peer.is_ended()

    with site.serve(script) as server:
        response = site.get(server)
        after(1.1 * FAIR)
        data = response.read(10)
        after(1.1 * FAIR)
        assert data + response.read() == bytes(1_000_000)
        site.client.close()


@pytest.mark.needs("fcntl")
def test_a_slow_upload_does_not_count(site: Site) -> None:
    """The system has taken the whole request long before the server has."""
    site.client.response_timeout = LONG

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        peer._through(b"\r\n\r\n")
        for _ in range(40):
            peer.exactly(65536)
            after(LONG / 20)
        peer.send(OK)
        assert peer.is_ended()

    with site.serve(script) as server:
        request = site.open(server, method="POST")
        request.content_length = 40 * 65536
        request.add(bytes(40 * 65536))
        assert request.close().read() == b"ok"
        site.client.close()


def test_the_time_of_a_user_between_write_and_close_does_not_count(site: Site) -> None:
    site.client.response_timeout = FAIR
    with site.serve(answering(OK)) as server:
        server._scripts[0].server = server
        request = site.open(server, method="POST")
        request.write("x")
        request.flush()
        after(1.1 * FAIR)
        request.write("y")
        assert request.close().read() == b"ok"
        site.client.close()


def test_each_redirect_has_its_own_time(site: Site) -> None:
    site.client.response_timeout = LONG

    def script(peer: Peer) -> None:
        for number in range(4):
            peer.demand()
            after(LONG / 3)
            peer.send(b"HTTP/1.1 302 Found\r\nlocation: /%d\r\ncontent-length: 0\r\n\r\n" % number)
        peer.demand()
        peer.send(OK)
        assert peer.is_ended()

    with site.serve(script) as server:
        assert site.get(server).read() == b"ok"
        site.client.close()


def test_the_target_of_a_redirect_that_is_silent(site: Site) -> None:
    site.client.response_timeout = FAIR

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 302 Found\r\nlocation: /new\r\ncontent-length: 0\r\n\r\n")
        ended(peer)

    with site.serve(script) as server:
        with pytest.raises(HttpException, match=no_head_in(FAIR)) as caught:
            site.get(server)
        assert caught.value.uri is not None and caught.value.uri.path == "/new"


def test_the_body_of_a_redirect_holds_nobody_up(site: Site) -> None:
    """It is read away for the connection's sake, in as long as one wait."""
    site.client.response_timeout = FAIR
    head = b"HTTP/1.1 302 Found\r\nlocation: /new\r\ncontent-length: 100000\r\n\r\n"
    good = answering(OK)
    with site.serve(dribbling(head, b"x"), good) as server:
        good.server = server
        assert site.get(server).read() == b"ok"
        site.client.close()
        assert server.connections == 2


@pytest.mark.parametrize("body", [b"content-length: 2\r\n\r\nok", b"content-length: 0\r\n\r\n"])
@pytest.mark.parametrize("is_dropped", [False, True])
def test_a_kept_connection_has_no_limit_any_more(site: Site, body: bytes, is_dropped: bool) -> None:
    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 200 OK\r\n" + body)
        peer.demand()
        after(1.1 * FAIR)
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        after(1.1 * FAIR)
        peer.send(b"ok")
        assert peer.is_ended()

    with site.serve(script) as server:
        site.client.response_timeout = FAIR
        response: HttpClientResponse | None = site.get(server)
        if not is_dropped:
            assert response is not None
            response.read()
        response = None
        site.client.response_timeout = None
        assert site.get(server).read() == b"ok"
        site.client.close()


def test_a_detached_connection_has_no_limit(site: Site) -> None:
    site.client.response_timeout = FAIR

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
        after(1.1 * FAIR)
        peer.send(b"later")
        assert peer.is_ended()

    with site.serve(script) as server:
        request = site.open(server)
        request.headers.set("connection", "upgrade")
        request.headers.set("upgrade", "x")
        sock = request.close().detach_socket()
        with sock:
            assert sock.gettimeout() is None
            assert sock.recv(5) == b"later"


def test_a_socket_that_has_a_limit_of_its_own_keeps_it() -> None:
    def connect(url: object, host: object, port: object) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", server.port))
        sock.settimeout(3)
        sockets.append(sock)
        return sock

    sockets: list[socket.socket] = []
    with scripted(answering(OK, OK)) as server, HttpClient() as client:
        client.find_proxy = None
        client.connection_factory = connect
        for seconds in (LONG, None):
            client.response_timeout = seconds
            response = client.get_url(server.url()).close()
            assert sockets[0].gettimeout() == (seconds or 3)
            response.read()
            assert sockets[0].gettimeout() == 3
        client.close()
