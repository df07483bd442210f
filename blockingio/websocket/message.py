"""One message while it is coming, in any number of frames and pieces.

It is checked, expanded and counted piece by piece.  Small pieces are kept in one buffer: a list of them would
take many times the bytes that they have.
"""

from __future__ import annotations

from blockingio.websocket.compression import Inflater
from blockingio.websocket.status import Violation, WebSocketStatus
from blockingio.websocket.utf8 import Utf8Check, decode

# Bytes from which on a piece is kept as an object of its own: the object's overhead is small then.
_LARGE = 4096


class Message:
    __slots__ = ("_is_text", "_check", "_inflater", "_max_size", "_size", "_pieces")

    def __init__(self, is_text: bool, inflater: Inflater | None, max_size: int | None) -> None:
        self._is_text = is_text
        self._check = Utf8Check() if is_text else None
        self._inflater = inflater  # None: it is not compressed
        self._max_size = max_size
        self._size = 0
        self._pieces: list[bytes | bytearray] = []

    def check_frame(self, size: int) -> None:
        """A frame of ``size`` bytes begins.  Raises Violation where that is known to be too much."""
        if self._inflater is None:
            self._check_size(self._size + size)

    def add(self, piece: bytes | bytearray) -> None:
        """Raises Violation."""
        if self._inflater is None:
            self._keep(piece)
        else:
            for data in self._inflater.expand(piece):
                self._keep(data)

    def end(self) -> str | bytes:
        """The whole.  Raises Violation."""
        if self._inflater is not None:
            for data in self._inflater.finish():
                self._keep(data)
        pieces = self._pieces
        whole = bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)
        return decode(whole) if self._is_text else whole

    def _keep(self, data: bytes | bytearray) -> None:
        self._size += len(data)
        self._check_size(self._size)
        if self._check is not None:
            self._check.add(data)
        pieces = self._pieces
        if len(data) >= _LARGE:
            pieces.append(data)
        elif pieces and isinstance(pieces[-1], bytearray):
            pieces[-1] += data
        else:
            pieces.append(bytearray(data))

    def _check_size(self, size: int) -> None:
        if self._max_size is not None and size > self._max_size:
            raise Violation(WebSocketStatus.MESSAGE_TOO_BIG,
                            f"a message has {size} bytes or more, expected at most {self._max_size}")  # fmt: skip
