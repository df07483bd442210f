"""Calls that are due later: one thread, which is only there while something is due."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import TypeAlias

from blockingio.stream.thread import Thread

_log = logging.getLogger("blockingio")

# How often a thread that did not come up is followed by another, until the next call is scheduled.
_STARTS = 3


class Timer:
    """A call that is due, until it is made or cancelled; ``order`` tells it from all others of its timer_thread."""

    __slots__ = ("order", "action", "_timer_thread")

    def __init__(self, order: int, action: Callable[[], object], timer_thread: TimerThread) -> None:
        self.order = order
        self.action = action
        self._timer_thread = timer_thread

    def cancel(self) -> None:
        """From any thread, at any time; a call that is being made is not waited for."""
        self._timer_thread.cancel(self)


# When it is due on the monotonic clock, and its order, by which two of one time are told apart.
_Entry: TypeAlias = "tuple[float, int, Timer]"


class TimerThread:
    """Shared by all threads of a server; ``_condition`` guards everything.

    Its lock is reentrant: the garbage collector may close a response while its own thread is in here, and so schedule
    or cancel something.  That comes between two steps of the interpreter; each change of ``_due`` is one step, and
    what was read before it is looked at again after it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._condition = threading.Condition(threading.RLock())
        # A heap.  What is in here and not in _entries is cancelled: never more than half.
        self._due: list[_Entry] = []
        self._entries: dict[int, _Entry] = {}  # by their order
        self._orders = itertools.count()
        self._thread: Thread | None = None
        self._starts_left = 0
        self._wakes_at = inf  # when the thread looks next; -inf while it looks

    def schedule(self, seconds: float, action: Callable[[], object]) -> Timer:
        """Call ``action`` in so many seconds on the timer_thread's thread; it should not take long.

        Raises what kept that thread from starting; then nothing is due, and the next call tries again.
        """
        timer = Timer(next(self._orders), action, self)
        entry = monotonic() + seconds, timer.order, timer
        with self._condition:
            if self._thread is None:
                self._starts_left = _STARTS
                self._start()
            self._entries[timer.order] = entry
            heapq.heappush(self._due, entry)
            if entry[0] < self._wakes_at:
                self._condition.notify()
        return timer

    def cancel(self, timer: Timer) -> None:
        """Nothing where it has been made, or cancelled before."""
        with self._condition:
            if self._entries.pop(timer.order, None) is not None and len(self._due) > 2 * len(self._entries):
                # More than half are cancelled: so each is paid for by its own cancel.  The thread sleeps on.
                self._due[:] = self._entries.values()
                heapq.heapify(self._due)

    def prune(self) -> None:
        """The thread ends now where nothing else is due."""
        with self._condition:
            self._condition.notify()

    def _start(self) -> None:
        """Under the lock; the thread is not waited for."""
        self._starts_left -= 1
        self._wakes_at = -inf
        thread = self._thread = Thread(self._run, name=self._name, lost=self._lost)
        try:
            thread.start()
        except BaseException:
            self._thread = None
            raise

    def _lost(self, error: Exception) -> None:
        """The thread did not come up: another one, where there is something to do for it."""
        with self._condition:
            self._thread = None
            if not self._entries:
                return
            try:
                if not self._starts_left:
                    raise error
                self._start()
            except Exception as failure:
                _log.error("there is no thread for what is due at a time; the next one tries again", exc_info=failure)

    def _run(self) -> None:
        while (action := self._next_action()) is not None:
            try:
                action()
            except BaseException:  # of a user's, perhaps; the others are still to come
                _log.exception("an action on a timer failed")
            del action

    def _next_action(self) -> Callable[[], object] | None:
        """Wait until something is due; None, and no thread any more, when nothing is left to wait for."""
        with self._condition:
            self._wakes_at = -inf
            while self._entries:
                first = self._due[0]
                wait = first[0] - monotonic()
                if first[1] in self._entries and wait > 0:
                    self._wakes_at = first[0]
                    self._condition.wait(min(wait, threading.TIMEOUT_MAX))
                    self._wakes_at = -inf
                    continue
                popped = heapq.heappop(self._due)
                if popped is not first:
                    heapq.heappush(self._due, popped)  # a collection has come in between, and scheduled it
                elif self._entries.pop(first[1], None) is not None:
                    return first[2].action
            self._due.clear()
            self._thread = None
            return None
