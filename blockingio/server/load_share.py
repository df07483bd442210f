"""How processes that accept from one socket share the connections: one that has more lets the others go first.

The system wakes all of them for a connection, and the first to ask gets it, and the next ones too: without this one
process may have all.  Each has a cell in memory that all see, with the number of its connections.  A cell is written by its
own process alone, and by the parent once that has ended; a process reads those of the others as they are at that moment.
"""

from __future__ import annotations

from mmap import mmap

# Of a process that does not accept, or of none.
_ABSENT = 0xFFFFFFFF

_CELL = 4  # bytes


class LoadShare:
    """Made before the fork, with more places than there are processes at once."""

    def __init__(self, places: int) -> None:
        self._cells = memoryview(mmap(-1, places * _CELL)).cast("I")
        self._place = 0  # of this process
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

    def others_have_less(self, connections: int) -> bool:
        """Whether one of the others that accept has fewer than so many."""
        return any(others < connections for others in self._cells)
