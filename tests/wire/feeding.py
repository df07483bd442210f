"""Bytes for a Source: in what segments they come, and what of them is left."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from blockingio.wire.limits import DEFAULT_LIMITS, Limits
from blockingio.wire.source import Source

TRAILING = b"GET /next HTTP/1.1\r\nHost: b\r\n\r\n"
#: The three ways in which each case is read: (name, segments of these bytes, what is behind them).
WAYS = ["whole", "byte by byte", "with trailing bytes"]


class Feed:
    """A receive() that gives these segments, one a call; an exception among them is raised; then the end."""

    def __init__(self, segments: Iterable[bytes | BaseException]) -> None:
        self._rest: Iterator[bytes | BaseException] = iter(segments)
        self._left = b""
        self.calls: list[int] = []

    def __call__(self, size: int) -> bytes:
        self.calls.append(size)
        data: bytes | BaseException = self._left or next(self._rest, b"")
        if isinstance(data, BaseException):
            raise data
        self._left = data[size:]
        return data[:size]


def source_of(*segments: bytes | BaseException) -> Source:
    return Source(Feed(segments))


def sources(raw: bytes) -> Iterator[tuple[Source, bytes]]:
    """The bytes in each of the three ways, with what must be left of them when they are read."""
    for way in WAYS:
        yield source_in(way, raw), TRAILING if way == "with trailing bytes" else b""


def source_in(way: str, raw: bytes) -> Source:
    if way == "byte by byte":
        return source_of(*(raw[at:at + 1] for at in range(len(raw))))
    return source_of(raw + TRAILING if way == "with trailing bytes" else raw)


def rest_of(source: Source) -> bytes:
    """What has not been read, received or not."""
    data = source.take_pending()
    while more := source.read_some(65536):
        data += more
    return data


def nothing() -> None:
    """A before_wait that does nothing."""


def head_of(source: Source, limits: Limits = DEFAULT_LIMITS,
            before_wait: Callable[[], None] = nothing) -> bytes | None:
    return source.head(limits, before_wait)
