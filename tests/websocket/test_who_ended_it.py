"""What add() does once a WebSocket has ended: StateError where our close() was first, nothing where the peer was."""
from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from blockingio import StateError, WebSocket, WebSocketException
from tests.peers import eventually
from tests.websocket.raw import (
    BINARY, CONTINUATION, FIN, PING, TEXT, RawSocket, background, close_frame, frame, handling, pair, upgraded)

MIB = 1024 * 1024

both_sides = pytest.mark.parametrize("server_side", [True, False], ids=["server", "client"])


def broken(data: bytes) -> Callable[[RawSocket], None]:
    """Send bytes that break the protocol, and read what is answered."""
    def send(raw: RawSocket) -> None:
        raw.send(data)
        raw.read_frame()
    return send


def say_close(raw: RawSocket) -> None:
    raw.send_close(1001, b"bye")
    assert raw.read_frame().code == 1001


def answer_no_ping(raw: RawSocket) -> None:
    assert raw.read_frame().opcode == PING
    assert raw.read_frame().code == 1001


# Each way in which a peer can end a WebSocket.
ENDS: dict[str, Callable[[RawSocket], object]] = {
    "its Close": say_close,
    "its Close without a code": lambda raw: raw.send_close().read_frame(),
    "the end of its stream": lambda raw: raw.finish_sending(),
    "the end inside a frame": lambda raw: raw.send(b"\x81").finish_sending(),
    "a closed connection": lambda raw: raw.close(),
    "a broken frame": lambda raw: broken(frame(FIN | 3, masked=raw.masks))(raw),
    "a broken text": lambda raw: broken(frame(FIN | TEXT, b"\xff", masked=raw.masks))(raw),
    "too large a message": lambda raw: broken(frame(FIN | BINARY, bytes(101), masked=raw.masks))(raw),
    "no Pong": answer_no_ping,
}
# Each way in which our side closes behind that.
CLOSES: dict[str, Callable[[WebSocket], object]] = {
    "close": lambda sock: sock.close(1000),
    "with": lambda sock: sock.__exit__(None, None, None),
    "with and an error": lambda sock: sock.__exit__(ValueError, ValueError(), None),
    "add_error": lambda sock: sock.add_error(ValueError()),
}


def add_all_kinds(sock: WebSocket) -> None:
    sock.add("x")
    sock.add(bytes(MIB))
    sock.add_utf8_text(b"x")
    sock.add_stream(["x", b"y"])


def read_to_the_end(sock: WebSocket) -> None:
    try:
        assert list(sock) == []
    except WebSocketException:
        pass


@both_sides
@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("end", ENDS)
def test_what_the_peers_end_does_to_a_write_is_swallowed(end: str, close: str, server_side: bool) -> None:
    """Before our close() and after it."""
    with pair(server_side=server_side) as (sock, raw):
        sock.max_message_size = 100
        if end == "no Pong":
            sock.ping_interval = 0.02
        ENDS[end](raw)
        raw.close()
        read_to_the_end(sock)
        for _ in range(2):
            add_all_kinds(sock)
            CLOSES[close](sock)
        add_all_kinds(sock)
        assert sock.ready_state in (WebSocket.CLOSING, WebSocket.CLOSED)


def test_a_write_that_fails_is_the_peers_end() -> None:
    """Also where nothing has read that end, because the inbox is full."""
    with pair() as (sock, raw):
        sock.max_message_size = 100
        raw.send(frame(FIN | BINARY, bytes(100)) * 10)
        eventually(lambda: sock._link.inbox.is_full)
        raw.close()
        sock.add("x")
        assert sock.ready_state == WebSocket.CLOSING
        sock.close(1000)
        add_all_kinds(sock)


def test_the_peers_close_is_known_before_it_is_answered() -> None:
    """A writer is in the way of the answer, and our close() comes meanwhile."""
    with pair() as (sock, raw):
        with background(lambda: sock.add(bytes(24 * MIB))):
            raw.read_exactly(10)
            raw.send_close(1000)
            eventually(lambda: sock.ready_state == WebSocket.CLOSING)
            with background(lambda: sock.close(4000)):
                raw.read_exactly(24 * MIB)
                assert raw.read_frame().code in (1000, 4000)
        add_all_kinds(sock)
        assert sock.close_code == 1000


def test_a_writer_that_waits_while_the_peer_ends_raises_nothing() -> None:
    """Whichever of them gets to send next: the message, our answer to the Close, or close()."""
    with pair() as (sock, raw):
        with background(lambda: sock.add(bytes(24 * MIB))):
            raw.read_exactly(10)
            raw.send_close(1000)
            eventually(lambda: sock.ready_state == WebSocket.CLOSING)
            with background(lambda: sock.add("one")), background(sock.close), background(lambda: sock.add("two")):
                raw.read_exactly(24 * MIB)
                raw.read_until_eof()


@both_sides
@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("answer", ["Close", "broken", "end"])
def test_after_our_own_close_nothing_can_be_added(close: str, answer: str, server_side: bool) -> None:
    """However the peer, which was still there, ends it then."""
    with pair(server_side=server_side) as (sock, raw):
        with background(lambda: CLOSES[close](sock)):
            code = raw.read_frame().code
            assert code == (1000 if close in ("close", "with") else 1011)
            with pytest.raises(StateError):
                sock.add("x")
            if answer == "Close":
                raw.send_close(code)
            elif answer == "broken":
                raw.send(frame(FIN | 3, masked=raw.masks))
            raw.finish_sending()
        ways: list[Callable[[], object]] = [
            lambda: sock.add("x"), lambda: sock.add_utf8_text(b"x"), lambda: sock.add_stream(["x"])]
        for add in ways:
            with pytest.raises(StateError, match="closed"):
                add()


def test_one_handler_closes_what_another_adds_to() -> None:
    """Others have it in their lists of sockets yet, and are not to fail by that where its peer has gone."""
    sockets: set[WebSocket] = set()

    def chat(sock: WebSocket) -> None:
        """As simple as can be: what has ended is in the set for ever."""
        sockets.add(sock)
        for message in sock:
            for other in list(sockets):
                other.add(message)

    ends = [close_frame(1000), close_frame(), frame(FIN | 3), frame(CONTINUATION), frame(FIN | TEXT, b"\xff"), b"",
            struct.pack(">BB", 0x81, 0x80 | 5)]
    with handling(chat, workers=8) as server, upgraded(server.port) as one, upgraded(server.port) as two:
        eventually(lambda: len(sockets) == 2)  # a client has its 101 before the handler has the socket
        for end in ends:
            with upgraded(server.port) as third:
                third.send_frame(FIN | TEXT, b"hello")
                assert [client.read_frame().payload for client in (one, two, third)] == [b"hello"] * 3
                third.send(end).finish_sending()
            eventually(lambda: all(sock.ready_state == WebSocket.CLOSED for sock in list(sockets)
                                   if sock.close_code is not None))
            one.send_frame(FIN | TEXT, b"still there?")
            assert [client.read_frame().payload for client in (one, two)] == [b"still there?"] * 2
        one.say_goodbye()
        two.say_goodbye()
