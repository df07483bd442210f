"""Sources for the tests of streams, which block until the test gives them something.

Feed        an iterator; like a generator it stands only one thread in its next().
QueueStream, Waiting, PuttingBack   streams as others make them.
Log         the callbacks of a subscription.
in_thread   calls a function on a thread of its own and gives a Future, to be waited for with PATIENCE.
references  events that can be seen to be let go of.
"""
from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from math import inf
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from blockingio.stream.stream import EventSink, Stream, StreamSubscription
from tests.peers import PATIENCE, eventually

T = TypeVar("T")


class Feed:
    """`asked` counts the calls of next(), `taken` those that returned or raised."""

    def __init__(self, *events: object) -> None:
        self.asked = 0
        self.taken = 0
        self._items: SimpleQueue[tuple[object, BaseException | None]] = SimpleQueue()
        self._ended = False
        self.give(*events)

    def give(self, *events: object) -> None:
        for event in events:
            self._items.put((event, None))

    def fail(self, error: BaseException) -> None:
        self._items.put((None, error))

    def end(self) -> None:
        self._items.put((None, StopIteration()))

    def await_asked(self, count: int) -> None:
        """Until next() has been called that often, and the last call waits."""
        eventually(lambda: self.asked >= count)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        assert self.asked == self.taken, "two threads are in next() at once"
        self.asked += 1
        try:
            if self._ended:
                raise StopIteration
            return self._take()
        finally:
            self.taken += 1

    def _take(self) -> object:
        event, error = self._items.get(timeout=PATIENCE)
        if error is None:
            return event
        self._ended = isinstance(error, StopIteration)
        try:
            raise error
        finally:
            del error  # the traceback holds this frame


def in_thread(function: Callable[..., T], *arguments: Any) -> Future[T]:
    """What the function gives or raises, by and by."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="test reader", daemon=True).start()
    return future


class QueueStream(Stream[Any]):
    """Each iteration is a new iterator over the same queue, as a user might write it; None ends it."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[Any] = SimpleQueue()
        self.opened = 0

    def __iter__(self) -> Iterator[Any]:
        self.opened += 1
        while (event := self.queue.get(timeout=PATIENCE)) is not None:
            yield event


class Waiting(Stream[Any]):
    """Waits by itself, as a server does; any number of threads may read it.  None ends it."""

    __slots__ = ("queue", "opened", "threads", "_kept_readers")

    def __init__(self) -> None:
        self.queue: SimpleQueue[Any] = SimpleQueue()
        self.opened = 0
        self.threads: list[threading.Thread] = []  # of the timed waits

    def __iter__(self) -> Iterator[Any]:
        return self._timed_iterator()

    def _timed_iterator(self) -> _TimedWait:
        self.opened += 1
        return _TimedWait(self)

    def receive(self, seconds: float) -> Any:
        try:
            event = self.queue.get(timeout=seconds)
        except Empty:
            raise TimeoutError from None
        if event is None:
            self.queue.put(None)
            raise StopIteration
        return event

    def take_back(self, event: Any) -> bool:
        return False


class _TimedWait:
    """Over a stream that waits by itself, for one thread."""

    def __init__(self, stream: Waiting) -> None:
        self._stream = stream

    def __iter__(self) -> _TimedWait:
        return self

    def __next__(self) -> Any:
        return self._stream.receive(PATIENCE)

    def within(self, seconds: float) -> Any:
        if seconds == inf:
            return self._stream.receive(PATIENCE)
        self._stream.threads.append(threading.current_thread())
        return self._stream.receive(seconds)

    def put_back(self, event: Any) -> bool:
        return self._stream.take_back(event)


class PuttingBack(Waiting):
    __slots__ = ()

    def take_back(self, event: Any) -> bool:
        self.queue.put(event)
        return True


class Log:
    """The callbacks of a subscription, in the order of their calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def data(self, event: Any) -> None:
        self.calls.append(event)

    def error(self, error: Exception) -> None:
        self.calls.append(repr(error))

    def done(self) -> None:
        self.calls.append("done")

    def listen(self, stream: Stream[Any], **options: Any) -> StreamSubscription[Any]:
        return stream.listen(self.data, on_error=self.error, on_done=self.done, **options)


class Event:
    """One that can be seen to be let go of."""


@contextmanager
def references(count: int) -> Iterator[tuple[list[Event], list[weakref.ref[Event]]]]:
    """Events and references to them.  Take the events out of the list; the collector is off."""
    events = [Event() for _ in range(count)]
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield events, [weakref.ref(event) for event in events]
    finally:
        if was_enabled:
            gc.enable()


def new_threads(before: set[threading.Thread]) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread not in before]


def no_threads(before: set[threading.Thread]) -> None:
    """Wait until all that are new have ended."""
    eventually(lambda: not new_threads(before))


def same(event: Any) -> Any:
    return event


def is_even(number: int) -> bool:
    return number % 2 == 0


def close(sink: EventSink[Any]) -> None:
    sink.close()
