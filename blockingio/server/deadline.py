"""Deadline: an answer that is not done in time ends its connection."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockingio.server.connection import Connection


class Deadline:
    """Cuts the connection in so many seconds unless ``cancel`` comes first; once that has returned it never will.

    The answer's thread makes and cancels it, the timer_thread's thread finds it due.
    """

    __slots__ = ("seconds", "_connection", "_lock", "_timer")

    def __init__(self, seconds: float, connection: Connection) -> None:
        self.seconds = seconds
        # Guarded by _lock, which is reentrant: the garbage collector may end an answer while its deadline expires.
        self._connection: Connection | None = connection
        self._lock = threading.RLock()
        self._timer = connection.state.timer_thread.schedule(seconds, self._expire)

    def cancel(self) -> None:
        with self._lock:
            self._connection = None
        self._timer.cancel()

    def _expire(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.expire()
