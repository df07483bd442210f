"""Buffered reading by pull: bytes come from a ``receive(size)`` callable when they are asked for.

``receive`` gives b"" at the end of input, and raises TimeoutError or BlockingIOError when nothing came in time (the
latter is how a kernel timeout shows), OSError when the connection broke.  A Source belongs to one thread at a time: the
one that owns the reading half.  It never reads when its buffer can answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from blockingio.errors import BadMessage
from blockingio.wire.limits import BODY_RECEIVE_SIZE, HEAD_RECEIVE_SIZE, REQUEST_LINE_REST, Limits
from blockingio.wire.spot import Spot, spot_in

TIMED_OUT = (TimeoutError, BlockingIOError)


class Truncated(BadMessage):
    """The peer went away in the middle of a message."""


# A chunk's first line, without extensions (RFC 9112 7.1).
_PLAIN_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16}+)\r\n")
# The same behind another chunk's data.
_NEXT_CHUNK_SIZE = re.compile(rb"\r\n([0-9A-Fa-f]{1,16}+)\r\n")
# Bytes that have come: the buffer in which they are, where in it they begin and end, and where the content does that is
# in them, without the framing of chunks.
Received: TypeAlias = tuple[bytes, int, int, list[tuple[int, int]]]

# Behind the last chunk's data, without extensions and trailers.
END_OF_CHUNKS = b"\r\n0\r\n\r\n"


class Source:
    __slots__ = ("_receive", "_data", "_at", "_partial", "_last_chunk", "_last_head", "_repeats", "_heads", "_received")

    _END = re.compile(rb"\r\n\r\n")  # of a head
    # What no head contains: a control character, or a line that ends without CR (RFC 9112 2.2).
    # Looked for while a head is still coming, so that nonsense need not time out to be answered.
    _IMPOSSIBLE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r[^\n]")

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._data = b""  # what was received last ...
        self._at = 0  # ... and how far it is used up
        self._partial = bytearray()  # a head that is coming in pieces; only ever grows while it is waited for
        # What was received when last it was a head and nothing else: clients repeat themselves.
        self._last_chunk: bytes | None = None
        self._last_head = b""
        self._repeats = 0  # how often that chunk came again: one count stands for heads and bytes
        self._heads = 0  # that were given, beside those
        self._received = 0  # bytes that came, beside those

    def counts(self) -> tuple[int, int]:
        """Heads that were given, and bytes that were received.  From any thread; they may be off for a moment."""
        repeats = self._repeats
        return self._heads + repeats, self._received + repeats * len(self._last_chunk or b"")

    def _count_repeats(self) -> None:
        """Before another chunk than the last one is to be known again."""
        self._heads, self._received = self.counts()
        self._repeats = 0

    @property
    def pending(self) -> bytes:
        """What has been received and not been read."""
        return self._data[self._at :]

    @property
    def partial(self) -> bytes:
        """What is here of a head that is coming in pieces: the beginning of what will be ``pending``.

        For another thread, which takes the connection over while this one waits for the rest, or goes on with it.
        """
        return bytes(self._partial)

    def take_pending(self) -> bytes:
        """``pending``, which then counts as read."""
        data = self._data[self._at :]
        self._data, self._at = b"", 0
        return data

    def take_received(self, size: int) -> Received | None:
        """The next ``size`` bytes, which then count as read; None where they are not all here already."""
        at = self._at
        end = at + size
        if end > len(self._data):
            return None
        self._at = end
        return self._data, at, end, [(at, end)]

    def take_chunks(self, limit: int, most: int) -> Received | None:
        """A chunked body that is all here already, of at most ``limit`` bytes of data in ``most`` chunks; it then
        counts as read.

        None where it is not, or has extensions or trailers; nothing counts as read then.
        """
        data = self._data
        spans: list[tuple[int, int]] = []
        found = _PLAIN_CHUNK_SIZE.match(data, self._at)
        if found is not None and int(found[1], 16) * most < len(data) - HEAD_RECEIVE_SIZE:
            return None  # so small a chunk is one of more than that: to find it out takes a step of Python for each
        next_size = _NEXT_CHUNK_SIZE.match
        while found is not None:
            begin = found.end()
            size = int(found[1], 16)
            if not size:
                if not data.startswith(b"\r\n", begin):
                    break
                begin, self._at = self._at, begin + 2
                return data, begin, self._at, spans
            end = begin + size
            limit -= size
            if limit < 0 or len(spans) == most:
                break
            spans.append((begin, end))
            found = next_size(data, end)
        return None

    def receive_here(self, size: int, receive_now: Callable[[int], bytes]) -> bool:
        """Receive more of a body of which not all is pending: ``size`` bytes at most of what has come already.

        Only behind a head with nothing before it, and by one call, which does not wait.  False where nothing came.
        """
        data, at = self._data, self._at
        if len(data) < HEAD_RECEIVE_SIZE:
            return False  # less was here than was asked for, so there is no more of it
        if data.find(b"\r\n\r\n") + 4 != at or data[0] == 13:
            return False
        try:
            more = receive_now(size)
        except OSError:
            return False  # nothing has come; or what broke is found by the thread that reads on
        self._received += len(more)
        self._data, self._at = data[at:] + more, 0
        return True

    def unread_head(self, head: bytes, body: bytes = b"") -> None:
        """The head that was read last counts as not read, with the empty lines before it, and ``body`` behind it.

        ``body`` is what was taken, as it came.  Nothing else may have been read since.
        """
        self._heads -= 1
        at = self._at - len(body) - len(head) - 4
        if at < 0:  # more was received behind it: it was alone, and is not here any more
            self._data, at = b"%b\r\n\r\n%b%b" % (head, body, self.pending), 0
        self._at = at if self._data[:at].strip(b"\r\n") else 0  # before it are empty lines, or another message

    @property
    def pending_size(self) -> int:
        """Bytes of ``pending``."""
        return len(self._data) - self._at

    def receive_from(self, receive: Callable[[int], bytes]) -> None:
        """From here on bytes come from this callable."""
        self._receive = receive

    def head(self, limits: Limits, before_wait: Callable[[], object]) -> bytes | None:
        """A message head without the blank line that ends it, or None at the end of input.

        ``before_wait`` is called each time that part of a head is here and more must be waited for.
        Empty lines before it are skipped (RFC 9112 2.2).  Raises what ``receive`` raises while nothing
        has come yet; then BadMessage: 408 where it came too slowly, 414 or 431 where it is too long,
        400 where it cannot become one; Truncated where the input ends in it.
        """
        at = self._at
        data = self._data
        if at >= len(data):
            known = self._last_chunk
            if data is not known:
                self._data, self._at = b"", 0  # hold nothing more while waiting
            at = 0
            data = self._receive(HEAD_RECEIVE_SIZE)
            if data == known:
                if self._data is not known:
                    self._data, self._at = data, len(data)
                self._repeats += 1
                return self._last_head
            if not data:
                return None
            self._received += len(data)
        end = data.find(b"\r\n\r\n", at)
        if end < 0 or data[at] == 13:
            return self._slow_head(data[at:], limits, before_wait)
        self._data = data
        self._at = end + 4
        head = data[at:end]
        if at == 0 and len(data) == end + 4:
            if self._repeats:
                self._count_repeats()
            self._last_chunk, self._last_head = data, head
        self._heads += 1
        return head

    def _slow_head(self, start: bytes, limits: Limits, before_wait: Callable[[], object]) -> bytes | None:
        """A head that comes in pieces, or after empty lines."""
        data = self._partial = bytearray(start)
        begin = 0  # where the head does, behind empty lines
        searched = 0  # no end before here: each byte is searched once, however small the pieces
        used = 0  # unless it becomes a head, all of it is still pending, for the next owner of the connection
        try:
            while True:
                while data.startswith(b"\r\n", begin):
                    begin += 2
                if begin > REQUEST_LINE_REST:
                    raise BadMessage(f"over {REQUEST_LINE_REST} bytes of empty lines before a head, expected a request",
                                     section="RFC 9112 2.2", spot=spot_in(data, begin - 2))
                found = self._END.search(data, max(searched - 3, begin))
                if found is not None:
                    used = found.end()
                    self._heads += 1
                    return bytes(data[begin : found.start()])
                self._check_unfinished(data, begin, max(searched - 1, begin), limits)
                searched = len(data)
                before_wait()
                more = self._receive_in_message(HEAD_RECEIVE_SIZE)
                if not more:
                    if not data.strip(b"\r\n"):
                        return None
                    raise Truncated(f"the connection ended after {len(data)} bytes of a head")
                try:
                    data += more
                except BufferError:  # without the GIL: another thread is at ``partial``, and what it copies cannot grow
                    data = self._partial = data + more
        finally:
            self._data, self._at = bytes(data), used
            self._partial = bytearray()

    def line(self, limit: int) -> bytes:
        """One line of a chunked body's framing, without its CRLF.

        Raises BadMessage where it is longer than ``limit`` bytes or ends in a bare LF.
        """
        line = self._through_lf(limit)
        if not line.endswith(b"\r"):
            raise BadMessage(f"a line of the body's framing ends in a bare LF after {line[-8:]!r}, expected CRLF",
                             section="RFC 9112 7.1", spot=Spot(line + b"\n", len(line)))
        return line[:-1]

    def _through_lf(self, limit: int) -> bytes:
        """A line without its LF, of ``limit`` bytes and a CR at most."""
        end = self._data.find(b"\n", self._at)
        if 0 <= end <= self._at + limit + 1:
            line = self._data[self._at : end]
            self._at = end + 1
            return line
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
                return line
            pieces.append(self.take_pending())
            size += len(pieces[-1])
            if size > limit + 1:
                break
            more = self._receive_in_message(BODY_RECEIVE_SIZE)
            if not more:
                raise Truncated("the connection ended in the framing of a chunked body")
            self._data = more
        raise BadMessage(f"a line of the body's framing has over {limit} bytes, expected an end",
                         section="RFC 9112 7.1.1", spot=Spot(b"".join(pieces), limit))

    def take_match(self, pattern: re.Pattern[bytes], limit: int) -> bytes:
        """What is here already and fits the pattern, of ``limit`` bytes at most; it then counts as read."""
        found = pattern.match(self._data, self._at, self._at + limit)
        if found is None:
            return b""
        self._at = found.end()
        return found[0]

    def take_chunk_digits(self, *, is_first: bool) -> bytes:
        """The size in a chunk's first line, with the end of the data before it, where that is here and has no
        extension, as nearly all are: it then counts as read.  Else b""."""
        found = (_PLAIN_CHUNK_SIZE if is_first else _NEXT_CHUNK_SIZE).match(self._data, self._at)
        if found is None:
            return b""
        self._at = found.end()
        return found[1]

    def take(self, expected: bytes) -> bool:
        """Whether these bytes are what comes next and are here already; they then count as read."""
        if not self._data.startswith(expected, self._at):
            return False
        self._at += len(expected)
        return True

    def read_some(self, limit: int, *, ahead: bool = False) -> bytes:
        """At least one byte and at most ``limit``, or b"" at the end of input.

        ``ahead``: more is known to follow, and worth to be received with it.
        """
        at = self._at
        data = self._data
        if at >= len(data):
            if limit >= (BODY_RECEIVE_SIZE if ahead else BODY_RECEIVE_SIZE // 4):
                return self._receive_in_message(limit)
            self._data = data = self._receive_in_message(BODY_RECEIVE_SIZE)
            self._at = at = 0
        if at == 0 and len(data) <= limit:
            self._data = b""
            return data
        part = data[at : at + limit]
        self._at = at + len(part)
        return part

    def take_by(self, take: Callable[[int], int], size: int) -> int:
        """``read_some`` by a function that takes bytes off the connection itself: how many of them, 0 at its end.

        Nothing may be pending.  ``take`` raises as ``receive`` does.
        """
        try:
            taken = take(size)
        except OSError as error:
            raise self._failure(error) from error
        self._received += taken
        return taken

    def _receive_in_message(self, size: int) -> bytes:
        try:
            data = self._receive(size)
        except OSError as error:
            raise self._failure(error) from error
        self._received += len(data)
        return data

    @staticmethod
    def _failure(error: OSError) -> BadMessage:
        """What it is in the middle of a message."""
        if isinstance(error, TIMED_OUT):
            return BadMessage("the rest of a message did not come in time", 408, "RFC 9110 15.5.9")
        return Truncated(f"the connection broke in the middle of a message: {error}")

    def _check_unfinished(self, data: bytearray, begin: int, start: int, limits: Limits) -> None:
        """Raise BadMessage where ``data[begin:]`` cannot become a head any more; before ``start`` it was checked."""
        found = self._IMPOSSIBLE.search(data, start)
        if found:
            raise BadMessage(f"a head contains {bytes(found[0])!r}, expected lines of text that end in CRLF",
                             section="RFC 9112 2.2", spot=spot_in(data, found.start()))
        line_end = data.find(b"\n", begin, begin + limits.max_target_length + REQUEST_LINE_REST)
        if line_end < 0:
            if len(data) - begin > limits.max_target_length + REQUEST_LINE_REST:
                most = limits.max_target_length + REQUEST_LINE_REST
                raise BadMessage(f"a start line has over {most} bytes, expected an end", 414, "RFC 9110 15.5.15",
                                 spot_in(data, begin + most))
        elif len(data) - line_end > limits.max_header_size + 3:
            raise BadMessage(f"a header section has over {limits.max_header_size} bytes, expected an end", 431,
                             "RFC 6585 5", spot_in(data, line_end + 1 + limits.max_header_size))


class LenientSource(Source):
    """The same for a client: in a head LF stands for CRLF, as browsers and curl have it (RFC 9112 2.2).

    ``is_lax`` is true once that was so: then it is not certain any more where the next message begins.
    """

    __slots__ = ("is_lax", "_strict_head")

    _END = re.compile(rb"\r?\n\r?\n")
    _IMPOSSIBLE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]")

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        super().__init__(receive)
        self.is_lax = False
        self._strict_head = b""  # the last one that had no LF alone; often the same object comes again

    def head(self, limits: Limits, before_wait: Callable[[], object]) -> bytes | None:
        head = super().head(limits, before_wait)
        if head is None or head is self._strict_head:
            return head
        if self._data[self._at - 4 : self._at] != b"\r\n\r\n" or head.count(b"\n") != head.count(b"\r\n"):
            return self._with_crlf(head)
        self._strict_head = head
        return head

    def _with_crlf(self, head: bytes) -> bytes:
        """The head as it should be; what was taken too far, up to a later CRLF CRLF, is pending again."""
        self.is_lax = True
        self._count_repeats()
        self._last_chunk, self._last_head = None, b""
        found = self._END.search(head + b"\r\n\r\n")
        assert found is not None
        self._at -= len(head) + 4 - found.end()
        return re.sub(rb"\r?\n", b"\r\n", head[: found.start()])

    def lenient_line(self, limit: int) -> tuple[bytes, bool]:
        """``line``, which may end in LF alone, and whether it ends in CRLF as it should."""
        line = self._through_lf(limit)
        return line.removesuffix(b"\r"), line.endswith(b"\r")
