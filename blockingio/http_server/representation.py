"""Representation: what is sent of one file, and what is said of it (RFC 9110 3.2, 8.8).

Made from an open file, whose descriptor stays its opener's.  One whose bytes are in memory needs
no descriptor any more.
"""

from __future__ import annotations

from functools import lru_cache

from blockingio.errors import HttpException
from blockingio.http_server.mime import SNIFF_SIZE, sniff, type_of_extension
from blockingio.http_server.safe_open import Opened
from blockingio.net import system
from blockingio.values.date import HttpDate

# Bytes up to which a file is read and sent in one write with its head: less than the response's
# buffer, so that it is not sent before it is closed.
SMALL_FILE = 64 * 1024 - 1


class Representation:
    """One file's bytes with their validators.

    ``modified`` is in whole seconds since 1970, never later than it was when this was made
    (RFC 9110 8.8.2.1).  ``coding`` is the Content-Encoding, None for the file as it is.
    """

    __slots__ = ("descriptor", "data", "size", "etag", "modified", "last_modified", "media_type", "coding")

    def __init__(self, opened: Opened, media_type: str, coding: str | None, now: float) -> None:
        status = opened.stat
        self.descriptor = opened.descriptor
        self.data: bytes | None = None
        self.size = size = status.st_size
        # Nanoseconds: two contents within one second are two tags, and strong ones.
        tail = "" if coding is None else f"-{coding}"
        self.etag = f'"{status.st_mtime_ns:x}-{size:x}{tail}"'
        self.modified = modified = max(0, int(min(status.st_mtime, now)))
        self.last_modified = _http_date(modified)
        self.media_type = media_type
        self.coding = coding

    def load(self) -> bytes:
        """All of the bytes, kept from now on.  Raises HttpException where the file has become shorter."""
        if self.data is None:
            self.data = self.read(0, self.size)
        return self.data

    def read(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``.  Raises HttpException where the file ends before, OSError."""
        if self.data is not None:
            return self.data[offset:offset + count]
        data = read_at(self.descriptor, offset, count)
        if len(data) < count:
            raise HttpException(f"the file ended after {offset + len(data)} bytes, expected {self.size}")
        return data


def media_type_of(name: str, opened: Opened) -> str:
    """The Content-Type of a file, by its name, else by its first bytes."""
    _, dot, extension = name.rpartition(".")
    media_type = type_of_extension(extension) if dot else None
    return media_type or sniff(read_at(opened.descriptor, 0, SNIFF_SIZE))


def read_at(descriptor: int, offset: int, count: int) -> bytes:
    """``count`` bytes from there, fewer only at the end of the file."""
    data = system.read_at(descriptor, count, offset)
    while len(data) < count and (more := system.read_at(descriptor, count - len(data), offset + len(data))):
        data += more
    return data


# A site's files have few dates among them, and a date costs more than all else that is said of a file.
_http_date = lru_cache(maxsize=1024)(HttpDate.format_timestamp)
