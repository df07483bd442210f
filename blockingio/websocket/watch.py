"""The watch over WebSockets that are read by the threads that iterate them.

While such a thread is busy with a message, no thread reads its socket; usually it comes back at once.  At each tick the
watch looks at the sockets that were left since the last one.  Where the thread has not come back between two ticks, the
socket's background thread is recalled.  A socket that is being read is not watched, until it is left again.
"""

from __future__ import annotations

from threading import Lock
from typing import Protocol

from blockingio.server.timer import TimerThread

#: The one timer of all WebSockets of this process: its thread is only there while something is due.
clock = TimerThread("blockingio websocket clock")

# Seconds between two ticks.
TICK = 0.05
# Ticks without a socket to watch before the ticking ends: busy threads come and go, and the clock's thread need not.
_LINGER = 2


class Watched(Protocol):
    is_watched: bool  # written under the watch's lock
    leaves: int  # how often a thread that iterates has left it; written by that thread
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
        """A thread that iterates has left it; from any thread."""
        with self._lock:
            one.is_watched = True
            self._watched.add(one)
            if not self._is_ticking:
                self._is_ticking = True
                self._quiet = 0
                clock.schedule(TICK, self._tick)

    def discard(self, one: Watched) -> None:
        """It is at its end: watch it no more."""
        with self._lock:
            self._watched.discard(one)

    def _tick(self) -> None:
        with self._lock:
            ones = list(self._watched)
            self._watched.clear()
            for one in ones:
                one.is_watched = False  # first: a thread that leaves it after the look below adds it again
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
