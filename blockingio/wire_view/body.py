"""A body as its bytes pass: lines of text up to a limit, and how much was left out."""

from __future__ import annotations

import codecs
from typing import NamedTuple

from blockingio.wire_view.text import masked, printable

# Codecs in which one byte is one character, by the names that a charset has for them; all else is taken for UTF-8.
_LATIN = frozenset(("iso-8859-1", "latin-1", "latin1", "windows-1252"))


class Line(NamedTuple):
    """One line to be written: what passed, or a remark alone where ``text`` is None."""

    text: str | None
    ending: str = ""  # CR and LF, visible
    remark: str = ""


class BodyText:
    """``coding`` is its Content-Encoding: of such a body only the size is told.

    ``masks``: it may be a head with secrets, as its framing was broken; ``hides_more``: it begins in the midst of one.
    """

    def __init__(self, limit: int, *, coding: str = "", charset: str = "", masks: bool = False,
                 hides_more: bool = False) -> None:
        self._left = limit  # characters that may yet be shown
        self._coding = coding
        self._masks = masks
        self._codec = "latin-1" if charset.lower() in _LATIN else "utf-8"
        self._decoder = codecs.getincrementaldecoder(self._codec)("surrogateescape")
        self._line = ""  # the last one, which is not whole yet
        self._hides_more = hides_more  # what is folded belongs to a field with a secret in it
        self._size = 0
        self._shown = 0  # bytes

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached."""
        return not self._left

    def feed(self, data: bytes) -> list[Line]:
        """The lines that are whole now."""
        self._size += len(data)
        return [] if self._coding or self.is_full else self._take(self._decoder.decode(data))

    def end_piece(self) -> list[Line]:
        """What is here of a line, as something that is no body comes next."""
        line, self._line = self._line, ""
        return [self._shown_line(line, "")] if line else []

    def end(self) -> list[Line]:
        """The last line, and remarks."""
        lines = [] if self._coding or self.is_full else self._take(self._decoder.decode(b"", True))
        lines += self.end_piece()
        if self._coding and self._size:
            lines.append(Line(None, remark=f"{self._coding}, {self._size} bytes"))
        elif self._size > self._shown:
            lines.append(Line(None, remark=f"{self._size - self._shown} bytes left out"))
        return lines

    def _take(self, text: str) -> list[Line]:
        text = text[: self._left]
        self._left -= len(text)
        self._shown += len(text.encode(self._codec, "surrogateescape"))
        *whole, self._line = (self._line + text).split("\n")
        return [self._shown_line(line, "\\n") for line in whole]

    def _shown_line(self, line: str, ending: str) -> Line:
        if self._masks:
            raw = line.encode(self._codec, "surrogateescape")
            if self._hides_more and raw[:1] in (b" ", b"\t"):
                return Line("***", ending)
            raw, self._hides_more = masked(raw)
            line = raw.decode(self._codec, "surrogateescape")
        return Line(printable(line), ending)
