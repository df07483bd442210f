"""The messages that have come and that nobody has read yet: a queue with bounds, for one that puts and any number of readers.

The thread that reads the socket puts and, where the queue is full, waits; until there is room again it reads nothing, and
so the peer has to wait as well.  Bounds are in bytes, as Python keeps them, and in number: empty messages
cost no bytes on the wire.
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

# The main thread waits so many seconds in one go: a Ctrl-C that comes in the instant before the interpreter goes
# to sleep, and so wakes nobody, is not slept through.
_NAP = 1.0


class _End:
    """On the queue behind the last message, for good: whoever takes it puts it back."""


_END = _End()


class _Nudge:
    """On the queue to wake somebody up: a message was given back."""


_NUDGE = _Nudge()


class Inbox:
    __slots__ = ("max_bytes", "is_full", "_queue", "_lock", "_bytes", "_takes_all", "_room", "_returned", "_waiting")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes  # about; may be changed by any thread
        self.is_full = False  # the one that puts is waiting; written under _lock
        self._queue: SimpleQueue[Any] = SimpleQueue()  # messages, perhaps an exception, _END
        self._lock = Lock()  # guards what follows
        self._bytes = 0  # what the queue holds
        self._takes_all = False  # nobody is made to wait any more
        self._room = Lock()  # locked while the one that puts is to wait
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
        """Without waiting, by a reader who cannot make room and wait for it: what came together with one for itself."""
        with self._lock:
            self._bytes += getsizeof(message)
        self._queue.put(message)

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes; who reads next gets the error, the others find the end."""
        if error is not None:
            self._queue.put(error)
        self._queue.put(_END)

    def take_all(self) -> None:
        """From now on ``put`` does not wait; from any thread."""
        with self._lock:
            self._takes_all = True
            self._make_room()

    def _is_over(self) -> bool:
        """With the one that is counted and not there yet.  A single one is never too much."""
        waiting = self._queue.qsize()
        return waiting > 0 and (self._bytes > self.max_bytes or waiting >= _MOST)

    def _make_room(self) -> None:
        if self.is_full:
            self.is_full = False
            self._room.release()

    # ---------------------------------------------------------------- for readers

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around ``get``: whoever reads the socket is to know that somebody waits."""
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
        """Whether somebody waits for whom nothing is here."""
        return self._waiting > self._queue.qsize()

    @property
    def has_one_waiting(self) -> bool:
        """Whether a single one waits, and what it waits for is here."""
        return self._waiting == 1 and not self._queue.empty()

    def get(self, seconds: float = inf) -> Message:
        """The next message.  StopIteration at the end; TimeoutError after so many seconds; what ``end`` was given."""
        deadline = monotonic() + seconds
        nap = _NAP if current_thread() is main_thread() else TIMEOUT_MAX
        while True:
            left = max(deadline - monotonic(), 0)
            try:
                message = self._count_out(
                    _NUDGE if self._returned else self._queue.get(timeout=in_one_go(min(left, nap))))  # fmt: skip
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
        """It is the next reader's."""
        with self._lock:
            self._bytes += getsizeof(message)
            self._returned.append(message)
        self._queue.put(_NUDGE)

    def _count_out(self, taken: Any) -> Message | None:
        """None for a nudge that somebody else has followed."""
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
