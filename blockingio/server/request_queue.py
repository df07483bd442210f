"""The queue of requests: connections' threads put them on, readers take them off.

It owns a request between the two: it alone says that a response is queued or taken, and what becomes of requests
that no reader takes.  Each request goes to one reader.

    put            a connection's thread, for each request
    iterate        a plain loop, ``for request in server``
    RequestReader  the same, for a wait with a limit and for workers; it can be woken and can give a request back
    close          each reader ends behind what had been queued before
    accepts_no_more   the same, with an error
    join           workers that stand by for each other; see standby.py
    leave_to_parent   in a forked child: what is queued is the parent's

Under it is a queue.SimpleQueue, whose put and get are one step each, with or without the GIL.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic
from types import CodeType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from weakref import WeakSet, ref

from blockingio.server.dropped import close_if_dropped
from blockingio.server.left import answer_if_left_by_exception, asking_loop
from blockingio.server.standby import Standby, nap_time
from blockingio.wire.sink import CLOSED, OPEN, UNTAKEN

# Of the room above: a request is an item of the queue, and knows its connection.
HttpRequest: TypeAlias = Any

if TYPE_CHECKING:
    Item: TypeAlias = "HttpRequest | Signal"


class Signal:
    """An item of the queue that is no request, and so has no response."""

    __slots__ = ()

    response = None


# Ends each reader; it stays on the queue.
_CLOSED = Signal()


class _Wake(Signal):
    """For one reader, to look again whether it should still wait."""

    __slots__ = ("reader",)

    def __init__(self, reader: RequestReader) -> None:
        self.reader = reader


class _Broken(Signal):
    """Ends each reader with an error, as long as it is the queue's last one of these; it stays on the queue."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def for_a_reader(self) -> OSError:
        """For each its own: a traceback holds what its thread had."""
        cause = self.error
        text = f"the server cannot accept connections any more: {cause}"
        error = OSError(cause.errno, text) if isinstance(cause, OSError) else OSError(text)
        error.__cause__ = cause
        return error


class _Closable(Protocol):
    def queue_closed(self) -> None: ...


class RequestQueue:
    """One server's.  ``refuse`` answers a request that no handler will, with a status."""

    def __init__(self, refuse: Callable[[HttpRequest, int], None]) -> None:
        queue: SimpleQueue[Item] = SimpleQueue()
        # SimpleQueue's own methods, not ours around them: no frame is added to a request.
        self._put: Callable[[Item], None] = queue.put
        self.put: Callable[[Item], None] = queue.put  # and has a worker woken that stands by, where one is needed
        # How connections' threads give their requests: by put, or to what works on each there and then.
        self.hand_over: Callable[[HttpRequest], None] = queue.put
        self.get: Callable[..., Item] = queue.get
        self._size = queue.qsize
        self._refuse = refuse
        # Guards what follows.  Reentrant: the garbage collector may end a suspended reader in here.  Its holder
        # waits for no other thread.
        self._lock = threading.RLock()
        self.readers = 0  # threads that take, or will ask again
        self._closed = False  # the signal of it is on the queue, and no request comes behind
        self._told: WeakSet[_Closable] = WeakSet()
        # Written by the accept thread at its end, and by the thread that begins to accept again.
        self.broken: _Broken | None = None
        self._work_there: Callable[[HttpRequest], None] | None = None  # what requests are given to instead
        self._standbys: list[Standby] = []  # of the workers that read

    def __len__(self) -> int:
        """How many items are on it, signals included; another thread may change that at once."""
        return self._size()

    def __repr__(self) -> str:
        return f"<RequestQueue {self._size()} items, {self.readers} readers{' closed' if self._closed else ''}>"

    # ---------------------------------------------------------------- readers

    def enter(self) -> None:
        """One reader more: what is queued will be taken."""
        with self._lock:
            self.readers += 1

    def leave(self) -> None:
        with self._lock:
            self.readers -= 1
        self._refuse_unread()

    def give_back(self, request: HttpRequest) -> None:
        """A request that one reader has taken is to be another's."""
        request.response.phase = UNTAKEN
        self.put(request)
        self._refuse_unread()

    def is_end(self, signal: Signal, reader: RequestReader | None = None) -> bool:
        """Whether a reader that got this signal is at its end; a signal that is another's goes on to that one.

        Raises OSError where no connections are accepted any more.
        """
        if signal is _CLOSED:
            self.put(signal)
            return True
        if isinstance(signal, _Broken):
            if signal is self.broken:
                self.put(signal)
                raise signal.for_a_reader()
            return False
        assert isinstance(signal, _Wake)
        if signal.reader is not reader and signal.reader.waits:
            self.put(signal)
            time.sleep(0)  # let its reader have it
        return False

    def loop_left(self, given: ref[HttpRequest] | None, loop: CodeType | None) -> None:
        """A reader is let go of, by the calling thread: where an exception does it, its last request is answered."""
        answer_if_left_by_exception(given, loop, self._refuse)

    def give_to(self, take: Callable[[HttpRequest], None] | None) -> None:
        """From now on requests are not queued, but ``take`` is called on their connections' threads; None: queued.

        It calls ``note_taken`` with each."""
        with self._lock:
            self._work_there = take
            self._set_puts()

    def note_taken(self, request: HttpRequest) -> None:
        """The thread that a request was given to works on it."""
        request.response.phase = OPEN

    # ---------------------------------------------------------------- readers that stand by for each other

    def new_standby(self) -> Standby:
        """For readers of this queue, each of which says so by ``join``."""
        return Standby(self._size, self._set_puts)

    def join(self, standby: Standby) -> None:
        """One reader more stands by for the others."""
        with self._lock:
            standby.readers += 1
            if standby not in self._standbys:
                self._standbys.append(standby)
                self._set_puts()

    def part(self, standby: Standby) -> None:
        with self._lock:
            standby.readers -= 1
            if not standby.readers and standby in self._standbys:  # not in a forked child
                self._standbys.remove(standby)
                self._set_puts()

    def _set_puts(self) -> None:
        """Where workers stand by that want it, what is put alerts them."""
        with self._lock:
            put = self._put
            for standby in self._standbys:
                if standby.wants_alerts:
                    put = standby.alerting(put)
            self.put = put
            self.hand_over = self._work_there or put

    # ---------------------------------------------------------------- the end

    def accepts_no_more(self, error: BaseException) -> None:
        """The accept loop has ended by itself: each reader ends, with an OSError, behind what is queued."""
        self.broken = _Broken(error)
        self.put(self.broken)

    def mend(self, broken: _Broken | None) -> None:
        """There is an accept loop again; ``broken``: what had ended the one before."""
        if self.broken is broken:  # else the new one has ended, too
            self.broken = None

    def tell_at_close(self, closable: _Closable) -> None:
        """Call its ``queue_closed`` at close: for those that wait for something else than the queue."""
        with self._lock:
            self._told.add(closable)

    def close(self) -> None:
        """No request comes any more: each reader ends behind what is queued.  From any thread, any number of times."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.put(_CLOSED)
            told = list(self._told)
        for closable in told:
            closable.queue_closed()
        self._refuse_unread()

    def leave_to_parent(self) -> None:
        """In a forked child, which has a queue of its own from now on: the readers that the fork left here end.

        What is queued is dropped without a word to its clients, which are the parent's.
        """
        self._lock = threading.RLock()  # another thread may have held it at the fork
        for standby in self._standbys:
            standby.end()
        self._standbys = []
        self._set_puts()
        while self._size():
            item = self.get(False)
            if not isinstance(item, Signal):
                item.response.finished = True  # by the parent
        self.put(_CLOSED)

    def _refuse_unread(self) -> None:
        """Where the queue is closed and no reader will take what is still on it: tell its clients."""
        with self._lock:
            if not self._closed or self.readers:
                return
        try:
            while True:
                item = self.get(False)
                if not isinstance(item, Signal):
                    self._refuse(item, 503)
        except Empty:
            pass
        finally:
            self.put(_CLOSED)


def iterate(begin: Callable[[], RequestQueue]) -> Iterator[HttpRequest]:
    """``for request in server``: a generator, which is the quickest of all iterators, and for one thread.

    ``begin`` gives the queue, with this reader counted; it is called with the first ``next``.
    """
    queue = begin()
    loop = asking_loop()
    given: ref[HttpRequest] | None = None
    try:
        nap = nap_time()
        get = queue.get
        on_its_way: list[HttpRequest] = []
        request: Item | None
        while True:
            try:
                request = get(True, nap)
            except Empty:
                nap = nap_time()
                continue
            response = request.response
            if response is None:
                if queue.is_end(request):
                    return
                continue
            response.phase = OPEN
            response = None
            given = ref(request)
            on_its_way.append(request)
            request = None
            yield on_its_way.pop()  # from here on its only strong reference is the loop's
            request = given()
            if request is not None and request.response.phase != CLOSED:
                request = None
                close_if_dropped(given)
            request = None
    except GeneratorExit:
        queue.loop_left(given, loop)
        raise
    finally:
        queue.leave()


class RequestReader:
    """One thread's reader, for waits with a limit: an iterator of requests that any thread may wake.

    ``standby``: the one of the workers that it is of.
    """

    __slots__ = ("waits", "taken", "_queue", "_get", "_standby", "_given", "_nap", "_is_closed", "_loop")

    def __init__(self, begin: Callable[[], RequestQueue], standby: Standby | None = None) -> None:
        self._standby = standby
        self.waits = False  # written by its own thread: it is in the queue's get(), or about to be
        self.taken = 0  # by its own thread, where it stands by: how many requests
        self._given: ref[HttpRequest] | None = None
        self._loop = asking_loop()
        self._nap = nap_time() or threading.TIMEOUT_MAX
        self._is_closed = True
        self._queue = begin()
        self._get = self._queue.get
        if standby is not None:
            self._queue.join(standby)
        self._is_closed = False

    def __iter__(self) -> Iterator[HttpRequest]:
        return self

    def __next__(self) -> HttpRequest:
        return self.within(inf)

    def within(self, seconds: float) -> HttpRequest:
        """``next``, but TimeoutError where no request comes in that time; ``inf`` is for ever."""
        request = self.take(_always, seconds)
        assert request is not None
        return request

    def take(self, is_wanted: Callable[[], bool], seconds: float = inf) -> HttpRequest | None:
        """The next request; None once none is wanted, which ``wake`` has it look for.

        Raises TimeoutError where none comes in that time, StopIteration at the end.
        """
        if self._given is not None:
            given, self._given = self._given, None
            close_if_dropped(given)
        end = None if seconds == inf else monotonic() + seconds
        standby = self._standby
        try:
            while True:
                if standby is not None and standby.leader is not self and not standby.wait_to_lead(self, is_wanted):
                    break
                self.waits = True  # first: from here on ``wake`` ends get()
                if not is_wanted():
                    break
                try:
                    item = self._get(True, self._nap if end is None else min(max(end - monotonic(), 0), self._nap))
                except Empty:
                    self._end_nap(end, seconds)
                    continue
                if isinstance(item, Signal):
                    if self._queue.is_end(item, self):
                        raise StopIteration
                elif is_wanted():
                    item.response.phase = OPEN
                    self._given = ref(item)
                    self.waits = False
                    if standby is not None:
                        self.taken += 1
                        if not standby.is_awake:
                            standby.has_taken()
                    return item
                else:
                    self._queue.give_back(item)
                    del item
        except BaseException:
            self._rest()
            raise
        self._rest()
        return None

    def _rest(self) -> None:
        """It may ask again, but not at once."""
        self.waits = False
        if self._standby is not None:
            self._standby.resign(self)

    def _end_nap(self, end: float | None, seconds: float) -> None:
        """Raises TimeoutError at ``end`` on the monotonic clock."""
        if end is not None and end <= monotonic():
            raise TimeoutError(f"no request came within {seconds:g} seconds") from None
        self._nap = nap_time() or threading.TIMEOUT_MAX

    def wake(self) -> None:
        """Have it look whether a request is still wanted; from any thread."""
        if self.waits:
            self._queue.put(_Wake(self))
        elif self._standby is not None:
            self._standby.rouse()

    def put_back(self, event: HttpRequest) -> bool:
        """What was given last is another reader's after all."""
        self._given = None
        self._queue.give_back(event)
        return True

    def close(self) -> None:
        """It asks no more.  Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            if self._standby is not None:
                self._standby.resign(self)
                self._queue.part(self._standby)
            self._queue.leave()

    def __del__(self) -> None:
        if not sys.is_finalizing() and not self._is_closed:
            self._queue.loop_left(self._given, self._loop)
            self.close()


def _always() -> bool:
    return True
