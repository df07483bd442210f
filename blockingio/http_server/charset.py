"""The text of a body, in the charset that its type names: what cannot be told is BadMessage (400)."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from blockingio.errors import BadMessage
from blockingio.values.charset import find_codec as find_any_codec

def find_codec(charset: str) -> codecs.CodecInfo:
    """The codec of a charset.  Raises BadMessage (400) for one that Python does not have."""
    try:
        return find_any_codec(charset)
    except LookupError as error:
        raise BadMessage(str(error)) from None


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
