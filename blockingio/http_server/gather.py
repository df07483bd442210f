"""A body, or a part of one, from its chunks to one value, in memory once.

A list of chunks and what is joined from it would be all of it twice at the end, and so would
bytes and the text that is decoded from them.  What grows here grows in place.  Raises BadMessage
(400) for text that is not in its charset, and what the chunks raise.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import chain

from blockingio.errors import BadMessage
from blockingio.values.charset import find_codec as find_any_codec

# Characters by which a text grows at least: 64 Ki, a chunk or so; and an eighth of what there is,
# so that it costs linear time also where all of it has to be moved each time.
_LEAST_GROWTH = 64 * 1024
_GROWTH = 8

# Their decoders by pieces refuse what has no byte order mark, which ``decode`` takes.
_WITH_MARK = frozenset(("utf-16", "utf-32"))


def gather_bytes(chunks: Iterable[bytes]) -> bytes:
    """All of the bytes."""
    buffer = BytesIO()
    for chunk in chunks:
        buffer.write(chunk)
    return buffer.getvalue()  # the very object that was written to


def gather_text(chunks: Iterable[bytes], charset: str) -> str:
    """The text of the bytes."""
    if find_codec(charset).name in _WITH_MARK:
        return decode(gather_bytes(chunks), charset)
    text = _Text()
    for piece in decoded(chunks, charset):
        text.add(piece)
    return text.take()


def gather_file(chunks: Iterable[bytes], charset: str) -> str | bytes:
    """The text of the bytes; or the bytes, where they are not in that charset or it is unknown."""
    try:
        is_utf8 = find_codec(charset).name == "utf-8"
    except BadMessage:
        return gather_bytes(chunks)
    if is_utf8:
        return _gather_utf8(iter(chunks))
    # Of few other charsets are the bytes to be had back from the text: both are held for a moment.
    data = gather_bytes(chunks)
    try:
        return decode(data, charset)
    except BadMessage:
        return data


def _gather_utf8(chunks: Iterable[bytes]) -> str | bytes:
    """Text that is UTF-8 gives back the bytes that it was, so these need not be kept."""
    text = _Text()
    decoder = codecs.getincrementaldecoder("utf-8")()
    for chunk in chunks:
        cut = decoder.getstate()[0]  # the beginning of a character
        try:
            text.add(decoder.decode(chunk))
        except UnicodeDecodeError:
            return gather_bytes(chain((text.take().encode(), cut, chunk), chunks))
    cut = decoder.getstate()[0]
    return text.take().encode() + cut if cut else text.take()


class _Text:
    """A str that grows."""

    def __init__(self) -> None:
        self._text = ""
        self._pieces: list[str] = []
        self._size = 0  # characters in the pieces

    def add(self, piece: str) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > max(_LEAST_GROWTH, len(self._text) // _GROWTH):
            self._text = self.take()

    def take(self) -> str:
        """All of it, which is then no longer in here."""
        text, self._text = self._text, ""
        # A str that only one local variable has is made longer where it is.
        text += "".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return text


# ---------------------------------------------------------------- charsets


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
