"""Bytes of frames to messages: RFC 6455 5 to the letter, in any pieces.

Takes what was received; gives texts as str, binary messages as bytes, Ping, Pong, Close, and at the end perhaps the
Violation that ends it.  Knows no socket and no thread; belongs to the one that reads.  A payload is unmasked, checked,
expanded and counted as it comes, so that what is wrong is known at its first wrong byte and what is too
large is never kept.
"""

from __future__ import annotations

from typing import TypeAlias

from blockingio.websocket.compression import Inflater
from blockingio.websocket.frames import (
    BINARY, CLOSE, CONTINUATION, FIN, MASKED, MAX_CONTROL_SIZE, PING, PONG, RESERVED, RSV1, TEXT, Close, Ping, Pong)
from blockingio.websocket.masking import apply_mask, rotate
from blockingio.websocket.message import Message, decode
from blockingio.websocket.status import Violation, WebSocketStatus, is_code_to_receive

Event: TypeAlias = "str | bytes | Ping | Pong | Close | Violation"

_OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_WHOLE_TEXT = FIN | TEXT
_WHOLE_BINARY = FIN | BINARY


class Inbound:
    __slots__ = ("max_size", "left", "_bit", "_inflater", "_part", "_key", "_opcode", "_is_fin",
                 "_control", "_message", "_is_closed")

    def __init__(self, *, is_masked: bool, inflater: Inflater | None, max_size: int | None) -> None:
        self.max_size = max_size  # bytes of a message, None: any; may be changed by any thread between two frames
        self.left = 0  # bytes of the frame's payload that have yet to come
        self._bit = MASKED if is_masked else 0  # masked: the peer is a client
        self._inflater = inflater
        self._part = b""  # a head that is coming in pieces
        # The frame whose payload is coming.
        self._key = b""  # for its next byte
        self._opcode = 0
        self._is_fin = False
        self._control = b""  # the payload of a control frame, so far
        self._message: Message | None = None  # the one that is coming, perhaps in several frames
        self._is_closed = False  # a Close has come, or a violation: nothing counts any more

    def feed(self, data: bytes) -> list[Event]:
        """What comes of some more bytes; behind a Close or a Violation nothing."""
        events: list[Event] = []
        try:
            self._parse(data, events)
        except Violation as violation:
            self._is_closed = True
            self._message = None
            events.append(violation)
        return events

    def _parse(self, data: bytes, events: list[Event]) -> None:
        if self._part:
            data = self._part + data
            self._part = b""
        at, end = 0, len(data)
        bit = self._bit
        while not self._is_closed:
            if self.left:
                if at == end:
                    return
                piece = data[at : at + self.left]
                at += len(piece)
                self._take(piece, events)
                continue
            if end - at >= 2:
                # Most frames are a whole message, short, and here.
                first, size = data[at], data[at + 1] ^ bit
                start = at + 6 if bit else at + 2
                is_usual = (size < 126 and start + size <= end and self._message is None
                            and (self.max_size is None or size <= self.max_size))
                if is_usual and (first == _WHOLE_TEXT or first == _WHOLE_BINARY):
                    at = start + size
                    payload = data[start:at]
                    if bit:
                        payload = bytes(apply_mask(payload, data[start - 4 : start]))
                    events.append(payload if first == _WHOLE_BINARY else decode(payload))
                    continue
            start = self._begin_frame(data, at)
            if not start:
                self._part = data[at:]
                return
            at = start
            if not self.left:
                self._end_frame(events)

    def _begin_frame(self, data: bytes, at: int) -> int:
        """Take a head; where its payload begins, 0 where it is not all here.  Raises Violation as early as can be."""
        have = len(data) - at
        if not have:
            return 0
        first = data[at]
        self._check_first(first)
        if have < 2:
            return 0
        second = data[at + 1]
        size = second & 0x7F
        self._check_second(first, second, size)
        at += 2
        if size > 125:
            wide = 2 if size == 126 else 8
            size = int.from_bytes(data[at : at + wide])
            at += wide
            if at > len(data):
                return 0
            _check_size(size, wide)
        if self._bit:
            self._key = data[at : at + 4]
            at += 4
            if at > len(data):
                return 0
        self.left = size
        self._opcode = first & 0x0F
        self._is_fin = first >= FIN
        if self._opcode >= CLOSE:
            self._control = b""
        else:
            self._begin_data(first, size)
        return at

    def _check_first(self, first: int) -> None:
        opcode = first & 0x0F
        if opcode not in _OPCODES:
            raise _broken(f"a frame has the opcode {opcode}, expected 0 to 2 or 8 to 10")
        if first & RESERVED:
            raise _broken("a frame has RSV2 or RSV3 set, and no extension that says why")
        if first & RSV1 and (self._inflater is None or opcode not in (TEXT, BINARY)):
            raise _broken("a frame has RSV1 set, which is for the first frame of a compressed message"
                          if self._inflater else "a frame has RSV1 set, and no extension that says why")
        if opcode >= CLOSE:
            if first < FIN:
                raise _broken("a control frame is fragmented")
        elif opcode == CONTINUATION and self._message is None:
            raise _broken("a continuation frame, and no message that it continues")
        elif opcode != CONTINUATION and self._message is not None:
            raise _broken("a new message in the middle of another one, expected a continuation frame")

    def _check_second(self, first: int, second: int, size: int) -> None:
        if (second & MASKED) != self._bit:
            raise _broken("a frame of a client is not masked" if self._bit else "a frame of a server is masked")
        if size > MAX_CONTROL_SIZE and first & 0x0F >= CLOSE:
            raise _broken(f"a control frame has more than {MAX_CONTROL_SIZE} bytes")
        if first & 0x0F == CLOSE and size == 1:
            raise _broken("a Close frame has one byte, expected a code of two, or none")

    def _begin_data(self, first: int, size: int) -> None:
        message = self._message
        if message is None:
            inflater = self._inflater if first & RSV1 else None
            message = self._message = Message(first & 0x0F == TEXT, inflater, self.max_size)
        message.check_frame(size)

    def _take(self, piece: bytes, events: list[Event]) -> None:
        self.left -= len(piece)
        payload: bytes | bytearray = piece
        if self._bit:
            payload = apply_mask(piece, self._key)
            self._key = rotate(self._key, len(piece))
        if self._opcode >= CLOSE:
            self._control += payload
        else:
            assert self._message is not None  # begun with the frame's head
            self._message.add(payload)
        if not self.left:
            self._end_frame(events)

    def _end_frame(self, events: list[Event]) -> None:
        opcode = self._opcode
        if opcode < CLOSE:
            if self._is_fin:
                message, self._message = self._message, None
                assert message is not None
                events.append(message.end())
        elif opcode == PING:
            events.append(Ping(self._control))
        elif opcode == PONG:
            events.append(Pong(self._control))
        else:
            events.append(_read_close(self._control))
            self._is_closed = True
            self._message = None


def _check_size(size: int, wide: int) -> None:
    if size < (126 if wide == 2 else 65536):
        raise _broken(f"a length of {size} is written in {wide} bytes, expected the shortest form")
    if size >> 63:
        raise _broken("a length has its highest bit set")


def _read_close(payload: bytes) -> Close:
    """The code and the reason (RFC 6455 5.5.1, 7.4)."""
    if not payload:
        return Close(None, "")
    code = int.from_bytes(payload[:2])
    if not is_code_to_receive(code):
        raise _broken(f"a Close frame has the code {code}, which must not be sent")
    return Close(code, decode(payload[2:]))


def _broken(message: str) -> Violation:
    return Violation(WebSocketStatus.PROTOCOL_ERROR, message)
