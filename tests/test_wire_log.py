"""wire_log on both ends: all bytes that pass, before encryption and in order, from "open" to "close"."""
from __future__ import annotations

import dataclasses
import logging
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blockingio import (
    HttpClient, HttpClientBasicCredentials, HttpRequest, HttpServer, InternetAddress, InternetAddressType, WireRecord)
from blockingio.wire.limits import LARGE_PIECE_SIZE
from tests.client.servers import EMPTY, OK, Peer, answering, scripted
from tests.client.test_proxies import Tunnel
from tests.peers import RawClient, TlsContexts, eventually, serving
from tests.server.visits import GET, get, post, running, small_window, tell


#: Pieces of a body that are more than any system's buffers take.
COUNT = 100


class Told(list[WireRecord]):
    """A wire_log that keeps what it is told."""

    def __call__(self, record: WireRecord) -> None:
        self.append(record)

    def of(self, connection: int = 1) -> list[tuple[str, bytes]]:
        """Directions and bytes of one connection, what follows in the same direction joined."""
        found: list[tuple[str, bytes]] = []
        for record in list(self):
            if record.connection != connection:
                continue
            if found and found[-1][0] == record.direction:
                found[-1] = record.direction, found[-1][1] + record.data
            else:
                found.append((record.direction, record.data))
        return found

    def whole(self, connection: int = 1) -> list[tuple[str, bytes]]:
        """``of``, once it was closed."""
        eventually(lambda: ("close", b"") in self.of(connection))
        return self.of(connection)


@pytest.fixture
def told() -> Told:
    return Told()


def test_all_bytes_of_a_server_in_order(told: Told) -> None:
    """An answer's record comes before that of what the client says to it, on whichever threads they are."""
    heads, expected = [], []
    with serving(tell, wire_log=told) as server:
        assert server.wire_log is told
        with RawClient(server.port) as client:
            for number in range(100):
                raw = get(f"/{number}")
                answer = client.send(raw).read_response()
                expected += [("in", raw), ("out", answer.head + answer.body)]
                heads.append(answer.head)
            peer = "%s:%s" % client.socket.getsockname()
        assert told.whole() == [("open", b""), *expected, ("close", b"")]
        with RawClient(server.port) as client:
            client.get()
        assert [kind for kind, _ in told.whole(2)] == ["open", "in", "out", "close"]
    first = [record for record in told if record.connection == 1]
    assert {record.peer for record in first} == {peer} and not any(record.is_tls for record in told)
    assert [record.seconds for record in first] == sorted(record.seconds for record in first)
    assert all((not record.data) == (record.direction in ("open", "close")) for record in told)


def test_a_record_is_a_frozen_dataclass() -> None:
    record = WireRecord(1, "-", "in", b"GET", 0.5, False)
    assert [field.name for field in dataclasses.fields(record)] == [
        "connection", "peer", "direction", "data", "seconds", "is_tls"]
    assert record == dataclasses.replace(record) and len({record, dataclasses.replace(record)}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.data = b""  # type: ignore[misc]


def test_tls_is_told_of_before_its_handshake_and_without_encryption(told: Told, tls_contexts: TlsContexts) -> None:
    with serving(tell, context=tls_contexts.server, wire_log=told) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            answer = client.get("/x")
        assert told.whole() == [("open", b""), ("in", get("/x")), ("out", answer.head + answer.body), ("close", b"")]
        assert all(record.is_tls for record in told)
        with RawClient(server.port) as client:  # no TLS at all
            eventually(lambda: told.of(2) == [("open", b"")])
            refusal = client.send(GET).read_until_eof()
        found = dict(told.whole(2))
        assert found["out"] == refusal and refusal.startswith(b"HTTP/1.1 308 ")
        assert [record.is_tls for record in told if record.data == refusal] == [False]


@pytest.mark.parametrize("is_secure", [False, True])
def test_large_bodies_and_files_are_told_as_bytes(told: Told, tls_contexts: TlsContexts, tmp_path: Path, is_secure: bool
                                                  ) -> None:
    """Also where they are sent by descriptor, without a copy, or wait for a slow client."""
    content = os.urandom(1 << 20)
    (tmp_path / "file").write_bytes(content)

    def handler(request: HttpRequest) -> None:
        body = request.read()
        request.response.content_length = len(body + content * 2)
        request.response.write(body)
        request.response.write(content)
        with open(tmp_path / "file", "rb") as file:
            request.response.send_file(file.fileno(), 0, len(content))
        request.response.close()

    upload = os.urandom(100_000)
    context, clients = (tls_contexts.server, tls_contexts.client) if is_secure else (None, None)
    with serving(handler, context=context, wire_log=told) as server, small_window(server.port, clients) as client:
        answer = client.send(post(upload)).read_response()
        assert answer.body == upload + content * 2
        client.close()
        assert told.whole() == [("open", b""), ("in", post(upload)), ("out", answer.head + answer.body), ("close", b"")]


@pytest.mark.parametrize("is_secure", [False, True])
def test_large_chunks_for_a_slow_client(told: Told, tls_contexts: TlsContexts, is_secure: bool) -> None:
    """OpenSSL has to be given the same bytes again, in the same pieces, where it could not send them all."""
    content = os.urandom(LARGE_PIECE_SIZE + 1)

    def handler(request: HttpRequest) -> None:
        for _ in range(COUNT):
            request.response.write(content)
        request.response.close()

    context, clients = (tls_contexts.server, tls_contexts.client) if is_secure else (None, None)
    with serving(handler, context=context, wire_log=told) as server, small_window(server.port, clients) as client:
        client.send(GET)
        eventually(lambda: "to take" in str(server.connections()))
        answer = client.read_response()
        assert answer.body == content * COUNT
        client.close()
        sent = dict(told.whole())["out"]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(content), content) for _ in range(COUNT))
    assert sent == answer.head + chunks + b"0\r\n\r\n"


def test_what_is_read_away_at_the_end_has_passed_too(told: Told) -> None:
    """Behind what is refused, so that a reset does not overtake the answer."""
    with serving(tell, wire_log=told) as server, RawClient(server.port) as client:
        answer = client.send(b"no\x00 request").read_until_eof()
        client.send(b"and more")
        client.close()
        found = told.whole()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert found[1:3] == [("in", b"no\x00 request"), ("out", answer)] and found[-1] == ("close", b"")
    assert found[3:-1] in ([], [("in", b"and more")])  # it may come too late to be read


@pytest.mark.parametrize("raw", [get("/", "Connection: Upgrade", "Upgrade: x"), get()], ids=["itself", "a relay"])
def test_a_socket_that_is_handed_over_is_told_of_no_more(told: Told, raw: bytes) -> None:
    def handler(request: HttpRequest) -> None:
        request.response.status_code = 101
        with request.response.detach_socket() as sock:
            assert told.whole()
            sock.sendall(b"not HTTP" + sock.recv(100))

    with serving(handler, wire_log=told) as server, RawClient(server.port) as client:
        head = client.send(raw).read_response().head
        assert client.send(b", but mine").read_until_eof() == b"not HTTP, but mine"
    assert told.of() == [("open", b""), ("in", raw), ("out", head), ("close", b"")]


@pytest.mark.parametrize("is_server", [True, False])
def test_none_ends_it_at_once_and_another_begins_with_the_next(told: Told, is_server: bool) -> None:
    with serving(tell) as server, HttpClient() as client:
        end: Any = server if is_server else client
        url = f"http://127.0.0.1:{server.port}/"

        def ask(*, last: bool = False) -> None:
            request = client.get_url(url)
            request.persistent_connection = not last
            assert request.close().text() == "/"

        assert end.wire_log is None
        ask()
        end.wire_log = told
        ask(last=True)  # on a connection that nobody is told of
        assert not told
        ask(last=True)
        ask()
        expected = ["open", "in", "out", "close"] if is_server else ["open", "out", "in", "close"]
        assert [kind for kind, _ in told.whole()] == expected
        eventually(lambda: len(told.of(2)) == 3)
        end.wire_log = None
        ask()
        end.wire_log = other = Told()
        ask(last=True)
        ask(last=True)
        assert [kind for kind, _ in other.whole(3)] == expected
    assert [kind for kind, _ in told.of(2)] == expected[:3]
    assert {record.connection for record in other} == {3}


@pytest.mark.parametrize("end", [HttpClient, HttpServer], ids=["client", "server"])
@pytest.mark.parametrize("log", ["x", 1, b"", Path("/dev/null")])
def test_what_cannot_be_called(end: Any, log: object) -> None:
    with HttpServer.bind("127.0.0.1", 0) if end is HttpServer else HttpClient() as owner:
        with pytest.raises(ValueError, match="wire_log cannot be"):
            owner.wire_log = log  # type: ignore[assignment]
        assert owner.wire_log is None


def test_an_exception_is_logged_once_and_the_log_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    directions = []

    def log(record: WireRecord) -> None:
        directions.append(record.direction)
        raise ZeroDivisionError

    with serving(tell, wire_log=log) as server, HttpClient() as client:
        client.wire_log = log
        for _ in range(2):
            assert client.get_url(f"http://127.0.0.1:{server.port}/").close().text() == "/"
        client.close()
        eventually(lambda: directions.count("close") == 2)
    assert directions.count("in") == directions.count("out") == 4
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [(error.name, error.exc_info and error.exc_info[0]) for error in errors] == [
        ("blockingio", ZeroDivisionError)] * 2  # one for each end


def test_a_wire_log_may_be_slow_and_may_close_its_server(told: Told) -> None:
    """It is called on the connections' threads, so it holds up nothing but its own."""
    def log(record: WireRecord) -> None:
        told(record)
        if record.direction == "out":
            server.close()

    with HttpServer.bind("127.0.0.1", 0) as server:
        server.wire_log = log
        with running(server), RawClient(server.port) as client:
            assert client.get("/x").body == b"/x"
            assert client.is_ended()
        told.whole()


@pytest.mark.needs("socket.AF_UNIX")
def test_a_unix_domain_socket_has_no_peer(told: Told, tmp_path: Path) -> None:
    with HttpServer.bind(InternetAddress(str(tmp_path / "s"), InternetAddressType.UNIX), 0) as server:
        server.wire_log = told
        with running(server):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(tmp_path / "s"))
            with RawClient.on(sock) as client:
                client.get("/x")
            told.whole()
    assert {record.peer for record in told} == {"-"}


# ---------------------------------------------------------------------- the client


@pytest.fixture
def client(told: Told) -> Iterator[HttpClient]:
    with HttpClient() as made:
        made.wire_log = told
        yield made


def test_all_bytes_of_a_client_in_order(client: HttpClient, told: Told) -> None:
    script = answering(OK, b"HTTP/1.1 100 Continue\r\n\r\n" + OK, EMPTY)
    with scripted(script) as server:
        client.get_url(server.url("/a")).close().read()
        request = client.post_url(server.url("/b"))
        request.content_length = 300_000
        request.write(b"x" * 300_000)
        request.close().read()
        client.get_url(server.url("/c")).close().read()
        client.close()
    first, second, third = server.asked
    assert told.whole() == [
        ("open", b""), ("out", first.raw), ("in", OK), ("out", second.raw + second.body),
        ("in", b"HTTP/1.1 100 Continue\r\n\r\n" + OK), ("out", third.raw), ("in", EMPTY), ("close", b"")]
    assert {record.peer for record in told} == {f"127.0.0.1:{server.port}"}


def test_a_tunnel_is_told_of_from_connect_on(told: Told, certificates: Any) -> None:
    refusal = b"HTTP/1.1 407 No\r\nproxy-authenticate: Basic realm=x\r\n\r\n"
    tunnel = Tunnel(certificates.server_context(), refusal)
    with scripted(tunnel, tunnel) as proxy, HttpClient(context=certificates.client_context()) as client:
        client.wire_log = told
        client.find_proxy = lambda url: f"PROXY 127.0.0.1:{proxy.port}"

        def authenticate(host: str, port: int, scheme: str, realm: str | None) -> bool:
            client.add_proxy_credentials(host, port, "x", HttpClientBasicCredentials("a", "b"))
            return True

        client.authenticate_proxy = authenticate
        client.get_url("https://localhost:8443/x").close().read()
        client.close()
    refused, taken = tunnel.connects
    assert told.whole(1) == [("open", b""), ("out", refused.raw), ("in", refusal), ("close", b"")]
    assert told.whole(2) == [("open", b""), ("out", taken.raw), ("in", tunnel.answer), ("out", tunnel.asked[0].raw),
                             ("in", OK), ("close", b"")]
    seen = [(record.direction, record.is_tls) for record in told if record.connection == 2]
    assert list(dict.fromkeys(seen)) == [("open", False), ("out", False), ("in", False), ("out", True), ("in", True),
                                         ("close", True)]


def test_a_clients_tls_is_told_of_before_its_handshake(told: Told, certificates: Any) -> None:
    """Also where that fails: with "open" and "close" alone."""
    def script(peer: Peer) -> None:
        try:
            peer.secure(certificates.server_context())
        except ssl.SSLError:
            return
        peer.demand()
        peer.send(OK)

    with scripted(script, script) as server:
        url = f"https://localhost:{server.port}/"
        with HttpClient() as distrusting:
            distrusting.wire_log = told
            with pytest.raises(ssl.SSLError):
                distrusting.get_url(url)
        assert told.of() == [("open", b""), ("close", b"")]
        with HttpClient(context=certificates.client_context()) as client:
            client.wire_log = trusting = Told()
            client.get_url(url).close().read()
    assert [kind for kind, _ in trusting.whole()] == ["open", "out", "in", "close"]
    assert all(record.is_tls for record in told + trusting)


def test_a_clients_socket_that_is_handed_over_is_told_of_no_more(client: HttpClient, told: Told) -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(head)
        peer.send(peer.exactly(4))

    with scripted(script) as server:
        request = client.get_url(server.url())
        request.headers.set("connection", "upgrade")
        request.headers.set("upgrade", "x")
        with request.close().detach_socket() as sock:
            assert told.of()[2:] == [("in", head), ("close", b"")]
            sock.sendall(b"mine")
            assert sock.recv(4) == b"mine"
    assert told.of()[2:] == [("in", head), ("close", b"")]


def test_a_connection_that_is_cut_is_told_to_be_closed(client: HttpClient, told: Told) -> None:
    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(OK[:-1])
        assert peer.is_ended()

    with scripted(script) as server:
        response = client.get_url(server.url()).close()
        client.close(force=True)
        with pytest.raises(Exception, match="closed"):
            response.read()
    assert told.whole()[2:] == [("in", OK[:-1]), ("close", b"")]
