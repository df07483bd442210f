"""How long a thread is willing to wait, and the things that are waited for in that way.

    Patience   a deadline, somebody who may end the wait, or both; what the thread sleeps on
    Waiters    a condition's waiting threads
    Turn       a lock

Every wait raises OutOfPatience when the patience is over.  Knows nothing of streams.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import TIMEOUT_MAX, Event, Lock, get_ident
from time import monotonic

from blockingio.errors import StateError

# Seconds: what a lock can wait, with room for those who add it to a clock.
_LONGEST = TIMEOUT_MAX / 2


class OutOfPatience(BaseException):
    """A wait was given up.  No Exception, so that nobody's handler of errors takes it for one."""


class _Bell:
    """What a waiting thread sleeps on.  Any thread rings; ``ended`` is set by whoever owns the wait."""

    __slots__ = ("ended", "rung", "on_end")

    def __init__(self) -> None:
        self.ended = False
        self.rung = Event()
        self.on_end: Callable[[], None] | None = None  # the waiting thread's, while it cannot be woken


class Patience:
    """How long one thread is willing to wait; None for ``seconds`` is for ever."""

    __slots__ = ("deadline", "_bell")

    def __init__(self, seconds: float | None = None) -> None:
        self.deadline = None if seconds is None else monotonic() + seconds
        self._bell = _Bell()

    def limited(self, seconds: float) -> Patience:
        """The same, but for no longer than that; itself where it ends before anyway."""
        deadline = monotonic() + seconds
        if self.deadline is not None and self.deadline <= deadline:
            return self
        patience = Patience.__new__(Patience)
        patience.deadline = deadline
        patience._bell = self._bell
        return patience

    @property
    def ended(self) -> bool:
        """Whether somebody gave it up; a deadline that has passed is not that."""
        return self._bell.ended

    def left(self) -> float | None:
        """Seconds to the deadline, at least 0 and no more than the system can wait; None without one."""
        return None if self.deadline is None else min(max(self.deadline - monotonic(), 0.0), _LONGEST)

    def end(self) -> None:
        """Give up, from any thread: a wait in progress raises OutOfPatience, and so do all that follow."""
        bell = self._bell
        bell.ended = True
        on_end = bell.on_end
        if on_end is not None:
            on_end()
        bell.rung.set()

    def renew(self) -> None:
        """Take ``end`` back."""
        self._bell.ended = False

    def ring(self) -> None:
        """Let the waiting thread look again whether what it waits for has come."""
        self._bell.rung.set()

    def wait(self) -> None:
        """Sleep until ``ring``, perhaps for no reason.  Raises OutOfPatience."""
        bell = self._bell
        while not bell.ended:
            if bell.rung.wait(self.left()):
                bell.rung.clear()
                if not bell.ended:
                    return
            elif self.deadline is not None and self.deadline <= monotonic():
                break
        raise OutOfPatience

    def check(self) -> None:
        """Raises OutOfPatience where it is over: for who goes on without waiting."""
        if self._bell.ended or self.deadline is not None and self.deadline <= monotonic():
            raise OutOfPatience

    def sleep(self, seconds: float) -> None:
        """Wait for the time to pass.  Raises OutOfPatience where it does not last that long."""
        until = self.limited(seconds)
        try:
            while True:
                until.wait()
        except OutOfPatience:
            if until is self or self.ended:
                raise

    def on_end(self, action: Callable[[], None] | None) -> None:
        """What ``end`` calls, while the thread is somewhere that it cannot be woken from."""
        self._bell.on_end = action


class Waiters:
    """The threads that wait for one thing; like a condition, but waited for with patience."""

    __slots__ = ("_lock", "_waiting")

    def __init__(self) -> None:
        self._lock = Lock()  # guards _waiting
        self._waiting: list[Patience] = []

    def join(self, patience: Patience | None) -> Patience:
        """Be rung from now on, until ``leave``; look for the thing only after this."""
        me = Patience() if patience is None else patience
        with self._lock:
            self._waiting.append(me)
        return me

    def leave(self, me: Patience) -> None:
        with self._lock:
            self._waiting.remove(me)

    def until(self, condition: Callable[[], object], patience: Patience | None = None) -> None:
        """Wait until it is true; whoever makes it so calls ``ring`` afterwards.  Raises OutOfPatience."""
        me = self.join(patience)
        try:
            while not condition():
                me.wait()
        finally:
            self.leave(me)

    def ring(self) -> None:
        if self._waiting:
            with self._lock:
                for waiter in self._waiting:
                    waiter.ring()


class Turn:
    """A lock that is waited for with patience, and that another thread may give back."""

    __slots__ = ("_lock", "_holder", "_waiters")

    def __init__(self) -> None:
        self._lock = Lock()
        self._holder = 0  # the thread that took it; 0 while nobody has it, and once it is passed on
        self._waiters = Waiters()

    def take(self, patience: Patience | None, unless: Callable[[], object] | None = None) -> bool:
        """Wait for the turn; False, without it, once ``unless()`` is true.

        Raises OutOfPatience, and StateError where this thread has the turn already: it would wait for itself.
        """
        if not self._lock.acquire(False):
            if self._holder == get_ident():
                raise StateError("the stream's next event is awaited by this thread already")
            me = self._waiters.join(patience)
            try:
                while not self._lock.acquire(False):
                    if unless is not None and unless():
                        return False
                    me.wait()
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
        self._waiters.ring()
