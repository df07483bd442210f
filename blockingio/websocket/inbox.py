"""The messages that have come and have not been read: a bounded queue for one thread that puts, and any that read.

The thread that reads the socket puts messages and, where the queue is full, waits.  Meanwhile it reads nothing, so
TCP's flow control makes the peer wait as well.  The bounds are in bytes, as Python keeps them, and in number, because
empty messages have no bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from queue import Empty, SimpleQueue
from sys import getsizeof
from threading import TIMEOUT_MAX, Lock, current_thread, main_thread
from time import monotonic
from typing import Any, TypeAlias

from blockingio.stream.thread import in_one_go

Message: TypeAlias = "str | bytes"

# Messages that are kept at most.
_MOST = 4096

# The main thread waits so many seconds in one go: a Ctrl-C that comes in the instant before the wait begins does not
# end that wait, but the next one does not begin.
_NAP = 1.0


# On the queue behind the last message, for good: the reader that takes it puts it back.
_END: Any = object()

# On the queue to wake a reader up: a message was given back.
_NUDGE: Any = object()


class Inbox:
    __slots__ = ("max_bytes", "is_full", "_queue", "_lock", "_bytes", "_takes_all", "_room", "_returned", "_waiting")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes  # about; may be changed by any thread
        self.is_full = False  # the thread that puts is waiting; written under _lock
        self._queue: SimpleQueue[Any] = SimpleQueue()  # messages, perhaps an exception, _END
        self._lock = Lock()  # guards what follows
        self._bytes = 0  # what the queue holds
        self._takes_all = False  # ``put`` does not wait any more
        self._room = Lock()  # locked while the thread that puts is to wait
        self._room.acquire()
        self._waiting = 0  # readers in ``waiting``; under _lock
        self._returned: deque[Message] = deque()  # given back: older than all on the queue

    # ---------------------------------------------------------------- for the thread that reads the socket

    def put(self, message: Message) -> None:
        """Waits first while the queue is full."""
        size = getsizeof(message)
        with self._lock:
            self._bytes += size
            is_full = self.is_full = not self._takes_all and self._is_over()
        if is_full:
            self._room.acquire()
        self._queue.put(message)

    def put_at_once(self, message: Message) -> None:
        """``put`` without waiting, by a reader: it cannot wait for the room that it makes itself.

        For messages that came together with the one that it was waiting for.
        """
        with self._lock:
            self._bytes += getsizeof(message)
        self._queue.put(message)

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes: the next reader gets the error, and all others find the end."""
        if error is not None:
            self._queue.put(error)
        self._queue.put(_END)

    def take_all(self) -> None:
        """From now on ``put`` does not wait; from any thread."""
        with self._lock:
            self._takes_all = True
            self._make_room()

    def _is_over(self) -> bool:
        """Counting the message that is about to be put.  A single message is never too much."""
        waiting = self._queue.qsize()
        return waiting > 0 and (self._bytes > self.max_bytes or waiting >= _MOST)

    def _make_room(self) -> None:
        if self.is_full:
            self.is_full = False
            self._room.release()

    # ---------------------------------------------------------------- for readers

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around ``get``: the thread that reads the socket has to know how many readers wait."""
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    @property
    def is_empty(self) -> bool:
        return not self._returned and self._queue.empty()

    @property
    def is_hungry(self) -> bool:
        """Whether more readers wait than there are messages."""
        return self._waiting > self._queue.qsize()

    @property
    def has_one_waiting(self) -> bool:
        """Whether a single reader waits, and there is a message for it."""
        return self._waiting == 1 and not self._queue.empty()

    def get(self, seconds: float = inf) -> Message:
        """The next message.  Raises StopIteration at the end, TimeoutError after so many seconds, ``end``'s error."""
        deadline = monotonic() + seconds
        nap = _NAP if current_thread() is main_thread() else TIMEOUT_MAX
        while True:
            left = max(deadline - monotonic(), 0)
            try:
                message = self._count_out(
                    _NUDGE if self._returned else self._queue.get(timeout=in_one_go(min(left, nap))))
            except Empty:
                if deadline <= monotonic():
                    raise TimeoutError(f"no message came within {seconds:g} seconds") from None
            else:
                if message is not None:
                    return message

    def get_now(self) -> Message:
        """The same without waiting; Empty where there is none."""
        while True:
            message = self._count_out(_NUDGE if self._returned else self._queue.get(False))
            if message is not None:
                return message

    def put_back(self, message: Message) -> None:
        """Give a message back: the next reader gets it."""
        with self._lock:
            self._bytes += getsizeof(message)
            self._returned.append(message)
        self._queue.put(_NUDGE)

    def _count_out(self, taken: Any) -> Message | None:
        """The message; None for a nudge whose message another reader has taken."""
        if taken is _END:
            self._queue.put(taken)
        if taken is _END or taken is _NUDGE:
            try:
                taken = self._returned.popleft()
            except IndexError:
                if taken is _END:
                    raise StopIteration from None
                return None
        if isinstance(taken, Exception):
            try:
                raise taken
            finally:
                del taken  # it is in the error's own traceback
        with self._lock:
            self._bytes -= getsizeof(taken)
            if self.is_full:
                # Half empty, so that the two threads do not take turns for each message.
                waiting = self._queue.qsize()
                if not waiting or (self._bytes <= self.max_bytes / 2 and waiting <= _MOST // 2):
                    self._make_room()
        return taken  # type: ignore[no-any-return]
