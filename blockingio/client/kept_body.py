"""The body of a request, kept while it is sent, in case that the server wants the request again.

Takes the pieces as they go out, before their framing; gives the whole, or nothing: half a body is never sent.
Belongs to the request, then to its response and to the requests that follow from it, one after the other.
"""

from __future__ import annotations

from typing import Final

from blockingio.wire.limits import KIB

# Bytes of an upload that are kept: most forms and JSON documents; before a larger one Expect: 100-continue is better.
KEPT_SIZE: Final = 256 * KIB


class KeptBody:
    __slots__ = ("size", "_data")

    def __init__(self) -> None:
        self.size = 0  # of all that was written
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if self.is_lost:
            self._data.clear()
        else:
            self._data += data

    @property
    def is_lost(self) -> bool:
        """It was more than is kept."""
        return self.size > KEPT_SIZE

    def whole(self) -> bytes:
        """All of it, for as often as it is wanted; not for one that is lost."""
        assert not self.is_lost
        return bytes(self._data)
