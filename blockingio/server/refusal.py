"""What a client is told of its request that the server itself refuses: a line, and to one on this machine why.

The line of the request, a caret under the byte, what was found and expected there, the section of the RFC.  Takes a
BadMessage, gives text: ASCII without control characters, but for the message.
"""

from __future__ import annotations

from blockingio.errors import BadMessage
from blockingio.server.response_head import phrase_of

# Bytes of a line that are shown before and behind the one in question.
_BEFORE, _BEHIND = 60, 40

_NAMES = {0x09: "a tab", 0x0A: "LF", 0x0D: "CR", 0x20: "a space"}


def refusal(error: BadMessage, *, explains: bool) -> str:
    """The text of the answer: the short form, or with the explanation behind it."""
    short = f"{error.status} {phrase_of(error.status)}: {error.message}\n"
    return short + explanation(error) if explains else short


def failure(status: int, error: BadMessage | None) -> str:
    """The text of an answer in place of a handler's; ``error`` is what was wrong with the request, where it is told."""
    return f"{status} {phrase_of(status)}\n" if error is None else refusal(error, explains=True)


def explanation(error: BadMessage) -> str:
    """Where in the request it is, what was found and expected, and the section; "" where none of it is known."""
    lines = []
    if error.spot is not None:
        lines += _marked(*error.spot)
    found, _, expected = error.message.partition(", expected ")
    lines.append(f"found:    {found}")
    if expected:
        lines.append(f"expected: {expected}")
    if error.section:
        number, _, section = error.section.removeprefix("RFC ").partition(" ")
        lines.append(f"see:      RFC {number}, section {section} "
                     f"(https://www.rfc-editor.org/rfc/rfc{number}#section-{section})")
    return "".join(f"{line}\n" for line in ["", *lines]) if error.section else ""


def _marked(line: bytes, at: int) -> list[str]:
    """The line, shortened, and the caret below."""
    begin, end = max(at - _BEFORE, 0), at + _BEHIND
    before = ("..." if begin else "") + _escaped(line[begin:at])
    behind = _escaped(line[at:end]) + ("..." if end < len(line) else "")
    return [f"    {before}{behind}", f"    {' ' * len(before)}^ {_named(line, at)}"]


def _named(line: bytes, at: int) -> str:
    if at >= len(line):
        return "the end of the line"
    byte = line[at]
    return _NAMES.get(byte) or (f"'{chr(byte)}'" if 0x20 < byte < 0x7F else f"the byte 0x{byte:02X}")


def _escaped(data: bytes) -> str:
    """As a literal of Python has it: "\\r" for CR, "\\x00" for NUL."""
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")
