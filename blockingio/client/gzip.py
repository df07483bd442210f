"""A body in gzip <-> its content, decoded while it is read (RFC 1952, RFC 9110 8.4.1.3).

Takes a ``read_some(limit)`` callable that gives b"" at the end; gives another.  Never makes
more bytes than it is asked for, however small the input is that stands for them.  Raises
HttpException where the stream is damaged, or ends before its end.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from blockingio.errors import HttpException

_GZIP_ONLY = 16 + zlib.MAX_WBITS  # zlib's code for "with a gzip header, any window"

# Bytes of input asked for at once.
_INPUT_SIZE = 64 * 1024

# Bytes of input shown to zlib at once. It copies what it leaves, so a read of a few bytes shows few, and a
# body of nothing but empty streams (20 bytes each) costs no more than it should.
_SMALL_STEP = 1024
_LARGE_STEP = 16 * 1024


class GzipReader:
    """The content of a body that is one gzip stream, or several one after the other (RFC 1952 2.2).

    An empty body is empty content; zeros may follow the last stream, as some servers pad.
    Belongs to one thread at a time.
    """

    __slots__ = ("_read_some", "_decoder", "_input", "_at", "_is_begun", "_is_full", "_is_ended", "_failure")

    def __init__(self, read_some: Callable[[int], bytes]) -> None:
        self._read_some = read_some
        self._decoder = zlib.decompressobj(_GZIP_ONLY)
        self._input = b""  # received ...
        self._at = 0  # ... and shown to the decoder up to here
        self._is_begun = False  # the current stream has begun
        self._is_full = False  # the last output was all that was asked for
        self._is_ended = False  # the body has
        self._failure: str | None = None

    def read_some(self, limit: int) -> bytes:
        """At least one byte and at most ``limit``, or b"" at the end."""
        if self._failure is not None:
            raise HttpException(self._failure)
        try:
            return self._decode(limit)
        except zlib.error as error:
            self._failure = f"the body is not the gzip that Content-Encoding says: {error}"
            raise HttpException(self._failure) from None

    def _decode(self, limit: int) -> bytes:
        while True:
            decoder = self._decoder
            if self._is_full:
                step = b""  # zlib may hold more that it has taken in already
            elif self._at < len(self._input) or self._next_input():
                step = self._input[self._at : self._at + min(max(limit, _SMALL_STEP), _LARGE_STEP)]
                self._is_begun = True
            else:
                return b""
            data = decoder.decompress(step, limit)
            self._is_full = len(data) == limit
            self._at += len(step)
            if decoder.eof:
                self._at -= len(decoder.unused_data)
                self._decoder = zlib.decompressobj(_GZIP_ONLY)
                self._is_begun = self._is_full = False
                self._skip_padding()
            else:
                self._at -= len(decoder.unconsumed_tail)
            if data:
                return data

    def _next_input(self) -> bool:
        """Get more of the body; False at its end, where the stream must have ended too."""
        while not self._is_ended:
            self._input = self._read_some(_INPUT_SIZE)
            self._at = 0
            self._is_ended = not self._input
            self._skip_padding()
            if self._at < len(self._input):
                return True
        if self._is_begun:
            self._failure = "the body's gzip stream is cut short: the body ends before it"
            raise HttpException(self._failure)
        return False

    def _skip_padding(self) -> None:
        """Between two streams zeros can only be padding: no stream begins with one."""
        if not self._is_begun and self._input[self._at : self._at + 1] == b"\x00":
            self._input = self._input[self._at :].lstrip(b"\x00")
            self._at = 0
