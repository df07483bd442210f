"""The watch over WebSockets that are read by those who iterate them: one that nobody reads is noticed in time.

Who iterates leaves the reading to nobody while it is busy, and should be back at once.  A tick, while there is anything
to watch, looks at each that was left since: has nobody come back between two ticks, its background thread is recalled.
One that is being read is watched no more, until it is left again.
"""

from __future__ import annotations

from threading import Lock
from typing import Protocol

from blockingio.websocket.clock import clock

# Seconds between two ticks.
TICK = 0.05
# Ticks without anything to watch before there are no more: those who are busy come and go.
_LINGER = 2


class Watched(Protocol):
    is_watched: bool  # written under the watch's lock
    leaves: int  # how often somebody who iterates has left it; by who just has
    seen_leaves: int  # what that was at the last tick; the watch's own

    @property
    def is_left(self) -> bool: ...
    def recall(self) -> None: ...


class Watch:
    def __init__(self) -> None:
        self._lock = Lock()  # guards what follows
        self._watched: set[Watched] = set()
        self._is_ticking = False
        self._quiet = 0  # ticks without anything to watch

    def add(self, one: Watched) -> None:
        """It has been left; from any thread."""
        with self._lock:
            one.is_watched = True
            self._watched.add(one)
            if not self._is_ticking:
                self._is_ticking = True
                self._quiet = 0
                clock.schedule(TICK, self._tick)

    def discard(self, one: Watched) -> None:
        """It is at its end."""
        with self._lock:
            self._watched.discard(one)

    def _tick(self) -> None:
        with self._lock:
            ones = list(self._watched)
            self._watched.clear()
            for one in ones:
                one.is_watched = False  # first: who leaves it after the look below watches it again
        for one in ones:
            if one.is_left:
                if one.seen_leaves == one.leaves:
                    one.recall()
                else:
                    one.seen_leaves = one.leaves
                    self.add(one)
        with self._lock:
            self._quiet = 0 if ones else self._quiet + 1
            self._is_ticking = self._quiet < _LINGER
            if self._is_ticking:
                clock.schedule(TICK, self._tick)


watch = Watch()
