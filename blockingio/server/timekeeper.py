"""Calls that are due later: one thread, which is only there while something is due."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from time import monotonic

_log = logging.getLogger("blockingio")


class Appointment:
    """A call that is due at ``time`` on the monotonic clock; ``action`` is None once cancelled or made."""

    __slots__ = ("time", "order", "action")

    def __init__(self, time: float, order: int, action: Callable[[], object]) -> None:
        self.time = time
        self.order = order
        self.action: Callable[[], object] | None = action

    def __lt__(self, other: Appointment) -> bool:
        return (self.time, self.order) < (other.time, other.order)

    def cancel(self) -> None:
        """From any thread, at any time; a call that is being made is not waited for."""
        self.action = None


class Timekeeper:
    """Shared by all threads of a server; ``_condition`` guards the heap and whether there is a thread.

    Its lock is reentrant: the garbage collector may close a response while its own thread is in here.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._condition = threading.Condition(threading.RLock())
        self._due: list[Appointment] = []
        self._orders = itertools.count()
        self._running = False

    def schedule(self, seconds: float, action: Callable[[], object]) -> Appointment:
        """Call ``action`` in so many seconds on the timekeeper's thread; it should not take long.

        Raises what kept that thread from starting; then nothing is due, and the next call tries again.
        """
        appointment = Appointment(monotonic() + seconds, next(self._orders), action)
        with self._condition:
            if not self._running:
                self._start()
            heapq.heappush(self._due, appointment)
            if self._due[0] is appointment:
                self._condition.notify()
        return appointment

    def prune(self) -> None:
        """Forget what was cancelled; the thread ends where nothing else is due."""
        with self._condition:
            self._due = [appointment for appointment in self._due if appointment.action is not None]
            heapq.heapify(self._due)
            self._condition.notify()

    def _start(self) -> None:
        self._running = True
        try:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        except BaseException:
            self._running = False
            raise

    def _run(self) -> None:
        while (action := self._next_action()) is not None:
            try:
                action()
            except Exception:
                _log.exception("an action on a timer failed")
            del action

    def _next_action(self) -> Callable[[], object] | None:
        """Wait until something is due; None, and no thread any more, when nothing is left to wait for."""
        with self._condition:
            while self._due:
                first = self._due[0]
                wait = first.time - monotonic()
                if first.action is not None and wait > 0:
                    self._condition.wait(min(wait, threading.TIMEOUT_MAX))
                    continue
                heapq.heappop(self._due)
                action, first.action = first.action, None
                if action is not None:
                    return action
            self._running = False
            return None
