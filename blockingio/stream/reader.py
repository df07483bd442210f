"""Waiting for the next event of something, and giving that up without losing the event.

A Reader is an iterator that can also be asked with a Wait: until a deadline, or until another thread ends it.  ``pull``
gives the next event, raises StopIteration at the end and WaitCancelled when there was none in time; the event that then
comes is kept for the next pull.  Any number of threads may pull: each event goes to one of them.

    InstantReader   over containers, which never block
    IteratorReader  over any iterator; a timed wait takes a helper thread
    HookReader      over a stream that waits by itself (``Stream._timed_iterator``)

No frame in here holds an event while the next one is awaited: a server notices by its references that a request was
dropped.  Knows nothing of Stream but its ``_stream_reader``, and where to note what is kept for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import inf
from queue import Empty, SimpleQueue
from threading import Lock, local
from typing import Any, Generic, Protocol, TypeVar, cast

from blockingio.stream.waiting import Turn, Wait, WaitCancelled
from blockingio.stream.thread import Thread

T = TypeVar("T")

# Seconds that a helper thread waits for more work before it ends.  A thread for each event would
# cost ten times the event; a longer wait would be a thread that is left behind.
HELPER_LINGER = 0.05

# Their iterators are done without ever blocking: a wait for them needs no deadline.
_INSTANT = frozenset((bytearray, bytes, dict, frozenset, list, range, set, str, tuple))

# Guards the notes on all streams: there are few, and they are short.
_notes_lock = Lock()


class Outcome:
    """What one call of next() came to: the event, or the error that it raised.

    Can be taken once, and is empty then: a frame with an error's outcome among its variables
    would be in that error's traceback, and the two would keep each other and all they hold.
    """

    __slots__ = ("_event", "_error")

    def __init__(self, event: Any = None, error: BaseException | None = None) -> None:
        self._event = event
        self._error = error

    def take(self) -> Any:
        """The event; raises the error where it is one."""
        event, error = self._event, self._error
        self._event = self._error = None
        if error is None:
            return event
        try:
            raise error
        finally:
            del error

    @property
    def is_end(self) -> bool:
        return isinstance(self._error, StopIteration)


class Reader(Generic[T]):
    """An iterator over events that can be waited for with a limit."""

    __slots__ = ()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        return self.pull(None)

    def pull(self, wait: Wait | None) -> T:
        """The next event; None waits for ever.  Raises StopIteration, WaitCancelled, the source's errors."""
        raise NotImplementedError


class InstantReader(Reader[T]):
    def __init__(self, iterator: Iterator[T]) -> None:
        self._iterator = iterator

    def pull(self, wait: Wait | None) -> T:
        return next(self._iterator)


class _Keeping(Reader[T]):
    """What is kept here is noted on ``home``, the stream that it came from, for that one's next reader.

    The note is an attribute; a stream whose ``__slots__`` have no place for it goes without, and
    what is kept waits for the next reader of the same view.
    """

    def __init__(self, home: object) -> None:
        self._home: Any = home
        self._kept: list[Outcome] = []  # oldest first
        self._kept_lock = Lock()  # guards changes of _kept, and of the note

    def _keep(self, outcome: Outcome) -> None:
        with self._kept_lock:
            self._kept.append(outcome)
            self._note()

    def _take_kept(self) -> Outcome | None:
        with self._kept_lock:
            if len(self._kept) <= 1:
                self._unnote()  # first: a thread that finds nothing kept must not have been sent by the note
            return self._kept.pop(0) if self._kept else None

    def _note(self) -> None:
        home = self._home
        if home is None:
            return
        with _notes_lock:
            readers = getattr(home, "_kept_readers", ())
            if self not in readers:
                try:
                    home._kept_readers = (*readers, self)
                except AttributeError:
                    self._home = None  # no place there

    def _unnote(self) -> None:
        home = self._home
        if home is None or self not in getattr(home, "_kept_readers", ()):
            return
        with _notes_lock:
            home._kept_readers = tuple(reader for reader in home._kept_readers if reader is not self)


class _Fetch:
    """One call of next() on the helper's thread, for the reader whose wait this is."""

    __slots__ = ("wait", "outcome", "abandoned")

    def __init__(self, wait: Wait) -> None:
        self.wait = wait
        self.outcome: Outcome | None = None
        self.abandoned = False


class _Helper:
    """Calls next() on a daemon thread, so that a reader need not wait for ever.

    The thread ends at the source's end; as soon as next() returns, where the reader has gone
    meanwhile; else once no reader has asked for HELPER_LINGER seconds.  ``note`` is called when
    a reader gives up, and ``keep`` with what then comes of it, by the helper's thread.
    """

    def __init__(self, iterator: Iterator[Any], note: Callable[[], None], keep: Callable[[Outcome], None]) -> None:
        self._iterator = iterator
        self._note = note
        self._keep = keep
        self._lock = Lock()  # guards _idle, and which is first: a fetch's outcome or its reader's leaving
        self._orders: SimpleQueue[_Fetch] = SimpleQueue()
        self._idle = False  # there is a thread, and it waits for an order

    def begin(self, wait: Wait) -> _Fetch:
        fetch = _Fetch(wait)
        with self._lock:
            idle, self._idle = self._idle, False
        if idle:
            self._orders.put(fetch)
        else:
            Thread(partial(self._work, [fetch]), name="blockingio next", lost=partial(self._lost, fetch)).start()
        return fetch

    def outcome_of(self, fetch: _Fetch) -> Outcome:
        """What came of it.  Raises WaitCancelled (or what a signal's handler does); then ``keep`` gets it."""
        try:
            while fetch.outcome is None:
                fetch.wait.block()
            return fetch.outcome
        except BaseException:
            with self._lock:
                outcome = fetch.outcome
                if outcome is None:
                    fetch.abandoned = True
                    self._note()
            if outcome is not None:
                self._keep(outcome)
            raise

    def _work(self, first: list[_Fetch]) -> None:
        fetch: _Fetch | None = first.pop()  # a list, because the thread holds its arguments to the end
        while fetch is not None:
            more = self._call(fetch)
            fetch = None  # and with it the event
            if more:
                fetch = self._next_order()

    def _call(self, fetch: _Fetch) -> bool:
        """False where the thread is to end."""
        try:
            outcome = Outcome(next(self._iterator))
        except BaseException as error:  # for the reader, whatever it is
            outcome = Outcome(error=error)
        return self._hand_over(fetch, outcome, is_last=outcome.is_end)

    def _lost(self, fetch: _Fetch, error: Exception) -> None:
        """The thread did not come up."""
        self._hand_over(fetch, Outcome(error=error), is_last=True)

    def _hand_over(self, fetch: _Fetch, outcome: Outcome, *, is_last: bool) -> bool:
        """False where the thread is to end."""
        with self._lock:
            abandoned = fetch.abandoned
            if not abandoned:
                self._idle = not is_last
                fetch.outcome = outcome
        if abandoned:
            self._keep(outcome)
            return False
        fetch.wait.notify()
        return not is_last

    def _next_order(self) -> _Fetch | None:
        try:
            return self._orders.get(timeout=HELPER_LINGER)
        except Empty:
            with self._lock:
                if self._idle:
                    self._idle = False
                    return None
        return self._orders.get()  # a reader has just counted on this thread, and is about to order


class IteratorReader(_Keeping[T]):
    """Over an iterator, one call of next() at a time: other threads that pull wait for their turn.

    A wait with a deadline is a helper's call; one that can only be ended is made on the waiting
    thread, which then stays in it until the iterator returns.
    """

    def __init__(self, iterator: Iterator[T], home: object = None) -> None:
        super().__init__(home)
        self._iterator = iterator
        self._turn = Turn()
        self._helper: _Helper | None = None  # made by the first thread that has the turn and a deadline

    def pull(self, wait: Wait | None) -> T:
        self._turn.take(wait)
        if wait is not None and wait.deadline is not None and not wait.ended and not self._kept:
            return self._fetch(wait)
        try:
            if wait is not None and wait.ended:
                raise WaitCancelled
            if self._kept and (outcome := self._take_kept()) is not None:
                return cast(T, outcome.take())
            if wait is None:
                return next(self._iterator)
            return self._next_unless_ended(wait)
        finally:
            self._turn.give()

    def _fetch(self, wait: Wait) -> T:
        """Gives the turn back, or leaves that to the helper."""
        self._turn.pass_on()
        try:
            if self._helper is None:
                self._helper = _Helper(self._iterator, self._note, self._keep_late)
            fetch = self._helper.begin(wait)
        except BaseException:  # no thread to be had
            self._turn.give()
            raise
        outcome = self._helper.outcome_of(fetch)  # where that raises, the turn is the helper's
        self._turn.give()
        return cast(T, outcome.take())

    def _next_unless_ended(self, wait: Wait) -> T:
        wait.on_end(self._note)
        try:
            event = next(self._iterator)
        except Exception as error:
            if not wait.ended:
                raise
            self._keep(Outcome(error=error))
            raise WaitCancelled from None
        finally:
            wait.on_end(None)
        if wait.ended:
            self._keep(Outcome(event))
            raise WaitCancelled
        self._unnote()  # of a pause that was over before the event came
        return event

    def _keep_late(self, outcome: Outcome) -> None:
        self._keep(outcome)
        self._turn.give()


class TimedIterator(Protocol[T]):
    """An iterator of a stream that waits by itself, for one thread."""

    def __next__(self) -> T: ...

    def within(self, seconds: float) -> T:
        """``next``, but TimeoutError where none comes in that time; ``inf`` is for ever."""

    def put_back(self, event: T) -> bool:
        """Give the stream back what came last, for another reader; False where there is no place for it."""


class HookReader(_Keeping[T]):
    """Over a stream that supplies ``_timed_iterator``, which any number of threads may read.

    Each thread has an iterator of its own: a server's knows by it when its loop asks for the next request, and so is
    done with the last.  A wait that was ended gives what came of it back to the stream, or keeps it.
    """

    def __init__(self, new_iterator: Callable[[], TimedIterator[T]], home: object) -> None:
        super().__init__(home)
        self._new_iterator = new_iterator
        self._own = local()

    def pull(self, wait: Wait | None) -> T:
        if wait is not None and wait.ended:
            raise WaitCancelled
        iterator = self._iterator()
        if self._kept and (outcome := self._take_kept()) is not None:
            return cast(T, outcome.take())
        if wait is None:
            return next(iterator)
        left = wait.left()
        try:
            event = iterator.within(inf if left is None else left)
        except TimeoutError:
            if left is None:
                raise
            raise WaitCancelled from None
        except StopIteration:
            raise
        except Exception as error:
            if not wait.ended:
                raise
            self._keep(Outcome(error=error))
            raise WaitCancelled from None
        if wait.ended:
            if not iterator.put_back(event):
                self._keep(Outcome(event))
            raise WaitCancelled
        return event

    def _iterator(self) -> TimedIterator[T]:
        try:
            return cast("TimedIterator[T]", self._own.iterator)
        except AttributeError:
            iterator = self._own.iterator = self._new_iterator()
            return iterator

    def __del__(self) -> None:
        # The calling thread's iterator: without the GIL it would outlive the local that it is in.
        self._own.__dict__.clear()


def reader_of(iterable: Iterable[T]) -> Reader[T]:
    """Its Reader.  TypeError where it is not iterable."""
    kind = type(iterable)
    if kind in _INSTANT:
        return InstantReader(iter(iterable))
    if hasattr(kind, "_stream_reader"):  # a Stream knows better
        return cast("Reader[T]", cast(Any, iterable)._stream_reader())
    iterator = iter(iterable)
    return iterator if isinstance(iterator, Reader) else IteratorReader(iterator)
