"""Listings kept in memory: to make one costs several times what a look at every entry does.

One is used again for as long as a look finds each entry as it was.  One look is enough for all requests that had come
before it, so a busy server looks less often than it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from time import monotonic
from typing import NamedTuple

from blockingio.http_server.listing import PAGE_SIZE, Item
from blockingio.values.kept import keep

# Listings of one cache, and entries and characters of each: some 32 MB at most.
_MOST = 16
_MOST_ITEMS = PAGE_SIZE
_LONGEST = 1_000_000


class _Seen(NamedTuple):
    items: Sequence[Item]
    looked_at: float  # when they were these, on the monotonic clock
    text: str


class _Kept:
    """One listing.  ``turn`` is held for a look, so that threads that wait for it find it done; ``seen`` is replaced in
    one step."""

    __slots__ = ("turn", "seen")

    def __init__(self, seen: _Seen) -> None:
        self.turn = Lock()
        self.seen = seen


class ListingCache:
    """Listings by what they were made of.  Any thread may call: each use of the dict is one step,
    also without the GIL; some threads at once may keep some more than _MOST."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept] = {}

    def text(self, key: Hashable, asked_at: float, look: Callable[[], Sequence[Item]],
             make: Callable[[Sequence[Item]], str]) -> str:
        """What ``make`` gives for what ``look`` finds, at some time since ``asked_at`` on the monotonic clock.

        Raises what they do.
        """
        kept = self._kept.get(key)
        if kept is None:
            seen = _look(look, make, None)
            if _is_small(seen):
                keep(self._kept, key, _Kept(seen), _MOST)
            return seen.text
        if kept.seen.looked_at <= asked_at:
            with kept.turn:
                if kept.seen.looked_at <= asked_at:
                    kept.seen = _look(look, make, kept.seen)
                    if not _is_small(kept.seen):
                        self._kept.pop(key, None)
        return kept.seen.text


def _look(look: Callable[[], Sequence[Item]], make: Callable[[Sequence[Item]], str], last: _Seen | None) -> _Seen:
    looked_at = monotonic()
    items = look()
    return _Seen(items, looked_at, last.text if last is not None and last.items == items else make(items))


def _is_small(seen: _Seen) -> bool:
    return len(seen.text) <= _LONGEST and len(seen.items) <= _MOST_ITEMS
