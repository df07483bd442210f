"""Pieces of an answer that wait for their client: of memory and of files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from blockingio.net.channel import Channel
from blockingio.wire.limits import LARGE_PIECE_SIZE

# References to a buffer that only a Piece has, as getrefcount() counts them: the attribute and the argument.
_ONLY_OURS = 2


class Piece:
    """What is left of some bytes, which are not copied: an object that many answers share is in memory once.

    ``buffer`` is left from ``start`` on; what is between ``first`` and ``last`` in it belongs to the body, the
    rest is head or framing.  It belongs to a send queue, and is guarded by its condition.
    """

    __slots__ = ("buffer", "start", "first", "last")

    def __init__(self, buffer: bytes, start: int, first: int, last: int) -> None:
        self.buffer = buffer
        self.start = start
        self.first = first
        self.last = last

    @property
    def left(self) -> int:
        return len(self.buffer) - self.start

    @property
    def is_wasteful(self) -> bool:
        """The larger part of a large buffer is sent already."""
        return len(self.buffer) > LARGE_PIECE_SIZE and self.left * 2 <= len(self.buffer)

    @property
    def is_only_ours(self) -> bool:
        """No other reference to the buffer is left, so that it is freed where this lets go of it."""
        return sys.getrefcount(self.buffer) <= _ONLY_OURS

    def shrink(self) -> None:
        """Keep a copy of what is left."""
        sent = self.start
        self.buffer = self.buffer[sent:]
        self.start = 0
        self.first = max(self.first - sent, 0)
        self.last = max(self.last - sent, 0)

    @property
    def view(self) -> memoryview:
        """What is left; while this view is there, the piece cannot be shrunk."""
        return memoryview(self.buffer)[self.start :]

    def advance(self, size: int) -> int:
        """So many bytes more are sent; how many of these were the body's."""
        before = min(max(self.start, self.first), self.last)
        self.start += size
        return min(max(self.start, self.first), self.last) - before


class FilePart:
    """A stretch of an open file, by a descriptor of its own; all of it is the body's, and none of it in memory."""

    def __init__(self, descriptor: int, offset: int, count: int) -> None:
        self._descriptor = os.dup(descriptor)
        self._offset = offset
        self._count = count

    def send(self, channel: Channel, timeout: float | None, note: Callable[[int], None]) -> bool:
        """False where the file has become shorter; ``note`` is told of each number of bytes.  Raises OSError."""
        try:
            return channel.send_file(self._descriptor, self._offset, self._count, timeout, note) == self._count
        finally:
            self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def pieces_of(before: bytes, body: bytes, after: bytes, sent: int) -> list[Piece]:
    """What is left of the three in a row once ``sent`` bytes of them have gone."""
    pieces = []
    for buffer, is_body in ((before, False), (body, True), (after, False)):
        if sent < len(buffer):
            pieces.append(Piece(buffer, sent, 0, len(buffer) if is_body else 0))
        sent = max(sent - len(buffer), 0)
    return pieces
