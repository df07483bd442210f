"""How processes that accept from one socket share the connections: one that has more lets the others go first.

The system wakes all of them for a connection, and the first to ask gets it, and the next ones too: without this one
process may have all.  Each has a cell in memory that all see, with the number of its connections.  A cell is written by its
own process alone, and by the parent once that has ended; a process reads those of the others as they are at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from mmap import mmap
from time import monotonic, sleep

# Seconds that another process with fewer connections has to take the next one, those between two looks whether it
# has, and those in which none is waited for, once one has not.
_COURTESY = 0.05
_GLANCE = 0.0005
_HASTE = 0.05

# Of a process that does not accept, or of none.
_ABSENT = 0xFFFFFFFF

_CELL = 4  # bytes


class LoadShare:
    """Made before the fork, with more places than there are processes at once."""

    def __init__(self, places: int) -> None:
        self._cells = memoryview(mmap(-1, places * _CELL)).cast("I")
        self._place = 0  # of this process
        self._is_in_haste_until = 0.0  # the accept thread's, on the monotonic clock
        for place in range(places):
            self.leave(place)

    def __len__(self) -> int:
        return len(self._cells)

    def take(self, place: int) -> None:
        """In a child: this is its place."""
        self._place = place

    def leave(self, place: int | None = None) -> None:
        """This process does not accept any more; in the parent, another one's place."""
        self._cells[self._place if place is None else place] = _ABSENT

    def note(self, connections: int) -> None:
        """This process accepts, and has so many."""
        self._cells[self._place] = connections

    def let_others_go_first(self, connections: Sized, is_over: Callable[[], bool]) -> None:
        """Where another process that accepts has fewer connections than these, give it a moment to take the next one.

        On the accept thread; until ``is_over``.
        """
        now = monotonic()
        if now < self._is_in_haste_until:
            return
        while any(others < len(connections) for others in self._cells) and not is_over():
            if monotonic() >= now + _COURTESY:
                # It is busy.  Those in the backlog are not to wait for it one by one.
                self._is_in_haste_until = monotonic() + _HASTE
                return
            sleep(_GLANCE)
