"""What a client has not taken yet: a slow reader costs a thread of its own, not the handler's.

A response is sent without waiting as far as the kernel takes it.  What is left goes in here,
and a thread sends it at the client's pace.  The writing half of the connection belongs to that
thread for as long as anything is in here, else to the response's.
"""

from __future__ import annotations

import atexit
import os
from collections import deque
from collections.abc import Callable
from threading import Condition, Lock
from time import monotonic

from blockingio.net.channel import Channel
from blockingio.wire.limits import LINGER_TIME, OUTBOX_SIZE, OUTBOXES_SIZE

# Those that are sending.  Changed by add and discard, each one step of the interpreter.
_sending: set[Outbox] = set()


class Budget:
    """Bytes that all outboxes of a server hold; ``_lock`` guards the sum."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._used = 0

    def use(self, size: int) -> None:
        """``size`` more; less where it is negative."""
        with self._lock:
            self._used += size

    @property
    def is_spent(self) -> bool:
        return self._used > OUTBOXES_SIZE


class Outbox:
    """The unsent rest of one response, in order.

    ``_condition`` guards everything; sending happens outside of it, by the one thread that
    ``_sending`` stands for.
    """

    def __init__(self, channel: Channel, timeout: float | None, budget: Budget,
                 run: Callable[[Callable[[], None]], None]) -> None:
        self._channel = channel
        self._budget = budget
        self._timeout = timeout
        self._run = run  # gives a task a thread
        self._condition = Condition()
        self._waiting: deque[bytes | memoryview | FilePart] = deque()
        self._size = 0
        self._sending = False
        self._then: Callable[[bool], None] | None = None
        # The client is gone, a file was shorter than promised, or nobody can send: nothing goes out any more.
        self.failed = False

    def put(self, data: bytes | memoryview | FilePart) -> bool:
        """Send it after what is in here.  False once the client is gone.

        Waits while there is more than OUTBOX_SIZE in here and the budget is spent.
        """
        size = _size_of(data)
        with self._condition:
            while self._size > OUTBOX_SIZE and self._budget.is_spent and not self.failed:
                self._condition.wait()
            if self.failed:
                if isinstance(data, FilePart):
                    data.close()
                return False
            self._waiting.append(data)
            self._use(size)
            if not self._sending:
                self._sending = True
                _sending.add(self)
                try:
                    self._run(self._send)
                except BaseException as error:
                    # Nobody sends it.  A thread that Ctrl-C came in front of finds that nothing waits.
                    self._fail()
                    self._stop()
                    if isinstance(error, Exception):
                        return False
                    raise
        return True

    @property
    def busy(self) -> bool:
        """Whether anything is left to send."""
        return self._sending

    def wait(self, seconds: float | None = None) -> bool:
        """Until all is sent, or the time is up; False where it failed."""
        with self._condition:
            self._condition.wait_for(lambda: not self._sending, seconds)
            return not self.failed

    def finish(self, then: Callable[[bool], None]) -> None:
        """Call ``then(all went well)`` once all is sent: now, or later on the sending thread."""
        with self._condition:
            if self._sending:
                self._then = then
                return
        then(not self.failed)

    def _send(self) -> None:
        while True:
            with self._condition:
                if not self._waiting:
                    # In one step with the end of sending: from here on another thread may own the writing half.
                    then, self._then = self._then, None
                    self._stop()
                    break
                data = self._waiting.popleft()
            try:
                if isinstance(data, FilePart):
                    sent = data.send(self._channel, self._timeout)
                else:
                    self._channel.send_all(data, self._timeout)
                    sent = True
            except OSError:
                sent = False
            with self._condition:
                self._use(-_size_of(data))
                if not sent:
                    self._fail()
                self._condition.notify_all()
            del data
        if then is not None:
            then(not self.failed)

    def _fail(self) -> None:
        """From here on nothing goes out: it would be behind a hole.  The client is to see that it has not got all."""
        self.failed = True
        for data in self._waiting:
            self._use(-_size_of(data))
            if isinstance(data, FilePart):
                data.close()
        self._waiting.clear()
        self._channel.abort()

    def _stop(self) -> None:
        self._sending = False
        _sending.discard(self)
        self._condition.notify_all()

    def _use(self, size: int) -> None:
        self._size += size
        self._budget.use(size)


class FilePart:
    """A stretch of an open file, by a descriptor of its own."""

    def __init__(self, descriptor: int, offset: int, count: int) -> None:
        self._descriptor = os.dup(descriptor)
        self._offset = offset
        self._count = count

    def send(self, channel: Channel, timeout: float | None) -> bool:
        """False where the file has become shorter.  Raises OSError."""
        try:
            return channel.send_file(self._descriptor, self._offset, self._count, timeout) == self._count
        finally:
            self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _size_of(data: bytes | memoryview | FilePart) -> int:
    """Bytes of memory: a file's stay where they are."""
    return 0 if isinstance(data, FilePart) else len(data)


@atexit.register
def _finish_sending() -> None:
    """A script that ends with its last answer still on the way gives it a moment: its threads end with it."""
    end = monotonic() + LINGER_TIME
    for outbox in list(_sending):
        outbox.wait(max(end - monotonic(), 0))


def forget_sending() -> None:
    """In a forked child: what its parent sends is not the child's to wait for."""
    _sending.clear()
