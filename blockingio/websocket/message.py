"""One message while it is coming, in any number of frames and pieces.

It is checked, expanded and counted piece by piece.  Small pieces are kept in one buffer: a list of them would
take many times the bytes that they have.
"""

from __future__ import annotations

from codecs import getincrementaldecoder

from blockingio.websocket.compression import Inflater
from blockingio.websocket.status import Violation, WebSocketStatus

# Bytes from which on a piece is kept as an object of its own: the object's overhead is small then.
_LARGE = 4096


class Message:
    __slots__ = ("_check", "_inflater", "_max_size", "_size", "_pieces")

    def __init__(self, is_text: bool, inflater: Inflater | None, max_size: int | None) -> None:
        self._check = Utf8Check() if is_text else None  # None: it is binary
        self._inflater = inflater  # None: it is not compressed
        self._max_size = max_size
        self._size = 0
        self._pieces: list[bytes | bytearray] = []

    def check_frame(self, size: int) -> None:
        """A frame of ``size`` bytes begins.  Raises Violation where that is known to be too much."""
        if self._inflater is None:
            self._check_size(self._size + size)

    def add(self, piece: bytes | bytearray) -> None:
        """Take a piece of the payload.  Raises Violation."""
        if self._inflater is None:
            self._keep(piece)
        else:
            for data in self._inflater.expand(piece):
                self._keep(data)

    def end(self) -> str | bytes:
        """The whole message.  Raises Violation."""
        if self._inflater is not None:
            for data in self._inflater.finish():
                self._keep(data)
        pieces = self._pieces
        whole = bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)
        return whole if self._check is None else decode(whole)

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
                            f"a message has {size} bytes or more, expected at most {self._max_size}")


class Utf8Check:
    """Whether what is here of a text can be the beginning of UTF-8 (RFC 3629); for one message, piece by piece.

    Python's incremental decoder refuses a byte as soon as no text can have it there, but for one kind: of a surrogate
    it waits for the third byte, though the second says it all.
    """

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")()

    def add(self, piece: bytes | bytearray) -> None:
        """Look at a piece.  Raises Violation where it cannot be text."""
        try:
            self._decoder.decode(piece)
        except UnicodeDecodeError as error:
            raise _not_utf8(error.reason) from None
        begun = self._decoder.getstate()[0]
        if begun[:1] == b"\xed" and begun[1:] > b"\x9f":
            raise _not_utf8("a surrogate")


def decode(data: bytes | bytearray) -> str:
    """A whole text.  Raises Violation."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8(error.reason) from None


def _not_utf8(reason: str) -> Violation:
    return Violation(WebSocketStatus.INVALID_FRAME_PAYLOAD_DATA, f"a text is no UTF-8: {reason}")
