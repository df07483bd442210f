"""The writing half of a WebSocket: whole frames, one behind the other, from any thread.

The thread that holds ``_lock`` owns the socket's writing half; no other sends a byte.  Messages wait for the lock, and
for the peer to take them.  Pings and Pongs never wait, because the thread that reads sends them and has to go on
reading: they are noted, and sent by the thread that holds the lock, or by one that can get it without waiting.  After
every release of the lock they are looked for.  What the kernel does not take of them goes before all that is sent
later; the clock tries it again, because there may be nothing later.
"""

from __future__ import annotations

from threading import Lock
from time import monotonic

from blockingio.net.channel import Channel
from blockingio.websocket.compression import Deflater
from blockingio.websocket.frames import CLOSE, FIN, PING, PONG, RSV1, close_payload, make_frame
from blockingio.websocket.watch import clock

# Seconds after which what the kernel did not take of a Ping or Pong is tried again.
_RETRY = 0.05
# Bytes that are sent in one go; behind each it can be seen that the peer takes something.
_PIECE = 256 * 1024


class Writer:
    __slots__ = ("is_closed", "is_broken", "progress", "_channel", "_masks", "_deflater", "_lock", "_rest", "_ping",
                 "_pong", "_is_retrying")

    def __init__(self, channel: Channel, *, masks: bool, deflater: Deflater | None) -> None:
        self.is_closed = False  # nothing more is sent: Close has been, or the socket broke; written under _lock
        self.is_broken = False  # the socket broke, or a frame was interrupted in its middle; written under _lock
        self.progress = 0  # counts what the kernel took of large messages; written under _lock
        self._channel = channel
        self._masks = masks
        self._deflater = deflater  # used under _lock: messages are compressed in the order in which they go
        self._lock = Lock()
        self._rest: bytes | memoryview = b""  # of a Ping or Pong; under _lock
        # To be sent by the thread that holds the lock: none or one.  Put in by any thread, taken out by that one, each
        # in one step, also without the GIL.  A new one replaces the last: earlier ones need no answer (RFC 6455 5.5.3).
        self._ping: list[bytes] = []
        self._pong: list[bytes] = []
        self._is_retrying = False  # under _lock

    def send(self, opcode: int, payload: bytes | memoryview) -> bool:
        """Send a whole message, and wait until the kernel has it; False where nothing could be sent any more before.

        Where the socket breaks meanwhile, that is all: the peer is not there to be told.
        """
        first = FIN | opcode
        pieces = None if self._deflater else make_frame(first, payload, self._masks)
        with self._lock:
            if self.is_closed:
                return False
            if pieces is None:
                pieces = self._compress(first, payload)
            try:
                for piece in pieces:
                    self._send(piece)
            except OSError:
                self._break()
            except BaseException:
                # Ctrl-C, in the middle of a frame: nothing can come behind half of one.
                self._break()
                self._channel.cut()
                raise
        if self._ping or self._pong:
            self._send_due()
        return True

    def _compress(self, first: int, payload: bytes | memoryview) -> list[bytes | memoryview]:
        if self._deflater and payload:
            return make_frame(first | RSV1, self._deflater.compress(payload), self._masks)
        return make_frame(first, payload, self._masks)

    def _send(self, data: bytes | memoryview) -> None:
        """Send all of it, under the lock.  Raises OSError."""
        channel = self._channel
        if self._rest:
            rest, self._rest = self._rest, b""
            channel.send_all(rest, None)
        size = len(data)
        sent = channel.send_now(data)
        if sent == size:
            return
        view = memoryview(data)
        for at in range(sent, size, _PIECE):
            channel.send_all(view[at : at + _PIECE], None)
            self.progress += 1

    def _break(self) -> None:
        """The end of the writing half; under the lock."""
        self.is_broken = True  # first: where it is closed by this, that is known too
        self.is_closed = True

    def pong(self, payload: bytes) -> None:
        """Answer a Ping.  Never waits, never raises; nothing once it is closed."""
        self._pong[:] = (payload,)
        self._send_due()

    def ping(self, payload: bytes) -> None:
        """As ``pong``; ``is_ping_due`` says whether it has yet to be sent."""
        self._ping[:] = (payload,)
        self._send_due()

    @property
    def is_ping_due(self) -> bool:
        return bool(self._ping)

    def close(self, code: int | None, reason: bytes, deadline: float) -> bool:
        """Send Close, the last frame; False where it was closed before, or could not be in time.

        ``deadline`` on the monotonic clock, also for the writer that has the lock; one that has passed: no wait.
        """
        if not self._lock.acquire(timeout=max(deadline - monotonic(), 0)):
            return False
        try:
            if self.is_closed:
                return False
            self.is_closed = True
            frame = bytes(self._rest) + make_frame(FIN | CLOSE, close_payload(code, reason), self._masks)[0]
            sent = self._channel.send_now(frame)
            if sent < len(frame):
                self._channel.send_all(frame[sent:], max(deadline - monotonic(), 0.001))
        except OSError:
            return False  # TimeoutError too
        finally:
            self._lock.release()
        return True

    def shut(self) -> None:
        """After this no thread sends or will send: the socket may be closed.  The channel has been cut before."""
        with self._lock:
            self.is_closed = True

    # ---------------------------------------------------------------- what never waits

    def _send_due(self) -> None:
        """Send what is noted; the thread that holds the lock does, where this one cannot get it at once."""
        while (self._ping or self._pong) and self._lock.acquire(False):
            try:
                is_stuck = not self._try_due()
            finally:
                self._lock.release()
            if is_stuck:
                return  # the clock comes back to it

    def _try_due(self) -> bool:
        """Under the lock; False where the kernel did not take all of it."""
        if self.is_closed:
            self._ping.clear()
            self._pong.clear()
            return True
        try:
            if self._rest:
                self._rest = self._rest[self._channel.send_now(self._rest) :]
            for opcode, due in ((PING, self._ping), (PONG, self._pong)):
                if due and not self._rest:
                    frame = make_frame(FIN | opcode, due.pop(), self._masks)[0]
                    self._rest = frame[self._channel.send_now(frame) :]
        except OSError:
            self._break()
            return True
        if self._rest and not self._is_retrying:
            self._is_retrying = True
            clock.schedule(_RETRY, self._retry)
        return not self._rest

    def _retry(self) -> None:
        """On the clock's thread."""
        if not self._lock.acquire(False):
            # The thread that holds the lock sends the rest, unless it has only to release the lock yet.
            clock.schedule(_RETRY, self._retry)
            return
        try:
            self._is_retrying = False
            self._try_due()
        finally:
            self._lock.release()
        self._send_due()
