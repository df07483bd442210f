"""Every row of the protocol in bytes, sent whole and byte by byte, to both ends (RFC 6455 5, 7, 8)."""
from __future__ import annotations

import struct
from typing import NamedTuple

import pytest

from blockingio import WebSocketException
from tests.peers import PATIENCE
from tests.websocket.raw import (
    BINARY, CLOSE, CONTINUATION, FIN, OFF, PING, PONG, RSV1, TEXT, close_frame, echoing, frame, pair, upgraded)


class Row(NamedTuple):
    """Frames that are sent, as (first byte, payload) or bytes; what is read of them; the Close that answers."""

    name: str
    frames: list[tuple[int, bytes] | bytes]
    messages: list[str | bytes]
    pongs: list[bytes] = []
    close: int | None = 1000  # what the peer is told; what it had said where it said something


NORMAL = (FIN | CLOSE, struct.pack(">H", 1000))


def closing(code: int, reason: bytes = b"") -> tuple[int, bytes]:
    return FIN | CLOSE, struct.pack(">H", code) + reason


GOOD = [
    Row("a text", [(FIN | TEXT, b"Hello"), NORMAL], ["Hello"]),
    Row("a binary message", [(FIN | BINARY, b"\0\xff"), NORMAL], [b"\0\xff"]),
    Row("empty ones", [(FIN | TEXT, b""), (FIN | BINARY, b""), NORMAL], ["", b""]),
    *(Row(f"{size} bytes", [(FIN | BINARY, bytes(size)), NORMAL], [bytes(size)])
      for size in (1, 2, 3, 4, 5, 125, 126, 127, 128, 4095, 4096, 65535, 65536, 65537)),
    Row("fragments", [(TEXT, b"Hel"), (CONTINUATION, b""), (FIN | CONTINUATION, b"lo"), NORMAL], ["Hello"]),
    Row("empty fragments", [(BINARY, b""), (CONTINUATION, b""), (FIN | CONTINUATION, b""), NORMAL], [b""]),
    Row("a letter in two fragments", [(TEXT, b"\xc3"), (FIN | CONTINUATION, b"\xa4"), NORMAL], ["ä"]),
    Row("a ping", [(FIN | PING, b"x" * 125), NORMAL], [], [b"x" * 125]),
    Row("an empty ping", [(FIN | PING, b""), NORMAL], [], [b""]),
    Row("pongs that nobody asked for", [(FIN | PONG, b""), (FIN | PONG, b"x"), NORMAL], []),
    Row("a ping in a message", [(TEXT, b"Hel"), (FIN | PING, b"p"), (FIN | CONTINUATION, b"lo"), NORMAL],
        ["Hello"], [b"p"]),
    Row("a Close in a message", [(TEXT, b"Hel"), NORMAL], []),
    Row("a Close without a code", [(FIN | TEXT, b"x"), (FIN | CLOSE, b"")], ["x"], close=None),
    Row("nothing counts behind a Close", [(FIN | TEXT, b"x"), NORMAL, (FIN | TEXT, b"y"), b"\xff\xff"], ["x"]),
    Row("a Close with a reason of 123 bytes", [closing(1000, "ä".encode() * 61 + b"x")], []),
    *(Row(f"a Close with {code}", [closing(code)], [], close=code)
      for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)),
    *(Row(f"the text {text!r}", [(FIN | TEXT, text.encode()), NORMAL], [text])
      for text in ("κόσμε", "\0", "\x7f", "\x80", "߿", "ࠀ", "\ud7ff", "\ue000", "\ufffd", "\uffff", "𐀀", "\U0010ffff")),
]

MESSAGE = (FIN | TEXT, b"x")
BAD = [
    *(Row(f"RSV bits {bits:#x} of opcode {opcode}", [MESSAGE, (FIN | bits | opcode, b"")], ["x"], close=1002)
      for bits in (0x40, 0x20, 0x10, 0x70) for opcode in (TEXT, BINARY, PING)),
    *(Row(f"opcode {opcode}", [MESSAGE, (first | opcode, b"")], ["x"], close=1002)
      for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15) for first in (FIN, 0)),
    *(Row(f"control frame {opcode} in fragments", [MESSAGE, (opcode, b"")], ["x"], close=1002)
      for opcode in (CLOSE, PING, PONG)),
    *(Row(f"control frame {opcode} of 126 bytes", [MESSAGE, (FIN | opcode, struct.pack(">H", 1000) + bytes(124))],
          ["x"],
          close=1002) for opcode in (CLOSE, PING, PONG)),
    Row("a continuation of nothing", [MESSAGE, (FIN | CONTINUATION, b"")], ["x"], close=1002),
    Row("a continuation behind a whole message", [(TEXT, b"a"), (FIN | CONTINUATION, b"b"), (CONTINUATION, b"c")],
        ["ab"], close=1002),
    Row("a text in a text", [MESSAGE, (TEXT, b"a"), (FIN | TEXT, b"b")], ["x"], close=1002),
    Row("a binary message in a text", [MESSAGE, (TEXT, b"a"), (FIN | BINARY, b"b")], ["x"], close=1002),
    *(Row(f"a Close with {code}", [MESSAGE, closing(code)], ["x"], close=1002)
      for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)),
    Row("a Close of one byte", [MESSAGE, (FIN | CLOSE, b"\x03")], ["x"], close=1002),
    Row("a Close whose reason is no UTF-8", [MESSAGE, closing(1000, b"\xff")], ["x"], close=1007),
    *(Row(f"the text {text!r}", [MESSAGE, (FIN | TEXT, text)], ["x"], close=1007)
      for text in (b"\x80", b"\xbf", b"\xc0\xaf", b"\xc1\xbf", b"\xc3", b"\xe0\x80\xaf", b"\xed\xa0\x80",
                   b"\xed\xbf\xbf",
                   b"\xf0\x80\x80\xaf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe",
                   b"\xff",
                   b"\xe2\x82", b"a\xcebb")),
    Row("a text that ends inside a letter", [(TEXT, b"a"), (FIN | CONTINUATION, b"\xc3")], [], close=1007),
]


def as_bytes(row: Row, masked: bool) -> bytes:
    return b"".join(part if isinstance(part, bytes) else frame(*part, masked=masked) for part in row.frames)


@pytest.mark.parametrize("server_side", [True, False], ids=["server", "client"])
@pytest.mark.parametrize("is_whole", [True, False], ids=["whole", "bytewise"])
@pytest.mark.parametrize("row", [*GOOD, *BAD], ids=lambda row: row.name)
def test_a_row(row: Row, is_whole: bool, server_side: bool) -> None:
    data = as_bytes(row, server_side)
    if not is_whole and len(data) > 5000:
        data, tail = data[:2000], data[2000:]
    else:
        tail = b""
    is_good = row in GOOD
    with pair(server_side=server_side) as (sock, raw):
        for piece in [data] if is_whole else [data[at:at + 1] for at in range(len(data))]:
            try:
                raw.send(piece)
            except OSError:  # it has heard enough
                assert not is_good
        raw.send(tail)
        pongs = []
        while (found := raw.read_frame()).opcode == PONG:
            pongs.append(found.payload)
        assert (found.opcode, found.code) == (CLOSE, row.close)
        if is_good and not server_side:
            raw.socket.shutdown(1)  # the server ends TCP first
        assert raw.read_until_eof() == b""
        messages: list[str | bytes] = []
        if is_good:
            messages.extend(sock)
            assert pongs == row.pongs
            code, reason = row.frames[-1] if isinstance(row.frames[-1], tuple) else NORMAL
            if code == FIN | CLOSE:
                assert sock.close_code == (1005 if row.close is None else row.close)
                assert sock.close_reason == reason[2:].decode()
        else:
            with pytest.raises(WebSocketException) as caught:
                for message in sock:
                    messages.append(message)
            assert caught.value.message and caught.value.http_status_code is None
            assert sock.close_code == row.close
        assert messages == row.messages
        assert [type(message) for message in messages] == [type(message) for message in row.messages]
        assert list(sock) == []


@pytest.mark.parametrize("first", [FIN | TEXT, FIN | PING, FIN | CLOSE])
@pytest.mark.parametrize("server_side", [True, False], ids=["server", "client"])
def test_the_wrong_side_masks(first: int, server_side: bool) -> None:
    with pair(server_side=server_side) as (sock, raw):
        raw.send(frame(first, b"", masked=not server_side))
        raw.closes_with(1002)
        with pytest.raises(WebSocketException, match="masked"):
            list(sock)


@pytest.mark.parametrize("length", [
    b"\x7e\x00\x00", b"\x7e\x00\x7d", b"\x7f" + struct.pack(">Q", 0), b"\x7f" + struct.pack(">Q", 125),
    b"\x7f" + struct.pack(">Q", 126), b"\x7f" + struct.pack(">Q", 65535), b"\x7f" + struct.pack(">Q", 1 << 63)])
def test_lengths_that_are_none(length: bytes) -> None:
    """Not in the shortest form, or with the highest bit set: known before the payload has come."""
    with pair() as (sock, raw):
        raw.send(frame(FIN | BINARY, b"", length=length))
        raw.closes_with(1002)
        with pytest.raises(WebSocketException, match="length"):
            list(sock)


@pytest.mark.parametrize("first, code", [(FIN | 3, 1002), (CONTINUATION, 1002), (FIN | RSV1 | TEXT, 1002),
                                         (PING, 1002)])
def test_a_first_byte_is_enough(first: int, code: int) -> None:
    with pair() as (sock, raw):
        raw.send(bytes([first]))
        raw.closes_with(code)
        with pytest.raises(WebSocketException):
            list(sock)


@pytest.mark.parametrize("wrong", [b"\xff", b"\xc0", b"\xf5", b"\xed\xa0", b"\xe0\x80", b"\xf0\x80", b"\xf4\x90",
                                   b"\xc3("])
@pytest.mark.parametrize("as_fragments", [False, True])
def test_a_broken_text_is_refused_at_its_first_wrong_byte(wrong: bytes, as_fragments: bool) -> None:
    """Of a gigabyte that never comes."""
    with pair() as (sock, raw):
        sock.max_message_size = None
        if as_fragments:
            raw.send(frame(TEXT, b"good " + wrong[:-1]) + frame(CONTINUATION, wrong[-1:]))
        else:
            length = b"\x7f" + struct.pack(">Q", 1 << 30)
            raw.send(frame(FIN | TEXT, b"good " + wrong, length=length))
        raw.closes_with(1007)
        with pytest.raises(WebSocketException, match="UTF-8"):
            list(sock)


@pytest.mark.parametrize("last", [b"\xc3", b"\xe2\x82", b"\xf0\x90\x80", b"\xed\x9f", b"\xf4\x8f"])
def test_what_may_yet_become_a_text_is_waited_for(last: bytes) -> None:
    with pair() as (sock, raw):
        raw.send(frame(TEXT, last) + frame(FIN | PING, b"still there?"))
        assert raw.read_frame() == (FIN | PONG, b"still there?")


def test_limits_hold_before_the_payload_comes() -> None:
    with pair() as (sock, raw):
        sock.max_message_size = 10
        raw.send(frame(FIN | BINARY, bytes(10)) + frame(FIN | BINARY, b"", length=bytes([11])))
        raw.closes_with(1009)
        assert sock.first() == bytes(10)
        with pytest.raises(WebSocketException, match="10"):
            list(sock)


def test_limits_hold_for_all_fragments_together() -> None:
    with pair(server_side=False) as (sock, raw):
        sock.max_message_size = 10
        for first in (TEXT, CONTINUATION):
            raw.send_frame(first, b"123456")
        raw.closes_with(1009)
        assert sock.close_code == 1009


def test_many_small_fragments_cost_what_they_have() -> None:
    with pair() as (sock, raw):
        raw.send(frame(TEXT, "ä".encode()) + frame(CONTINUATION, "ä€".encode()) * 5000 + frame(FIN | CONTINUATION))
        assert sock.first() == "ä" + "ä€" * 5000


def test_a_failure_is_no_reset() -> None:
    """What a peer goes on sending behind its fault does not make it lose the Close that says what was wrong."""
    with pair() as (sock, raw):
        raw.send(frame(FIN | 3))
        for _ in range(16):
            raw.send(bytes(65536))
        raw.finish_sending()
        raw.closes_with(1002)


def test_in_tcp_as_well() -> None:
    with echoing(compression=OFF) as server, upgraded(server.port) as client:
        client.send_frame(FIN | TEXT, "Grüße".encode())
        assert client.read_frame() == (FIN | TEXT, "Grüße".encode())
        client.send(frame(FIN | 3) + bytes(1 << 20))
        client.finish_sending()
        client.closes_with(1002)


def test_after_a_failure_the_connection_is_half_closed() -> None:
    """The peer has the Close and the end, and what it sends yet is read away until it ends as well."""
    with echoing(compression=OFF) as server, upgraded(server.port) as client:
        client.send(frame(FIN | 3))
        client.closes_with(1002)
        for _ in range(2):
            client.send(bytes(1 << 20))
        client.finish_sending()


def test_frames_behind_the_request_are_no_fault() -> None:
    with echoing(compression=OFF) as server, upgraded(server.port, behind=frame(FIN | TEXT, b"early")) as client:
        assert client.read_frame() == (FIN | TEXT, b"early")
        client.say_goodbye()


def test_all_of_one_message_is_one_write_and_masked_anew() -> None:
    with pair(server_side=False) as (sock, raw):
        sock.add("x" * 1000)
        sock.add("x" * 1000)
        one, two = raw.read_exactly(1008), raw.read_exactly(1008)
        assert one[:4] == two[:4] == b"\x81\xfe\x03\xe8" and one[4:8] != two[4:8]


def test_a_close_waits_for_nothing_that_is_whole() -> None:
    with pair() as (sock, raw):
        raw.send(close_frame(4000, b"so"))
        raw.closes_with(4000)
        raw.close()
        assert sock.done.result(PATIENCE) is sock
        assert (sock.close_code, sock.close_reason, sock.ready_state) == (4000, "so", sock.CLOSED)
