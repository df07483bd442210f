"""How processes that accept from one socket share the connections: one that has more lets the others go first.

The system wakes all of them for a connection, and the first to ask gets it, and the next ones too: without this one
process may have all.  Each has a cell in memory that all see, with the number of its connections, and one that counts
how often that has changed.  A cell is written by its own process alone, and by the parent once that has ended; a
process reads those of the others as they are at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from mmap import mmap
from time import monotonic, sleep

# Seconds that another process with fewer connections has to take the next one, and those between two looks whether
# it has.
_COURTESY = 0.1
_GLANCE = 0.0005

# Of a process that does not accept, or of none.
_ABSENT = 0xFFFFFFFF

_CELL = 4  # bytes


class LoadShare:
    """Made before the fork, with more places than there are processes at once."""

    def __init__(self, places: int) -> None:
        self._cells = memoryview(mmap(-1, places * _CELL)).cast("I")
        # Signs of life.  Two threads of a process may write at once: one of two changes may not be counted.
        self._changes = memoryview(mmap(-1, places * _CELL)).cast("I")
        self._place = 0  # of this process
        # The accept thread's: how long it waits for others, and their changes when it last did so in vain.
        self._patience = _COURTESY
        self._seen: list[int] = []
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

    def accepts(self, place: int) -> bool:
        """Whether the process there does."""
        return self._cells[place] != _ABSENT

    def note(self, connections: int) -> None:
        """This process accepts, and has so many."""
        self._cells[self._place] = connections
        self._changes[self._place] = (self._changes[self._place] + 1) & 0xFFFFFFFF

    def let_others_go_first(self, connections: Sized, is_over: Callable[[], bool]) -> None:
        """Where another process that accepts has fewer connections than these, give it a moment to take the next one.

        On the accept thread; until ``is_over``.
        """
        end = 0.0
        while min(self._of_others(self._cells, _ABSENT)) < len(connections) and not is_over():
            if not end:
                if self._of_others(self._changes, 0) != self._seen:
                    self._patience = _COURTESY  # they do something
                end = monotonic() + self._patience
            if monotonic() >= end:
                # It is busy, or stuck.  Those in the backlog are not to wait for it one by one: each half as long.
                self._patience = self._patience / 2 if self._patience > _GLANCE else 0
                self._seen = self._of_others(self._changes, 0)
                return
            sleep(_GLANCE)

    def _of_others(self, values: Iterable[int], own: int) -> list[int]:
        """The values by place, with ``own`` in place of this process's."""
        found = list(values)
        found[self._place] = own
        return found
