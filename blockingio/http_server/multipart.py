"""A multipart body to its parts, by pull: MimeMultipartTransformer and MimeMultipart (RFC 2046 5.1.1).

Takes the body's bytes in any pieces, a boundary split across them included, and gives one part after the other, each of
them a stream of bytes that is read as it comes.  No more is held than one piece and what may be the beginning of a
boundary.  Raises BadMessage (an HttpException, 400) for a body that ends early, malformed fields, and what passes the
limits below.  Knows nothing of requests, nor of what the parts mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from blockingio.errors import BadMessage, StateError
from blockingio.stream.stream import Stream, StreamTransformer
from blockingio.values.grammar import OWS, TOKEN_RE

# Parts of one body: a form has tens, an upload hundreds; PHP and Django stop at 1,000 as well.
MAX_PARTS = 1000

# Bytes of one part's header section: three fields, with a long file name in the longest.
MAX_PART_HEADER_SIZE = 16 * 1024

# Bytes of blanks between a boundary and the end of its line, which some gateways pad with.
_MAX_PADDING = 256

# boundary = 0*69<bchars> bcharsnospace (RFC 2046 5.1.1), of which clients take what they like: any
# printable character is as good, quoted in the Content-Type where it has to be.
_BOUNDARY_RE = re.compile(r"[\x20-\x7e]{0,69}[\x21-\x7e]")

# transport-padding CRLF, or all that there is of it so far
_PADDING_RE = re.compile(rb"[ \t]*+(?:(\r\n)|\r?\Z)")

# A line that begins with a blank goes on with the one before it (RFC 5322 2.2.3).
_FOLD_RE = re.compile("\r\n[ \t]++")
_CONTROL_RE = re.compile("[\x00-\x08\x0a-\x1f\x7f]")

# Fields that decide how a part is understood: two of them would be understood in two ways.
_SINGLE_FIELDS = frozenset(("content-disposition", "content-type", "content-transfer-encoding"))


class MimeMultipart(Stream[bytes]):
    """One part of a multipart body: its header fields, and as a stream its content.

    Read it before asking for the next part: that passes over what is unread, and reading it
    afterwards is a StateError.  Follows package:mime's MimeMultipart.
    """

    def __init__(self, headers: Mapping[str, str], content: Iterator[bytes]) -> None:
        self._headers = headers
        self._content = content

    @property
    def headers(self) -> Mapping[str, str]:
        """The part's fields; names in lower case, found in any case."""
        return self._headers

    def __iter__(self) -> Iterator[bytes]:
        return self._content

    def __repr__(self) -> str:
        return f"MimeMultipart({dict(self._headers)!r})"


class MimeMultipartTransformer(StreamTransformer[bytes, MimeMultipart]):
    """Turns the bytes of a multipart body into its parts.

    ``boundary`` is the parameter of the Content-Type; ValueError where it can be none.  Follows package:mime's
    MimeMultipartTransformer.
    """

    def __init__(self, boundary: str) -> None:
        if not isinstance(boundary, str):
            raise TypeError(f"expected a str as boundary, not {type(boundary).__name__}")
        if not _BOUNDARY_RE.fullmatch(boundary):
            raise ValueError("expected a boundary of 1 to 70 printable ASCII characters, the last no blank, "
                             f"found {boundary[:100]!r}")
        self._boundary = boundary.encode("ascii")

    def bind(self, stream: Iterable[bytes]) -> Stream[MimeMultipart]:
        """The parts, read from ``stream`` no further than asked for; iterating raises HttpException.

        What stands before the first boundary and after the last is passed over.
        """
        return Stream.from_iterable(_Reader(stream, self._boundary))


class _PartHeaders(Mapping[str, str]):
    """Field names in lower case to their values."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


class _Reader(Iterator[MimeMultipart]):
    """The parts of one body.

    Between two parts the buffer begins with the CRLF that ended the boundary's line, so that a
    header section without fields ends like any other: with an empty line.
    """

    def __init__(self, chunks: Iterable[bytes], boundary: bytes) -> None:
        self._chunks = iter(chunks)
        self._delimiter = b"\r\n--" + boundary
        # A body without preamble leaves out the CRLF before its first boundary.
        self._buffer = bytearray(b"\r\n")
        self._parts = 0
        self._finished = False  # after the closing boundary, or a failure
        self._content = self._read_content(0)  # of the current part; the preamble is the one before the first

    def __next__(self) -> MimeMultipart:
        for _ in self._content:
            pass
        if self._finished:
            raise StopIteration
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise self._failure(f"the multipart body has over {MAX_PARTS} parts")
        headers = self._read_headers()
        self._content = self._read_content(2)
        return MimeMultipart(headers, self._while_current(self._content))

    def _while_current(self, content: Iterator[bytes]) -> Iterator[bytes]:
        yield from content
        if self._content is not content:
            raise StateError("the next part was asked for before this one was read")

    def _failure(self, message: str) -> BadMessage:
        self._finished = True
        return BadMessage(message)

    def _fill(self) -> None:
        self._buffer += self._next_chunk()

    def _next_chunk(self) -> bytes:
        try:
            while not (chunk := next(self._chunks, None)):
                if chunk is None:
                    raise BadMessage(f"the multipart body ended in part {self._parts}, before its closing boundary")
        except BaseException:
            self._finished = True
            raise
        return chunk

    def _read_headers(self) -> _PartHeaders:
        buffer = self._buffer
        searched = 0
        while (end := buffer.find(b"\r\n\r\n", searched)) < 0 and len(buffer) <= MAX_PART_HEADER_SIZE:
            searched = max(0, len(buffer) - 3)
            self._fill()
        if end < 0 or end > MAX_PART_HEADER_SIZE:
            raise self._failure(f"a part's header section has over {MAX_PART_HEADER_SIZE} bytes")
        block = bytes(buffer[2:end])
        del buffer[:end + 2]
        try:
            return _parse_fields(block)
        except BadMessage:
            self._finished = True
            raise

    def _read_content(self, begin: int) -> Iterator[bytes]:
        """What stands before the next boundary, which is read away with it.

        The buffer's first ``begin`` bytes are the CRLF of the empty line before: no content,
        but where the part is empty they may begin the boundary.
        """
        buffer, delimiter = self._buffer, self._delimiter
        at = 0  # a boundary begins here at the earliest
        while True:
            found = buffer.find(delimiter, at)
            if found >= 0:
                rest = self._end_of_boundary(found)
                if rest < 0:
                    at = found + len(delimiter)
                    continue
                last = bytes(buffer[begin:found])
                del buffer[:rest]
                if last:
                    yield last
                return
            at = self._end_of_content(buffer, at)
            if at > begin:
                data = bytes(buffer[begin:at])
                del buffer[:at]
                begin = at = 0
                yield data
            if buffer:
                self._fill()
            else:
                yield from self._read_plain_chunks()

    def _read_plain_chunks(self) -> Iterator[bytes]:
        """Those in which nothing of a boundary can be, as they came, so that most of a large file is not copied here.

        The first other one is in the buffer then.
        """
        while type(chunk := self._next_chunk()) is bytes and not self._may_have_boundary(chunk):
            yield chunk
        self._buffer += chunk

    def _may_have_boundary(self, chunk: bytes) -> bool:
        """Whether one is in it, or begins at its end."""
        return self._delimiter in chunk or self._end_of_content(chunk, 0) < len(chunk)

    def _end_of_content(self, data: bytes | bytearray, start: int) -> int:
        """Where, from ``start`` on, a boundary begins that has not come whole; the end where none does.

        CR is in a delimiter once, at its beginning: only the last one can be it.
        """
        delimiter = self._delimiter
        at = data.rfind(b"\r", max(start, len(data) - len(delimiter) + 1))
        return at if at >= 0 and delimiter.startswith(data[at:]) else len(data)

    def _end_of_boundary(self, found: int) -> int:
        """Where the CRLF is that ends the boundary's line; -1 where the line is longer, so is content."""
        end = found + len(self._delimiter)
        while True:
            rest = bytes(self._buffer[end:end + _MAX_PADDING + 2])
            if rest.startswith(b"--"):
                self._finished = True
                return len(self._buffer)
            padding = _PADDING_RE.match(rest)
            if padding is None and rest != b"-":
                return -1
            if padding is not None and padding[1]:
                return end + padding.start(1)
            if len(rest) > _MAX_PADDING:
                raise self._failure(f"a boundary is followed by over {_MAX_PADDING} blanks")
            self._fill()


def _parse_fields(block: bytes) -> _PartHeaders:
    """The fields of one part: lines may be folded (RFC 5322 2.2.3), text is UTF-8 (RFC 7578 5.1)."""
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError:
        text = block.decode("latin-1")
    values: dict[str, str] = {}
    for line in _FOLD_RE.sub(" ", text).split("\r\n") if text else ():
        name, colon, value = line.partition(":")
        if not colon or not TOKEN_RE.fullmatch(name):
            raise BadMessage(f"a part's header line is {line[:80]!r}, expected 'name: value'")
        if _CONTROL_RE.search(value):
            raise BadMessage(f"a part's {name} field has a control character: {value[:80]!r}")
        name, value = name.lower(), value.strip(OWS)
        if name in values:
            if name in _SINGLE_FIELDS:
                raise BadMessage(f"a part has two {name} fields, expected one")
            value = f"{values[name]}, {value}"
        values[name] = value
    return _PartHeaders(values)
