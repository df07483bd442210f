"""Connections: kept, shared, limited, found dead, timed out, closed."""

from __future__ import annotations

import gc
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from blockingio import HttpClient, HttpClientResponse, HttpException, StateError, Uri
from blockingio.client.connection import Connection
from blockingio.net.channel import TlsChannel
from tests.client.servers import EMPTY, OK, Asked, Peer, always, answering, dies_at_the_second, scripted
from tests.peers import PATIENCE, eventually


def read_ok(response: HttpClientResponse) -> None:
    assert (response.status_code, response.read()) == (200, b"ok")


def unanswered(peer: Peer) -> None:
    """Takes a request and never answers."""
    peer.ask()
    assert peer.is_ended()


class InThread:
    """Something that blocks, in a thread of its own; ``result`` is what it gave or raised."""

    def __init__(self, work: Any) -> None:
        self.result: Any = None
        self._thread = threading.Thread(target=self._run, args=(work,))
        self._thread.start()

    def _run(self, work: Any) -> None:
        try:
            self.result = work()
        except BaseException as error:
            self.result = error

    def join(self) -> Any:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.result


# ------------------------------------------------------------------ kept and shared


def test_a_connection_is_used_again(client: HttpClient) -> None:
    with scripted(answering(OK, EMPTY, OK)) as server:
        read_ok(client.get_url(server.url("/1")).close())
        assert repr(client) == "<HttpClient 0 active, 1 idle, 0 waiting>"
        client.get_url(server.url("/2")).close()  # no body: given back with the head
        read_ok(client.get_url(server.url("/3")).close())
        client.close()
        assert server.connections == 1
    assert [asked.target for asked in server.asked] == ["/1", "/2", "/3"]


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: foo, CLOSE\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n"
        b"2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more",
    ],
)
def test_a_connection_that_cannot_go_on_is_closed(client: HttpClient, response: bytes) -> None:
    with scripted(answering(response)) as server:
        read_ok(client.get_url(server.url()).close())
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
)
def test_a_connection_that_can_go_on_does(client: HttpClient, response: bytes) -> None:
    with scripted(answering(response, response)) as server:
        read_ok(client.get_url(server.url()).close())
        read_ok(client.get_url(server.url()).close())
        client.close()
        assert server.connections == 1


def test_the_pool_is_keyed_by_scheme_host_port_and_proxy(certificates: Any) -> None:
    with (
        scripted(always(lambda asked: OK)) as plain,
        scripted(always(lambda asked: OK), context=certificates.server_context()) as secure,
        HttpClient(context=certificates.client_context()) as client,
    ):

        def factory(url: Uri, proxy_host: str | None, proxy_port: int | None) -> socket.socket:
            return socket.create_connection(
                ("127.0.0.1", secure.port if url.scheme == "https" else plain.port)
            )

        client.connection_factory = factory
        urls = ["http://localhost/", "http://localhost:81/", "http://other/", "https://localhost:80/"]
        for _ in range(2):
            for url in urls:
                for proxies in ("DIRECT", "PROXY p:1", "PROXY p:2"):
                    if url.startswith("http:"):
                        client.find_proxy = lambda url: proxies
                    else:
                        client.find_proxy = None
                    read_ok(client.get_url(url).close())
            assert repr(client) == "<HttpClient 0 active, 10 idle, 0 waiting>"
        client.close()


def test_many_threads_share_a_client(client: HttpClient) -> None:
    def answer(asked: Asked) -> bytes:
        body = asked.target.encode()
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    wrong: list[Any] = []

    def work(number: int) -> None:
        for turn in range(20):
            path = f"/{number}/{turn}"
            try:
                body = client.get_url(server.url(path)).close().read()
            except Exception as error:
                wrong.append(error)
                return
            if body != path.encode():
                wrong.append((path, body))

    with scripted(always(answer)) as server:
        client.max_connections_per_host = 3
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        client.close()
        assert not wrong
        assert server.connections <= 3


def test_an_idle_connection_is_closed_in_time(client: HttpClient) -> None:
    assert client.idle_timeout == 15
    client.idle_timeout = 0.05
    ended = threading.Event()

    def script(peer: Peer) -> None:
        peer.ask()
        peer.send(OK)
        assert peer.is_ended()
        ended.set()

    with scripted(script) as server:
        read_ok(client.get_url(server.url()).close())
        assert ended.wait(PATIENCE)
    assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


# ------------------------------------------------------------------ limits


def test_further_requests_wait_their_turn(client: HttpClient) -> None:
    assert client.max_connections_per_host is None
    client.max_connections_per_host = 1
    with scripted(answering(OK, OK, OK)) as server:
        first = client.get_url(server.url("/1")).close()
        second = InThread(lambda: client.get_url(server.url("/2")).close())
        eventually(lambda: "1 waiting" in repr(client))
        third = InThread(lambda: client.get_url(server.url("/3")).close())
        eventually(lambda: "2 waiting" in repr(client))
        read_ok(first)
        read_ok(second.join())
        read_ok(third.join())
        client.close()
        assert server.connections == 1
    assert [asked.target for asked in server.asked] == ["/1", "/2", "/3"]


def test_a_limit_is_one_hosts(client: HttpClient) -> None:
    client.max_connections_per_host = 1
    with scripted(answering(OK)) as one, scripted(answering(OK)) as other:
        first = client.get_url(one.url()).close()
        second = client.get_url(other.url()).close()
        read_ok(first)
        read_ok(second)
        client.close()


# ------------------------------------------------------------------ stale connections


def test_a_connection_that_the_server_closed_is_not_handed_out(client: HttpClient) -> None:
    closed = threading.Event()

    def once(peer: Peer) -> None:
        peer.ask()
        peer.send(OK)
        peer.socket.close()
        closed.set()

    with scripted(once, answering(OK)) as server:
        read_ok(client.get_url(server.url()).close())
        assert closed.wait(PATIENCE)
        request = client.post_url(server.url())  # no method that could be sent again
        request.write("x")
        read_ok(request.close())
        client.close()
        assert server.connections == 2


def test_a_tls_connection_that_the_server_closed_is_not_handed_out(certificates: Any) -> None:
    closed = threading.Event()

    def once(peer: Peer) -> None:
        for _ in range(2):
            peer.ask()
            peer.send(OK)
        peer.socket.close()
        closed.set()

    with (
        scripted(once, answering(OK), context=certificates.server_context()) as server,
        HttpClient(context=certificates.client_context()) as client,
    ):
        client.find_proxy = None
        for _ in range(2):
            read_ok(client.get_url(f"https://localhost:{server.port}/").close())
        assert server.connections == 1
        assert closed.wait(PATIENCE)
        request = client.post_url(f"https://localhost:{server.port}/")
        read_ok(request.close())
        client.close()
        assert server.connections == 2


@pytest.mark.parametrize(
    "outcome, is_alive",
    [(ssl.SSLWantReadError(2, "a ticket, say"), True), (b"x", False), (b"", False), (OSError(104), False)],
)
def test_what_comes_on_an_idle_tls_connection(outcome: bytes | OSError, is_alive: bool) -> None:
    """TLS has records of its own, which do not make a connection stale; its end and data do."""
    class Tls(socket.socket):
        def recv(self, *args: object) -> bytes:
            if isinstance(outcome, OSError):
                raise outcome
            return outcome

    with Tls() as sock, socket.create_server(("127.0.0.1", 0)) as listener:
        sock.connect(listener.getsockname())
        peer, _ = listener.accept()
        with peer:
            connection = Connection()
            channel = TlsChannel(sock)
            connection.hold(channel)
            connection.begin(channel, None)
            assert connection.is_alive()
            peer.sendall(b"a record")
            assert select.select([sock], [], [], PATIENCE)[0]
            assert connection.is_alive() is is_alive
            assert sock.gettimeout() is None
            connection.close()


def test_unasked_input_makes_a_connection_unusable(client: HttpClient) -> None:
    sent = threading.Event()

    def chatty(peer: Peer) -> None:
        peer.ask()
        peer.send(OK)
        asked.wait(PATIENCE)
        peer.send(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        sent.set()
        assert peer.is_ended()

    asked = threading.Event()
    with scripted(chatty, answering(OK)) as server:
        read_ok(client.get_url(server.url()).close())
        asked.set()
        assert sent.wait(PATIENCE)
        read_ok(client.get_url(server.url()).close())
        client.close()
        assert server.connections == 2


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_an_idempotent_request_is_sent_once_more(client: HttpClient, method: str) -> None:
    response = OK if method != "HEAD" else b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
    with scripted(dies_at_the_second, answering(response)) as server:
        read_ok(client.get_url(server.url("/1")).close())
        request = client.open_url(method, server.url("/2"))
        request.headers.set("x-a", "b")
        if method == "PUT":
            request.write("content")
        assert request.close().status_code == 200
        client.close()
        assert server.connections == 2
    again = server.asked[0]
    assert (again.line, again.header("x-a")) == (f"{method} /2 HTTP/1.1", "b")
    assert again.body == (b"content" if method == "PUT" else b"")


@pytest.mark.parametrize("method", ["POST", "PATCH", "FETCH"])
def test_another_request_is_not_sent_twice(client: HttpClient, method: str) -> None:
    with scripted(dies_at_the_second, answering()) as server:
        read_ok(client.get_url(server.url()).close())
        request = client.open_url(method, server.url())
        with pytest.raises(
            HttpException, match="the server ended the connection before its response came"
        ) as caught:
            request.close()
        assert caught.value.uri == request.uri
        client.close()
        assert server.connections == 1


def test_it_is_once_more_and_not_twice(client: HttpClient) -> None:
    def dies(peer: Peer) -> None:
        peer.demand()

    with scripted(dies_at_the_second, dies) as server:
        read_ok(client.get_url(server.url()).close())
        with pytest.raises(HttpException, match="the server ended the connection"):
            client.get_url(server.url()).close()
        assert server.connections == 2


def test_a_fresh_connection_is_not_tried_twice(client: HttpClient) -> None:
    def dies(peer: Peer) -> None:
        peer.demand()

    with scripted(dies) as server:
        with pytest.raises(HttpException, match="the server ended the connection"):
            client.get_url(server.url()).close()
        assert server.connections == 1


@pytest.mark.parametrize("start", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_not_once_a_byte_of_the_response_came(client: HttpClient, start: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(OK)
        peer.demand()
        peer.send(start)

    with scripted(script) as server:
        read_ok(client.get_url(server.url()).close())
        with pytest.raises(HttpException):
            client.get_url(server.url()).close()
        assert server.connections == 1


def test_a_body_too_long_to_be_kept_is_not_sent_again(client: HttpClient) -> None:
    with scripted(dies_at_the_second) as server:
        read_ok(client.get_url(server.url()).close())
        request = client.put_url(server.url())
        request.add(bytes(300_000))
        with pytest.raises(HttpException, match="the server ended the connection"):
            request.close()
        assert server.connections == 1


def test_a_connection_that_is_reset_while_a_request_is_sent(client: HttpClient) -> None:
    """The request has begun to go out when it shows that the server has gone: it begins again."""
    is_reset = threading.Event()

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(OK)
        begun.wait(PATIENCE)
        peer.reset()
        is_reset.set()

    begun = threading.Event()
    with scripted(script, answering(OK)) as server:
        read_ok(client.get_url(server.url()).close())
        request = client.put_url(server.url())
        begun.set()
        assert is_reset.wait(PATIENCE)
        for part in (b"a", b"b", b"c"):
            request.add(part)
            request.flush()
        read_ok(request.close())
        client.close()
    assert server.asked[0].body == b"abc"


# ------------------------------------------------------------------ connecting


def test_nobody_listens(client: HttpClient) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        with pytest.raises(
            ConnectionRefusedError, match=f"Connection refused, address = 127.0.0.1, port = {port}"
        ):
            client.get("127.0.0.1", port, "/")
    assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_a_host_that_does_not_exist(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(socket.gaierror, match="Name or service not known, address = no.example, port = 80"):
        client.get_url("http://no.example/")


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "a" * 300])
def test_a_host_that_cannot_exist(client: HttpClient, host: str) -> None:
    with pytest.raises(socket.gaierror, match=f"address = {host}, port = 80"):
        client.get_url(f"http://{host}/")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port whose queue is full: a client that connects gets no answer at all."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        crowd = []
        while True:
            sock = socket.socket()
            sock.settimeout(0.1)
            crowd.append(sock)
            try:
                sock.connect(listener.getsockname())
            except TimeoutError:
                break
        yield listener.getsockname()[1]
        for sock in crowd:
            sock.close()


def test_connection_timeout(client: HttpClient, silent_port: int) -> None:
    assert client.connection_timeout is None
    client.connection_timeout = 0.1
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=f"address = 127.0.0.1, port = {silent_port}"):
        client.get("127.0.0.1", silent_port, "/")
    assert 0.09 < time.monotonic() - start < PATIENCE
    assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_connection_timeout_holds_for_the_handshake_too(certificates: Any) -> None:
    def silent(peer: Peer) -> None:
        assert not peer.is_ended()  # something comes ...
        while peer.socket.recv(65536):  # ... and is never answered
            pass

    with scripted(silent) as server, HttpClient(context=certificates.client_context()) as client:
        client.find_proxy = None
        client.connection_timeout = 0.1
        with pytest.raises(TimeoutError, match=f"address = 127.0.0.1, port = {server.port}"):
            client.get_url(f"https://127.0.0.1:{server.port}/")


def test_connection_timeout_is_for_connecting_only(client: HttpClient) -> None:
    release = threading.Event()

    def script(peer: Peer) -> None:
        peer.ask()
        release.wait(PATIENCE)
        peer.send(OK)

    with scripted(script) as server:
        client.connection_timeout = 0.5
        request = client.get_url(server.url())
        waiting = InThread(lambda: request.close().read())
        threading.Event().wait(0.6)  # longer than the limit: nothing may come of it
        release.set()
        assert waiting.join() == b"ok"


def addresses(*ports: int) -> Any:
    return lambda *args: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]


def test_the_addresses_of_a_host_are_tried_in_turn(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(answering(OK)) as server, socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        monkeypatch.setattr(socket, "getaddrinfo", addresses(refusing.getsockname()[1], server.port))
        read_ok(client.get_url("http://two.example/").close())
        client.close()


def test_an_address_that_does_not_answer_holds_nobody_up(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch, silent_port: int
) -> None:
    with scripted(answering(OK)) as server:
        monkeypatch.setattr(socket, "getaddrinfo", addresses(silent_port, server.port))
        start = time.monotonic()
        read_ok(client.get_url("http://two.example/").close())
        assert time.monotonic() - start < PATIENCE
        client.close()


def test_a_factory_whose_socket_is_not_connected(client: HttpClient) -> None:
    client.connection_factory = lambda url, host, port: socket.socket()
    with pytest.raises(OSError, match="not connected, address = a.example, port = 81"):
        client.get_url("http://a.example:81/")
    assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_all_addresses_refuse(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        monkeypatch.setattr(socket, "getaddrinfo", addresses(one.getsockname()[1], other.getsockname()[1]))
        with pytest.raises(ConnectionRefusedError, match="address = two.example, port = 80"):
            client.get_url("http://two.example/")


def test_a_host_without_addresses(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", addresses())
    with pytest.raises(OSError, match="the host has no address, address = none.example"):
        client.get_url("http://none.example/")


# ------------------------------------------------------------------ close


def test_close_lets_the_active_finish(client: HttpClient) -> None:
    with scripted(answering(OK), answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")) as server:
        read = client.get_url(server.url()).close()
        written = client.post_url(server.url())
        client.close()
        with pytest.raises(StateError):
            client.get_url(server.url())
        written.write("x")
        read_ok(written.close())
        read_ok(read)
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting, closed>"


def test_close_closes_what_is_idle(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        read_ok(client.get_url(server.url()).close())
        client.close()  # the script waits for the end of the connection


def test_close_with_force_cuts_who_waits_for_a_response(client: HttpClient) -> None:
    with scripted(unanswered) as server:
        request = client.get_url(server.url())
        waiting = InThread(request.close)
        eventually(lambda: server.connections)
        client.close(force=True)
        error = waiting.join()
        assert isinstance(error, HttpException)
        assert error.message == "the client was closed with force" and error.uri == request.uri
    with pytest.raises(StateError):
        client.get_url("http://127.0.0.1:1/")


@pytest.mark.parametrize("framing", [b"content-length: 10\r\n", b""], ids=["counted", "until the end"])
def test_close_with_force_cuts_who_reads(framing: bytes, client: HttpClient) -> None:
    """A body that is delimited by the end of the connection must not look complete either."""
    def script(peer: Peer) -> None:
        peer.ask()
        peer.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\nhalf")
        assert peer.is_ended()

    with scripted(script) as server:
        response = client.get_url(server.url()).close()
        assert response.read(4) == b"half"
        waiting = InThread(response.read)
        client.close(force=True)
        error = waiting.join()
        assert isinstance(error, HttpException) and error.message == "the client was closed with force"


def test_close_with_force_cuts_who_waits_for_a_place(client: HttpClient) -> None:
    client.max_connections_per_host = 1
    with scripted(unanswered) as server:
        request = client.get_url(server.url())
        waiting = InThread(lambda: client.get_url(server.url()))
        eventually(lambda: "1 waiting" in repr(client))
        client.close(force=True)
        error = waiting.join()
        assert isinstance(error, HttpException) and error.message == "the client was closed with force"
        with pytest.raises(HttpException, match="closed with force"):
            request.close()


def test_close_with_force_cuts_who_connects(client: HttpClient, silent_port: int) -> None:
    waiting = InThread(lambda: client.get("127.0.0.1", silent_port, "/"))
    eventually(lambda: "1 active" in repr(client))
    client.close(force=True)
    error = waiting.join()
    assert isinstance(error, HttpException) and error.message == "the client was closed with force"


def test_close_with_force_cuts_who_shakes_hands(certificates: Any) -> None:
    begun = threading.Event()

    def silent(peer: Peer) -> None:
        peer.socket.recv(1)
        begun.set()
        try:
            while peer.socket.recv(65536):
                pass
        except ConnectionError:
            pass

    with scripted(silent) as server, HttpClient(context=certificates.client_context()) as client:
        client.find_proxy = None
        waiting = InThread(lambda: client.get_url(f"https://127.0.0.1:{server.port}/"))
        assert begun.wait(PATIENCE)
        client.close(force=True)
        error = waiting.join()
        assert isinstance(error, HttpException) and error.message == "the client was closed with force"


def test_a_client_that_is_dropped_closes_what_is_idle() -> None:
    client = HttpClient()
    client.find_proxy = None
    with scripted(answering(OK)) as server:
        read_ok(client.get_url(server.url()).close())
        del client
        gc.collect()  # the script waits for the end of the connection


# ------------------------------------------------------------------ responses that nobody reads


def test_a_dropped_response_that_has_come_gives_its_connection_back(client: HttpClient) -> None:
    with scripted(answering(OK, OK)) as server:
        response = client.get_url(server.url()).close()
        del response
        assert repr(client) == "<HttpClient 0 active, 1 idle, 0 waiting>"
        read_ok(client.get_url(server.url()).close())
        client.close()
        assert server.connections == 1


@pytest.mark.parametrize("rest", [b"", b"5\r\nhello\r\n0\r\n\r\n"])
def test_a_dropped_chunked_response(client: HttpClient, rest: bytes) -> None:
    with scripted(
        answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n" + rest)
    ) as server:
        response = client.get_url(server.url()).close()
        assert response.read(2) == b"ok"
        del response
        idle = 1 if rest else 0  # what has not come is not waited for
        assert repr(client) == f"<HttpClient 0 active, {idle} idle, 0 waiting>"
        client.close()


@pytest.mark.parametrize(
    "head, sent",
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10", b"half"),  # not all has come
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100000000", b"x" * 100_000),  # too much to read away
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked", b"zz\r\n"),
        (b"HTTP/1.1 200 OK", b"until the end"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close", b"ok"),
    ],
)
def test_a_dropped_response_that_has_not_come_closes_its_connection(
    client: HttpClient, head: bytes, sent: bytes
) -> None:
    with scripted(answering(head + b"\r\n\r\n" + sent)) as server:
        response = client.get_url(server.url()).close()
        del response
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_a_dropped_response_over_tls(certificates: Any) -> None:
    with (
        scripted(
            answering(OK, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
            context=certificates.server_context(),
        ) as server,
        HttpClient(context=certificates.client_context()) as client,
    ):
        client.find_proxy = None
        for idle in (1, 0):
            response = client.get_url(f"https://localhost:{server.port}/").close()
            del response
            assert repr(client) == f"<HttpClient 0 active, {idle} idle, 0 waiting>"


def test_a_dropped_response_lets_the_next_one_in(client: HttpClient) -> None:
    client.max_connections_per_host = 1
    with scripted(answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"), answering(OK)) as server:
        response = client.get_url(server.url()).close()
        waiting = InThread(lambda: client.get_url(server.url()).close().read())
        eventually(lambda: "1 waiting" in repr(client))
        del response
        assert waiting.join() == b"ok"
        client.close()


def test_a_request_object_that_is_kept_does_not_keep_the_response(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        request = client.get_url(server.url())
        request.close()
        assert repr(client) == "<HttpClient 0 active, 1 idle, 0 waiting>"
        with pytest.raises(StateError, match="the response has been dropped"):
            request.close()
        client.close()


def test_a_response_in_a_cycle_is_found_by_the_collector(client: HttpClient) -> None:
    with scripted(answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")) as server:
        cycle: list[Any] = [client.get_url(server.url()).close()]
        cycle.append(cycle)
        del cycle
        gc.collect()
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"
