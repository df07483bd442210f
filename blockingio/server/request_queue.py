"""The queue of requests: connections' threads put them on, readers take them off.

It owns a request between the two: it alone says that a response is queued or taken, and what becomes of requests
that no reader takes.  Each request goes to one reader.

    put            a connection's thread, for each request
    iterate        a plain loop, ``for request in server``
    RequestReader  the same, for a wait with a limit and for workers; it can be woken and can give a request back
    close          each reader ends behind what had been queued before
    accepts_no_more   the same, with an error
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
from blockingio.stream.thread import in_one_go
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
        self.put: Callable[[Item], None] = queue.put
        # How connections' threads give their requests: put, or what works on each there and then.
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
        """From now on requests are not queued, but ``take`` is called on their connections' threads; None: queued."""
        self.hand_over = self.put if take is None else take

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
    """One thread's reader, for waits with a limit: an iterator of requests that any thread may wake."""

    __slots__ = ("waits", "_queue", "_given", "_nap", "_is_closed", "_loop")

    def __init__(self, begin: Callable[[], RequestQueue]) -> None:
        self.waits = False  # written by its own thread: it is in the queue's get(), or about to be
        self._given: ref[HttpRequest] | None = None
        self._loop = asking_loop()
        self._nap = nap_time() or threading.TIMEOUT_MAX
        self._is_closed = True
        self._queue = begin()
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
        end = monotonic() + seconds
        self.waits = True
        try:
            while is_wanted():
                item = self._get(end, seconds)
                if item is None:
                    continue
                if isinstance(item, Signal):
                    if self._queue.is_end(item, self):
                        raise StopIteration
                elif is_wanted():
                    item.response.phase = OPEN
                    self._given = ref(item)
                    return item
                else:
                    self._queue.give_back(item)
                    del item
            return None
        finally:
            self.waits = False

    def _get(self, end: float, seconds: float) -> Item | None:
        """An item, or None after a nap.  Raises TimeoutError at ``end`` on the monotonic clock."""
        left = end - monotonic() if seconds != inf else inf
        try:
            return self._queue.get(True, min(max(left, 0), self._nap))
        except Empty:
            if left > self._nap:
                self._nap = nap_time() or threading.TIMEOUT_MAX
                return None
            raise TimeoutError(f"no request came within {seconds:g} seconds") from None

    def wake(self) -> None:
        """Have it look whether a request is still wanted; from any thread."""
        if self.waits:
            self._queue.put(_Wake(self))

    def put_back(self, event: HttpRequest) -> bool:
        """What was given last is another reader's after all."""
        self._given = None
        self._queue.give_back(event)
        return True

    def close(self) -> None:
        """It asks no more.  Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._queue.leave()

    def __del__(self) -> None:
        if not sys.is_finalizing() and not self._is_closed:
            self._queue.loop_left(self._given, self._loop)
            self.close()


def nap_time() -> float | None:
    """Seconds that a thread waits for the queue in one call; None: no limit.

    One for the main thread: a signal that comes in the instant before the interpreter blocks in the lock would
    else be handled only when the next request comes (Ctrl-C, say).  One for each while a thread has yet to come up:
    it may be the accept thread, and then only a reader can notice that it never does.
    """
    return in_one_go(1.0 if threading.current_thread() is threading.main_thread() else None)


def _always() -> bool:
    return True
