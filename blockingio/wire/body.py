"""A message's body as it comes over the wire: how long it is, and the bytes without their framing.

Every body has ``read_some(limit)`` (at least one byte, b"" at the end), ``finished``,
``length`` (-1 where it is not known) and, once finished, ``trailers``.  Reading raises
BadMessage, with the status for it, where the peer broke the framing or was too slow, and
Truncated where it went away; a body that has failed fails again at each further read.
A body belongs to whoever owns the reading half of its connection; ``lock`` guards the
moment when that changes.
"""

from __future__ import annotations

import re
from threading import Lock

from blockingio.errors import BadMessage
from blockingio.wire.head import Fields, check_field_lines, field_list
from blockingio.wire.limits import CHUNK_EXTENSIONS_SIZE, CHUNK_LINE_SIZE, Limits
from blockingio.wire.source import Source, Truncated

# chunk = chunk-size [ chunk-ext ] CRLF ... (RFC 9112 7.1); 16 hex digits are past any length.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)([ \t]*+;[\t\x20-\x7e\x80-\xff]*+)?")

# Fields that must not come as trailers, since by then it is decided what they change (RFC 9110 6.5.1): framing,
# routing, modifiers of the request, authentication, cookies.  What describes the content may come late: trailers
# are kept apart from the headers, and nobody reads the one for the other.
_FORBIDDEN_TRAILERS = frozenset(
    "authorization connection content-length cookie expect host if-match if-modified-since if-none-match "
    "if-range if-unmodified-since keep-alive max-forwards proxy-authenticate proxy-authorization "
    "proxy-connection range set-cookie te trailer transfer-encoding upgrade www-authenticate".split()
)


class Body:
    """What all bodies share."""

    __slots__ = ("lock", "length", "finished", "held_back", "trailers", "_source", "_failure")

    def __init__(self, source: Source, length: int) -> None:
        self.lock = Lock()
        self.length = length
        self.finished = length == 0
        self.held_back = False  # the client waits for 100 (Continue) before it sends
        self.trailers: list[tuple[str, str]] = []
        self._source = source
        # Message and status, not the error itself: by its traceback it would hold the request.
        self._failure: tuple[str, int] | None = None

    def read_some(self, limit: int) -> bytes:
        """At least one byte and at most ``limit``, or b"" at the end of the body."""
        if self.finished:
            return b""
        if self._failure is not None:
            raise BadMessage(*self._failure)
        try:
            return self._read_some(limit)
        except BadMessage as error:
            self._failure = error.message, error.status
            raise

    def _read_some(self, limit: int) -> bytes:
        raise NotImplementedError

    @property
    def left(self) -> int:
        """Bytes still to come, as far as is known: -1 where it is not."""
        return -1

    @property
    def failed(self) -> bool:
        return self._failure is not None

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
        if not data:
            raise Truncated(f"the connection ended after {self.length - self._left} of {self.length} bytes of a body")
        self._left -= len(data)
        self.finished = not self._left
        return data


class ChunkedBody(Body):
    """Chunks until the last one, then trailers (RFC 9112 7.1)."""

    __slots__ = ("_limits", "_chunk", "_total", "_extensions", "_first")

    def __init__(self, source: Source, limits: Limits) -> None:
        super().__init__(source, -1)
        self._limits = limits
        self._chunk = 0  # bytes of the current chunk still to come
        self._total = 0
        self._extensions = 0
        self._first = True

    def _read_some(self, limit: int) -> bytes:
        if not self._chunk:
            self._chunk = self._next_chunk()
            if not self._chunk:
                self._read_trailers()
                self.finished = True
                return b""
        data = self._source.read_some(min(limit, self._chunk))
        if not data:
            raise Truncated("the connection ended in the middle of a chunk")
        self._chunk -= len(data)
        return data

    def _next_chunk(self) -> int:
        """The size of the next chunk; 0 is the last."""
        if self._first:
            self._first = False
        elif self._source.line(CHUNK_LINE_SIZE):
            raise BadMessage("a chunk is longer than its size says, expected CRLF after it")
        line = self._source.line(CHUNK_LINE_SIZE)
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise BadMessage(f"a chunk's size is {line[:40]!r}, expected hex digits")
        self._extensions += len(match[2] or b"")
        if self._extensions > CHUNK_EXTENSIONS_SIZE:
            raise BadMessage(f"a body's chunk extensions have over {CHUNK_EXTENSIONS_SIZE} bytes")
        size = int(match[1], 16)
        self._total += size
        most = self._limits.max_body_size
        if most is not None and self._total > most:
            raise BadMessage(f"the body has at least {self._total} bytes, expected no more than {most}", 413)
        return size

    def _read_trailers(self) -> None:
        left = self._limits.max_header_size
        lines = []
        while line := self._source.line(left):
            left = max(left - len(line) - 2, 0)
            lines.append(line)
            if len(lines) > self._limits.max_header_count:
                raise BadMessage(f"the trailer section has over {self._limits.max_header_count} fields", 431)
        if not lines:
            return
        block = b"\r\n".join(lines)
        check_field_lines(block)
        trailers = field_list(block)
        for name, _ in trailers:
            if name.lower() in _FORBIDDEN_TRAILERS:
                raise BadMessage(f"{name} is a trailer, expected it among the headers")
        self.trailers = trailers


class UntilCloseBody(Body):
    """Everything until the end of input: responses only (RFC 9112 6.3, case 8)."""

    __slots__ = ()

    def __init__(self, source: Source) -> None:
        super().__init__(source, -1)

    def _read_some(self, limit: int) -> bytes:
        data = self._source.read_some(limit)
        self.finished = not data
        return data


def request_body(source: Source, fields: Fields, limits: Limits) -> Body | None:
    """The body that a request has, None where it has none (RFC 9112 6.3).

    Transfer-Encoding beside Content-Length, and any coding but chunked, were refused with the head.
    """
    body: Body
    if fields.chunked:
        body = ChunkedBody(source, limits)
    elif fields.content_length <= 0:
        return None
    elif limits.max_body_size is not None and fields.content_length > limits.max_body_size:
        raise BadMessage(
            f"the body has {fields.content_length} bytes, expected no more than {limits.max_body_size}", 413
        )
    else:
        body = FixedBody(source, fields.content_length)
    body.held_back = fields.expects_continue
    return body


def response_body(source: Source, fields: Fields, limits: Limits, *, method: str, status: int) -> Body | None:
    """The body that a response has, None where it has none; the steps of RFC 9112 6.3."""
    if method == "HEAD" or status < 200 or status in (204, 304):  # 1.
        return None
    if method == "CONNECT" and status < 300:  # 2.
        return None
    if fields.chunked:  # 4.
        return ChunkedBody(source, limits)
    if fields.content_length == 0:  # 6.
        return None
    if fields.content_length > 0:
        return FixedBody(source, fields.content_length)
    return UntilCloseBody(source)  # 8.
