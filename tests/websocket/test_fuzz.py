"""Whatever frames come: messages as the model has them, then a close code that it may have, and nothing else dies.

The invariant, for damaged and undamaged rows of frames, in random pieces, with and without compression: the messages
are those of the model up to the first fault; a row without a fault ends as its Close says; one with a fault
ends with 1002, 1007 or 1009 and one WebSocketException.  The seed is in the test's name.
"""
from __future__ import annotations

import random
import struct
import zlib

import pytest

from blockingio import CompressionOptions, WebSocketException
from blockingio.websocket.inbound import Inbound
from blockingio.websocket.compression import Inflater
from blockingio.websocket.frames import Close, Ping, Pong
from blockingio.websocket.status import Violation
from tests.websocket.raw import BINARY, CLOSE, CONTINUATION, FIN, OFF, PING, PONG, RSV1, TEXT, frame, pair

ROWS = 60
# Pieces of a row that may be small; one of them has the rest.
PIECES = 300
LETTERS = "aäß€𐀀\U0010ffff\0"


class Model:
    """A row of frames, well-formed, and what comes of it."""

    def __init__(self, generator: random.Random, compressed: bool) -> None:
        self._random = generator
        self._deflate = zlib.compressobj(wbits=-15) if compressed else None
        self.frames: list[bytes] = []
        self.messages: list[str | bytes] = []
        self.pings: list[bytes] = []
        for _ in range(generator.randrange(8)):
            self._add_message()
        self.code = generator.choice([None, 1000, 1001, 3000, 4999])
        self._put(FIN | CLOSE, b"" if self.code is None else struct.pack(">H", self.code) + b"bye")

    def _add_message(self) -> None:
        size = self._random.choice([0, 1, 5, 125, 126, 300, 5000, 70_000])
        message: str | bytes = self._random.randbytes(size)
        if self._random.random() < 0.5:
            message = "".join(self._random.choices(LETTERS, k=size // 3))
        self.messages.append(message)
        data = message.encode() if isinstance(message, str) else message
        first = TEXT if isinstance(message, str) else BINARY
        if self._deflate is not None and data and self._random.random() < 0.7:
            data = (self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
            first |= RSV1
        count = self._random.choice([0, 0, 1, 3])
        cuts = sorted(self._random.randrange(len(data) + 1) for _ in range(count))
        parts = [data[one:two] for one, two in zip([0, *cuts], [*cuts, len(data)])]
        for at, part in enumerate(parts):
            if self._random.random() < 0.3:
                self._add_control()
            self._put((CONTINUATION if at else first) | (FIN if at == len(parts) - 1 else 0), part)

    def _add_control(self) -> None:
        payload = self._random.randbytes(self._random.choice([0, 4, 125]))
        opcode = self._random.choice([PING, PONG])
        if opcode == PING:
            self.pings.append(payload)
        self._put(FIN | opcode, payload)

    def _put(self, first: int, payload: bytes) -> None:
        self.frames.append(frame(first, payload, key=self._random.randbytes(4)))


def pieces(generator: random.Random, data: bytes) -> list[bytes]:
    most = generator.choice([1, 3, 50, 5000, 10 ** 9])
    large = generator.randrange(PIECES)
    found: list[bytes] = []
    at = 0
    while at < len(data):
        size = generator.randint(1, most)
        if len(found) == large:
            size = max(size, len(data) - at - PIECES * most)
        found.append(data[at:at + size])
        at += size
    return found


def damaged(generator: random.Random, data: bytes) -> bytes:
    damage = bytearray(data)
    for _ in range(generator.randint(1, 3)):
        at = generator.randrange(len(damage))
        kind = generator.randrange(4)
        if kind == 0:
            damage[at] ^= 1 << generator.randrange(8)
        elif kind == 1:
            damage[at] = generator.randrange(256)
        elif kind == 2 and len(damage) > 20:
            del damage[at:at + generator.randint(1, 10)]
        else:
            damage[at:at] = generator.randbytes(generator.randint(1, 10))
    return bytes(damage)


def read(inbound: Inbound, parts: list[bytes]) -> list[object]:
    return [event for part in parts for event in inbound.feed(part)]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("seed", range(ROWS))
def test_frames_as_they_should_be(seed: int, compressed: bool) -> None:
    generator = random.Random(seed)
    model = Model(generator, compressed)
    inbound = Inbound(is_masked=True, inflater=Inflater(15, False) if compressed else None, max_size=None)
    events = read(inbound, pieces(generator, b"".join(model.frames)))
    assert [event for event in events if isinstance(event, str | bytes)] == model.messages
    assert [event.payload for event in events if isinstance(event, Ping)] == model.pings
    assert events[-1] == Close(model.code, "" if model.code is None else "bye")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("seed", range(ROWS * 3))
def test_damaged_frames(seed: int, compressed: bool) -> None:
    """In two different sets of pieces, which make no difference."""
    generator = random.Random(seed)
    model = Model(generator, compressed)
    data = damaged(generator, b"".join(model.frames))
    results = []
    for _ in range(2):
        inbound = Inbound(is_masked=True, inflater=Inflater(15, False) if compressed else None, max_size=100_000)
        events = read(inbound, pieces(generator, data))
        assert all(isinstance(event, str | bytes | Ping | Pong | Close | Violation) for event in events)
        ends = [event for event in events if isinstance(event, Close | Violation)]
        assert ends == events[-1:] or not ends, "nothing comes behind an end"
        for end in ends:
            assert not isinstance(end, Violation) or (end.code in (1002, 1007, 1009) and end.message.isascii())
        assert all(len(event) <= 100_000 for event in events if isinstance(event, str | bytes))
        results.append([event.code if isinstance(event, Violation) else event for event in events])
    assert results[0] == results[1]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_damaged_frames_through_a_socket(seed: int, compressed: bool) -> None:
    generator = random.Random(seed)
    model = Model(generator, compressed)
    data = damaged(generator, b"".join(model.frames))
    with pair(compression=CompressionOptions() if compressed else OFF) as (sock, raw):
        try:
            for piece in pieces(generator, data):
                raw.send(piece)
        except OSError:
            pass  # it has heard enough
        raw.finish_sending()
        try:
            messages = list(sock)
        except WebSocketException:
            assert sock.close_code in (1002, 1007, 1009)
        else:
            assert sock.close_code is not None and all(isinstance(message, str | bytes) for message in messages)
