"""The connections of a client: which are idle, how many there are, and which request gets the next one.

A request acquires a Lease for a key (scheme, host, port and proxy), and settles it.  Where a host may have
no more connections, ``acquire`` waits; waiting requests are served in the order in which they came.

The pool decides under its lock and does no I/O there: connections are tested, closed and cut outside.  It knows nothing
of sockets or HTTP, only what Pooled says.  A thread closes expired connections; it ends at most one idle_timeout after
the last connection.

A lease may be dropped by the garbage collector, on any thread, also on the one that holds the lock.  So ``__del__``
never waits for the lock: it leaves a note, and the thread that has the lock, or had it last, reads the notes.

After a fork the child's pool is empty: the connections that there were are the parent's, also those whose leases
the child has a copy of.  They are not in ``_active`` any more, and so settling such a lease changes nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable
from threading import Condition, Lock, current_thread
from typing import Any, Final, Generic

from blockingio.client.lease import C, Lease
from blockingio.errors import HttpException, StateError
from blockingio.stream.fork import begin_anew_in_child
from blockingio.stream.thread import Thread
from blockingio.values.checks import check, is_count

# Seconds; dart:io's HttpClient.idleTimeout.
IDLE_TIMEOUT: Final = 15.0

_CUT = "the client was closed with force"
_PARENTS = "the connection is the parent process's, from before a fork"


class _Host(Generic[C]):
    """What there is for one key.  Guarded by the pool's lock."""

    def __init__(self) -> None:
        self.places = 0  # connections, and those about to be made
        self.idle: list[C] = []  # the one used last at the end, and taken first
        self.waiting: deque[_Waiter[C]] = deque()


class _Waiter(Generic[C]):
    """A request in the queue; the thread that wakes it sets the other attributes first."""

    def __init__(self) -> None:
        self.gate = Lock()
        self.gate.acquire()
        self.is_served = False
        self.connection: C | None = None  # None: a place, to make one
        self.refusal: str | None = None

    def serve(self, connection: C | None, refusal: str | None = None) -> None:
        self.is_served = True
        self.connection = connection
        self.refusal = refusal
        self.gate.release()


class _Guard:
    """The pool's lock; leaving it reads the notes that were left meanwhile."""

    def __init__(self, pool: Pool[Any]) -> None:
        self._pool = pool

    def __enter__(self) -> None:
        self._pool._lock.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self._pool._lock.release()
        if self._pool._notes:
            self._pool._read_notes()


class Pool(Generic[C]):
    def __init__(self) -> None:
        self.idle_timeout: float | None = IDLE_TIMEOUT  # seconds; None: for ever
        self._max_per_host: int | None = None
        self._lock = Lock()
        self._guard = _Guard(self)
        # All below is guarded by _lock; what leaves it reads the notes, as _guard does.  _notes' ends are safe without.
        self._hosts: dict[Hashable, _Host[C]] = {}
        self._active: set[C] = set()
        self._is_closed = False
        self._is_cut = False
        self._reaper: Thread | None = None
        self._reap_at = 0.0  # when the reaper looks next
        self._wake_reaper = Condition(self._lock)
        # What was dropped: a key, its connection, and whether that can go on; None: the client itself.
        self._notes: deque[tuple[Hashable, C | None, bool] | None] = deque()
        begin_anew_in_child(self, Pool._begin_anew)

    @property
    def max_per_host(self) -> int | None:
        """How many connections a key may have; None: any number."""
        return self._max_per_host

    @max_per_host.setter
    def max_per_host(self, limit: int | None) -> None:
        check("max_connections_per_host", limit, is_count)
        with self._guard:
            self._max_per_host = limit
            for key in list(self._hosts):
                self._serve_waiting(key)

    def check_open(self) -> None:
        """StateError once close() was called."""
        if self._is_closed:
            raise StateError("the client is closed")

    def acquire(self, key: Hashable, *, is_fresh: bool = False) -> Lease[C]:
        """A place for a connection, with an idle one in it where there is one; waits for its turn.

        ``is_fresh``: without an idle one.  HttpException where the client is cut.
        """
        # From the moment that it has a place the lease is what gives it back, whatever happens here.
        lease = Lease(self, key)
        too_many: C | None = None
        waiter: _Waiter[C] | None = None
        try:  # as _guard, without its calls: this and release() are each request's
            with self._lock:
                if self._is_cut:
                    raise HttpException(_CUT)
                host = self._hosts.get(key)
                if host is None:
                    host = self._hosts[key] = _Host()
                if host.idle and not is_fresh:
                    lease.connection = host.idle.pop()
                    lease.is_settled = False
                    self._active.add(lease.connection)
                elif self._max_per_host is None or host.places < self._max_per_host:
                    host.places += 1
                    lease.is_settled = False
                elif host.idle:
                    too_many = host.idle.pop(0)
                    lease.is_settled = False
                else:
                    waiter = _Waiter()
                    host.waiting.append(waiter)
        finally:
            if self._notes:
                self._read_notes()
        if too_many is not None:
            too_many.close()
        if waiter is not None:
            self._wait(lease, waiter)
            if is_fresh:
                self._empty(lease)
        while lease.connection is not None:
            if lease.connection.idle_until > time.monotonic() and lease.connection.is_alive():
                lease.is_reused = True
                break
            self._empty(lease)
            self._take_next_idle(lease)
        return lease

    def _wait(self, lease: Lease[C], waiter: _Waiter[C]) -> None:
        """Until it is the waiter's turn, and the lease has a place or a connection."""
        try:
            waiter.gate.acquire()
        except BaseException:  # KeyboardInterrupt: leave the queue, and pass on what came
            with self._guard:
                if not waiter.is_served:
                    self._hosts[lease.key].waiting.remove(waiter)
            if waiter.is_served and waiter.refusal is None:
                self.release(lease.key, waiter.connection)
            raise
        if waiter.refusal is not None:
            raise HttpException(waiter.refusal)
        lease.connection = waiter.connection
        lease.is_settled = False

    def _empty(self, lease: Lease[C]) -> None:
        """Close the connection of a lease, and keep the place."""
        connection = lease.connection
        if connection is not None:
            connection.close()
            with self._guard:
                self._active.discard(connection)
                lease.connection = None

    def _take_next_idle(self, lease: Lease[C]) -> None:
        """Put another idle connection into an empty lease, in that one's own place, if there is one."""
        with self._guard:
            host = self._hosts[lease.key]
            if host.idle:
                lease.connection = host.idle.pop()
                self._active.add(lease.connection)
                host.places -= 1

    def attach(self, lease: Lease[C], connection: C) -> None:
        starting: Thread | None = None
        with self._guard:
            if self._is_cut:
                raise HttpException(_CUT)
            lease.connection = connection
            self._active.add(connection)
            if self._reaper is None and self.idle_timeout is not None and not self._is_closed:
                self._reap_at = time.monotonic() + self.idle_timeout
                starting = self._reaper = Thread(self._reap, name="blockingio idle", lost=self._forget_reaper)
        if starting is not None:
            try:
                starting.start()
            except (RuntimeError, MemoryError) as error:
                self._forget_reaper(error)

    def _forget_reaper(self, error: Exception) -> None:
        """The system has no thread, or it did not come up: then connections expire when looked at."""
        with self._guard:
            self._reaper = None

    def release(self, key: Hashable, connection: C | None) -> None:
        try:
            with self._lock:
                is_kept = connection is not None and self._take_back(key, connection)
                if not is_kept:
                    self._forget(key, connection)
        finally:
            if self._notes:
                self._read_notes()
        if not is_kept and connection is not None:
            connection.close()

    def _take_back(self, key: Hashable, connection: C) -> bool:
        """Give it to a waiting request, or keep it for later; False where it is not wanted.  Under the lock."""
        if connection not in self._active:
            return False
        host = self._hosts[key]
        limit = self._max_per_host
        timeout = self.idle_timeout
        if self._is_closed and not host.waiting or limit is not None and host.places > limit:
            return False
        if host.waiting:
            connection.idle_until = float("inf")
            host.waiting.popleft().serve(connection)
            return True
        if timeout is not None and timeout <= 0:
            return False
        self._active.remove(connection)
        host.idle.append(connection)
        connection.idle_until = time.monotonic() + timeout if timeout is not None else float("inf")
        if connection.idle_until < self._reap_at:
            self._wake_reaper.notify()
        return True

    def discard(self, key: Hashable, connection: C | None) -> None:
        with self._guard:
            self._forget(key, connection)

    def _forget(self, key: Hashable, connection: C | None) -> None:
        """A place is free.  Under the lock."""
        if connection is not None:
            if connection not in self._active:
                return  # the parent process's
            self._active.remove(connection)
        self._hosts[key].places -= 1
        self._serve_waiting(key)

    def _serve_waiting(self, key: Hashable) -> None:
        """Give free places to waiting requests.  Under the lock."""
        host = self._hosts[key]
        while host.waiting and (self._max_per_host is None or host.places < self._max_per_host):
            host.places += 1
            host.waiting.popleft().serve(None)
        if not host.places and not host.waiting:
            del self._hosts[key]

    def leave_note(self, note: tuple[Hashable, C | None, bool] | None) -> None:
        self._notes.append(note)
        self._read_notes()

    def abandon(self) -> None:
        """The client is garbage: as ``close``, but it may be called where a lock must not be waited for."""
        self.leave_note(None)

    def _read_notes(self) -> None:
        """Do what the notes say, unless another holds the lock: then that one does, after."""
        while self._notes and self._lock.acquire(blocking=False):
            unwanted: list[C] = []
            try:
                while self._notes:
                    note = self._notes.popleft()
                    if note is None:
                        unwanted += self._close_idle()
                        continue
                    key, connection, is_usable = note
                    if connection is not None and is_usable:
                        if self._take_back(key, connection):
                            continue
                        unwanted.append(connection)
                    self._forget(key, connection)
            finally:
                self._lock.release()
            for connection in unwanted:
                connection.close()

    def _begin_anew(self) -> None:
        """This is a forked child, with one thread: no request waits, and no connection is its own."""
        connections = [*self._active, *(connection for host in self._hosts.values() for connection in host.idle)]
        self._lock = Lock()
        self._wake_reaper = Condition(self._lock)
        self._hosts = {}
        self._active = set()
        self._reaper = None
        self._notes.clear()
        for connection in connections:
            connection.leave(_PARENTS)

    def close(self, *, is_forced: bool) -> None:
        """No new ones; idle ones are closed, and with force active ones are cut and waiting requests refused."""
        active: list[C] = []
        with self._guard:
            idle = self._close_idle()
            if is_forced:
                self._is_cut = True
                active = list(self._active)
                for key, host in list(self._hosts.items()):
                    while host.waiting:
                        host.waiting.popleft().serve(None, _CUT)
                    self._serve_waiting(key)
            reaper = self._reaper
        for connection in idle:
            connection.close()
        for connection in active:
            connection.cut(_CUT)
        if reaper is not None and reaper is not current_thread():
            reaper.end()  # it waits for nothing but the lock

    def _close_idle(self) -> list[C]:
        """Mark as closed and take out what is idle, for the caller to close.  Under the lock."""
        self._is_closed = True
        idle = []
        for key, host in list(self._hosts.items()):
            idle += host.idle
            host.places -= len(host.idle)
            host.idle = []
            self._serve_waiting(key)
        self._wake_reaper.notify()
        return idle

    def _reap(self) -> None:
        """Close what has been idle too long; ends when there is no connection any more."""
        while True:
            with self._guard:
                expired, next_time = self._take_expired()
                if not expired:
                    if self._is_closed or not self._hosts or self.idle_timeout is None:
                        self._reaper = None
                        return
                    self._reap_at = min(next_time, time.monotonic() + self.idle_timeout)
                    self._wake_reaper.wait(max(self._reap_at - time.monotonic(), 0))
            for connection in expired:
                connection.close()

    def _take_expired(self) -> tuple[list[C], float]:
        """The connections whose time is up, taken out; and when the next one's will be.  Under the lock."""
        now = time.monotonic()
        expired: list[C] = []
        next_time = float("inf")
        for key, host in list(self._hosts.items()):
            if not host.idle:
                continue
            over = [connection for connection in host.idle if connection.idle_until <= now]
            host.idle = [connection for connection in host.idle if connection.idle_until > now]
            host.places -= len(over)
            expired += over
            next_time = min([next_time, *(connection.idle_until for connection in host.idle)])
            self._serve_waiting(key)
        return expired, next_time

    def __repr__(self) -> str:
        with self._guard:
            idle = sum(len(host.idle) for host in self._hosts.values())
            waiting = sum(len(host.waiting) for host in self._hosts.values())
            state = ", closed" if self._is_closed else ""
            return f"{len(self._active)} active, {idle} idle, {waiting} waiting{state}"
