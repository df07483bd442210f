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

_MARK = b"\x1f\x8b"  # what a stream begins with (RFC 1952 2.3.1)

# Bytes of input asked for at once.
_INPUT_SIZE = 64 * 1024

# Bytes of input shown to zlib at once. It copies what it leaves, so a read of a few bytes shows few, and a
# body of nothing but empty streams (20 bytes each) costs no more than it should.
_SMALL_STEP = 1024
_LARGE_STEP = 16 * 1024


class GzipReader:
    """The content of a body that is one gzip stream, or several one after the other (RFC 1952 2.2).

    An empty body is empty content.  What follows the last stream is left out, zeros that a server pads with as well as
    any garbage, as browsers and curl do: the content has come whole by then.  Belongs to one thread at a time.
    """

    def __init__(self, read_some: Callable[[int], bytes]) -> None:
        self._read_some = read_some
        self._decoder = zlib.decompressobj(_GZIP_ONLY)
        self._input = b""  # received ...
        self._at = 0  # ... and shown to the decoder up to here
        self._is_begun = False  # the current stream has begun
        self._is_full = False  # the last output was all that was asked for
        self._is_ended = False  # the body has
        self._has_content = False  # a stream was whole: what follows is another one, or nothing
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
            elif self._has_input():
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
                self._has_content = True
            else:
                self._at -= len(decoder.unconsumed_tail)
            if data:
                return data

    def _has_input(self) -> bool:
        """Whether there is more to decode, received if need be; False at the end, where no stream may be open."""
        while True:
            if not self._is_begun:
                self._skip_to_stream()
            if self._at < len(self._input):
                return True
            if self._is_ended:
                break
            self._receive()
        if self._is_begun:
            self._failure = "the body's gzip stream is cut short: the body ends before it"
            raise HttpException(self._failure)
        return False

    def _receive(self) -> None:
        more = self._read_some(_INPUT_SIZE)
        self._input = self._input[self._at :] + more
        self._at = 0
        self._is_ended = not more

    def _skip_to_stream(self) -> None:
        """Between two streams: zeros are padding, for no stream begins with one; what begins no stream is garbage."""
        if self._input[self._at : self._at + 1] == b"\x00":
            self._input = self._input[self._at :].lstrip(b"\x00")
            self._at = 0
        if not self._has_content:
            return
        if self._at == len(self._input) - 1 and not self._is_ended:
            self._receive()  # the mark has two bytes
        mark = self._input[self._at : self._at + 2]
        if mark and mark != _MARK:
            self._input, self._at = b"", 0
            while not self._is_ended:
                self._is_ended = not self._read_some(_INPUT_SIZE)
