"""The messages that have come and that nobody has read yet: a queue with bounds, for one that puts and any number of readers.

The thread that reads the socket puts and, where the queue is full, waits; until there is room again it reads nothing, and
so the peer has to wait as well.  Bounds are in bytes, as Python keeps them, and in number: empty messages
cost no bytes on the wire.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from math import inf
from queue import Empty, SimpleQueue
from sys import getsizeof
from threading import TIMEOUT_MAX, Lock, current_thread, main_thread
from time import monotonic
from typing import Any, TypeAlias

from blockingio.thread import in_one_go

Message: TypeAlias = "str | bytes"

# Messages that are kept at most.
_MOST = 4096

# The main thread waits so many seconds in one go: a Ctrl-C that comes in the instant before the interpreter goes
# to sleep, and so wakes nobody, is not slept through.
_NAP = 1.0


def _nap_time() -> float | None:
    return _NAP if current_thread() is main_thread() else None


class _End:
    """On the queue behind the last message, for good: whoever takes it puts it back."""


_END = _End()


class _Nudge:
    """On the queue to wake somebody up: a message was given back."""


_NUDGE = _Nudge()


class Inbox:
    __slots__ = ("max_bytes", "is_full", "_queue", "_lock", "_bytes", "_takes_all", "_room", "_returned")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes  # about; may be changed by any thread
        self.is_full = False  # the one that puts is waiting; written under _lock
        self._queue: SimpleQueue[Any] = SimpleQueue()  # messages, perhaps an exception, _END
        self._lock = Lock()  # guards what follows
        self._bytes = 0  # what the queue holds
        self._takes_all = False  # nobody is made to wait any more
        self._room = Lock()  # locked while the one that puts is to wait
        self._room.acquire()
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

    def get(self, seconds: float = inf) -> Message:
        """The next message.  StopIteration at the end; TimeoutError after so many seconds; what ``end`` was given."""
        deadline = monotonic() + seconds
        nap = _nap_time() or TIMEOUT_MAX
        while True:
            left = max(deadline - monotonic(), 0)
            try:
                message = self._count_out(_NUDGE if self._returned else self._queue.get(timeout=in_one_go(min(left, nap))))
            except Empty:
                if deadline <= monotonic():
                    raise TimeoutError(f"no message came within {seconds:g} seconds") from None
            else:
                if message is not None:
                    return message

    def messages(self) -> Iterator[Message]:
        """Until the end: a generator, which is the quickest of all iterators, and for one thread."""
        get = self._queue.get
        nap = _nap_time()
        while True:
            try:
                message = self._count_out(_NUDGE if self._returned else get(True, in_one_go(nap)))
            except Empty:
                continue
            except StopIteration:
                return
            if message is not None:
                yield message
            del message  # hold nothing while waiting

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


class TimedMessages:
    """The same for a thread that waits with a limit, or may yet."""

    __slots__ = ("_inbox",)

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        return self._inbox.get()

    def within(self, seconds: float) -> Message:
        """``next``, but TimeoutError where none comes in that time."""
        return self._inbox.get(seconds)

    def put_back(self, event: Message) -> bool:
        """What was given last is somebody else's after all."""
        self._inbox.put_back(event)
        return True
