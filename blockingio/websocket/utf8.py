"""Text as it comes: whether what is here so far can be the beginning of UTF-8 (RFC 3629).

Python's incremental decoder refuses a byte as soon as no text can have it there: also a surrogate or what is beyond
U+10FFFF at its second byte.
"""

from __future__ import annotations

from codecs import getincrementaldecoder

from blockingio.websocket.status import Violation, WebSocketStatus

_Decoder = getincrementaldecoder("utf-8")


class Utf8Check:
    """For one message, piece by piece."""

    __slots__ = ("_decode",)

    def __init__(self) -> None:
        self._decode = _Decoder().decode

    def add(self, piece: bytes | bytearray) -> None:
        """Raises Violation where it cannot be text."""
        try:
            self._decode(piece)  # type: ignore[arg-type]
        except UnicodeDecodeError as error:
            raise not_utf8(error) from None


def decode(data: bytes | bytearray) -> str:
    """A whole text.  Raises Violation."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise not_utf8(error) from None


def not_utf8(error: UnicodeDecodeError) -> Violation:
    return Violation(WebSocketStatus.INVALID_FRAME_PAYLOAD_DATA, f"a text is no UTF-8: {error.reason}")
