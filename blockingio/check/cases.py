"""The shape of a row in the conformance tables: raw bytes, and what must come of them.

A row is data; nothing here opens a socket or knows the library.  The limits are those that the
server under test is given, small so that a case at a limit is still quick to send byte by byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

#: What the conformance server is told to accept (bytes, fields, bytes, bytes).
MAX_TARGET_LENGTH = 512
MAX_HEADER_COUNT = 32
MAX_HEADER_SIZE = 2048
MAX_BODY_SIZE = 4096


class Seen(NamedTuple):
    """A request that the handler must see, answered 200; a part that is None is not compared."""

    method: str = "GET"
    target: str | None = "/"
    version: str = "1.1"
    fields: Mapping[str, list[str]] | None = None
    body: bytes | None = b""
    trailers: Mapping[str, list[str]] | None = None


class Refused(NamedTuple):
    """An answer with one of these statuses and ``connection: close``; the connection ends.

    ``or_seen``: the standard also lets a server take the message, and then as this.
    """

    statuses: tuple[int, ...]
    or_seen: Seen | None = None


class Ignored(NamedTuple):
    """The client went away before a whole head: closed without an answer, no request."""


class Cut(NamedTuple):
    """The client went away inside a body: 400 or nothing, and the connection ends."""


Outcome = Seen | Refused | Ignored | Cut


class Case(NamedTuple):
    """One row: its name, the section that decides it, the bytes, and what comes of them in order."""

    name: str
    section: str
    raw: bytes
    outcomes: tuple[Outcome, ...]
    stays_open: bool


def case(name: str, section: str, raw: bytes, *outcomes: Outcome, closes: bool = False) -> Case:
    """A row; the connection stays open unless ``closes`` or the last outcome ends it."""
    return Case(name, section, raw, outcomes, not closes and isinstance(outcomes[-1], Seen))
