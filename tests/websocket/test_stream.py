"""A WebSocket is a Stream: everything that Stream has, on messages that come over a socket, and into one."""
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from blockingio import Stream, WebSocket, WebSocketException
from tests.peers import PATIENCE
from tests.websocket.raw import BINARY, CLOSE, FIN, TEXT, RawSocket, background, frame, pair

# What the peer says, and what is read of that.
SAID = [frame(FIN | TEXT, b"1"), frame(FIN | TEXT, b"2"), frame(FIN | TEXT, b"2"), frame(FIN | BINARY, b"b")]
MESSAGES: list[Any] = ["1", "2", "2", b"b"]


def done(value: object) -> Future[object]:
    future: Future[object] = Future()
    future.set_result(value)
    return future


def listened(sock: WebSocket) -> list[Any]:
    heard: list[Any] = []
    assert sock.listen(heard.append).as_future().result(PATIENCE) is None
    return heard


def broadcast(sock: WebSocket) -> list[Any]:
    readers = [iter(stream) for stream in [sock.as_broadcast_stream()] * 2]  # each hears what comes from here on
    return [message for reader in readers for message in reader]


def each(sock: WebSocket) -> list[Any]:
    heard: list[Any] = []
    sock.for_each(heard.append)
    return heard


def piped(sock: WebSocket) -> list[Any]:
    with pair() as (other, raw):
        with background(lambda: sock.pipe(other)):
            found = [raw.read_frame() for _ in range(5)]
            raw.send_close()
    assert [one.opcode for one in found] == [TEXT, TEXT, TEXT, BINARY, CLOSE]
    return [one.payload.decode() if one.opcode == TEXT else one.payload for one in found[:4]]


# What each method gives.
METHODS: dict[str, tuple[Callable[[WebSocket], Any], Any]] = {
    "map": (lambda sock: list(sock.map(len)), [1] * 4),
    "where": (lambda sock: list(sock.where(lambda message: message == "2")), ["2", "2"]),
    "expand": (lambda sock: list(sock.expand(lambda message: [message] * 2)), [one for one in MESSAGES for _ in "ab"]),
    "async_map": (lambda sock: list(sock.async_map(done)), MESSAGES),
    "async_expand": (lambda sock: list(sock.async_expand(lambda message: [message])), MESSAGES),
    "cast": (lambda sock: list(sock.take(3).cast(str)), MESSAGES[:3]),
    "distinct": (lambda sock: list(sock.distinct()), ["1", "2", b"b"]),
    "skip": (lambda sock: list(sock.skip(3)), [b"b"]),
    "skip_while": (lambda sock: list(sock.skip_while(lambda message: message == "1")), MESSAGES[1:]),
    "take": (lambda sock: list(sock.take(2)), ["1", "2"]),
    "take_while": (lambda sock: list(sock.take_while(lambda message: message == "1")), ["1"]),
    "handle_error": (lambda sock: list(sock.handle_error(lambda error: None)), MESSAGES),
    "timeout": (lambda sock: list(sock.timeout(PATIENCE)), MESSAGES),
    "transform": (lambda sock: list(sock.transform(lambda stream: stream.map(len))), [1] * 4),
    "as_broadcast_stream": (broadcast, MESSAGES * 2),
    "is_broadcast": (lambda sock: sock.is_broadcast, False),
    "any": (lambda sock: sock.any(lambda message: message == b"b"), True),
    "every": (lambda sock: sock.every(lambda message: isinstance(message, str)), False),
    "contains": (lambda sock: sock.contains(b"b"), True),
    "first": (lambda sock: sock.first(), "1"),
    "last": (lambda sock: sock.last(), b"b"),
    "single": (lambda sock: sock.skip(3).single(), b"b"),
    "first_where": (lambda sock: sock.first_where(lambda message: message != "1"), "2"),
    "last_where": (lambda sock: sock.last_where(lambda message: isinstance(message, str)), "2"),
    "single_where": (lambda sock: sock.single_where(lambda message: message == "1"), "1"),
    "element_at": (lambda sock: sock.element_at(3), b"b"),
    "is_empty": (lambda sock: sock.is_empty(), False),
    "length": (lambda sock: sock.length(), 4),
    "fold": (lambda sock: sock.fold(0, lambda size, message: size + len(message)), 4),
    "reduce": (lambda sock: sock.take(3).cast(str).reduce(lambda one, other: one + other), "122"),
    "join": (lambda sock: sock.take(3).join("-"), "1-2-2"),
    "to_list": (lambda sock: sock.to_list(), MESSAGES),
    "to_set": (lambda sock: sock.to_set(), {"1", "2", b"b"}),
    "drain": (lambda sock: sock.drain("dry"), "dry"),
    "for_each": (each, MESSAGES),
    "pipe": (piped, MESSAGES),
    "listen": (listened, MESSAGES),
}


def test_the_table_has_all_of_them() -> None:
    static = {"from_iterable", "periodic"}
    assert METHODS.keys() | static == {name for name in vars(Stream) if not name.startswith("_")}


@pytest.mark.parametrize("name", METHODS)
def test_a_method(name: str) -> None:
    """Half of the messages come before it is called, and half with the end."""
    work, expected = METHODS[name]
    with pair() as (sock, raw):
        raw.send(b"".join(SAID[:2]))

        def rest() -> None:
            raw.send(b"".join(SAID[2:])).send_close(1000)

        with background(rest):
            assert work(sock) == expected


def test_a_stream_is_piped_into_one() -> None:
    with pair() as (sock, raw):
        with background(lambda: Stream.from_iterable(["a", b"b"]).pipe(sock)):
            assert [raw.read_frame() for _ in range(2)] == [(FIN | TEXT, b"a"), (FIN | BINARY, b"b")]
            assert raw.read_frame() == (FIN | CLOSE, b"")
            raw.send_close()


@pytest.mark.parametrize("read", [list, lambda sock: sock.map(len).to_list(), listened])
def test_a_violation_is_the_streams_error(read: Callable[[WebSocket], object]) -> None:
    with pair() as (sock, raw):
        raw.send(frame(FIN | TEXT, b"x") + frame(FIN | 3))
        with pytest.raises(WebSocketException, match="opcode"):
            read(sock)
        assert isinstance(raw, RawSocket) and raw.read_frame().code == 1002
