"""What the lazy views of a Stream read with: each takes from a Reader below and is one itself.

An error from below, or from a callback, is raised by the pull; the next pull goes on behind
it.  A callback is called by the thread that pulls, outside of any time limit.  A view with a
state of its own lets one thread pull at a time, so that each event goes to one of them.  One
that leaves events out looks at the wait after each: the source may never need to wait.

Classes, not generators: a generator is dead after the first error, and so are islice and chain;
and its frame would hold the last event while the next one is awaited.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from time import monotonic, sleep
from typing import Any, Generic, TypeVar, cast

from blockingio.errors import StateError
from blockingio.stream.waiting import Turn, Wait, WaitCancelled
from blockingio.stream.reader import InstantReader, Outcome, Reader, reader_of

T = TypeVar("T")
S = TypeVar("S")

_NOTHING: Any = object()


class MapReader(Reader[S], Generic[T, S]):
    def __init__(self, source: Reader[T], convert: Callable[[T], S]) -> None:
        self._source = source
        self._convert = convert

    def pull(self, wait: Wait | None) -> S:
        return self._convert(self._source.pull(wait))


class WhereReader(Reader[T]):
    def __init__(self, source: Reader[T], test: Callable[[T], bool]) -> None:
        self._source = source
        self._test = test

    def pull(self, wait: Wait | None) -> T:
        while True:
            event = self._source.pull(wait)
            if self._test(event):
                return event
            del event
            if wait is not None:
                wait.check()


class HandleErrorReader(Reader[T]):
    def __init__(self, source: Reader[T], on_error: Callable[[Exception], None],
                 test: Callable[[Exception], bool] | None) -> None:
        self._source = source
        self._on_error = on_error
        self._test = test

    def pull(self, wait: Wait | None) -> T:
        while True:
            try:
                return self._source.pull(wait)
            except StopIteration:
                raise
            except Exception as error:
                if self._test is not None and not self._test(error):
                    raise
                self._on_error(error)
            if wait is not None:
                wait.check()


class _InTurn(Reader[S]):
    """One thread at a time, because ``_advance`` changes the state."""

    def __init__(self) -> None:
        self._turn = Turn()

    def pull(self, wait: Wait | None) -> S:
        self._turn.take(wait)
        try:
            return self._advance(wait)
        finally:
            self._turn.give()

    def _advance(self, wait: Wait | None) -> S:
        raise NotImplementedError


class _View(_InTurn[S], Generic[T, S]):
    def __init__(self, source: Reader[T]) -> None:
        super().__init__()
        self._source = source

    def _release(self) -> None:
        """It is at its end and asks for nothing more: a server has one reader less."""
        self._source = InstantReader(iter(()))


class TakeReader(_View[T, T]):
    def __init__(self, source: Reader[T], count: int) -> None:
        super().__init__(source)
        self._left = count
        if not count:
            self._release()

    def _advance(self, wait: Wait | None) -> T:
        event = self._source.pull(wait)
        self._left -= 1
        if not self._left:
            self._release()
        return event


class TakeWhileReader(_View[T, T]):
    def __init__(self, source: Reader[T], test: Callable[[T], bool]) -> None:
        super().__init__(source)
        self._test = test

    def _advance(self, wait: Wait | None) -> T:
        event = self._source.pull(wait)
        if self._test(event):
            return event
        self._release()
        raise StopIteration


class SkipWhileReader(_View[T, T]):
    def __init__(self, source: Reader[T], test: Callable[[T], bool]) -> None:
        super().__init__(source)
        self._test: Callable[[T], bool] | None = test  # None once it was false

    def _advance(self, wait: Wait | None) -> T:
        while self._test is not None:
            event = self._source.pull(wait)
            if not self._test(event):
                self._test = None
                return event
            del event
            if wait is not None:
                wait.check()
        return self._source.pull(wait)


class DistinctReader(_View[T, T]):
    """Holds the last event that it passed on, to compare the next with."""

    def __init__(self, source: Reader[T], equals: Callable[[T, T], bool] | None) -> None:
        super().__init__(source)
        self._equals = equals
        self._last: T = _NOTHING

    def _advance(self, wait: Wait | None) -> T:
        while True:
            event = self._source.pull(wait)
            last = self._last
            if last is _NOTHING or not (last == event if self._equals is None else self._equals(last, event)):
                self._last = event
                return event
            del event, last
            if wait is not None:
                wait.check()


class ExpandReader(_View[T, S]):
    def __init__(self, source: Reader[T], convert: Callable[[T], Iterable[S]]) -> None:
        super().__init__(source)
        self._convert = convert
        self._inner: Reader[S] | None = None  # over what the last event became

    def _advance(self, wait: Wait | None) -> S:
        while True:
            if self._inner is None:
                self._inner = reader_of(self._convert(self._source.pull(wait)))
            try:
                return self._inner.pull(wait)
            except StopIteration:
                self._inner = None
            if wait is not None:
                wait.check()


class AsyncMapReader(_View[T, S]):
    """Where ``convert`` gives a Future, its result is awaited before the next event is asked for."""

    def __init__(self, source: Reader[T], convert: Callable[[T], S | Future[S]]) -> None:
        super().__init__(source)
        self._convert = convert
        self._awaited: Future[S] | None = None  # stays there when a pull gave up waiting for it

    def _advance(self, wait: Wait | None) -> S:
        future = self._awaited
        if future is None:
            result = self._convert(self._source.pull(wait))
            if not isinstance(result, Future):
                return result
            future = self._awaited = result
        waiting = wait or Wait()
        future.add_done_callback(lambda _: waiting.notify())
        while not future.done():
            waiting.block()
        self._awaited = None
        return future.result()


class PeriodicReader(_InTurn[T]):
    """Events are due on a grid that begins one period after the first pull.

    Of those that came due between two pulls, one is given at once; the others are left out,
    while the numbers go on without a gap.
    """

    def __init__(self, period: float, computation: Callable[[int], T]) -> None:
        super().__init__()
        self._period = period
        self._computation = computation
        self._number = 0
        self._due: float | None = None  # on the monotonic clock

    def _advance(self, wait: Wait | None) -> T:
        now = monotonic()
        if self._due is None:
            self._due = now + self._period
        if now < self._due:
            if wait is None:
                sleep(self._due - now)
            else:
                wait.sleep(self._due - now)
            self._due += self._period
        elif self._period:
            self._due += ((now - self._due) // self._period + 1) * self._period
        number = self._number
        self._number += 1
        return self._computation(number)


class EventSink(Generic[T]):
    """Puts events into the stream whose ``timeout`` calls on_timeout with it; good for that call only.

    StateError after ``close``, and once on_timeout has returned.  Follows dart:async's EventSink.
    """

    __slots__ = ("_outcomes", "_is_closed", "_is_over")

    def __init__(self) -> None:
        self._outcomes: deque[Outcome] = deque()
        self._is_closed = False
        self._is_over = False

    def add(self, event: T) -> None:
        """The stream gives this event next."""
        self._put(Outcome(event))

    def add_error(self, error: Exception) -> None:
        """The stream raises this error next."""
        if not isinstance(error, Exception):
            raise TypeError(f"expected an Exception, found {error!r}")
        self._put(Outcome(error=error))

    def close(self) -> None:
        """The stream ends behind what was added."""
        self._is_closed = True

    def _put(self, outcome: Outcome) -> None:
        if self._is_closed:
            raise StateError("the sink is closed: nothing can be added")
        if self._is_over:
            raise StateError("on_timeout has returned: nothing can be added any more")
        self._outcomes.append(outcome)


class TimeoutReader(Reader[T]):
    """Gives up waiting for the source after ``limit`` seconds; what comes later stays in the source.

    Any number of threads may pull, each with a limit of its own; ``_outcomes`` and the flags
    below change in single steps.
    """

    def __init__(self, source: Reader[T], limit: float, on_timeout: Callable[[EventSink[T]], None] | None) -> None:
        self._source = source
        self._limit = limit
        self._on_timeout = on_timeout
        self._outcomes: deque[Outcome] = deque()  # what on_timeout added
        self._is_closed = False  # by on_timeout
        self._is_silent = False  # on_timeout was called since the source's last event

    def pull(self, wait: Wait | None) -> T:
        while True:
            try:
                outcome = self._outcomes.popleft()
            except IndexError:
                pass
            else:
                return cast(T, outcome.take())
            if self._is_closed:
                raise StopIteration
            own = wait if self._is_silent else self._limited(wait)
            try:
                event = self._source.pull(own)
            except WaitCancelled:
                if own is wait or wait is not None and wait.ended:
                    raise
            except Exception:
                self._is_silent = False
                raise
            else:
                self._is_silent = False
                return event
            if self._on_timeout is None:
                raise TimeoutError(f"no event came within {self._limit} seconds")
            self._is_silent = True
            self._call(self._on_timeout)

    def _limited(self, wait: Wait | None) -> Wait:
        return Wait(self._limit) if wait is None else wait.limited(self._limit)

    def _call(self, on_timeout: Callable[[EventSink[T]], None]) -> None:
        sink: EventSink[T] = EventSink()
        try:
            on_timeout(sink)
        except Exception as error:
            sink._outcomes.append(Outcome(error=error))
        finally:
            sink._is_over = True
            self._outcomes.extend(sink._outcomes)
            self._is_closed = self._is_closed or sink._is_closed
