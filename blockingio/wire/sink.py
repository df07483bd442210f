"""IOSink: objects in, a framed message out: encode, buffer, compress, frame, one write.

What a message starts with and where its bytes go is the subclass's: it supplies ``headers`` and the methods under "for
a subclass".  A sink belongs to one thread at a time.

    open       nothing written; the headers may change
    buffering  something written, nothing sent; the headers may not
    streaming  the head is sent
    closed     all is sent, or the message has been given up
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from blockingio.errors import HttpException, StateError
from blockingio.values.headers import HttpHeaders
from blockingio.wire.limits import LARGE_PIECE_SIZE, OUTPUT_BUFFER_SIZE

if TYPE_CHECKING:
    Buffer = bytes | bytearray | memoryview

OPEN, BUFFERING, STREAMING, CLOSED = range(4)
# The first phase of an answer: its request is still on the server's queue.
UNTAKEN = -1

# How a body is delimited, once the head is made.
COUNTED, CHUNKED, UNTIL_CLOSE, NO_BODY = range(4)


class Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self, mode: int = ..., /) -> bytes: ...


# The usual codecs, by Python's names for them, that encode each piece by itself; others may begin with a mark,
# or shift.
_STATELESS = frozenset(("utf-8", "iso8859-1", "ascii", "cp1252", "iso8859-15"))

# zlib's Z_SYNC_FLUSH, all input so far can be decoded, and Z_FINISH; zlib is only loaded where something is compressed.
_SYNC_FLUSH = 2
_FINISH = 4


def _bytes_of(obj: object) -> bytes | None:
    """Those of a bytes-like object, an array or a mapped file among them; None for anything else."""
    if isinstance(obj, bytes):
        return bytes(obj)
    try:
        return memoryview(obj).tobytes()  # type: ignore[arg-type]
    except TypeError:
        return None


def _check_text(obj: object) -> None:
    """TypeError for what people write by mistake, as str() of it is only how Python shows it."""
    kind = type(obj)
    if isinstance(obj, (dict, list, set, frozenset)):
        raise TypeError(f"write() takes no {kind.__name__}: write json.dumps(...) of it, or each of its items")
    if kind.__str__ is not object.__str__:
        return
    if hasattr(obj, "__next__"):
        raise TypeError(f"write() takes no {kind.__name__}: write_all() writes each of its items")
    if callable(obj):
        raise TypeError(f"write() takes no {kind.__name__}: call it, and write what it gives")
    if kind.__repr__ is object.__repr__:
        raise TypeError(f"write() takes no {kind.__name__}, which has neither __str__ nor __repr__: write its attributes")


class IOSink:
    """What HttpResponse and HttpClientRequest share, and a file to Python.

    ``print(..., file=sink)``, ``json.dump(obj, sink)``, ``csv.writer(sink)`` and ``shutil.copyfileobj(f, sink)`` work.
    ``buffer_output`` False: each write is sent at once; True until set.  Follows dart:io's IOSink.
    """

    __slots__ = ("phase", "_parts", "_size", "_written", "_declared", "_framing", "_headers", "_codec", "_encoder",
                 "compressor", "_is_as_given", "buffer_output", "__weakref__")

    def __init__(self) -> None:
        self.phase = OPEN
        self._parts: list[bytes] = []  # written and not yet sent ...
        self._size = 0  # ... and its bytes
        self._written = 0  # bytes of all that was sent before that
        self._declared = -1  # the content_length that was set, -1: none
        self._framing = COUNTED
        self._headers: HttpHeaders | None = None  # the subclass's; None: those that cannot change anyway
        self._codec: str | None = None  # None: not looked up yet
        self._encoder: codecs.IncrementalEncoder | None = None  # for a codec that needs one
        self.compressor: Compressor | None = None
        self._is_as_given = True  # the content goes out as it is written: _choose_compressor is not asked
        self.buffer_output = True

    # ---------------------------------------------------------------- for a subclass

    @property
    def headers(self) -> HttpHeaders:
        """The header fields; immutable once something has been written."""
        raise NotImplementedError

    def _freeze_headers(self) -> None:
        """At the first write: the headers become immutable, ``_declared`` the content_length, the phase buffering."""
        raise NotImplementedError

    def _begin(self, length: int, body: bytes = b"") -> bytes:
        """The head, for a body of ``length`` bytes (-1: not known yet); sets ``_framing``.

        Where that is COUNTED, ``body`` stands behind it.
        """
        raise NotImplementedError

    def _find_codec(self) -> str:
        """Python's name for the charset of the Content-Type."""
        return self._codec_of(self.headers)

    def _codec_of(self, headers: HttpHeaders) -> str:
        codec = (headers.kept_section or headers.section()).codec
        if codec is None:
            found = headers.content_type
            raise LookupError(f"the charset is {found and found.charset!r}, expected one that Python knows, as utf-8")
        if self.phase != OPEN:
            self._codec = codec  # the Content-Type cannot change any more
        return codec

    def _transmit(self, data: bytes, body: int = 0, after: int = 0) -> None:
        """Send; swallow nothing that the caller must know.

        ``body`` bytes of it are the body's, and ``after`` bytes of framing stand behind them.
        """
        raise NotImplementedError

    def _transmit_row(self, before: bytes, body: bytes, after: bytes) -> None:
        """``_transmit`` of the three in a row, where the body's is large enough to be worth not copying it."""
        self._transmit(b"%b%b%b" % (before, body, after) if before or after else body, len(body), len(after))

    def _choose_compressor(self, length: int) -> Compressor | None:
        """What encodes the content of ``length`` bytes (-1: not known yet), None to send it as it is.

        Asked once, before ``_begin``, unless ``_is_as_given``."""
        return None

    def give_up(self) -> None:
        """The message cannot be completed: cut the connection; the phase becomes closed."""
        raise NotImplementedError

    # ---------------------------------------------------------------- text

    @property
    def encoding(self) -> str:
        """The charset of the Content-Type, latin-1 where it names none; LookupError for one Python lacks."""
        return self._codec or self._find_codec()

    @encoding.setter
    def encoding(self, encoding: str) -> None:
        if not isinstance(encoding, str):
            raise TypeError(f"encoding cannot be {encoding!r}, expected the name of a charset, as 'utf-8'")
        self._codec = codecs.lookup(encoding).name

    def write(self, obj: object) -> int:
        """Write what is bytes-like as it is, a str encoded, anything else as ``str(obj)``.

        Returns the number of characters, for bytes of bytes, as a file does.  Raises TypeError for what has no text
        of its own: a dict, list or set (json.dumps makes JSON of most), an iterator or file, whose items
        ``write_all`` writes, a function, and an object whose ``str`` is that of Python's own object; ValueError where the encoding has no such character,
        StateError after close(), HttpException where it is more than the content_length that was set.
        """
        if isinstance(obj, str):
            text = obj
        else:
            # A number is meant as text, also one of those whose memory can be looked at.
            bytes_like = None if hasattr(obj, "__float__") else _bytes_of(obj)
            if bytes_like is not None:
                self._add(bytes_like)
                return len(bytes_like)
            _check_text(obj)
            text = str(obj)
        try:
            codec = self._codec or self._find_codec()
            data = text.encode(codec) if codec in _STATELESS else self._encode_on(text, codec)
        except UnicodeEncodeError as error:
            found = text[error.start]
            raise ValueError(
                f"{found!r} cannot be written in {error.encoding}: set headers.content_type "
                f"with charset=utf-8 before the first write"
            ) from None
        self._add(data)
        return len(text)

    def _encode_on(self, text: str, codec: str) -> bytes:
        """Where one piece of text depends on those before it."""
        if self._encoder is None:
            self._encoder = codecs.getincrementalencoder(codec)()
        return self._encoder.encode(text)

    def writeln(self, obj: object = "") -> None:
        """``write(obj)`` and a line feed."""
        self.write(obj)
        self.write("\n")

    def write_all(self, objects: Iterable[object], separator: str = "") -> None:
        """Write each object, ``separator`` between them."""
        between = False
        for obj in objects:
            if between and separator:
                self.write(separator)
            self.write(obj)
            between = True

    def write_char_code(self, char_code: int) -> None:
        """Write the character with this Unicode code point."""
        self.write(chr(char_code))

    def write_char_codes(self, char_codes: Iterable[int]) -> None:
        """Write the characters with these Unicode code points."""
        self.write("".join(map(chr, char_codes)))

    def writelines(self, lines: Iterable[object]) -> None:
        """``write_all(lines)``, under a file's name for it."""
        self.write_all(lines)

    @property
    def closed(self) -> bool:
        """True after close(), as a file's."""
        return self.phase == CLOSED

    def readable(self) -> bool:
        """False: a file that is only written."""
        return False

    def writable(self) -> bool:
        """True, as a file's."""
        return True

    def seekable(self) -> bool:
        """False, as a pipe's."""
        return False

    # ---------------------------------------------------------------- bytes

    def add(self, data: Buffer) -> None:
        """Write a bytes-like object.  Raises TypeError for anything else, and what ``write`` raises."""
        bytes_like = data if type(data) is bytes else _bytes_of(data)
        if bytes_like is None:
            raise TypeError(f"add() takes bytes, got {type(data).__name__}: use write() for text")
        self._add(bytes_like)

    def add_stream(self, stream: Iterable[Buffer]) -> None:
        """Write each of the stream's events as it comes."""
        for data in stream:
            self.add(data)

    def add_error(self, error: Exception) -> None:
        """The message cannot be completed: the connection is aborted, so that the peer notices."""
        if self.phase != CLOSED:
            self.give_up()

    def flush(self) -> None:
        """Send what is buffered, the head too if it has not gone."""
        if self.phase == CLOSED:
            return
        if self.phase == OPEN:
            self._freeze_headers()
        self._send_buffered(sync=True)

    def close(self) -> Any:
        """Send what is left, and the end of the message.  Idempotent."""
        raise NotImplementedError

    def _add(self, data: bytes) -> None:
        if self.phase == OPEN:
            if self._headers is None:
                self.phase = BUFFERING
            else:
                self._freeze_headers()
        elif self.phase == CLOSED:
            self._refuse_late_write()
            return
        size = self._size + len(data)
        if 0 <= self._declared < self._written + size:
            self._fail_length(f"{self._written + size} bytes written, expected {self._declared} by content_length")
        self._parts.append(data)
        self._size = size
        if size >= OUTPUT_BUFFER_SIZE or not self.buffer_output:
            self._send_buffered()

    def _refuse_late_write(self) -> None:
        raise StateError("write() after close(): write first, close last")

    def _fail_length(self, message: str) -> NoReturn:
        self.give_up()
        raise HttpException(message)

    def _take_buffered(self) -> bytes:
        data = b"".join(self._parts)  # one piece alone is not copied
        self._written += self._size
        self._parts = []
        self._size = 0
        return data

    def _send_buffered(self, sync: bool = False) -> None:
        """Send what there is; more may come."""
        head = b""
        if self.phase == BUFFERING:
            if not self._is_as_given:
                self.compressor = self._choose_compressor(-1)
            head = self._begin(-1)
            self.phase = STREAMING
        data = b"".join(self._parts)  # one piece alone is not copied
        self._parts = []
        self._written += self._size
        self._size = 0
        if self._framing == NO_BODY:
            data = b""
        elif self.compressor is not None:
            data = self._compress(data, _SYNC_FLUSH if sync else None)
        size = len(data)
        if not size:
            if head:
                self._transmit(head)
        elif self._framing == CHUNKED and size < LARGE_PIECE_SIZE:
            self._transmit(b"".join((head, b"%x\r\n" % size, data, b"\r\n")), size, 2)
        elif self._framing == CHUNKED:
            self._send_framed(b"%b%x\r\n" % (head, size), data, b"\r\n")
        else:
            self._send_framed(head, data, b"")

    def _send_rest(self) -> None:
        """Send what there is, and the end of the message."""
        if self.phase == OPEN:
            self._freeze_headers()
        elif self._encoder is not None:
            self._add(self._encoder.encode("", True))
        data = b"".join(self._parts)  # one piece alone is not copied
        self._parts = []
        if self.phase != BUFFERING:
            self._check_complete()
            if self.compressor is not None and self._framing != NO_BODY:
                data = self._compress(data, _FINISH)
            self._send_last(b"", data)
            return
        if not self._is_as_given:
            data = self._compress_whole(data)
        size = len(data)
        body = data if size < LARGE_PIECE_SIZE else b""
        head = self._begin(size, body)
        if self._declared > 0:
            self._check_complete()
        self.phase = STREAMING
        if self._framing == COUNTED and body is data:
            self._transmit(head, size)
        else:
            self._send_last(head, data)

    def _compress_whole(self, data: bytes) -> bytes:
        compressor = self._choose_compressor(len(data))
        if compressor is None or not data:
            return data
        self.compressor = compressor
        return self._compress(data, _FINISH)

    def _compress(self, data: bytes, flush: int | None) -> bytes:
        assert self.compressor is not None
        data = self.compressor.compress(data)
        if flush is not None:
            data += self.compressor.flush(flush)
        return data

    def _send_framed(self, before: bytes, body: bytes, after: bytes) -> None:
        """Some of the body, with what stands around it."""
        size = len(body)
        if size < LARGE_PIECE_SIZE:
            self._transmit(b"%b%b%b" % (before, body, after), size, len(after))
        else:
            self._transmit_row(before, body, after)

    def _send_last(self, head: bytes, data: bytes) -> None:
        """The last of the body, with its end."""
        if self._framing == NO_BODY:
            data = b""
        if self._framing == CHUNKED and data:
            self._send_framed(b"%b%x\r\n" % (head, len(data)), data, b"\r\n0\r\n\r\n")
        elif self._framing == CHUNKED:
            self._transmit(head + b"0\r\n\r\n")
        elif data:
            self._send_framed(head, data, b"")
        elif head:
            self._transmit(head)

    def _check_complete(self) -> None:
        written = self._written + self._size
        if self._declared > written and self._framing != NO_BODY:
            self._fail_length(f"{written} bytes written, expected {self._declared} by content_length")
