"""Stream: a sequence of events that is iterated once, and all that can be asked of one.

A subclass supplies ``__iter__`` and gets the rest; it has no state here.  Views are lazy: they read when they are read,
and no more than they need.  An answer takes from the stream what it looked at, and waits as long as that takes.

Inside the package a subclass may also supply
    ``_timed_iterator``  for one thread, with a wait that can have a limit; several may then be waiting at once
and a ``_kept_readers`` among its ``__slots__``, where it has slots: see ``Stream.__iter__``.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import wraps
from operator import index as as_index
from threading import Lock
from typing import Any, ClassVar, Generic, TypeVar, cast, overload

from blockingio.stream.broadcast import Broadcast
from blockingio.errors import StateError
from blockingio.stream.reader import HookReader, IteratorReader, Reader, TimedIterator, reader_of
from blockingio.stream.subscription import StreamSubscription
from blockingio.stream.views import (
    AsyncMapReader, DistinctReader, EventSink, ExpandReader, HandleErrorReader, MapReader, PeriodicReader,
    SkipWhileReader, TakeReader, TakeWhileReader, TimeoutReader, WhereReader,
)

__all__ = ["EventSink", "Stream", "StreamSubscription", "StreamTransformer"]

T = TypeVar("T")
S = TypeVar("S")

_NOTHING: Any = object()

_EMPTY = "no element: the stream is empty"
_NONE_PASSES = "no element passes the test"


def _resuming(own: Callable[[Any], Iterator[T]]) -> Callable[[Any], Iterator[T]]:
    @wraps(own)
    def __iter__(self: Any) -> Iterator[T]:
        for reader in getattr(self, "_kept_readers", ()):
            return cast("Iterator[T]", reader)
        return own(self)

    setattr(__iter__, "_resumes", True)
    return __iter__


class Stream(Generic[T]):
    """A lazy, single-pass sequence of events; iterating it is the one primitive.

    A second iteration goes on where the last one stopped; after the end it is empty.  An error
    is raised from the iteration, and iterating again goes on behind it, where the source can.
    ``is_broadcast``: each reader sees every event; False but for ``as_broadcast_stream`` and views of one, of which
    each reader has the view to itself.  Follows dart:async's Stream.

        for request in server.where(lambda request: request.method == "GET").timeout(60):
            ...  # TimeoutError after a minute without one
    """

    __slots__ = ()

    is_broadcast: bool = False
    _kept_readers: ClassVar[Sequence[Reader[Any]]] = ()

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        own = cls.__iter__
        if not getattr(own, "_resumes", False):
            setattr(cls, "__iter__", _resuming(own))

    def __iter__(self) -> Iterator[T]:
        """The events that are still to come.

        A subclass's own is called unless a wait was given up (by ``timeout``, or a subscription
        that was cancelled or paused) and its event has not been read yet: then that event comes first.
        """
        raise NotImplementedError(f"{type(self).__name__} does not supply __iter__")

    # ---------------------------------------------------------------- inside the package

    def _timed_iterator(self) -> TimedIterator[T]:
        """Only where the stream waits by itself."""
        raise NotImplementedError

    def _stream_reader(self) -> Reader[T]:
        if type(self)._timed_iterator is not Stream._timed_iterator and not getattr(self, "_kept_readers", ()):
            return HookReader(self._timed_iterator, home=self)
        iterator = iter(self)
        return iterator if isinstance(iterator, Reader) else IteratorReader(iterator, home=self)

    # ---------------------------------------------------------------- constructors

    @staticmethod
    def from_iterable(items: Iterable[T]) -> Stream[T]:
        """The items, iterated when they are asked for.  Raises TypeError where it is not iterable."""
        if not hasattr(type(items), "__iter__") and not hasattr(type(items), "__getitem__"):
            raise TypeError(f"expected an iterable, found {items!r}")
        return _View(lambda: reader_of(items))

    @staticmethod
    def periodic(period: float, computation: Callable[[int], T]) -> Stream[T]:
        """What ``computation(0)``, ``computation(1)`` ... give, one every ``period`` seconds; it has no end.

        The first is due one period after the first wait for it; lateness does not add up.  Nothing is computed while no
        thread waits, and of the events missed meanwhile one comes at once.  Raises ValueError for a period below 0.
        """
        if period < 0:
            raise ValueError(f"expected a period of at least 0 seconds, found {period}")
        return _View(lambda: PeriodicReader(period, computation))

    # ---------------------------------------------------------------- lazy views

    def map(self, convert: Callable[[T], S]) -> Stream[S]:
        """What ``convert`` makes of each event."""
        return self._view(lambda source: MapReader(source, convert))

    def where(self, test: Callable[[T], bool]) -> Stream[T]:
        """The events for which ``test`` is true."""
        return self._view(lambda source: WhereReader(source, test))

    def expand(self, convert: Callable[[T], Iterable[S]]) -> Stream[S]:
        """All that ``convert`` makes of each event, one by one."""
        return self._view(lambda source: ExpandReader(source, convert))

    @overload
    def async_map(self, convert: Callable[[T], Future[S]]) -> Stream[S]: ...
    @overload
    def async_map(self, convert: Callable[[T], S | Future[S]]) -> Stream[S]: ...
    def async_map(self, convert: Callable[[T], Any]) -> Stream[Any]:
        """Like ``map``; where ``convert`` gives a Future, its result, before the next event is asked for."""
        return self._view(lambda source: AsyncMapReader(source, convert))

    def async_expand(self, convert: Callable[[T], Iterable[S] | None]) -> Stream[S]:
        """Like ``expand``, but ``convert`` may give None for no events, and a Future, which is awaited."""
        return self._view(lambda source: ExpandReader(AsyncMapReader(source, convert), _or_no_events))

    def cast(self, type_: type[S]) -> Stream[S]:
        """The same events; TypeError, from the iteration, for one that is not of that type."""

        def check(event: T) -> S:
            if not isinstance(event, type_):
                raise TypeError(f"expected an event of type {type_.__name__}, found {event!r}")
            return event

        return self.map(check)

    def distinct(self, equals: Callable[[T, T], bool] | None = None) -> Stream[T]:
        """Without those that equal the last event passed on: by ``equals(last, event)``, or ``==``."""
        return self._view(lambda source: DistinctReader(source, equals))

    def skip(self, count: int) -> Stream[T]:
        """Without the first ``count`` events.  Raises ValueError below 0."""
        number = _checked(count)
        return self._view(lambda source: SkipWhileReader(source, _is_of_first(number)))

    def skip_while(self, test: Callable[[T], bool]) -> Stream[T]:
        """From the first event on for which ``test`` is false."""
        return self._view(lambda source: SkipWhileReader(source, test))

    def take(self, count: int) -> Stream[T]:
        """The first ``count`` events; the next is left to the next reader.  Raises ValueError below 0."""
        number = _checked(count)
        return self._view(lambda source: TakeReader(source, number))

    def take_while(self, test: Callable[[T], bool]) -> Stream[T]:
        """Up to the first event for which ``test`` is false; that one is gone."""
        return self._view(lambda source: TakeWhileReader(source, test))

    def handle_error(self, on_error: Callable[[Exception], None],
                     test: Callable[[Exception], bool] | None = None) -> Stream[T]:
        """Errors for which ``test`` is true (all, without one) go to ``on_error`` instead of up.

        The next event is asked for then: a generator that has failed is at its end.
        """
        return self._view(lambda source: HandleErrorReader(source, on_error, test))

    def timeout(self, time_limit: float, on_timeout: Callable[[EventSink[T]], None] | None = None) -> Stream[T]:
        """The same events; TimeoutError where one takes longer than ``time_limit`` seconds to come.

        Iterating again waits again.  With ``on_timeout`` that is called instead, once until the next event comes, and
        may add events and errors, or close the stream.  What came too late is the next reader's, of this view or of the
        stream itself.  The time that callbacks of views in between take is not limited.

        A stream with no timed wait of its own is waited for by a daemon thread: it ends 0.05 s
        after the last wait, at the end of the stream, or, if the wait was given up, as soon as the
        stream's next() returns.  Containers, ``periodic``, a server and views of these take none.
        """
        limit = max(time_limit, 0)
        return self._view(lambda source: TimeoutReader(source, limit, on_timeout))

    def transform(self, transformer: StreamTransformer[T, S] | Callable[[Stream[T]], Iterable[S]]) -> Stream[S]:
        """What ``transformer.bind(self)`` gives, or ``transformer(self)`` where it has no bind."""
        bind: Any = getattr(transformer, "bind", transformer)
        bound: Iterable[S] = bind(self)
        return bound if isinstance(bound, Stream) else Stream.from_iterable(bound)

    def as_broadcast_stream(self, *, on_listen: Callable[..., None] | None = None,
                            on_cancel: Callable[..., None] | None = None) -> Stream[T]:
        """A stream for any number of readers, each of which sees every event from its iter() on.

        A reader asks for an event when it needs one, and the others get it too; what a slow one
        has not read yet is kept for it, until it is let go of or its ``close()`` is called.
        ``on_listen`` and ``on_cancel`` are called with the subscription (to pause, resume or cancel it)
        when the first reader comes and when the last one has gone.
        """
        return _View(Broadcast(self._stream_reader, on_listen, on_cancel).enter, is_broadcast=True)

    # ---------------------------------------------------------------- answers
    # Each loop lets go of its event before it asks for the next one, so that nothing but its owner holds it.

    def any(self, test: Callable[[T], bool]) -> bool:
        """Whether ``test`` is true for an event; reads up to that one."""
        return any(map(test, self))

    def every(self, test: Callable[[T], bool]) -> bool:
        """Whether ``test`` is true for all events; reads up to the first for which it is not."""
        return all(map(test, self))

    def contains(self, needle: object) -> bool:
        """Whether an event equals ``needle``; reads up to that one."""
        return needle in cast("Iterator[object]", iter(self))

    def first(self) -> T:
        """The next event.  Raises StateError at the end."""
        return _found(self._next(), _EMPTY)

    def last(self) -> T:
        """The last event.  Raises StateError where there is none."""
        return _found(self._last(), _EMPTY)

    def single(self) -> T:
        """The only event.  Raises StateError where there is none, or a second one, which is gone then."""
        return _found(self._single(), _EMPTY)

    def first_where(self, test: Callable[[T], bool], *, or_else: Callable[[], T] | None = None) -> T:
        """The first event for which ``test`` is true, else what ``or_else`` gives.

        Raises StateError without one.
        """
        return _found(self.where(test)._next(), _NONE_PASSES, or_else)

    def last_where(self, test: Callable[[T], bool], *, or_else: Callable[[], T] | None = None) -> T:
        """The last event for which ``test`` is true, else what ``or_else`` gives.

        Raises StateError without one.
        """
        return _found(self.where(test)._last(), _NONE_PASSES, or_else)

    def single_where(self, test: Callable[[T], bool], *, or_else: Callable[[], T] | None = None) -> T:
        """The only event for which ``test`` is true, else what ``or_else`` gives.

        Raises StateError without one, and where there are two.
        """
        return _found(self.where(test)._single(), _NONE_PASSES, or_else)

    def element_at(self, index: int) -> T:
        """The event behind ``index`` others.  Raises ValueError below 0, IndexError past the end."""
        left = _checked(index)
        for event in self:
            if not left:
                return event
            left -= 1
            del event
        raise IndexError(f"expected an event at index {index}, found only {index - left}")

    def is_empty(self) -> bool:
        """Whether no more events come; where one does, that one is gone, as in dart:async."""
        return self._next() is _NOTHING

    def length(self) -> int:
        """How many events there are."""
        count = 0
        for event in self:
            del event
            count += 1
        return count

    def fold(self, initial_value: S, combine: Callable[[S, T], S]) -> S:
        """``combine(... combine(combine(initial_value, first), second) ..., last)``."""
        value = initial_value
        for event in self:
            value = combine(value, event)
            del event
        return value

    def reduce(self, combine: Callable[[T, T], T]) -> T:
        """Like ``fold``, from the first event on.  Raises StateError where there is none."""
        events = iter(self)
        value = next(events, _NOTHING)
        for event in events:
            value = combine(value, event)
            del event
        return _found(value, _EMPTY)

    def join(self, separator: str = "") -> str:
        """The events as strings, one behind the other."""
        return separator.join(map(str, self))

    def to_list(self) -> list[T]:
        """All events."""
        return list(self)

    def to_set(self) -> set[T]:
        """All events, equal ones once."""
        return set(self)

    def drain(self, future_value: S | None = None) -> S | None:
        """Read to the end, for nothing; returns ``future_value``."""
        deque(self, maxlen=0)
        return future_value

    def for_each(self, action: Callable[[T], object]) -> None:
        """Call ``action`` with each event, until the end or its first error."""
        for event in self:
            action(event)
            del event

    def pipe(self, stream_consumer: Any) -> None:
        """``stream_consumer.add_stream(self)``, then its ``close()``, unless that fails."""
        stream_consumer.add_stream(self)
        stream_consumer.close()

    def listen(self, on_data: Callable[[T], object] | None, *,
               on_error: Callable[[Exception], object] | None = None,
               on_done: Callable[[], object] | None = None,
               cancel_on_error: bool = False) -> StreamSubscription[T]:
        """Call ``on_data`` with each event, on a background thread of its own.

        ``on_error`` gets what the stream raises, and on_data; without it that is logged on "blockingio", and without
        ``cancel_on_error`` the next event follows.  ``on_done`` is called at the end, but not once cancelled.
        """
        subscription = StreamSubscription(on_data, on_error=on_error, on_done=on_done, cancel_on_error=cancel_on_error)
        subscription.start(self._stream_reader())
        return subscription

    # ---------------------------------------------------------------- shared

    def _view(self, view: Callable[[Reader[T]], Reader[S]]) -> Stream[S]:
        return _View(lambda: view(self._stream_reader()), is_broadcast=self.is_broadcast)

    # Each gives _NOTHING where there is none.

    def _next(self) -> T:
        return next(iter(self), _NOTHING)

    def _last(self) -> T:
        found: T = _NOTHING
        for found in self:
            pass
        return found

    def _single(self) -> T:
        found: T = _NOTHING
        for event in self:
            if found is not _NOTHING:
                raise StateError(f"expected one element, found {found!r} and {event!r}")
            found = event
            del event
        return found


class StreamTransformer(Generic[S, T]):
    """Turns a stream into another: a subclass supplies ``bind``.  Follows dart:async's StreamTransformer."""

    def bind(self, stream: Stream[S]) -> Stream[T]:
        """The other stream, which reads this one as it is read."""
        raise NotImplementedError(f"{type(self).__name__} does not supply bind()")


class _View(Stream[T]):
    """A stream with one reader, opened by the first iteration; a broadcast one opens a reader each time."""

    __slots__ = ("is_broadcast", "_open", "_reader", "_lock", "__weakref__")

    def __init__(self, open_reader: Callable[[], Reader[T]], is_broadcast: bool = False) -> None:
        self.is_broadcast = is_broadcast
        self._open: Callable[[], Reader[T]] | None = open_reader  # None once it is open
        self._reader: Reader[T] | None = None
        self._lock = Lock()  # held while it is opened

    def __repr__(self) -> str:
        return f"<Stream {'broadcast' if self.is_broadcast else 'unread' if self._open else 'begun'}>"

    def __iter__(self) -> Iterator[T]:
        return self._stream_reader()

    def _stream_reader(self) -> Reader[T]:
        if self._reader is not None:
            return self._reader
        if self.is_broadcast and self._open is not None:
            return self._open()
        with self._lock:
            if self._open is not None:
                self._reader = self._open()
                self._open = None
        return cast("Reader[T]", self._reader)


def _checked(count: int) -> int:
    number = as_index(count)
    if number < 0:
        raise ValueError(f"expected a number of at least 0, found {number}")
    return number


def _is_of_first(count: int) -> Callable[[object], bool]:
    """A test that is true for so many events."""
    places = itertools.count()
    return lambda event: next(places) < count


def _found(event: T, otherwise: str, or_else: Callable[[], T] | None = None) -> T:
    if event is not _NOTHING:
        return event
    if or_else is None:
        raise StateError(otherwise)
    return or_else()


def _or_no_events(events: Iterable[T] | None) -> Iterable[T]:
    return () if events is None else events
