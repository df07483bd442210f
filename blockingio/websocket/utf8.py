"""Text as it comes: whether what is here so far can be the beginning of UTF-8 (RFC 3629).

Python's incremental decoder refuses a byte as soon as no text can have it there, but for one kind: of a surrogate it
waits for the third byte, though the second says it all.
"""

from __future__ import annotations

from codecs import getincrementaldecoder

from blockingio.websocket.status import Violation, WebSocketStatus

_Decoder = getincrementaldecoder("utf-8")


class Utf8Check:
    """For one message, piece by piece."""

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = _Decoder()

    def add(self, piece: bytes | bytearray) -> None:
        """Raises Violation where it cannot be text."""
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
