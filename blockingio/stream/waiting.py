"""Waiting with a limit: until a deadline, until another thread ends the wait, or both.

    Wait       one thread's wait: its deadline, and what it sleeps on
    Waiters    the threads that wait for one condition
    Turn       a lock

Every wait raises WaitCancelled when its deadline has passed or it was ended.  Knows nothing of streams.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import TIMEOUT_MAX, Event, Lock, get_ident
from time import monotonic

from blockingio.errors import StateError
from blockingio.stream.thread import in_one_go

# Seconds: what a lock can wait, halved so that it can be added to a clock.
_LONGEST = TIMEOUT_MAX / 2


class WaitCancelled(BaseException):
    """A wait was given up.  A BaseException, so that no ``except Exception`` takes it for an error."""


class _Wakeup:
    """What a waiting thread sleeps on.  Any thread may notify; ``ended`` is set by the owner of the wait."""

    __slots__ = ("ended", "notified", "on_end")

    def __init__(self) -> None:
        self.ended = False
        self.notified = Event()
        self.on_end: Callable[[], None] | None = None  # the waiting thread's, while it cannot be woken


class Wait:
    """One thread's wait, of at most so many seconds; None is for ever."""

    __slots__ = ("deadline", "_wakeup")

    def __init__(self, seconds: float | None = None) -> None:
        self.deadline = None if seconds is None else monotonic() + seconds
        self._wakeup = _Wakeup()

    def limited(self, seconds: float) -> Wait:
        """The same wait, but for at most so many seconds; itself where its own deadline comes before that."""
        deadline = monotonic() + seconds
        if self.deadline is not None and self.deadline <= deadline:
            return self
        wait = Wait.__new__(Wait)
        wait.deadline = deadline
        wait._wakeup = self._wakeup
        return wait

    @property
    def ended(self) -> bool:
        """Whether ``end`` was called; a deadline that has passed does not count."""
        return self._wakeup.ended

    def left(self) -> float | None:
        """Seconds to the deadline, at least 0 and no more than the system can wait; None without one."""
        return None if self.deadline is None else min(max(self.deadline - monotonic(), 0.0), _LONGEST)

    def end(self) -> None:
        """End the wait, from any thread: ``block`` raises WaitCancelled now and at each later call."""
        wakeup = self._wakeup
        wakeup.ended = True
        on_end = wakeup.on_end
        if on_end is not None:
            on_end()
        wakeup.notified.set()

    def renew(self) -> None:
        """Take ``end`` back."""
        self._wakeup.ended = False

    def notify(self) -> None:
        """Let the waiting thread look again whether what it waits for has come."""
        self._wakeup.notified.set()

    def block(self) -> None:
        """Sleep until ``notify``; it may return early.  Raises WaitCancelled."""
        wakeup = self._wakeup
        while not wakeup.ended:
            if wakeup.notified.wait(in_one_go(self.left())):
                wakeup.notified.clear()
                if not wakeup.ended:
                    return
            elif self.deadline is not None and self.deadline <= monotonic():
                break
        raise WaitCancelled

    def check(self) -> None:
        """Raise WaitCancelled where the wait is over, for a thread that goes on without sleeping."""
        if self._wakeup.ended or self.deadline is not None and self.deadline <= monotonic():
            raise WaitCancelled

    def sleep(self, seconds: float) -> None:
        """Sleep so many seconds.  Raises WaitCancelled where the wait is over before that."""
        until = self.limited(seconds)
        try:
            while True:
                until.block()
        except WaitCancelled:
            if until is self or self.ended:
                raise

    def on_end(self, action: Callable[[], None] | None) -> None:
        """What ``end`` calls while the thread is in a call that cannot be woken."""
        self._wakeup.on_end = action


class Waiters:
    """The threads that wait for one condition, each with its own limit."""

    def __init__(self) -> None:
        self._lock = Lock()  # guards _waiting
        self._waiting: list[Wait] = []

    def join(self, wait: Wait | None) -> Wait:
        """Be notified from now on, until ``leave``; test the condition only after this."""
        me = Wait() if wait is None else wait
        with self._lock:
            self._waiting.append(me)
        return me

    def leave(self, me: Wait) -> None:
        with self._lock:
            self._waiting.remove(me)

    def until(self, condition: Callable[[], object], wait: Wait | None = None) -> None:
        """Wait until the condition is true; the thread that makes it true calls ``notify`` afterwards.

        Raises WaitCancelled.
        """
        me = self.join(wait)
        try:
            while not condition():
                me.block()
        finally:
            self.leave(me)

    def notify(self) -> None:
        if self._waiting:
            with self._lock:
                for waiter in self._waiting:
                    waiter.notify()


class Turn:
    """A lock that is waited for with a limit, and that another thread may release."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._holder = 0  # the thread that took it; 0 while it is free, and once it is passed on
        self._waiters = Waiters()

    def take(self, wait: Wait | None, unless: Callable[[], object] | None = None) -> bool:
        """Wait for the turn; False, without it, once ``unless()`` is true.

        Raises WaitCancelled, and StateError where this thread has the turn already: waiting would be a deadlock.
        """
        if not self._lock.acquire(False):
            if self._holder == get_ident():
                raise StateError("the stream's next event is awaited by this thread already")
            me = self._waiters.join(wait)
            try:
                while not self._lock.acquire(False):
                    if unless is not None and unless():
                        return False
                    me.block()
            finally:
                self._waiters.leave(me)
        self._holder = get_ident()
        return True

    def pass_on(self) -> None:
        """From here on another thread has the turn, and gives it back."""
        self._holder = 0

    def give(self) -> None:
        self._holder = 0  # first: the next holder writes it too
        self._lock.release()
        self._waiters.notify()
