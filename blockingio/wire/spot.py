"""Where in what the peer sent a fault is: the line, and the byte of it that nothing goes on from.

For messages alone: found once a fault is known, so what is well-formed pays nothing for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

# Bytes of a line behind the spot that are kept.
_KEPT = 200


class Spot(NamedTuple):
    """``at`` is an index into ``line``; one past its end says that the line ends too early."""

    line: bytes
    at: int


def reach(parts: Iterable[bytes], text: bytes, start: int = 0) -> int:
    """How far these patterns, one behind the other, go in a text: where the first one that does not match begins.

    They are compiled when they are first needed, and kept by re: most servers meet no fault of most kinds.
    """
    at = start
    for part in parts:
        match = re.compile(part).match(text, at)
        if match is None:
            break
        at = match.end()
    return at


def spot_in(text: bytes | bytearray, at: int) -> Spot:
    """The line around this position, without its CRLF; a LF or CR that is the fault itself belongs to it."""
    begin = text.rfind(b"\n", 0, at) + 1
    line = bytes(text[begin : at + _KEPT])
    end = line.find(b"\r\n", at - begin + 1)
    if end < 0:
        end = line.find(b"\n", at - begin + 1)
    return Spot(line if end < 0 else line[:end], at - begin)


def field_spots(block: bytes, name: bytes) -> list[Spot]:
    """The values of all fields of this name, in lower case, in a header section."""
    spots = []
    for line in block.split(b"\r\n"):
        found, colon, value = line.partition(b":")
        if colon and found.lower() == name:
            spots.append(Spot(line, len(line) - len(value.lstrip(b" \t"))))
    return spots
