"""A message's body as it comes over the wire: how long it is, and the bytes without their framing.

Every body has ``read_some(limit)`` (at least one byte, b"" at the end), ``finished``, ``length`` (-1 where it is not
known) and, once finished, ``trailers``.  Reading raises BadMessage, with the status for it, where the peer broke the
framing or was too slow, and Truncated where it went away; a body that has failed fails again at each further read.  A
body belongs to the thread that owns the reading half of its connection; ``lock`` guards the moment when that changes.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from blockingio.errors import BadMessage
from blockingio.wire.chunk_grammar import CHUNK_LINE, CHUNK_LINE_PARTS, PADDED_CHUNK_LINE, small_chunk_patterns
from blockingio.wire.head import Fields, check_field_lines, field_list, is_field_line
from blockingio.wire.limits import (
    BODY_RECEIVE_SIZE, CHUNK_DATA_RATE, CHUNK_EXTENSIONS_SIZE, CHUNK_LINE_SIZE, CHUNKS_ALONE, HEAD_RECEIVE_SIZE,
    Limits)
from blockingio.wire.source import END_OF_CHUNKS, LenientSource, Source, Truncated
from blockingio.wire.spot import Spot, field_spots, reach

# Fields that must not come as trailers, since by then it is decided what they change (RFC 9110 6.5.1): framing,
# routing, modifiers of the request, authentication, cookies.  What describes the content may come late: trailers
# are kept apart from the headers, so that the one is not read for the other.
_FORBIDDEN_TRAILERS = frozenset(
    "authorization connection content-length cookie expect host if-match if-modified-since if-none-match "
    "if-range if-unmodified-since keep-alive max-forwards proxy-authenticate proxy-authorization "
    "proxy-connection range set-cookie te trailer transfer-encoding upgrade www-authenticate".split()
)


class Body:
    """What all bodies share."""

    is_doubtful = False  # it was read, but its end is not beyond doubt: nothing may follow on its connection

    __slots__ = ("lock", "length", "finished", "held_back", "is_here", "trailers", "_source", "_failure")

    def __init__(self, source: Source, length: int = -1) -> None:
        self.lock = Lock()
        self.length = length
        self.finished = length == 0
        self.held_back = False  # the client waits for 100 (Continue) before it sends
        self.is_here = False  # all of it has come, and is out of the connection's way
        self.trailers: list[tuple[str, str]] = []
        self._source = source
        # What a BadMessage is made of, not the error itself: by its traceback it would hold the request.
        self._failure: tuple[str, int, str, tuple[bytes, int] | None] | None = None

    def read_some(self, limit: int) -> bytes:
        """At least one byte and at most ``limit``, or b"" at the end of the body."""
        if self.finished:
            return b""
        if self._failure is not None:
            raise BadMessage(*self._failure)
        try:
            return self._read_some(limit)
        except BadMessage as error:
            self._failure = error.message, error.status, error.section, error.spot
            raise

    def _read_some(self, limit: int) -> bytes:
        raise NotImplementedError

    @property
    def left(self) -> int:
        """Bytes still to come, as far as is known: -1 where it is not."""
        return -1

    @property
    def rest(self) -> bytes:
        """Of one that ``is_here``: what of it was not read, as it came."""
        return b""

    @property
    def failed(self) -> bool:
        return self._failure is not None

    @property
    def fault(self) -> tuple[str, tuple[bytes, int] | None]:
        """Section and spot of the BadMessage that it failed with."""
        return ("", None) if self._failure is None else self._failure[2:]

    def read_rest(self) -> bytes:
        """Of one that ``is_here``: all that was not read."""
        raise NotImplementedError

    def discard(self, limit: int) -> bool:
        """Read the rest away; False where it is more than ``limit`` bytes, or broken."""
        if self._failure is not None or self.left > limit:
            return False
        try:
            while not self.finished and limit > 0:
                limit -= len(self.read_some(min(limit, 65536)))
        except BadMessage:
            return False
        return self.finished


class FixedBody(Body):
    """As many bytes as Content-Length says (RFC 9112 6.2)."""

    __slots__ = ("_left",)

    def __init__(self, source: Source, length: int) -> None:
        super().__init__(source, length)
        self._left = length

    @property
    def left(self) -> int:
        return self._left

    def _read_some(self, limit: int) -> bytes:
        data = self._source.read_some(min(limit, self._left))
        self._count(len(data))
        return data

    @property
    def here(self) -> int:
        """Bytes that have been received and not been read."""
        return min(self._source.pending_size, self._left)

    def take_some(self, take: Callable[[int], int], limit: int) -> int:
        """``read_some`` by a function that takes bytes off the connection itself: how many, none behind the body.

        Only where nothing is ``here``.
        """
        if self._failure is not None:
            raise BadMessage(*self._failure)
        try:
            taken = self._source.take_by(take, min(limit, self._left))
            self._count(taken)
        except BadMessage as error:
            self._failure = error.message, error.status, error.section, error.spot
            raise
        return taken

    def _count(self, size: int) -> None:
        if not size:
            raise Truncated(f"the connection ended after {self.length - self._left} of {self.length} bytes of a body")
        self._left -= size
        self.finished = not self._left


class ChunkedBody(Body):
    """Chunks until the last one, then trailers (RFC 9112 7.1)."""

    __slots__ = ("_limits", "_chunk", "_total", "_overhead", "_count")

    _LINE = CHUNK_LINE

    def __init__(self, source: Source, limits: Limits) -> None:
        super().__init__(source)
        self._limits = limits
        self._chunk = 0  # bytes of the current chunk still to come
        self._total = 0
        self._overhead = 0  # bytes of extensions and blanks that no data has paid for
        self._count = 0  # chunks that were read one by one

    def _read_some(self, limit: int) -> bytes:
        if not self._chunk:
            if self._count >= CHUNKS_ALONE and (small := self._small_chunks(limit)):
                return small
            digits = self._source.take_chunk_digits(is_first=not self._count)
            self._chunk = self._size_of(digits) if digits else self._next_chunk()
            if not self._chunk:
                self._read_trailers()
                self.finished = True
                return b""
        data = self._source.read_some(min(limit, self._chunk), ahead=True)
        if not data:
            raise Truncated("the connection ended in the middle of a chunk")
        self._chunk -= len(data)
        if not self._chunk:
            self.finished = self._source.take(END_OF_CHUNKS)  # where it is here: no further step is needed to find it
        return data

    def _small_chunks(self, limit: int) -> bytes:
        """The data of the small chunks that are here already, all at once; b"" where the next one is not of them."""
        most = self._limits.max_body_size
        if most is not None:
            limit = min(limit, most - self._total)  # their framing is longer than they, so this is never passed
        chunks, data_of_chunk = small_chunk_patterns()
        run = self._source.take_match(chunks, limit)
        if not run:
            return b""
        data = b"".join(data_of_chunk.findall(run))
        self._total += len(data)
        return data

    def _size_of(self, digits: bytes) -> int:
        """The size of the next chunk, whose line is nothing but these digits; 0 is the last."""
        self._count += 1
        if self._overhead or self._limits.max_body_size is not None:
            return self._checked_size(digits, len(digits))
        size = int(digits, 16)
        self._total += size
        return size

    def _next_chunk(self) -> int:
        """The size of the next chunk, whose line has more than that, or is not here whole; 0 is the last."""
        if self._count and (line := self._source.line(CHUNK_LINE_SIZE)):
            raise BadMessage("a chunk is longer than its size says, expected CRLF after it", section="RFC 9112 7.1",
                             spot=Spot(line, 0))
        self._count += 1
        line = self._source.line(CHUNK_LINE_SIZE)
        match = self._LINE.fullmatch(line)
        if match is None:
            raise BadMessage(f"a chunk's size is {line[:40]!r}, expected hex digits, perhaps with ;name=value behind",
                             section="RFC 9112 7.1", spot=Spot(line, reach(CHUNK_LINE_PARTS, line)))
        return self._checked_size(line, len(match[1]))

    def _checked_size(self, line: bytes, digits: int) -> int:
        """The size in a chunk's first line, which begins with so many digits, where it is within the limits."""
        size = int(line[:digits], 16)
        self._overhead = max(self._overhead + len(line) - digits - size // CHUNK_DATA_RATE, 0)
        if self._overhead > CHUNK_EXTENSIONS_SIZE:
            raise BadMessage(
                f"a body's chunk extensions have over {CHUNK_EXTENSIONS_SIZE} bytes more than its data is worth, "
                "expected few", section="RFC 9112 7.1.1", spot=Spot(line, digits))
        self._total += size
        most = self._limits.max_body_size
        if most is not None and self._total > most:
            raise BadMessage(f"the body has at least {self._total} bytes, expected no more than {most}", 413,
                             "RFC 9110 15.5.14", Spot(line, 0))
        return size

    def _read_trailers(self) -> None:
        lines = self._trailer_lines(self._source.line)
        if not lines:
            return
        block = b"\r\n".join(lines)
        check_field_lines(block)
        trailers = field_list(block)
        for line, (name, _) in zip(lines, trailers):
            if name.lower() in _FORBIDDEN_TRAILERS:
                raise BadMessage(f"{name} is a trailer, expected it among the headers", section="RFC 9110 6.5.1",
                                 spot=Spot(line, 0))
        self.trailers = trailers

    def _trailer_lines(self, next_line: Callable[[int], bytes]) -> list[bytes]:
        left = self._limits.max_header_size
        lines = []
        while line := next_line(left):
            left = max(left - len(line) - 2, 0)
            lines.append(line)
            if len(lines) > self._limits.max_header_count:
                raise BadMessage(f"the trailer section has over {self._limits.max_header_count} fields, expected fewer",
                                 431, "RFC 6585 5", Spot(line, 0))
        return lines


class LenientChunkedBody(ChunkedBody):
    """The same for a client: blanks may follow a size, and trailers that should not be are left out.

    By the time of the trailers the body has come whole, and is not lost for them, as with browsers and curl.
    """

    __slots__ = ("is_doubtful",)

    _LINE = PADDED_CHUNK_LINE
    _source: LenientSource

    def __init__(self, source: LenientSource, limits: Limits) -> None:
        super().__init__(source, limits)
        self.is_doubtful = False

    def _read_trailers(self) -> None:
        lines = self._trailer_lines(self._lenient_line)
        good = [line for line in lines if is_field_line(line)]
        fields = field_list(b"\r\n".join(good))
        self.trailers = [field for field in fields if field[0].lower() not in _FORBIDDEN_TRAILERS]
        if len(self.trailers) < len(lines):
            self.is_doubtful = True

    def _lenient_line(self, limit: int) -> bytes:
        line, is_strict = self._source.lenient_line(limit)
        self.is_doubtful |= not is_strict
        return line


class UntilCloseBody(Body):
    """Everything until the end of input: responses only (RFC 9112 6.3, case 8)."""

    __slots__ = ()

    def _read_some(self, limit: int) -> bytes:
        data = self._source.read_some(limit)
        self.finished = not data
        return data


class ReceivedBody(Body):
    """One that has come whole, with its head or at once behind it: no source is behind it.

    ``data`` from ``begin`` to ``end`` is all of it as it came, ``spans`` are where its content is in there, without the
    framing.  They are given one by one.
    """

    __slots__ = ("_data", "_begin", "_end", "_spans")

    def __init__(self, length: int, data: bytes, begin: int, end: int, spans: list[tuple[int, int]]) -> None:
        # Body's, set here: a call of its own would cost each request one more frame.
        self.lock = Lock()
        self.length = length
        self.finished = self.held_back = False
        self.is_here = True
        self.trailers = []
        self._failure = None
        self._data = data
        self._begin = begin  # where what was not read begins
        self._end = end
        self._spans = spans  # that were not read

    @property
    def left(self) -> int:
        return sum([end - begin for begin, end in self._spans])

    @property
    def rest(self) -> bytes:
        return b"" if self.finished else self._data[self._begin : self._end]

    def read_some(self, limit: int) -> bytes:
        spans = self._spans
        if not spans:
            self.finished = True
            return b""
        begin, end = spans[0]
        if end - begin > limit:
            end = begin + limit
            spans[0] = end, spans[0][1]
        else:
            del spans[0]
            self.finished = not spans
        self._begin = end
        return self._data[begin:end]

    def read_rest(self) -> bytes:
        spans, self._spans = self._spans, []
        self.finished = True
        if len(spans) == 1:
            begin, end = spans[0]
            return self._data[begin:end]
        view = memoryview(self._data)
        return b"".join([view[begin:end] for begin, end in spans])


class AgainBody(Body):
    """What has been read of a body, to be read a second time; no source is behind it."""

    __slots__ = ("_content", "_at")

    def __init__(self, content: bytes, first: Body) -> None:
        self.lock = Lock()
        self.length = first.length
        self.finished = self.held_back = self.is_here = False
        self.trailers = first.trailers
        self._failure = None
        self._content = content
        self._at = 0

    def _read_some(self, limit: int) -> bytes:
        data = self._content[self._at : self._at + limit]
        self._at += len(data)
        self.finished = self._at == len(self._content)
        return data


def request_body(source: Source, fields: Fields, limits: Limits,
                 receive_now: Callable[[int], bytes] | None = None) -> Body | None:
    """The body that a request has, None where it has none (RFC 9112 6.3).

    One that has come already is taken off ``source``, so that the next request can be read from there.
    ``receive_now`` receives without waiting what has come of it behind the head's first piece; None: that stays there.

    Transfer-Encoding beside Content-Length, and any coding but chunked, were refused with the head.
    """
    body: Body
    size = fields.content_length
    most = limits.max_body_size
    if fields.chunked:
        if not fields.expects_continue:
            limit = BODY_RECEIVE_SIZE if most is None else min(BODY_RECEIVE_SIZE, most)
            here = source.take_chunks(limit, CHUNKS_ALONE)
            if here is None and receive_now is not None and source.receive_here(BODY_RECEIVE_SIZE, receive_now):
                here = source.take_chunks(limit, CHUNKS_ALONE)
            if here is not None:
                return ReceivedBody(-1, *here)
        body = ChunkedBody(source, limits)
    elif size <= 0:
        return None
    elif most is not None and size > most:
        raise BadMessage(f"the body has {size} bytes, expected no more than {most}", 413, "RFC 9110 15.5.14",
                         field_spots(fields.block, b"content-length")[0])
    else:
        if size <= BODY_RECEIVE_SIZE and not fields.expects_continue:
            here = source.take_received(size)
            if (here is None and receive_now is not None
                    and source.receive_here(size - source.pending_size, receive_now)):
                here = source.take_received(size)
            if here is not None:
                return ReceivedBody(size, *here)
        body = FixedBody(source, size)
    body.held_back = fields.expects_continue
    return body


def has_body(method: str, status: int) -> bool:
    """Whether a response can have a body: whatever its fields say (RFC 9112 6.3, steps 1 and 2)."""
    if method == "HEAD" or status < 200 or status in (204, 304):
        return False
    return not (method == "CONNECT" and status < 300)


def response_body(source: LenientSource, fields: Fields, limits: Limits, *, method: str, status: int) -> Body | None:
    """The body that a response has, None where it has none; the steps of RFC 9112 6.3.

    One that has come with its head is taken off ``source``.  Raises BadMessage where its end cannot be told.
    """
    if not has_body(method, status):  # 1. and 2.
        return None
    if fields.fault:  # 3. to 5.
        raise BadMessage(fields.fault)
    if fields.chunked:  # 4.
        here = source.take_chunks(HEAD_RECEIVE_SIZE, CHUNKS_ALONE) if limits.max_body_size is None else None
        return LenientChunkedBody(source, limits) if here is None else ReceivedBody(-1, *here)
    size = fields.content_length
    if size == 0:  # 6.
        return None
    if size > 0:
        here = source.take_received(size) if size <= HEAD_RECEIVE_SIZE else None
        return FixedBody(source, size) if here is None else ReceivedBody(size, *here)
    return UntilCloseBody(source)  # 8.
