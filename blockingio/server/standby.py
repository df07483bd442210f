"""Standby: which of several workers waits in the queue's get().

A put wakes a thread that sleeps in get().  That costs more than a short handler does, and is in vain where another
worker is about to come back for the next request.  So one reader leads: it alone waits in get(), works on what
it has taken, and comes back.  The others stand by, and cost nothing.

A handler that waits, for a database say, must hold no request up.  Then another reader leads:

    alert      A request is queued while the leader is at work.  One of those that stand by, the watcher, wakes up and
               gives the leader _CALM to come back, again and again while requests are taken; _GRACE where handlers have
               taken long lately.  Once none was taken, the watcher leads.  So no request waits much longer than that.
               Puts alert it only while it sleeps.
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

# Seconds that a leader has to come back, once a request is queued behind the one that it works on: where handlers have
# taken long lately, and where none has.  The shorter, the more often the watcher is woken.
_GRACE = 0.001
_CALM = 0.004

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

# Seconds after which a watcher that sleeps looks without an alert.
_LOOK = 1.0


class Reader(Protocol):
    """One thread's; that thread alone writes what is here."""

    waits: bool  # it is in the queue's get(), or about to be
    taken: int  # how many requests it has taken


class Standby:
    """Of the workers of one for_each or listen; ``size`` tells how much is on their queue.

    ``changed`` is called by the watcher when ``wants_alerts`` has changed.

    A reader calls ``wait_to_lead`` before get(), ``has_taken`` behind it unless ``is_awake``, and ``resign`` when it
    asks no more.
    """

    __slots__ = ("readers", "leader", "is_awake", "wants_alerts", "_size", "_changed", "_lock", "_alarm", "_others",
                 "_watcher", "_is_over", "_points", "_all_wait_until")

    def __init__(self, size: Callable[[], int], changed: Callable[[], object]) -> None:
        self.readers = 0  # guarded by the queue's lock
        self._size = size
        self._changed = changed
        self._make_locks()
        self.leader: Reader | None = None  # read without the lock: only its own thread needs to be sure
        self._watcher: Reader | None = None
        # The watcher does not sleep, or will look before it does.  Read without the lock.
        self.is_awake = True
        self.wants_alerts = False  # a put is to call ``alert``; written by the watcher
        self._is_over = False
        self._points = 0  # the watcher's
        self._all_wait_until = 0.0  # 0: handlers are short, and one waits

    def __repr__(self) -> str:
        return (f"<Standby {self.readers} readers{'' if self.leader is None else ', one leads'}"
                f"{', one watches' if self._watcher is not None else ''}, {self._points} points>")

    def wait_to_lead(self, reader: Reader, is_wanted: Callable[[], bool]) -> bool:
        """Stand by until this reader leads, or all may wait; False once it need not: ``rouse`` has it look for that."""
        while self.leader is not reader and not self._all_wait_until and not self._is_over:
            with self._lock:
                if not is_wanted():
                    return False
                leader = self.leader
                if leader is None:
                    self._lead(reader)
                    break
                if self._watcher is None:
                    self._watcher = reader
                if self._watcher is not reader:
                    self._others.wait(nap_time())
                    continue
            if not self._watch(reader, leader):
                self._sleep(is_wanted)
        if self._watcher is reader:
            self._leave_watch(reader)
        return True

    def _watch(self, reader: Reader, leader: Reader) -> bool:
        """Give the leader time to come back; where it does not, ``reader`` leads.  False where it has nothing to do."""
        taken, was_needed, began = leader.taken, self._is_needed(), monotonic()
        sleep(_GRACE if self._points else _CALM)
        is_needed = was_needed and self._is_needed()
        self._judge(leader.taken - taken, monotonic() - began, is_needed)
        if leader.taken != taken:
            return True
        if is_needed:
            with self._lock:
                if self.leader is leader and leader.taken == taken:
                    self._lead(reader)
            return True
        return self._is_needed()

    def _sleep(self, is_wanted: Callable[[], bool]) -> None:
        """Until an alert, or something else that the watcher has to see.

        A connection's thread may have fetched a put that alerts no one just before: so it looks, at first soon.
        """
        self.wants_alerts = True
        self._changed()
        look = _GRACE
        with self._lock:
            self.is_awake = False
            # What came before this line is seen here, and what comes later notifies.
            while is_wanted() and self.leader is not None and not self.is_awake and not self._is_needed():
                self._alarm.wait(in_one_go(look))
                look = min(4 * look, _LOOK)
            self.is_awake = True
        self.wants_alerts = False
        self._changed()

    def has_taken(self) -> None:
        """A reader is about to call its handler, and no watcher is awake."""
        if not self._all_wait_until:
            if self._size():
                self.alert()
        elif monotonic() > self._all_wait_until:
            self._all_wait_until = 0.0

    def alerting(self, put: Callable[[Any], None]) -> Callable[[Any], None]:
        """``put`` onto the queue, and ``alert``: a function of its own, quicker than a method that all threads use."""
        def put_and_alert(item: Any) -> None:
            put(item)
            if not self.is_awake:
                self.alert()
        return put_and_alert

    def alert(self) -> None:
        """Something is on the queue: if no reader waits for it, one has to lead.  From any thread."""
        leader = self.leader
        if leader is None or not leader.waits:
            with self._lock:
                # A put that was fetched before all waited changes nothing: has_taken has to end that.
                self.is_awake = not self._all_wait_until
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
            self._points = _MANY // 2  # what was so before is soon noticed again
            with self._lock:
                self._all_wait_until = monotonic() + _TRUST
                self.is_awake = False
                self.rouse()


def nap_time() -> float | None:
    """Seconds that a thread waits for its next request in one call; None: no limit.

    One for the main thread: a signal that comes in the instant before the interpreter blocks in the lock would
    else be handled only when the next request comes (Ctrl-C, say).  One for each while a thread has yet to come up:
    it may be the accept thread, and then only a reader can notice that it never does.
    """
    return in_one_go(1.0 if threading.current_thread() is threading.main_thread() else None)
