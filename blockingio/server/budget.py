"""What a server's send queues may hold together, counted by what it pins in memory, and which gives way next."""

from __future__ import annotations

from collections import OrderedDict
from threading import RLock
from typing import Any

from blockingio.wire.limits import SEND_QUEUES_SIZE

# A SendQueue; it knows its budget, which knows no more of it than that it is one.
SendQueue = Any

# Bytes that a piece costs beside its buffer: the objects that hold it.
_PIECE_COST = 256


class Budget:
    """Shared by all send queues of a server.

    ``_lock`` guards everything, and a thread that holds it takes no other lock.  Reentrant: the garbage collector
    may end an answer, and so use a queue, while its own thread is in here.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._used = 0
        # By id, which is an object's own for as long as it is referred to: one that many answers share costs once.
        self._holders_of: dict[int, int] = {}
        # Those that hold something; in front the one whose client has taken nothing for longest.
        self._waiting: OrderedDict[SendQueue, None] = OrderedDict()

    def hold(self, queue: SendQueue, buffer: bytes) -> None:
        """``queue`` holds a buffer, the whole of it however little is left to be sent."""
        with self._lock:
            holders = self._holders_of.get(id(buffer), 0)
            self._holders_of[id(buffer)] = holders + 1
            self._used += _PIECE_COST + (0 if holders else len(buffer))
            self._waiting.setdefault(queue)

    def release(self, buffer: bytes) -> None:
        """One holder of it less."""
        with self._lock:
            holders = self._holders_of.pop(id(buffer)) - 1
            if holders:
                self._holders_of[id(buffer)] = holders
            self._used -= _PIECE_COST + (0 if holders else len(buffer))

    def has_moved(self, queue: SendQueue) -> None:
        """Its client has taken something."""
        with self._lock:
            if queue in self._waiting:
                self._waiting.move_to_end(queue)

    def leave(self, queue: SendQueue) -> None:
        """It holds nothing any more."""
        with self._lock:
            self._waiting.pop(queue, None)

    def longest_waiting(self) -> SendQueue | None:
        """The queue that gives way next; None where there is room."""
        with self._lock:
            return next(iter(self._waiting), None) if self._used > SEND_QUEUES_SIZE else None

    def is_helpless(self, queue: SendQueue, size: int) -> bool:
        """Whether others could not make room for one that holds ``size`` bytes: there are none, or it is too large."""
        with self._lock:
            return size > SEND_QUEUES_SIZE or (len(self._waiting) == 1 and queue in self._waiting)

    @property
    def is_tight(self) -> bool:
        """Half of it is used: a writer that is faster than its client goes at the client's pace from here on."""
        return self._used > SEND_QUEUES_SIZE // 2
