"""Listings kept for a moment: to make one costs a look at every entry, and a busy server is asked for the same one.

One is used again within a second, as long as its folder has the entries that it had.  So a name that comes or goes
shows at once, and that a file has grown after a second at most.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from time import monotonic, time

from blockingio.http_server.file_cache import SETTLED_AFTER, Identity, identity_of

# Seconds for which sizes and times of files are taken to be as they were.
KEPT_FOR = 1.0

# Listings of one cache, and characters of each: 16 MB at most.
_MOST = 16
_LONGEST = 1_000_000


class ListingCache:
    """Texts by what they were made of.  Any thread may call: each use of the dict is one step,
    also without the GIL; some threads at once may keep some more than _MOST."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[Identity, float, str]] = {}

    def find(self, key: Hashable, folder: os.stat_result) -> str | None:
        """What was kept for an open folder; None where there is nothing, or nothing that still holds."""
        kept = self._kept.get(key)
        if kept is None or kept[0] != identity_of(folder) or monotonic() > kept[1]:
            return None
        return kept[2]

    def keep(self, key: Hashable, folder: os.stat_result, asked_at: float, text: str) -> None:
        """Keep what was made from a look that began at ``asked_at``, on the monotonic clock.

        Not where the folder has changed lately: its next change might have the same time stamp.
        """
        if len(text) > _LONGEST or max(folder.st_mtime, folder.st_ctime) > time() - SETTLED_AFTER:
            return
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[key] = (identity_of(folder), asked_at + KEPT_FOR, text)
