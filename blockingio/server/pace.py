"""How slowly the body of one request may come: no gap longer than body_timeout, and a rate over the whole of it."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import monotonic
from typing import TypeVar

from blockingio.errors import BadMessage
from blockingio.net.channel import Channel
from blockingio.net.file_output import Splice, splice_between
from blockingio.wire.limits import BODY_GRACE
from blockingio.wire.source import TIMED_OUT

T = TypeVar("T")


class BodyPace:
    """Receives in place of the channel while a body is read; it belongs to the thread that owns the reading half.

    Only time spent in waiting for the client counts, not the handler's.  What is here already is received without a
    timeout: to set one, and another behind the body, costs more than the rest.
    """

    __slots__ = ("is_waiting", "due", "received", "_channel", "_gap", "_rate", "_waited", "_waits")

    def __init__(self, channel: Channel, gap: float | None, rate: int | None, received: int) -> None:
        """``gap`` in seconds, ``rate`` in bytes a second, None: any; ``received``: bytes that came with the head."""
        # For a look at the connection, on any thread.
        self.is_waiting = False
        self.due: float | None = None  # when that wait ends, on the monotonic clock; None: never
        self._channel = channel
        self._gap = gap
        self._rate = rate
        self.received = received  # bytes of the body so far, its framing and what follows included
        self._waited = 0.0
        self._waits = False  # the client is slower than its handler: that more is here is not tried any more

    def receive(self, size: int) -> bytes:
        """As the channel's.  Raises BadMessage, a 408, where the body is below its rate and the grace is over."""
        if not self._waits:
            try:
                data = self._channel.receive_now(size)
                self.received += len(data)
                return data
            except BlockingIOError:
                self._waits = True
        data = self._wait(self._channel.receive, size)
        self.received += len(data)
        return data

    def take(self, take: Callable[[int], int], size: int) -> int:
        """``receive`` by a function that keeps what it takes off the socket; the number of bytes."""
        taken = self._wait(take, size)
        self.received += taken
        return taken

    def splice_into(self, descriptor: int) -> Splice | None:
        """What moves the body into an open file inside the system; None where it has to be received here."""
        return splice_between(self._channel, descriptor)

    def _wait(self, receive: Callable[[int], T], size: int) -> T:
        left = inf if self._rate is None else max(BODY_GRACE, self.received / self._rate) - self._waited
        if left <= 0:
            raise self._too_slow()
        is_gap = self._gap is not None and self._gap <= left
        limit = self._gap if is_gap or left == inf else left
        self._channel.set_receive_timeout(limit)
        began = monotonic()
        self.due = None if limit is None else began + limit
        self.is_waiting = True
        try:
            return receive(size)
        except TIMED_OUT:
            if is_gap:
                raise
            raise self._too_slow() from None
        finally:
            self.is_waiting = False
            self._waited += monotonic() - began

    def _too_slow(self) -> BadMessage:
        return BadMessage(f"a body came with less than {self._rate} bytes a second, expected that many "
                          f"from second {BODY_GRACE:g} on", 408, "RFC 9110 15.5.9")
