"""Threads that are used again: starting one costs as much as several requests.

A connection has one for as long as it lives; so does an answer that its client reads slowly.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

# Seconds that a thread without work waits for some before it ends.
_IDLE_TIME = 10.0

# Threads that wait so at most.  Were there thousands, their patience would end at one moment, and
# they would fight for the interpreter for half a minute.
_MOST_IDLE = 64


def give_way() -> None:
    """Let the calling thread, when it wakes up, wait for a processor instead of taking one from who runs there.

    That one is, as often as not, a handler with the interpreter in its hands: the thread that has pushed it aside
    could do nothing but wait for it.  On Linux this is a scheduling policy that any thread may choose for itself;
    one that somebody has chosen for the whole process stays.
    """
    if hasattr(os, "sched_setscheduler") and hasattr(os, "SCHED_BATCH"):
        try:
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        except OSError:
            pass  # a sandbox that forbids it: things only take longer


class _Worker:
    __slots__ = ("task", "wake")

    def __init__(self) -> None:
        self.task: Callable[[], None] | None = None  # set by run() or close(), before it releases wake
        self.wake = threading.Lock()
        self.wake.acquire()


class Threads:
    """Daemon threads by demand, without an upper bound: whoever calls ``run`` keeps it.

    Nothing here is locked.  ``_idle`` is shared, and its append, pop and remove are each one
    step of the interpreter: whoever gets a worker out of it owns that worker's ``task``.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[_Worker] = []  # the last one to wait is the first to work: its memory is warm
        self._closed = False

    def run(self, task: Callable[[], None]) -> None:
        """Call ``task`` on a thread of its own; it must not raise."""
        try:
            worker = self._idle.pop()
        except IndexError:
            threading.Thread(target=self._work, args=(task,), name=self._name, daemon=True).start()
        else:
            worker.task = task
            worker.wake.release()

    def close(self) -> None:
        """Those without work end now, the others after theirs; ``run`` still works."""
        self._closed = True
        while self._idle:
            try:
                worker = self._idle.pop()
            except IndexError:
                return  # run() was quicker
            worker.wake.release()

    def _work(self, task: Callable[[], None] | None) -> None:
        give_way()
        worker = _Worker()
        while task is not None:
            task()
            task = worker.task = None
            if self._closed or len(self._idle) >= _MOST_IDLE:
                return
            self._idle.append(worker)
            if self._closed and self._withdraw(worker):
                return  # close() came in between, and may have missed this one
            if not worker.wake.acquire(timeout=_IDLE_TIME):
                if self._withdraw(worker):
                    return
                worker.wake.acquire()  # somebody has just taken it, and is about to wake it
            task = worker.task

    def _withdraw(self, worker: _Worker) -> bool:
        """Out of the idle ones; False where somebody else was quicker."""
        try:
            self._idle.remove(worker)
        except ValueError:
            return False
        return True
