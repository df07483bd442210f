"""A charset parameter from the wire to the codec for it.

Knows which of Python's codecs are charsets at all (not zlib, not unicode_escape), and looks
nothing up that is not: each unknown name that reaches ``codecs`` is remembered there for ever,
and its module looked for on disk.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from encodings.aliases import aliases

from blockingio.errors import BadMessage

# Values of Python's table that turn bytes into bytes, or exist on one system only.
_NO_CHARSETS = frozenset(
    "base64_codec bz2_codec hex_codec mbcs oem quopri_codec rot_13 uu_codec zlib_codec".split())

# Codecs that Python has but lists no alias for.
_WITHOUT_ALIAS = frozenset(
    "cp720 cp737 cp874 iso8859_1 koi8_t koi8_u mac_croatian mac_romanian utf_8_sig".split())

_CHARSETS = (frozenset(aliases.values()) | _WITHOUT_ALIAS) - _NO_CHARSETS


def find_codec(charset: str) -> codecs.CodecInfo:
    """The codec of a charset.  Raises BadMessage (400) for one that Python does not have."""
    name = charset.lower().replace("-", "_").replace(" ", "_").replace(":", "_")
    if aliases.get(name, name) not in _CHARSETS:
        raise BadMessage(f"the charset is {charset[:80]!r}, expected one that Python knows, as utf-8")
    return codecs.lookup(name)


def decode(data: bytes, charset: str) -> str:
    """The text of the bytes.  Raises BadMessage (400) where they are not in that charset."""
    codec = find_codec(charset)
    try:
        return codec.decode(data, "strict")[0]
    except ValueError as error:
        raise BadMessage(f"the text is not in {codec.name}: {error}") from error


def form_encoding(charset: str) -> str:
    """The codec for an urlencoded form, whose octets stand among ASCII: UTF-8 for UTF-16 and the like,
    as browsers have it.  Raises BadMessage (400) as ``find_codec`` does."""
    codec = find_codec(charset)
    return codec.name if codec.encode("a=1")[0] == b"a=1" else "utf-8"


def decoded(chunks: Iterable[bytes], charset: str) -> Iterator[str]:
    """The text of the bytes, piece by piece as they come.  Raises BadMessage (400) as ``decode`` does."""
    codec = find_codec(charset)
    decoder = codecs.getincrementaldecoder(codec.name)("strict")
    try:
        for chunk in chunks:
            if text := decoder.decode(chunk):
                yield text
        if text := decoder.decode(b"", True):
            yield text
    except UnicodeError as error:  # UTF-16 without its mark is no UnicodeDecodeError
        raise BadMessage(f"the text is not in {codec.name}: {error}") from error
