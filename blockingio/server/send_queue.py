"""What a client has not taken yet: a slow reader costs a thread of its own, not the handler's.

A response is sent without waiting as far as the kernel takes it.  What is left goes in here,
and a thread sends it at the client's pace.  The writing half of the connection belongs to that
thread for as long as anything is in here, else to the response's.

What all send queues of a server hold is in its budget.  Once that is spent, the connection that has waited longest for
its client gives way.  A handler waits for one client only, its own, and only for one that goes on taking.
"""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Callable
from threading import Condition
from time import monotonic

from blockingio.net.channel import Channel, reason_of
from blockingio.server.budget import Budget
from blockingio.server.piece import FilePart, Piece
from blockingio.stream.thread import in_one_go
from blockingio.wire.limits import LINGER_TIME, SEND_QUEUE_SIZE, STALL_SIZE, STALL_TIME

# Seconds after which the handler that has written something has, as a rule, let go of it.
_SETTLING_TIME = 0.1

# Seconds that those whose answers are cut by the end of the program have to note it.
_FAREWELL_TIME = 0.5

# Those that are sending, or about to tell their response.  Changed by add and discard and read by list(), each one
# step, also without the GIL.
_at_work: set[SendQueue] = set()


class SendQueue:
    """The unsent rest of one response, in order.

    ``_condition`` guards everything; sending happens outside of it, by the one thread that
    ``_at_work`` stands for.  A thread that holds it asks for no other queue's.
    """

    def __init__(self, channel: Channel, timeout: float | None, budget: Budget,
                 run: Callable[[Callable[[], None], Callable[[BaseException], None]], None]) -> None:
        self._channel = channel
        self._budget = budget
        self._timeout = timeout
        self._run = run  # gives a task a thread, or calls the second where that does not come up
        self._condition = Condition()
        self._waiting: deque[Piece | FilePart] = deque()
        # The one that is being sent just now; set under the lock, and reset by the sending thread.
        self._in_hand: Piece | None = None
        self._size = 0  # bytes that wait in memory
        self._taken = 0  # bytes that the kernel has taken from here
        self._is_counted = True  # what waits is in the budget
        self._is_stalled = False  # the client was waited for, and took next to nothing
        self._sending = False
        self._then: Callable[[bool], None] | None = None
        # For a look at the connection, on any thread: when the wait for the client ends, on the monotonic clock.
        self.due: float | None = None
        self.failure = ""  # why it failed, as far as is known; written by the sending thread
        self.sent = 0  # bytes of the body that the kernel has taken from here; the sending thread's to write
        # The client is gone or gave way, a file was shorter than promised, or no thread can send: nothing goes out
        # any more.
        self.failed = False

    def put(self, *pieces: Piece | FilePart) -> bool:
        """Send them after what is in here.  False once the client is gone."""
        with self._condition:
            self._wait_for_client()
            if self.failed:
                _close(pieces)
                return False
            for piece in pieces:
                self._waiting.append(piece)
                if isinstance(piece, Piece):
                    self._size += piece.left
                    self._budget.hold(self, piece.buffer)
            if not self._sending and not self._start():
                return False
        self._make_room()
        return not self.failed

    @property
    def busy(self) -> bool:
        """Whether anything is left to send."""
        return self._sending

    def wait(self) -> bool:
        """Until all is sent; False where it failed."""
        while True:
            seconds = in_one_go(None)
            with self._condition:
                if self._condition.wait_for(lambda: not self._sending, seconds):
                    return not self.failed

    def finish(self, then: Callable[[bool], None]) -> None:
        """Call ``then(all went well)`` once all is sent: now, or later on the sending thread."""
        with self._condition:
            if self._sending:
                self._then = then
                return
        then(not self.failed)

    def _wait_for_client(self) -> None:
        """A writer that is far ahead of its client goes at the client's pace, where that has one.

        Only once memory is short: then each STALL_TIME has to bring something, and else the handler goes on; its
        connection gives way when it has waited longest of all.
        """
        if self._size <= SEND_QUEUE_SIZE:
            return
        end, taken = monotonic() + STALL_TIME, self._taken_by_client()
        while self._size > SEND_QUEUE_SIZE and self._budget.is_tight and not (self._is_stalled or self.failed):
            left = end - monotonic()
            if left > 0:
                self._condition.wait(left)
                continue
            before, taken = taken, self._taken_by_client()
            self._is_stalled = taken - before < STALL_SIZE
            end += STALL_TIME

    def _taken_by_client(self) -> int:
        return self._taken - self._channel.unsent()

    def _make_room(self) -> None:
        """While the budget is spent, the connection that has waited longest gives way; nothing is waited for."""
        while (longest := self._budget.longest_waiting()) is not None:
            if not self._is_stalled and self._budget.is_helpless(self, self._size):
                return  # one answer may be as large as it is
            if not longest.shrink():
                longest.give_way()

    def shrink(self) -> bool:
        """Let go of buffers of which little is left to be sent; False where there is none.  From any thread."""
        with self._condition:
            wasteful = [piece for piece in self._waiting
                        if isinstance(piece, Piece) and piece is not self._in_hand and piece.is_wasteful
                        and piece.is_only_ours]
            if self.failed or not wasteful:
                return False
            for piece in wasteful:
                before = piece.buffer
                try:
                    piece.shrink()
                except MemoryError:
                    return False
                self._budget.hold(self, piece.buffer)
                self._budget.release(before)
                del before
        return True

    def give_way(self) -> None:
        """End it now; its thread notices, and the client that it has not got all.  From any thread."""
        with self._condition:
            self._drop_memory()
            if self._sending and not self.failed:
                self.failed = True
                self.failure = self.failure or "its response gave way, as memory for slow clients is short"
                self._channel.reset()
            self._condition.notify_all()

    # ---------------------------------------------------------------- the sending thread

    def _start(self) -> bool:
        self._begin_wait()
        self._sending = True
        _at_work.add(self)
        try:
            self._run(self._send, self._lose)
        except BaseException as error:
            # It is not sent.  A thread that Ctrl-C came in front of finds that nothing waits.
            self._fail()
            self._stop()
            _at_work.discard(self)
            if isinstance(error, Exception):
                return False
            raise
        return True

    def _lose(self, error: BaseException) -> None:
        """The thread that was to send never came up, or has died.  On any thread, which holds no queue's lock."""
        with self._condition:
            self._fail()
            then, self._then = self._then, None
            self._stop()
        self._tell(then)

    def _send(self) -> None:
        while True:
            with self._condition:
                if not self._waiting:
                    # In one step with the end of sending: from here on another thread may own the writing half.
                    then, self._then = self._then, None
                    self._stop()
                    break
                piece = self._waiting[0]
            try:
                if isinstance(piece, FilePart):
                    size = 0
                    self._begin_wait()
                    well = piece.send(self._channel, self._timeout, self._note_file)
                else:
                    size = self._send_some(piece)
                    well = True
            except Exception as error:
                # The client has gone or is too slow, or there is no memory: in any case here it ends.
                size, well = 0, False
                self.failure = self.failure or self._reason(error)
            self._settle(piece, size, well)
            del piece
        self._tell(then)

    def _tell(self, then: Callable[[bool], None] | None) -> None:
        """The response that it is at its end, where that has asked for it; then the threads that wait for the queue."""
        try:
            if then is not None:
                then(not self.failed)
        finally:
            with self._condition:
                if then is not None or not self._sending:  # else another write has begun meanwhile
                    _at_work.discard(self)
                self._condition.notify_all()

    def _send_some(self, piece: Piece) -> int:
        """At least a byte of it.  Raises OSError, TimeoutError where nothing was taken for too long."""
        settled = False
        self._begin_wait()
        while not (size := self._send_now(piece)):
            if piece.is_wasteful and not settled:
                settled = True
                if not self._channel.wait_to_send(_SETTLING_TIME):
                    self.shrink()
            elif not self._channel.wait_to_send(self._timeout):
                if not (size := self._send_now(piece)):
                    raise TimeoutError(f"the client took nothing for {self._timeout} seconds")
                break
        return size

    def _begin_wait(self) -> None:
        self.due = None if self._timeout is None else monotonic() + self._timeout

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"the client took nothing of the response for {self._timeout:g} s"
        return reason_of(error) if isinstance(error, OSError) else f"the response could not be sent: {error!r}"

    def _send_now(self, piece: Piece) -> int:
        with self._condition:
            self._in_hand = piece
            view = piece.view
        try:
            return self._channel.send_now(view)
        finally:
            view.release()
            self._in_hand = None

    def _settle(self, piece: Piece | FilePart, size: int, well: bool) -> None:
        """So much of the first piece was sent."""
        with self._condition:
            if isinstance(piece, Piece):
                self.sent += piece.advance(size)
                if self._waiting:  # else it has been given up meanwhile
                    self._size -= size
                    self._taken += size
                    self._is_stalled = False
                    self._budget.has_moved(self)
            if not well or self.failed:
                self._fail()
            elif isinstance(piece, FilePart) or not piece.left:
                self._waiting.popleft()
                if isinstance(piece, Piece):
                    self._budget.release(piece.buffer)
            self._condition.notify_all()

    def _note_file(self, size: int) -> None:
        self.sent += size
        self._begin_wait()

    def _fail(self) -> None:
        """Bytes are missing, so nothing may follow them.  The client is to see that it has not got all."""
        self.failed = True
        self._drop_memory()
        _close(self._waiting)
        self._waiting.clear()
        self._channel.abort()

    def _drop_memory(self) -> None:
        """What is in here counts no more: the sending thread is about to let go of it."""
        if self._is_counted:
            self._is_counted = not self._waiting
            for piece in self._waiting:
                if isinstance(piece, Piece):
                    self._budget.release(piece.buffer)
        self._budget.leave(self)

    def _stop(self) -> None:
        self._sending = False
        self._budget.leave(self)
        self._condition.notify_all()

    def wait_for_end(self, seconds: float) -> None:
        """Until its response knows, too."""
        with self._condition:
            self._condition.wait_for(lambda: self not in _at_work, seconds)


def _close(pieces: tuple[Piece | FilePart, ...] | deque[Piece | FilePart]) -> None:
    for piece in pieces:
        if isinstance(piece, FilePart):
            piece.close()


@atexit.register
def _finish_sending() -> None:
    """A script that ends with its last answer still on the way gives it a moment: its threads end with it."""
    end = monotonic() + LINGER_TIME
    for queue in list(_at_work):
        queue.wait_for_end(max(end - monotonic(), 0))
    end = monotonic() + _FAREWELL_TIME
    for queue in list(_at_work):
        queue.give_way()  # so that the access log can say what has become of it
        queue.wait_for_end(max(end - monotonic(), 0))


def forget_sending() -> None:
    """In a forked child: what its parent sends is not the child's to wait for."""
    _at_work.clear()
