"""Buffered reading by pull: bytes come from a ``receive(size)`` callable when somebody asks.

``receive`` gives b"" at the end of input, and raises TimeoutError or BlockingIOError
when nothing came in time (the latter is how a kernel timeout shows), OSError when the
connection broke.  A Source belongs to one thread at a time: whoever owns the reading half.
It never reads when its buffer can answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from blockingio.errors import BadMessage
from blockingio.wire.limits import BODY_RECEIVE_SIZE, HEAD_RECEIVE_SIZE, REQUEST_LINE_REST, Limits

TIMED_OUT = (TimeoutError, BlockingIOError)

# What no head contains: a control character, or a line that ends without CR (RFC 9112 2.2).
# Looked for while a head is still coming, so that nonsense need not time out to be answered.
_IMPOSSIBLE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r[^\n]")


class Truncated(BadMessage):
    """The peer went away in the middle of a message."""


class Source:
    __slots__ = ("_receive", "_data", "_at", "_partial", "_last_chunk", "_last_head")

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._data = b""  # what was received last ...
        self._at = 0  # ... and how far it is used up
        self._partial = bytearray()  # a head that is coming in pieces; only ever grows while it is waited for
        # What was received when last it was a head and nothing else: clients repeat themselves.
        self._last_chunk: bytes | None = None
        self._last_head = b""

    @property
    def pending(self) -> bytes:
        """What has been received and not been read."""
        return self._data[self._at :]

    @property
    def partial(self) -> bytes:
        """What is here of a head that is coming in pieces: the beginning of what will be ``pending``.

        For another thread, which takes the connection over while this one waits for the rest.
        """
        return bytes(self._partial)

    def take_pending(self) -> bytes:
        """``pending``, which then counts as read."""
        data = self._data[self._at :]
        self._data, self._at = b"", 0
        return data

    def unread_head(self, head: bytes) -> None:
        """The head that was read last counts as not read, and so do empty lines before it.

        Nothing may have been read since.  What is here before it is either them or another message.
        """
        self._at -= len(head) + 4
        if not self._data[: self._at].strip(b"\r\n"):
            self._at = 0

    @property
    def pending_size(self) -> int:
        """Bytes of ``pending``."""
        return len(self._data) - self._at

    def receive_from(self, receive: Callable[[int], bytes]) -> None:
        """From here on bytes come from this callable."""
        self._receive = receive

    def head(self, limits: Limits, before_wait: Callable[[], None]) -> bytes | None:
        """A message head without the blank line that ends it, or None at the end of input.

        ``before_wait`` is called each time that part of a head is here and more must be waited for.
        Empty lines before it are skipped (RFC 9112 2.2).  Raises what ``receive`` raises while nothing
        has come yet; then BadMessage: 408 where it came too slowly, 414 or 431 where it is too long,
        400 where it cannot become one; Truncated where the input ends in it.
        """
        at = self._at
        data = self._data
        if at >= len(data):
            at = 0
            self._data = b""  # hold nothing while waiting
            data = self._receive(HEAD_RECEIVE_SIZE)
            if data == self._last_chunk:
                self._data = data
                self._at = len(data)
                return self._last_head
            if not data:
                self._at = 0
                return None
        end = data.find(b"\r\n\r\n", at)
        if end < 0 or data[at] == 13:
            return self._slow_head(data[at:], limits, before_wait)
        self._data = data
        self._at = end + 4
        head = data[at:end]
        if at == 0 and len(data) == end + 4:
            self._last_chunk, self._last_head = data, head
        return head

    def _slow_head(self, start: bytes, limits: Limits, before_wait: Callable[[], None]) -> bytes | None:
        """A head that comes in pieces, or after empty lines."""
        data = self._partial = bytearray(start)
        begin = 0  # where the head does, behind empty lines
        searched = 0  # no end before here: each byte is searched once, however small the pieces
        used = 0  # unless it becomes a head, all of it is still pending, for whoever takes the connection over
        try:
            while True:
                while data.startswith(b"\r\n", begin):
                    begin += 2
                if begin > REQUEST_LINE_REST:
                    raise BadMessage(f"over {REQUEST_LINE_REST} bytes of empty lines before a head")
                end = data.find(b"\r\n\r\n", max(searched - 3, begin))
                if end >= 0:
                    used = end + 4
                    return bytes(data[begin:end])
                _check_unfinished(data, begin, max(searched - 1, begin), limits)
                searched = len(data)
                before_wait()
                more = self._receive_in_message(HEAD_RECEIVE_SIZE)
                if not more:
                    if not data.strip(b"\r\n"):
                        return None
                    raise Truncated(f"the connection ended after {len(data)} bytes of a head")
                data += more
        finally:
            self._data, self._at = bytes(data), used
            self._partial = bytearray()

    def line(self, limit: int) -> bytes:
        """One line of a chunked body's framing, without its CRLF.

        Raises BadMessage where it is longer than ``limit`` bytes or ends in a bare LF.
        """
        pieces: list[bytes] = []  # of a line that comes in several: each byte is searched once
        size = 0
        while True:
            end = self._data.find(b"\n", self._at)
            if end >= 0:
                pieces.append(self._data[self._at : end])
                self._at = end + 1
                line = b"".join(pieces)
                if len(line) > limit + 1:
                    break
                if not line.endswith(b"\r"):
                    raise BadMessage(
                        f"a line of the body's framing ends in a bare LF after {line[-8:]!r}, expected CRLF"
                    )
                return line[:-1]
            pieces.append(self.take_pending())
            size += len(pieces[-1])
            if size > limit + 1:
                break
            more = self._receive_in_message(HEAD_RECEIVE_SIZE)
            if not more:
                raise Truncated("the connection ended in the framing of a chunked body")
            self._data = more
        raise BadMessage(f"a line of the body's framing has over {limit} bytes")

    def read_some(self, limit: int) -> bytes:
        """At least one byte and at most ``limit``, or b"" at the end of input."""
        at = self._at
        data = self._data
        if at >= len(data):
            if limit >= BODY_RECEIVE_SIZE // 4:
                return self._receive_in_message(limit)
            self._data = data = self._receive_in_message(BODY_RECEIVE_SIZE)
            self._at = at = 0
        if at == 0 and len(data) <= limit:
            self._data = b""
            return data
        part = data[at : at + limit]
        self._at = at + len(part)
        return part

    def _receive_in_message(self, size: int) -> bytes:
        try:
            return self._receive(size)
        except TIMED_OUT:
            raise BadMessage("the rest of a message did not come in time", 408) from None
        except OSError as error:
            raise Truncated(f"the connection broke in the middle of a message: {error}") from error


def _check_unfinished(data: bytearray, begin: int, start: int, limits: Limits) -> None:
    """Raise BadMessage where ``data[begin:]`` cannot become a head any more; before ``start`` it was checked."""
    found = _IMPOSSIBLE.search(data, start)
    if found:
        raise BadMessage(f"a head contains {bytes(found[0])!r}, expected lines of text that end in CRLF")
    line_end = data.find(b"\r\n", begin, begin + limits.max_target_length + REQUEST_LINE_REST)
    if line_end < 0:
        if len(data) - begin > limits.max_target_length + REQUEST_LINE_REST:
            raise BadMessage(f"a start line has over {limits.max_target_length + REQUEST_LINE_REST} bytes", 414)
    elif len(data) - line_end > limits.max_header_size + 4:
        raise BadMessage(f"a header section has over {limits.max_header_size} bytes", 431)
