"""One direction of a connection, taken apart: its lines as they are, with remarks on what they mean.

Takes bytes in pieces of any size, gives Lines.  Whatever the bytes are, nothing is raised: what is no HTTP is shown as
text.  Reads leniently what others must not: this decides nothing.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator

from blockingio.wire_view.body import BodyText, Line
from blockingio.wire_view.text import masked, printable, shown

# Bytes of a line that is waited for: servers refuse longer heads.
_LONGEST_LINE = 128 * 1024

# Chunks of a body that are shown one by one.
_MOST_CHUNKS = 100

_STATUS_LINE = re.compile(rb"(HTTP/\d\.\d) (\d{3})(?: |\Z)")
_FIELD = re.compile(rb"([!-9;-~]++)[ \t]*+:[ \t]*+(.*)", re.DOTALL)
_CHUNK_SIZE = re.compile(rb"[ \t]*+([0-9A-Fa-f]{1,16}+)(?=[ \t;]|\Z)")
_CHARSET = re.compile(rb"(?i)charset=\"?([0-9A-Za-z_\-]++)")

_CONTINUE, _SWITCHING = 100, 101


class Talk:
    """What the two directions of a connection know of each other."""

    def __init__(self) -> None:
        self.methods: deque[str] = deque()  # of requests that have no final response yet
        self.requests = 0
        self.is_switched = False  # to another protocol, by a 101


class _Head:
    """A head, or trailers, as far as it has come."""

    def __init__(self) -> None:
        self.first = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.hides_more = False  # a folded line belongs to a field with a secret in it

    def values(self, name: bytes) -> list[bytes]:
        """The members of a list, in lower case."""
        return [part.strip(b" \t").lower() for field, value in self.fields if field == name
                for part in value.split(b",")]

    def length(self) -> int | None:
        """Content-Length; None where there is none, or none that makes sense."""
        values = set(self.values(b"content-length"))
        text = values.pop() if len(values) == 1 else b""
        return int(text) if text.isdigit() and len(text) < 19 else None


def _by_line(step: Callable[[Reader, bytes, str], Iterator[Line]]) -> Callable[[Reader], Iterator[Line]]:
    """A step that is given a line and its end; nothing happens until the line is whole."""
    def read(self: Reader) -> Iterator[Line]:
        found = self._take_line()
        if found is not None:
            yield from step(self, *found)

    return read


class Reader:
    """``feed`` with what passes, ``end`` once nothing more does."""

    def __init__(self, talk: Talk, *, of_requests: bool, body_limit: int, secrets: bool) -> None:
        self._talk = talk
        self._of_requests = of_requests
        self._limit = body_limit
        self._secrets = secrets
        self._data = bytearray()
        self._head = _Head()
        self._body: BodyText | None = None
        self._left = 0  # bytes of the body, or of the chunk, still to come
        self._chunks = self._skipped = 0  # those of the body, and those that are not shown
        self._is_silent = False  # the present one is not
        # Reads what is expected next.  One that takes nothing off _data, and sets no other step, waits for more.
        self._step: Callable[[], Iterator[Line]] = self._read_head

    def feed(self, data: bytes) -> Iterator[Line]:
        """Lines that are whole by now."""
        self._data += data
        while self._data:
            before = len(self._data), self._step
            if self._talk.is_switched and self._step == self._read_head and not self._head.first:
                self._begin_unknown()
            yield from self._step()
            if (len(self._data), self._step) == before:
                return

    def end(self) -> Iterator[Line]:
        """The lines that will never be whole, and what there is to say of a body."""
        if self._data:
            line = bytes(self._data)
            self._data.clear()
            yield self._line(line, "", "not whole")
        if self._body is not None:
            yield from self._end_body()

    def _take_line(self) -> tuple[bytes, str] | None:
        """A line without its end, and that; None where it is not whole."""
        at = self._data.find(b"\n")
        if at < 0:
            if len(self._data) > _LONGEST_LINE:
                self._begin_unknown()
            return None
        line = bytes(self._data[:at])
        del self._data[: at + 1]
        return (line[:-1], "\\r\\n") if line.endswith(b"\r") else (line, "\\n")

    def _line(self, line: bytes, ending: str, remark: str) -> Line:
        """As it is shown, without the secrets in it."""
        if self._secrets:
            return Line(shown(line), ending, remark)
        head = self._head
        if head.hides_more and line[:1] in (b" ", b"\t"):
            return Line("***", ending, _joined("masked", remark))
        line, head.hides_more = masked(line)
        return Line(shown(line), ending, _joined("masked" if head.hides_more else "", remark))

    @_by_line
    def _read_head(self, line: bytes, ending: str) -> Iterator[Line]:
        head = self._head
        if not head.first:
            if not line:
                yield Line("", ending, "an empty line before the head")
                return
            head.first = line
            yield self._line(line, ending, self._remark_on_first(line))
        elif line:
            yield self._line(line, ending, self._remark_on_field(line))
        else:
            yield Line("", ending, "; ".join(["ends the head", *self._end_head()]))

    def _remark_on_first(self, line: bytes) -> str:
        if self._of_requests:
            self._talk.requests += 1
            return "keep-alive: the same connection goes on" if self._talk.requests > 1 else ""
        found = _STATUS_LINE.match(line)
        return "100-continue: now the body may come" if found and int(found[2]) == _CONTINUE else ""

    def _remark_on_field(self, line: bytes) -> str:
        found = _FIELD.match(line)
        if found is None:
            return ""
        name, value = found[1].lower(), found[2].rstrip(b" \t")
        self._head.fields.append((name, value))
        if name == b"connection" and b"close" in [part.strip(b" \t").lower() for part in value.split(b",")]:
            return "this ends the connection"
        if name == b"expect" and value.lower() == b"100-continue":
            return "the body waits for 100 (Continue)"
        return ""

    def _end_head(self) -> Iterator[str]:
        """Prepare for what follows the head; remarks on that."""
        head, self._head = self._head, _Head()
        if self._of_requests:
            method, _, _ = head.first.partition(b" ")
            self._talk.methods.append(method.decode("latin-1"))
            yield from self._begin_body(head, may_have=True, until_close=False)
            return
        found = _STATUS_LINE.match(head.first)
        status = int(found[2]) if found else 200
        if status == _SWITCHING:
            self._talk.is_switched = True
            yield "from here on it is another protocol"
        if status < 200:
            return
        asked = self._talk.methods.popleft() if self._talk.methods else ""
        is_tunnel = asked == "CONNECT" and status < 300
        may_have = not (asked == "HEAD" or status in (204, 304) or is_tunnel)
        yield from self._begin_body(head, may_have=may_have, until_close=True)
        is_old = found is not None and found[1] == b"HTTP/1.0"
        if is_old and not is_tunnel and b"keep-alive" not in head.values(b"connection"):
            yield "this ends the connection"

    def _begin_body(self, head: _Head, *, may_have: bool, until_close: bool) -> Iterator[str]:
        if not may_have:
            return
        codings, length = head.values(b"transfer-encoding"), head.length()
        if codings[-1:] == [b"chunked"]:
            self._step = self._read_chunk_size
            yield "chunks follow"
        elif length == 0 or (length is None and not until_close):
            return
        elif length is not None:
            self._step, self._left = self._read_fixed, length
            yield _follow(length)
        else:
            self._step = self._read_to_the_end
            yield "all that comes is the body, until the connection ends"
        self._body = _body_of(head, self._limit)

    def _read_fixed(self) -> Iterator[Line]:
        yield from self._read_part()
        if not self._left:
            yield from self._end_body()
            self._step = self._read_head

    def _read_part(self) -> Iterator[Line]:
        data = bytes(self._data[: self._left])
        del self._data[: self._left]
        self._left -= len(data)
        if self._body is not None:
            yield from self._body.feed(data)

    def _end_body(self) -> Iterator[Line]:
        if self._body is not None:
            yield from self._body.end()
            self._body = None
        if self._skipped:
            yield Line(None, remark=f"{self._skipped} more chunks")
        self._chunks = self._skipped = 0

    def _read_to_the_end(self) -> Iterator[Line]:
        data = bytes(self._data)
        self._data.clear()
        if self._body is not None:
            yield from self._body.feed(data)

    def _begin_unknown(self) -> None:
        """The framing is broken, or of another protocol: what comes is shown as text."""
        self._body = BodyText(self._limit, masks=not self._secrets, hides_more=self._head.hides_more)
        self._step = self._read_to_the_end

    @_by_line
    def _read_chunk_size(self, line: bytes, ending: str) -> Iterator[Line]:
        size = _CHUNK_SIZE.match(line)
        if size is None:
            yield self._line(line, ending, "no size of a chunk: what follows cannot be understood")
            yield from self._end_body()
            self._begin_unknown()
            return
        self._left = int(size[1], 16)
        if not self._left:
            yield from self._end_body()
            yield self._line(line, ending, "the last chunk")
            self._step = self._read_trailers
            return
        self._is_silent = self._chunks >= _MOST_CHUNKS or (self._body is not None and self._body.is_full)
        digits = size[1].decode("ascii").upper().lstrip("0")
        self._chunks += 1
        if self._is_silent:
            self._skipped += 1
        else:
            yield self._line(line, ending, f"0x{digits} = {_follow(self._left)}")
        self._step = self._read_chunk

    def _read_chunk(self) -> Iterator[Line]:
        yield from self._read_part()
        if not self._left:
            self._step = self._read_chunk_end

    @_by_line
    def _read_chunk_end(self, line: bytes, ending: str) -> Iterator[Line]:
        self._step = self._read_chunk_size
        if line:
            yield self._line(line, ending, "expected the end of the chunk")
        elif not self._is_silent:
            if self._body is not None:
                yield from self._body.end_piece()
            yield Line("", ending, "ends the chunk")

    @_by_line
    def _read_trailers(self, line: bytes, ending: str) -> Iterator[Line]:
        if line:
            yield self._line(line, ending, "a trailer")
            return
        self._head = _Head()
        self._step = self._read_head
        yield Line("", ending, "ends the body")


def _body_of(head: _Head, limit: int) -> BodyText:
    codings = [coding for coding in head.values(b"content-encoding") if coding not in (b"", b"identity")]
    charset = next((found[1].decode("ascii") for name, value in head.fields if name == b"content-type"
                    and (found := _CHARSET.search(value))), "")
    coding = printable(b", ".join(codings).decode("latin-1"))[:40]
    return BodyText(limit, coding=coding, charset=charset)


def _follow(count: int) -> str:
    return "1 byte follows" if count == 1 else f"{count} bytes follow"


def _joined(*remarks: str) -> str:
    return "; ".join(filter(None, remarks))
