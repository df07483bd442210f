"""One source for several readers, each of which sees every event from its beginning on.

No thread of its own: the first reader that asks for an event pulls it, and
it goes to all; the others wait for that.  So nothing is pulled while no reader asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from threading import RLock
from typing import Generic, TypeVar, cast

from blockingio.stream.waiting import Turn, Wait
from blockingio.stream.reader import Outcome, Reader
from blockingio.stream.subscription import StreamSubscription

T = TypeVar("T")


class Broadcast(Generic[T]):
    """``open_source`` is called for the first reader.

    ``on_listen`` and ``on_cancel`` get the source's subscription, when the first reader comes
    and the last one has gone; pausing it holds all readers up, cancelling it ends them.
    """

    def __init__(self, open_source: Callable[[], Reader[T]], on_listen: Callable[..., None] | None,
                 on_cancel: Callable[..., None] | None) -> None:
        self._open_source = open_source
        self._on_listen = on_listen
        self._on_cancel = on_cancel
        self._subscription: StreamSubscription[T] = StreamSubscription(None)
        self._turn = Turn()  # the thread that has it may pull
        # Guards all below; reentrant, as the collector may close a reader inside.
        self._lock = RLock()
        self._source: Reader[T] | None = None  # stays, once the first reader has opened it
        self._queues: dict[int, deque[Outcome]] = {}
        self._numbers = count()

    def enter(self) -> Reader[T]:
        """A new reader.  It leaves at the end, when it is closed, and when it is let go of."""
        queue: deque[Outcome] = deque()
        number = next(self._numbers)
        with self._lock:
            if self._source is None:
                self._source = self._open_source()
            is_first = not self._queues
            self._queues[number] = queue
        reader = BroadcastReader(self, number, queue)
        if is_first and self._on_listen is not None:
            self._on_listen(self._subscription)
        return reader

    def leave(self, number: int) -> None:
        """Idempotent."""
        with self._lock:
            is_last = self._queues.pop(number, None) is not None and not self._queues
        if is_last and self._on_cancel is not None:
            self._on_cancel(self._subscription)

    def advance(self, number: int, queue: deque[Outcome], wait: Wait | None) -> None:
        """Put an event into the queue, unless one is there.

        Raises WaitCancelled, and StopIteration at the end and for a reader that has left.
        """
        if not self._turn.take(wait, unless=queue.__len__):
            return
        try:
            if queue:
                return
            if number not in self._queues:
                raise StopIteration
            self._pull(wait)
        finally:
            self._turn.give()

    def _pull(self, wait: Wait | None) -> None:
        if not self._subscription.ready(wait):
            raise StopIteration
        assert self._source is not None
        try:
            event = self._source.pull(wait)
        except StopIteration:
            self._subscription.finish()
            raise
        except Exception as error:
            self._spread(None, error)
        else:
            self._spread(event, None)

    def _spread(self, event: T | None, error: Exception | None) -> None:
        with self._lock:
            for queue in self._queues.values():
                queue.append(Outcome(event, error))


class BroadcastReader(Reader[T]):
    def __init__(self, broadcast: Broadcast[T], number: int, queue: deque[Outcome]) -> None:
        self._broadcast = broadcast
        self._number = number
        self._queue = queue  # the broadcast appends, under its lock; this reader takes

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Events that come from now on are not for this reader."""
        self._broadcast.leave(self._number)

    def pull(self, wait: Wait | None) -> T:
        while True:
            try:
                outcome = self._queue.popleft()
            except IndexError:
                pass
            else:
                return cast(T, outcome.take())
            try:
                self._broadcast.advance(self._number, self._queue, wait)
            except StopIteration:
                self.close()
                raise
