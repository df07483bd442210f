"""Standby: which of several workers waits in the queue's get().

A put wakes a thread that sleeps in get().  That costs more than a short handler does, and is in vain where another
worker is about to come back for the next request.  So one reader leads: it alone waits in get(), works on what
it has taken, and comes back.  The others stand by, and cost nothing.

A handler that waits, for a database say, must hold no request up.  Then another reader leads:

    alert      A request is queued while the leader is at work.  One of those that stand by, the watcher, wakes up and
               gives the leader _GRACE to come back, again and again while requests are taken.  Once none was, the
               watcher leads.  So a thread is woken once in _GRACE at most, and no request waits much longer than that.
    handlers that take long    Once several have, all readers wait in get() for a while.  Then no request waits at all,
               and a wake-up for each is little beside such handlers.

A reader that led before, and does not any more, stands by when it comes back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, Protocol

from blockingio.stream.thread import in_one_go

# Seconds that a leader has to come back, once a request is queued behind the one that it works on.  A shorter time
# wakes the watcher more often.
_GRACE = 0.001

# Seconds for each request, while more are queued, from which on handlers take long: several times what it costs to wake
# a thread.
_LONG = 0.0003

# Points: for a request that took long, and for one behind which another reader had to lead.  Any other takes one
# away.  From _MANY on handlers take long; a busy machine, whose threads are held up now and then, does not get there.
_FOR_LONG = 8
_FOR_ABSENCE = 100
_MANY = 400

# Seconds for which all wait then, until it is tried again.
_TRUST = 1.0

# Seconds after which the watcher looks without an alert: a connection's thread may have fetched a put that alerts
# no one just before the first reader came.
_LOOK = 1.0


class Reader(Protocol):
    """One thread's; that thread alone writes what is here."""

    waits: bool  # it is in the queue's get(), or about to be


class Standby:
    """Of the workers of one for_each or listen; ``size`` tells how much is on their queue.

    A reader calls ``wait_to_lead`` before get(), ``has_taken`` behind it, and ``resign`` when it asks no more.
    """

    __slots__ = ("readers", "leader", "is_alert", "_size", "_lock", "_alarm", "_others", "_watcher", "_is_over", "_taken",
                 "_seen", "_points", "_all_wait_until")

    def __init__(self, size: Callable[[], int]) -> None:
        self.readers = 0  # guarded by the queue's lock
        self._size = size
        self._make_locks()
        self.leader: Reader | None = None  # read without the lock: only its own thread needs to be sure
        self._watcher: Reader | None = None
        self.is_alert = False  # the watcher has been woken, or will look before it sleeps; read without the lock
        self._is_over = False
        # How many requests were taken: written by leaders, and should two do so at once, one is not counted.  ``_seen``
        # is the watcher's copy.
        self._taken = self._seen = 0
        self._points = 0  # guarded by the lock
        self._all_wait_until = 0.0  # 0: handlers are short, and one waits

    def __repr__(self) -> str:
        return (f"<Standby {self.readers} readers{'' if self.leader is None else ', one leads'}"
                f"{', one watches' if self._watcher is not None else ''}, {self._points} points>")

    def wait_to_lead(self, reader: Reader, is_wanted: Callable[[], bool]) -> bool:
        """Stand by until this reader leads, or all may wait; False once it need not, which ``rouse`` has it look for."""
        while self.leader is not reader and not self._all_wait_until and not self._is_over:
            with self._lock:
                if not is_wanted():
                    return False
                if self.leader is None:
                    self._lead(reader)
                    break
                if self._watcher is None:
                    self._watcher = reader
                if self._watcher is not reader:
                    self._others.wait(nap_time())
                    continue
                if self._taken == self._seen and not self._is_needed():
                    self.is_alert = False
                    # An alert that came before this line is seen here, a later one notifies.
                    if not self._is_needed():
                        self._alarm.wait(in_one_go(_LOOK))
                    continue
                leader, self._seen, was_needed = self.leader, self._taken, self._is_needed()
            began = monotonic()
            sleep(_GRACE)
            with self._lock:
                is_needed = was_needed and self._is_needed()
                self._judge(self._taken - self._seen, monotonic() - began, is_needed)
                if is_needed and self.leader is leader and self._taken == self._seen:
                    self._lead(reader)
        if self._watcher is reader:
            self._leave_watch(reader)
        return True

    def has_taken(self) -> None:
        """A reader is about to call its handler."""
        self._taken += 1
        if self._all_wait_until:
            if monotonic() > self._all_wait_until:
                self._all_wait_until = 0.0
        elif not self.is_alert and self._size():
            self.alert()

    def alerting(self, put: Callable[[Any], None]) -> Callable[[Any], None]:
        """``put`` onto the queue, and ``alert``: a function of its own, quicker than a method of what all threads use."""
        def put_and_alert(item: Any) -> None:
            put(item)
            if not self.is_alert:
                self.alert()
        return put_and_alert

    def alert(self) -> None:
        """Something is on the queue: if no reader waits for it, one has to lead.  From any thread."""
        leader = self.leader
        if leader is None or not leader.waits:
            with self._lock:
                self.is_alert = True
                self._alarm.notify()

    def rouse(self) -> None:
        """Have all that stand by look whether they still should.  From any thread."""
        with self._lock:
            self._alarm.notify()
            self._others.notify_all()

    def resign(self, reader: Reader) -> None:
        """It asks no more, or not soon.  Idempotent."""
        with self._lock:
            if self.leader is reader:
                self.leader = None
                self._alarm.notify()
            self._leave_watch(reader)

    def end(self) -> None:
        """In a forked child, which has none of the other threads: what they held at the fork is not waited for."""
        self._is_over = True
        self._make_locks()

    def _make_locks(self) -> None:
        # Guards which reader leads and which watches.  The leader itself takes requests without it.  Reentrant: the
        # garbage collector may run a finalizer of the user's in here, which cancels the subscription.
        self._lock = threading.RLock()
        self._alarm = threading.Condition(self._lock)  # the watcher sleeps on it
        self._others = threading.Condition(self._lock)

    def _lead(self, reader: Reader) -> None:
        self.leader = reader
        self._leave_watch(reader)

    def _leave_watch(self, reader: Reader) -> None:
        """Where no reader watches, another is to."""
        with self._lock:
            if self._watcher is reader:
                self._watcher = None
            if self._watcher is None:
                self._others.notify()

    def _is_needed(self) -> bool:
        """Whether something is queued, and no reader waits for it."""
        leader = self.leader
        return leader is not None and not leader.waits and self._size() > 0

    def _judge(self, taken: int, seconds: float, is_needed: bool) -> None:
        """Do handlers take long?  So many requests were taken in that time; ``is_needed``: with more queued behind."""
        if not is_needed or 0 < taken and seconds / taken < _LONG:
            self._points = max(self._points - taken, 0)
            return
        self._points += _FOR_LONG * taken if taken else _FOR_ABSENCE
        if self._points >= _MANY:
            self._points = 0
            self._all_wait_until = monotonic() + _TRUST
            self.rouse()


def nap_time() -> float | None:
    """Seconds that a thread waits for its next request in one call; None: no limit.

    One for the main thread: a signal that comes in the instant before the interpreter blocks in the lock would
    else be handled only when the next request comes (Ctrl-C, say).  One for each while a thread has yet to come up:
    it may be the accept thread, and then only a reader can notice that it never does.
    """
    return in_one_go(1.0 if threading.current_thread() is threading.main_thread() else None)
