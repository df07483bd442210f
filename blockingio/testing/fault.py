"""Fault: how an answer goes wrong, and the sending of it.

Belongs to the worker that answers; only ``stopped``, the event that ends what takes its time, is set by another
thread.  An answer that breaks HTTP is written by the response past its own framing, on the connection's channel
itself: a socket that was detached may be the end of a relay, on which no reset would reach the client.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

from blockingio.server.response import HttpResponse
from blockingio.wire.body import has_body

# Times a second that a slow body goes on.
_PIECES_A_SECOND = 20

# Where the size of a chunk should be (RFC 9112 7.1).
_BAD_CHUNK = b"no-size\r\n"


class Fault:
    """How an answer goes wrong, for tests of clients; several combine, also with status, headers, times and TLS.

        server.on("GET", "/slow", body=b"x" * 1000, fault=Fault(rate=100))

    ``delay``: seconds before the head.  ``rate``: bytes of the body a second, in small pieces.
    ``cut_after``: so many bytes of the body, then the end of the connection; Content-Length stays whole.
    ``reset``: RST instead of the answer, or after ``cut_after`` bytes.
    ``close_before_head``: an orderly end, and no byte.  ``bad_chunk``: the body is chunked, and where the last chunk
    should be stands what is none.  ``wrong_length``: Content-Length is off by so much, less where it is negative; the
    body is whole, and the connection ends.  Raises ValueError for a time or a number below 0, and a rate below 1,
    TypeError for what is no number.
    """

    __slots__ = ("delay", "rate", "cut_after", "reset", "close_before_head", "bad_chunk", "wrong_length")

    def __init__(self, *, delay: float = 0, rate: int | None = None, cut_after: int | None = None, reset: bool = False,
                 close_before_head: bool = False, bad_chunk: bool = False, wrong_length: int = 0) -> None:
        if not isinstance(delay, (int, float)):
            raise TypeError(f"expected seconds as delay, found {delay!r}")
        for name, number in (("rate", rate), ("cut_after", cut_after), ("wrong_length", wrong_length)):
            if not isinstance(number, int) and (number is not None or name == "wrong_length"):
                raise TypeError(f"expected an int as {name}, found {number!r}")
        if not 0 <= delay < float("inf"):
            raise ValueError(f"expected seconds as delay, 0 or more, found {delay!r}")
        if rate is not None and rate < 1:
            raise ValueError(f"expected bytes a second as rate, 1 or more, found {rate!r}")
        if cut_after is not None and cut_after < 0:
            raise ValueError(f"expected a number of bytes as cut_after, 0 or more, found {cut_after!r}")
        self.delay = delay
        self.rate = rate
        self.cut_after = cut_after
        self.reset = reset
        self.close_before_head = close_before_head
        self.bad_chunk = bad_chunk
        self.wrong_length = wrong_length

    def __repr__(self) -> str:
        said = [f"{name}={getattr(self, name)!r}" for name in self.__slots__
                if getattr(self, name) != getattr(NO_FAULT, name)]
        return f"Fault({', '.join(said)})"

    @property
    def is_of_body(self) -> bool:
        """Whether it needs an answer that is known: more than ``delay`` and ``close_before_head``."""
        return self.rate is not None or self.reset or self._breaks

    @property
    def _breaks(self) -> bool:
        """Whether what is sent is no message that HTTP knows."""
        return self.cut_after is not None or self.bad_chunk or self.wrong_length != 0

    def begin(self, response: HttpResponse, stopped: Event) -> bool:
        """Do what comes before the head; False where no head is to follow: the response is done."""
        if self.delay and stopped.wait(self.delay):
            response.give_up()
            return False
        if self.close_before_head or (self.reset and self.cut_after is None):
            response.end_as_it_is(reset=self.reset)
            return False
        return True

    def send(self, response: HttpResponse, method: str, body: bytes, stopped: Event) -> None:
        """Send this body, whose head is set on the response, and close."""
        has_content = has_body(method, response.status_code)
        if not self._breaks:
            self._send_well(response, body, has_content, stopped)
            return
        length = max(len(body) + self.wrong_length, 0)
        head = response.head_with(b"transfer-encoding: chunked\r\n" if self.bad_chunk
                                  else b"content-length: %d\r\n" % length)
        going = response.send_as_it_is(head)
        for piece in self._pieces(self._payload(body) if has_content else b""):
            if not going or (self.rate is not None and stopped.wait(len(piece) / self.rate)):
                response.give_up()
                return
            going = response.send_as_it_is(piece)
        response.end_as_it_is(reset=self.reset)

    def _send_well(self, response: HttpResponse, body: bytes, has_content: bool, stopped: Event) -> None:
        if self.rate is None or not has_content:
            response.add(body)
            response.close()
            return
        response.content_length = len(body)
        response.flush()
        for piece in self._pieces(body):
            if stopped.wait(len(piece) / self.rate) or not response.is_connected:
                response.give_up()
                return
            response.add(piece)
            response.flush()
        response.close()

    def _payload(self, body: bytes) -> bytes:
        """What follows the head, as far as it is sent."""
        shown = body if self.cut_after is None else body[: self.cut_after]
        if not self.bad_chunk:
            return shown
        start = b"%x\r\n" % len(body) + shown if body else b""
        if self.cut_after is not None and self.cut_after < len(body):
            return start
        return start + (b"\r\n" if body else b"") + _BAD_CHUNK

    def _pieces(self, payload: bytes) -> Iterator[bytes]:
        size = len(payload) if self.rate is None else self.rate // _PIECES_A_SECOND
        for at in range(0, len(payload), max(size, 1)):
            yield payload[at : at + max(size, 1)]


#: That of a rule without one.
NO_FAULT = Fault()
