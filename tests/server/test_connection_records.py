"""server.connections(): each connection as it is at that moment, and why the last ones ended."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from blockingio import ConnectionRecord, HttpException, HttpRequest, HttpServer
from tests.peers import PATIENCE, RawClient, TlsContexts, eventually, serving
from tests.server.visits import GET, get, post, small_window, tell, to_the_end

MIB = 1 << 20
#: Seconds of a limit that is to be met.
SOON = 0.4


class Gate:
    """A handler that reads the body and waits before it answers."""

    def __init__(self) -> None:
        self.is_open = threading.Event()

    def __call__(self, request: HttpRequest) -> None:
        request.read()
        assert self.is_open.wait(PATIENCE)
        tell(request)


@contextmanager
def held(**settings: Any) -> Iterator[tuple[HttpServer, Gate]]:
    gate = Gate()
    with serving(gate, **settings) as server:
        try:
            yield server, gate
        finally:
            gate.is_open.set()


def in_state(server: HttpServer, state: str) -> ConnectionRecord:
    """The newest connection, once it is in this state."""
    def found() -> ConnectionRecord | None:
        open_ones = [record for record in server.connections() if not record.ended]
        return open_ones[-1] if open_ones and open_ones[-1].state == state else None

    record: ConnectionRecord = eventually(found)
    return record


def last_end(server: HttpServer, number: int = 1) -> ConnectionRecord:
    """The last connection that has ended, once so many have."""
    ended: list[ConnectionRecord] = eventually(
        lambda: [record for record in server.connections() if record.ended][number - 1 :])
    return ended[-1]


def test_from_idle_to_idle() -> None:
    with held(idle_timeout=100, header_timeout=50, body_timeout=40) as (server, gate), RawClient(server.port) as client:
        record = in_state(server, "idle")
        assert (record.requests, record.bytes_in, record.bytes_out, record.ended) == (0, 0, 0, "")
        assert record.peer == "%s:%s" % client.socket.getsockname() and 0 <= record.age < PATIENCE
        assert record.waits_for == "the first request" and record.due is not None and 90 < record.due <= 100
        raw = post(b"body")
        client.send(raw[:10])
        record = in_state(server, "head")
        assert record.waits_for == "the rest of a request's head" and record.due is not None and 40 < record.due <= 50
        client.send(raw[10:-2])
        record = in_state(server, "body")
        assert record.waits_for == "the rest of a request's body" and record.due is not None and 10 < record.due <= 40
        assert record.requests == 1
        client.send(raw[-2:])
        record = in_state(server, "response")
        assert (record.waits_for, record.due) == ("the handler's response", None)
        gate.is_open.set()
        answer = client.read_response()
        record = in_state(server, "idle")
        assert (record.requests, record.bytes_in) == (1, len(raw))
        assert record.bytes_out == len(answer.head + answer.body) and record.waits_for == "the next request"


@pytest.mark.parametrize("is_secure", [False, True])
def test_requests_and_bytes_are_counted_as_http_has_them(is_secure: bool, tls_contexts: TlsContexts) -> None:
    """Heads that repeat, heads that do not, pieces, pipelined ones, bodies, chunks, files."""
    def handler(request: HttpRequest) -> None:
        body = request.read()
        if request.uri.path == "/file":
            request.response.content_length = 1000
            with open(__file__, "rb") as file:
                request.response.send_file(file.fileno(), 0, 1000)
        else:
            request.response.write(body * 3 or b"x" * 200_000)
        request.response.close()

    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
    context, clients = (tls_contexts.server, tls_contexts.client) if is_secure else (None, None)
    with serving(handler, context=context) as server, RawClient(server.port, context=clients) as client:
        sent = received = count = 0
        for raw in (GET, GET, GET, get("/x"), GET, post(b"y" * 100_000), chunked, get("/file"), GET, GET, GET * 3):
            for piece in (raw[:7], raw[7:]) if raw == chunked else (raw,):
                client.send(piece)
            for _ in range(raw.count(b"HTTP/1.1")):
                answer = client.read_response()
                received += len(answer.head) + (len(answer.body) if answer.header("content-length") else 0)
                if not answer.header("content-length"):
                    size = len(answer.body)
                    received += len(b"%x\r\n\r\n0\r\n\r\n" % size) + size
                count += 1
            sent += len(raw)
            record = in_state(server, "idle")
            assert (record.requests, record.bytes_in, record.bytes_out) == (count, sent, received), raw[:30]
        client.close()
        record = last_end(server)
        assert (record.requests, record.bytes_in, record.bytes_out) == (count, sent, received)


def large(request: HttpRequest) -> None:
    """More than the kernel's buffers hold."""
    request.response.write(b"x" * MIB * 8)
    request.response.close()


def test_a_client_that_does_not_take_its_response() -> None:
    with serving(large, body_timeout=30) as server, small_window(server.port) as client:
        client.send(GET)
        record = eventually(lambda: [record for record in server.connections() if "to take" in record.waits_for])[0]
        assert record.state == "response" and record.due is not None and 0 < record.due <= 30
        assert 0 < record.bytes_out < MIB * 8


def test_a_handshake(tls_contexts: TlsContexts) -> None:
    with serving(tell, context=tls_contexts.server, header_timeout=20) as server:
        with RawClient(server.port):
            record = in_state(server, "handshake")
            assert record.waits_for == "the TLS handshake"
            eventually(lambda: 0 < (in_state(server, "handshake").due or 0) <= 20)
        assert last_end(server).ended.startswith("the TLS handshake failed: ")


def test_closing() -> None:
    with serving(tell) as server, RawClient(server.port) as client:
        client.send(get(version="1.0") + b"more").read_response()
        record = in_state(server, "closing")
        assert record.waits_for == "the client to close" and record.due is not None and record.due <= 2


def upgraded(request: HttpRequest) -> None:
    request.response.status_code = 101
    request.response.detach_socket().close()


def given_up(request: HttpRequest) -> None:
    request.response.add_error(ValueError())


def too_late(request: HttpRequest) -> None:
    request.response.deadline = 0.001
    eventually(lambda: not request.response.is_connected)
    request.response.close()


def reading(request: HttpRequest) -> None:
    try:
        request.read()
    except HttpException:
        pass
    tell(request)


def leave(client: RawClient) -> None:
    client.close()


def leave_with_the_response(client: RawClient) -> None:
    client.read_response()
    client.close()


def stay(client: RawClient) -> None:
    """Until the server ends it; it need not wait longer for this end, then."""
    client.read_until_eof()
    client.close()


ENDS: list[tuple[str, Callable[[HttpRequest], object], bytes, Callable[[RawClient], object], dict[str, Any]]] = [
    ("the client closed", tell, b"", leave, {}),
    ("the client closed", tell, GET, leave_with_the_response, {}),
    ("the client reset the connection", tell, b"", RawClient.reset, {}),
    ("the client reset the connection", tell, GET[:9], RawClient.reset, {}),
    ("the client closed in the middle of a head", tell, GET[:9], leave, {}),
    (f"idle for {SOON:g} s", tell, b"", stay, {"idle_timeout": SOON}),
    (f"head not whole in {SOON:g} s", tell, GET[:9], stay, {"header_timeout": SOON}),
    ("refused: 400 there are 0 Host fields, expected one", tell, b"GET / HTTP/1.1\r\n\r\n", stay, {}),
    ("its last response was sent", tell, get("/", "Connection: close"), stay, {}),
    ("its last response was sent", tell, get(version="1.0"), stay, {}),
    ("its response was given up", given_up, GET, to_the_end, {}),
    ("the response's deadline passed", too_late, GET, to_the_end, {}),
    ("a body could not be read: the rest of a message did not come in time", reading, post(b"body")[:-1], stay,
     {"body_timeout": SOON}),
    ("a body could not be read: the connection ended after 3 of 4 bytes of a body", reading, post(b"body")[:-1],
     RawClient.finish_sending, {}),
]


@pytest.mark.parametrize("ended, handler, raw, then, settings", ENDS,
                         ids=[end[0] + str(at) for at, end in enumerate(ENDS)])
def test_why_it_ended(ended: str, handler: Callable[[HttpRequest], object], raw: bytes,
                      then: Callable[[RawClient], object], settings: dict[str, Any]) -> None:
    with serving(handler, **settings) as server, RawClient(server.port) as client:
        if raw:
            client.send(raw)
            eventually(lambda: any(record.bytes_in for record in server.connections()))
        else:
            in_state(server, "idle")
        peer = "%s:%s" % client.socket.getsockname()
        then(client)
        record = last_end(server)
        assert (record.ended, record.state, record.waits_for, record.due) == (ended, "ended", "", None)
        assert (record.peer, record.bytes_in) == (peer, len(raw)) and 0 <= record.age < PATIENCE


def test_a_socket_that_was_handed_over() -> None:
    with serving(upgraded) as server, RawClient(server.port) as client:
        client.send(get("/", "Connection: upgrade", "Upgrade: x")).read_response()
        record = last_end(server)
        assert (record.state, record.ended, record.requests) == ("detached", "its socket was handed over", 1)


def test_the_server_ends_them() -> None:
    with serving(tell, max_connections=1) as server:
        with RawClient(server.port) as first:
            in_state(server, "idle")
            with RawClient(server.port):
                assert first.is_ended()
                assert last_end(server).ended == "it was idle, and made room for another"
                in_state(server, "idle")
                server.close()
                assert last_end(server, 2).ended == "the server was closed"


def test_a_client_that_takes_nothing_in_time() -> None:
    with serving(large, body_timeout=SOON) as server, small_window(server.port) as client:
        client.send(GET)
        assert last_end(server).ended == f"the client took nothing of the response for {SOON:g} s"


def test_the_last_hundred_are_remembered_and_print_as_a_table() -> None:
    with serving(tell) as server:
        assert repr(server.connections()) == str(server.connections()) == "no connections"
        for _ in range(103):
            with RawClient(server.port) as client:
                client.send(get("/", "Connection: close")).read_until_eof()
        last_end(server, 100)
        eventually(lambda: not server.connections_info().total)
        with RawClient(server.port) as client:
            client.get()
            in_state(server, "idle")
            records = server.connections()
    assert len(records) == 101 and [record.ended for record in records][:2] == ["", "its last response was sent"]
    heading, *lines = str(records).split("\n")
    assert repr(records) == str(records) and heading.split()[:2] == ["peer", "state"]
    assert len(lines) == 101 and lines[0].split()[:2] == [records[0].peer, "idle"]
    assert "the next request" in lines[0] and lines[1].endswith("its last response was sent")
    assert lines[1].index("ended") == heading.index("state")
    assert records[0].peer in repr(records[0]) and "idle" in repr(records[0])
