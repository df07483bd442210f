"""Listings kept in memory: to make one costs several times what a look at every entry does.

One is used again for as long as a look finds each entry as it was.  One look is enough for all requests that had come
before it, so a busy server looks less often than it is asked.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from blockingio.http_server.listing import PAGE_SIZE, Entry

# Listings of one cache, and entries and characters of each: some 32 MB at most.
_MOST = 16
_MOST_ENTRIES = PAGE_SIZE
_LONGEST = 1_000_000


class _Kept(NamedTuple):
    entries: Sequence[Entry]  # in the directory's own order
    looked_at: float  # when they were these, on the monotonic clock
    text: str


class ListingCache:
    """Texts by what they were made of.  Any thread may call: each use of the dict is one step,
    also without the GIL; some threads at once may keep some more than _MOST."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept] = {}

    def find(self, key: Hashable, asked_at: float) -> str | None:
        """What a look since ``asked_at`` has found to be right; None where there was no look."""
        kept = self._kept.get(key)
        return kept.text if kept is not None and asked_at < kept.looked_at else None

    def find_for(self, key: Hashable, looked_at: float, entries: Sequence[Entry]) -> str | None:
        """What was made of the same entries; None where they have changed.  The look began at ``looked_at``."""
        kept = self._kept.get(key)
        if kept is None or kept.entries != entries:
            return None
        self._kept[key] = kept._replace(looked_at=looked_at)
        return kept.text

    def keep(self, key: Hashable, looked_at: float, entries: Sequence[Entry], text: str) -> None:
        """Keep what was made of what a look that began at ``looked_at`` has found."""
        if len(text) > _LONGEST or len(entries) > _MOST_ENTRIES:
            return
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[key] = _Kept(entries, looked_at, text)
