"""Thread: a threading.Thread whose start is not waited for.

``threading.Thread.start`` waits until the new thread has said that it is there.  One that runs out of memory in
its first steps never says so, and the thread that started it waits for ever.  Every thread of this package
is one of these: ``start`` returns once the system has the thread.  What follows is one of three, and only one:

    the task is called, on the new thread
    ``start`` raises: the system has no thread
    ``lost`` is called with an error, by the thread that notices that the new one does not come up

A thread that fails in its first steps notices it by itself, unless not even that can be done: it may have no memory
for its first frame.  Then another thread that waits for something in this package notices, after START_TIME:
each long wait is made of pieces of ``in_one_go``.  One that comes up later than that does nothing.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from blockingio.stream.fork import after_fork_in_child

_log = logging.getLogger("blockingio")

# Seconds after which a thread that has not come up counts as one that never will: far more than a busy machine
# needs, and no more than a client may take for a request head.
START_TIME = 20.0

# Seconds after which a waiting thread looks whether a new one is overdue.
LOOK_TIME = 1.0

# Seconds until join() looks again whether the thread is given up.
_GLANCE = 0.05

# Those that have been started and have not come up.  Changed by add and discard and read by list(), each one step.
_starting: set[Thread] = set()

# Threads that wait for something else most of the time, by their idents, each with what wakes it to look.
_watchers: dict[int, Callable[[], object]] = {}


class _Started(threading.Event):
    """What ``threading.Thread`` sets when it has come up; its ``start`` calls ``wait``, which does not."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()

    def within(self, seconds: float) -> bool:
        return super().wait(seconds)


class Thread(threading.Thread):
    """A daemon thread that calls ``task`` once.  Users see it as any other: by name, in ``threading.enumerate``.

    ``lost`` must not wait for anything: it may be called by a thread that serves others.
    """

    def __init__(self, task: Callable[[], object], *, name: str,
                 lost: Callable[[Exception], object] | None = None) -> None:
        super().__init__(name=name, daemon=True)
        # The first to pop it decides what becomes of the thread: the thread itself, or the one that gives it up.
        # list.pop is atomic, with a GIL and without one.
        self._claim: list[tuple[Callable[[], object], Callable[[Exception], object] | None]] = [(task, lost)]
        self._is_given_up = False
        self._overdue_at = 0.0
        self._process = 0  # that it was started in: a fork takes only the thread that calls it along
        # Where a Python's threads have no such event, its own start() is used as it is.
        self._has_come_up = _Started()
        if isinstance(getattr(self, "_started", None), threading.Event):
            self._started = self._has_come_up

    def start(self) -> None:
        """Raises RuntimeError or MemoryError where the system has no thread; then the task is not called."""
        self._overdue_at = monotonic() + START_TIME
        self._process = os.getpid()
        _starting.add(self)
        try:
            super().start()
        except BaseException:  # KeyboardInterrupt too: it may come in when the thread is there already
            self._take()
            raise
        for ident, wake in list(_watchers.items()):
            if ident != threading.get_ident():
                wake()

    def give_up(self, error: BaseException | None = None) -> bool:
        """Where it has not come up yet, ``lost`` is called now, and the task never is.

        False where the task has been called, or the thread was given up before.  In a forked child the parent's
        threads are not lost: there nothing is called.
        """
        claim = self._take()
        if claim is None:
            return False
        _, lost = claim
        if lost is not None and self._process == os.getpid():
            failure = RuntimeError(f"the thread {self.name!r} did not come up")
            failure.__cause__ = error
            lost(failure)
        return True

    def end(self) -> None:
        """Wait for its end, but not for its coming up: where it has not, it is given up."""
        if not self.give_up():
            self.join()

    def join(self, timeout: float | None = None) -> None:
        """As in threading.Thread, and so that a thread which has just been started can be joined, too."""
        end = monotonic() + (threading.TIMEOUT_MAX if timeout is None else timeout)
        while self in _starting and not self._has_come_up.within(min(_GLANCE, max(end - monotonic(), 0))):
            if monotonic() > end:
                return
            give_up_overdue()
        if not self._is_given_up:
            super().join(None if timeout is None else max(end - monotonic(), 0))

    def run(self) -> None:
        """On the new thread."""
        _starting.discard(self)
        try:
            task = self._claim.pop()[0]
        except IndexError:
            return
        task()

    def _bootstrap(self) -> None:
        """What the new thread calls first; ``run`` and its exceptions are in there."""
        try:
            super()._bootstrap()  # type: ignore[misc]
        except BaseException as error:
            # A call of current_thread() from here on, as logging makes, would make up a thread that stays for ever.
            active: dict[int, Any] = getattr(threading, "_active", {})
            active[threading.get_ident()] = self
            try:
                if self.give_up(error):
                    _log.warning("the thread %r did not come up", self.name, exc_info=error)
                elif not self._is_given_up:
                    raise
            finally:
                active.pop(threading.get_ident(), None)

    def _take(self) -> tuple[Callable[[], object], Callable[[Exception], object] | None] | None:
        """Take the task away from a thread that is not to call it any more; None where that is too late."""
        try:
            claim = self._claim.pop()
        except IndexError:
            return None
        self._is_given_up = True
        _starting.discard(self)
        # Else it would be among those that threading.enumerate() gives, for ever.
        limbo: dict[Any, Any] = getattr(threading, "_limbo", {})
        limbo.pop(self, None)
        return claim


def give_up_overdue() -> None:
    """Give up those that had START_TIME to come up.

    From any thread that holds no lock: ``lost`` may want it.
    """
    if _starting:
        now = monotonic()
        for thread in list(_starting):
            if thread._overdue_at < now:
                thread.give_up()


def watch(wake: Callable[[], object]) -> None:
    """Until ``unwatch`` the calling thread waits in pieces of ``in_one_go``; ``wake``, on any thread, ends one piece."""
    _watchers[threading.get_ident()] = wake


def unwatch() -> None:
    _watchers.pop(threading.get_ident(), None)


def in_one_go(seconds: float | None) -> float | None:
    """The first piece of a wait of ``seconds`` (None: for ever): LOOK_TIME at most while a new thread has yet to come up.

    Calls ``give_up_overdue``.
    """
    if not _starting:
        return seconds
    give_up_overdue()
    return LOOK_TIME if seconds is None else min(seconds, LOOK_TIME)


# They are the parent's.
after_fork_in_child(_starting.clear)
after_fork_in_child(_watchers.clear)
