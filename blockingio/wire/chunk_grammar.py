"""What a chunked body's framing looks like, as patterns (RFC 9112 7.1)."""

from __future__ import annotations

import re
from functools import cache

from blockingio.wire.head import TOKEN

# chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ), the latter a token or a
# quoted-string (RFC 9112 7.1.1).  Held to the letter on both ends: where a line that breaks it ends is what readers
# have been made to differ about, and none is sent by mistake.
_EXTENSION = (
    rb"[ \t]*+;[ \t]*+%b(?:[ \t]*+=[ \t]*+(?:%b"
    rb'|"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"))?+' % (TOKEN, TOKEN)
)
# chunk = chunk-size [ chunk-ext ] CRLF ... (RFC 9112 7.1); 16 hex digits are past any length.
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)(?:%b)*+" % _EXTENSION)
CHUNK_LINE_PARTS = rb"[0-9A-Fa-f]{1,16}+", rb"(?:%b)*+" % _EXTENSION
# With blanks behind it, as servers write that leave room for the size before they know it.
PADDED_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)(?:%b)*+[ \t]*+" % _EXTENSION)


@cache
def small_chunk_patterns() -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """A run of chunks of up to 127 bytes without extensions, each from the CRLF before it on; one, group 1 its data.

    A pattern cannot count, but it can look back at the digits before the data, so a run is taken apart without a
    step of Python for each chunk.  Made when first needed: it takes some milliseconds.
    """

    def data(first: int) -> bytes:
        """What follows a size whose last digit but one is this."""
        return b"|".join(rb"(?<=[%x%X]\r\n).{%d}" % (last, last, size)
                         for last in range(16) if (size := 16 * first + last))

    size = rb"\r\n0{0,14}+[1-7]?[0-9A-Fa-f]\r\n"
    any_data = rb"(?<=[\n0].\r\n)(?:%b)|" % data(0)
    any_data += b"|".join(rb"(?<=%d.\r\n)(?:%b)" % (first, data(first)) for first in range(1, 8))
    return (re.compile(rb"(?:%b(?:%b))++" % (size, any_data), re.DOTALL),
            re.compile(rb"%b(%b)" % (size, any_data), re.DOTALL))
