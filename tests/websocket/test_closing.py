"""How a WebSocket ends: from either side, from both at once, in silence, and with somebody in the way (RFC 6455 7)."""
from __future__ import annotations

import gc
import socket
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from blockingio import StateError, WebSocket, WebSocketException
from tests.peers import PATIENCE, eventually
from tests.websocket.raw import (
    BINARY, CLOSE, FIN, OFF, PING, PONG, TEXT, background, close_frame, echoing, frame, handling, pair, upgraded)

both_sides = pytest.mark.parametrize("server_side", [True, False], ids=["server", "client"])
# Megabytes that no socket's buffers hold.
MUCH = 24 * 1024 * 1024


@both_sides
def test_closed_here(server_side: bool) -> None:
    with pair(server_side=server_side) as (sock, raw):
        assert (sock.ready_state, sock.close_code, sock.close_reason) == (WebSocket.OPEN, None, None)
        with background(lambda: sock.close(4001, "bye")):
            assert raw.read_frame().payload == b"\x0f\xa1bye"
            assert sock.ready_state == WebSocket.CLOSING
            raw.send_close(4002, b"and you")
        assert (sock.ready_state, sock.close_code, sock.close_reason) == (WebSocket.CLOSED, 4002, "and you")
        assert list(sock) == []
        with pytest.raises(StateError):
            sock.add("x")
        sock.close()
        sock.close(1000)


def test_the_server_ends_tcp_first() -> None:
    with pair(server_side=True) as (sock, raw):
        with background(sock.close):
            assert raw.read_frame() == (FIN | CLOSE, b"")
            raw.send_close()
            assert raw.read_until_eof() == b""
        assert sock.close_code == 1005


def test_the_client_waits_for_that() -> None:
    with pair(server_side=False) as (sock, raw):
        with background(lambda: sock.close(1000)):
            assert raw.read_frame().code == 1000
            raw.send_close(1000)
        raw.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            raw.socket.recv(1)
        assert not sock.done.done()
        raw.finish_sending()
        assert raw.read_until_eof() == b""
        assert sock.done.result(PATIENCE) is sock


@both_sides
def test_from_both_sides_at_once(server_side: bool) -> None:
    with pair(server_side=server_side) as (sock, raw):
        raw.send_close(3001, b"mine")
        sock.close(3002)
        codes = [raw.read_frame().code]
        raw.finish_sending()
        assert raw.read_until_eof() == b""
        assert codes in ([3001], [3002])
        assert (sock.close_code, sock.close_reason) == (3001, "mine")


@both_sides
@pytest.mark.parametrize("code, reason", [
    (0, None), (999, None), (1002, None), (1004, None), (1005, None), (1006, None), (1012, None), (1015, None),
    (1016, None),
    (2999, None), (5000, None), (None, "x"), (1000, "x" * 124), (1000, "ä" * 62), (True, None), ("1000", None)])
def test_what_cannot_be_closed_with(server_side: bool, code: int | None, reason: str | None) -> None:
    with pair(server_side=server_side) as (sock, raw):
        with pytest.raises(ValueError):
            sock.close(code, reason)
        assert sock.ready_state == WebSocket.OPEN


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4999])
def test_what_can_be_closed_with(code: int) -> None:
    with pair() as (sock, raw):
        with background(lambda: sock.close(code, "ä" * 61 + "x")):
            found = raw.read_frame()
            assert found.code == code and found.payload[2:].decode() == "ä" * 61 + "x"
            raw.send_close(code)


@both_sides
@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_peer_that_vanishes(server_side: bool, how: str) -> None:
    with pair(server_side=server_side) as (sock, raw):
        raw.send_frame(FIN | TEXT, b"last words")
        assert sock.first() == "last words"
        raw.send(b"\x81")
        if how == "end":
            raw.finish_sending()
        else:
            raw.close()
        assert list(sock) == []
        assert (sock.close_code, sock.close_reason, sock.ready_state) == (1006, "", WebSocket.CLOSED)
        sock.add("nobody hears that")
        sock.add(bytes(1 << 20))


def test_adding_behind_the_peers_close_does_nothing() -> None:
    with pair() as (sock, raw):
        raw.send_close(1001)
        raw.closes_with(1001)
        assert list(sock) == []
        sock.add("x")
        sock.close()
        sock.add("x")


def test_messages_before_the_end_are_delivered_and_those_behind_our_close_are_not() -> None:
    with pair() as (sock, raw):
        raw.send(frame(FIN | TEXT, b"before") + frame(FIN | PING))
        assert raw.read_frame().opcode == PONG
        with background(lambda: sock.close(1000)):
            assert raw.read_frame().code == 1000
            raw.send(frame(FIN | TEXT, b"behind") + close_frame(1000))
        assert list(sock) == ["before"]


def test_close_finds_the_peers_close_behind_what_nobody_reads() -> None:
    with pair() as (sock, raw):
        sock.max_message_size = 1000

        def flood() -> None:
            raw.send(frame(FIN | BINARY, bytes(1000)) * 4000 + close_frame(1000))

        with background(flood):
            eventually(lambda: sock._link.inbox.is_full)
            sock.close(1000)
            while raw.read_frame().opcode != CLOSE:
                pass
        assert sock.close_code == 1000


@pytest.mark.parametrize("server_side, stuck", [(True, False), (False, True)], ids=["silent", "with a stuck writer"])
def test_a_peer_that_does_not_close_is_waited_for_five_seconds(server_side: bool, stuck: bool) -> None:
    with pair(server_side=server_side) as (sock, raw):
        with background(lambda: sock.add(bytes(MUCH)) if stuck else None):
            if stuck:
                raw.read_exactly(10)
            began = time.monotonic()
            sock.close(1000)
            assert 4.5 < time.monotonic() - began < 9
        assert (sock.close_code, sock.ready_state) == (1006, WebSocket.CLOSED)
        assert sock.done.result(PATIENCE) is sock


def test_a_peer_that_breaks_the_protocol_while_we_wait_for_its_close() -> None:
    with pair() as (sock, raw):
        with background(lambda: sock.close(1000)):
            assert raw.read_frame().code == 1000
            raw.send(frame(FIN | 3))
            assert raw.read_until_eof() == b""
        assert sock.close_code == 1006 and list(sock) == []


def test_several_threads_close() -> None:
    with pair() as (sock, raw):
        threads = [threading.Thread(target=sock.close, args=(4000 + number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        code = raw.read_frame().code
        raw.send_close(code)
        for thread in threads:
            thread.join(PATIENCE)
        assert raw.read_until_eof() == b"" and sock.close_code == code


@pytest.mark.parametrize("error, code", [(None, 1000), (ValueError("private"), 1011)])
def test_a_with_block(error: Exception | None, code: int) -> None:
    with pair() as (sock, raw):
        def work() -> None:
            try:
                with sock as same:
                    assert same is sock
                    if error is not None:
                        raise error
            except ValueError as caught:
                assert caught is error
            else:
                assert error is None

        with background(work):
            found = raw.read_frame()
            assert found.code == code and found.payload[2:] == b""
            raw.send_close(code)


@pytest.mark.parametrize("answer", ["Close", "nothing"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_a_with_block_that_the_programs_end_leaves_waits_for_nothing(kind: type[BaseException], answer: str,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    """Close is sent; a peer that does not answer it is cut off all the same, in time."""
    monkeypatch.setattr("blockingio.websocket.link.CLOSE_TIME", PATIENCE if answer == "Close" else 0.05)
    with pair() as (sock, raw):
        with pytest.raises(kind):
            with sock:
                raise kind
        assert raw.read_frame().code == 1011
        if answer == "Close":
            assert sock.ready_state == WebSocket.CLOSING
            raw.send_close(1011)
        assert raw.read_until_eof() == b""
        raw.close()
        assert sock.done.result(PATIENCE).close_code == (1011 if answer == "Close" else 1006)
        with pytest.raises(StateError):
            sock.add("x")


def test_an_error_among_what_is_added() -> None:
    with pair() as (sock, raw):
        with background(lambda: sock.add_error(ValueError("private"))):
            assert raw.read_frame().payload == b"\x03\xf3"
            raw.send_close(1011)
        sock.add_error(ValueError("again"))


@pytest.mark.parametrize("end", [
    lambda raw: raw.send_close(1000), lambda raw: raw.close(), lambda raw: raw.send(frame(FIN | 3))])
def test_done(end: Callable[[object], object]) -> None:
    with pair() as (sock, raw):
        done = sock.done
        assert not done.done() and sock.done is done
        end(raw)
        raw.close()
        assert done.result(PATIENCE) is sock
        assert sock.ready_state == WebSocket.CLOSED


def test_a_server_that_leaves_its_block_closes() -> None:
    with handling(lambda sock: sock.add("once"), compression=OFF) as server, upgraded(server.port) as client:
        assert client.read_frame() == (FIN | TEXT, b"once")
        assert client.read_frame().code == 1000
        client.send_close(1000)
        assert client.read_until_eof() == b""


def test_a_handler_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    def fail(sock: WebSocket) -> None:
        raise ValueError("of the handler's own")

    with handling(fail) as server, upgraded(server.port) as client:
        assert client.read_frame().code == 1011
        client.send_close(1011)
        assert client.read_until_eof() == b""
        eventually(lambda: "of the handler's own" in caplog.text)


def test_nothing_is_kept_of_one_that_has_ended() -> None:
    with pair() as (sock, raw):
        raw.send_close(1000)
        raw.closes_with(1000)
    gone = weakref.ref(sock)
    del sock
    gc.collect()
    assert gone() is None


def test_an_interrupted_write_ends_it() -> None:
    """Nothing can come behind half of a frame."""
    with pair() as (sock, raw):
        class Interrupt(BaseException):
            pass

        def raise_it(data: object, timeout: float | None) -> None:
            raise Interrupt

        channel = sock._link._channel
        real = type(channel).send_all
        try:
            type(channel).send_all = lambda self, data, timeout: raise_it(data, timeout)  # type: ignore[method-assign]
            with pytest.raises(Interrupt):
                sock.add(bytes(MUCH))
        finally:
            type(channel).send_all = real  # type: ignore[method-assign]
        raw.seconds = PATIENCE
        assert b"\x82\x7f" == raw.read_exactly(2)
        raw.read_until_eof()
        assert sock.done.result(PATIENCE).close_code == 1006


def test_from_upgraded_socket_takes_a_socket_with_a_timeout() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(0.01)
    sock = WebSocket.from_upgraded_socket(ours, server_side=True, protocol="p")
    with theirs:
        assert (sock.protocol, sock.extensions) == ("p", "")
        time.sleep(0.05)
        theirs.sendall(frame(FIN | TEXT, b"late"))
        assert sock.first() == "late"
    assert sock.done.result(PATIENCE) is sock


def test_an_exception_in_iteration_comes_once() -> None:
    with echoing(compression=OFF):
        pass
    with pair() as (sock, raw):
        raw.send(frame(FIN | 3))
        raw.closes_with(1002)
        with pytest.raises(WebSocketException):
            sock.first()
        assert sock.is_empty() and list(sock) == []


def test_where_the_system_has_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller that asked for the socket is told, and it is closed."""
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ours, theirs = socket.socketpair()
    with theirs, monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="thread"):
            WebSocket.from_upgraded_socket(ours, server_side=True)
        assert theirs.recv(1) == b""


@both_sides
def test_a_fault_of_our_own_closes_with_1011(server_side: bool, caplog: pytest.LogCaptureFixture) -> None:
    with pair(server_side=server_side) as (sock, raw):
        def fail(data: bytes) -> Any:
            raise ZeroDivisionError("a mistake of the library's")

        real = type(sock._link.inbound).feed
        try:
            type(sock._link.inbound).feed = lambda self, data: fail(data)  # type: ignore[method-assign]
            raw.send_frame(FIN | TEXT, b"secret")
            assert raw.read_frame().code == 1011
            assert sock.done.result(PATIENCE) is sock
        finally:
            type(sock._link.inbound).feed = real  # type: ignore[method-assign]
        assert list(sock) == [] and "secret" not in caplog.text and "please report this" in caplog.text
