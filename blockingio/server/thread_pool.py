"""Threads that are used again: starting one costs as much as several requests.

A connection has one for as long as it lives; so does an answer that its client reads slowly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from blockingio.net.system import schedule_as_batch
from blockingio.stream.thread import Thread

# What is told that a task was not done, or not to its end.
Lost = Callable[[BaseException], object]

# Seconds that a thread without work waits for some before it ends.
_IDLE_TIME = 10.0

# Threads that wait so at most.  Thousands would time out at one moment, and compete for the GIL for half a minute.
_MOST_IDLE = 64


class _Worker:
    """One thread.  run() sets ``task`` and ``lost`` before it releases ``wake``; from then on they are the thread's."""

    __slots__ = ("task", "lost", "wake")

    def __init__(self, task: Callable[[], None], lost: Lost | None) -> None:
        self.task: Callable[[], None] | None = task
        self.lost = lost
        self.wake = threading.Lock()
        self.wake.acquire()

    def lose(self, error: BaseException) -> None:
        """Its thread never came up, or has died."""
        lost, self.task, self.lost = self.lost, None, None
        if lost is not None:
            lost(error)


class ThreadPool:
    """Daemon threads by demand, without an upper bound: the callers of ``run`` keep one.

    Nothing here is locked.  ``_idle`` is shared, and its append, pop and remove are each one
    step, also without the GIL: the thread that gets a worker out of it owns that worker's ``task``.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[_Worker] = []  # the last one to wait is the first to work: its memory is warm
        self._closed = False

    def run(self, task: Callable[[], None], lost: Lost | None = None) -> None:
        """Call ``task`` on a thread of its own; it must not raise.  The call does not wait for that thread to come up.

        ``lost`` is called where it never does, or dies of something: soon, on any thread.  Raises RuntimeError or
        MemoryError where the system has no thread.
        """
        try:
            worker = self._idle.pop()
        except IndexError:
            worker = _Worker(task, lost)
            Thread(partial(self._work, worker), name=self._name, lost=worker.lose).start()
        else:
            worker.lost = lost
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

    def _work(self, worker: _Worker) -> None:
        try:
            schedule_as_batch()
            while worker.task is not None:
                task, worker.task = worker.task, None
                task()
                del task
                worker.lost = None
                self._wait(worker)
        except BaseException as error:
            self._withdraw(worker)  # no other thread is to give it a task any more
            worker.lose(error)
            raise

    def _wait(self, worker: _Worker) -> None:
        """Until it has a task; it has none where it is to end."""
        if self._closed or len(self._idle) >= _MOST_IDLE:
            return
        self._idle.append(worker)
        if self._closed and self._withdraw(worker):
            return  # close() came in between, and may have missed this one
        if not worker.wake.acquire(timeout=_IDLE_TIME):
            if self._withdraw(worker):
                return
            worker.wake.acquire()  # another thread has just taken it, and is about to wake it

    def _withdraw(self, worker: _Worker) -> bool:
        """Out of the idle ones; False where another thread was quicker."""
        try:
            self._idle.remove(worker)
        except ValueError:
            return False
        return True
