"""Bytes of a peer as text that a terminal can be given: printable characters alone, and no secrets.

Takes bytes or text, gives text; knows no HTTP but the names of the fields that hold secrets.
"""

from __future__ import annotations

import re

# A line that begins with the name of a field with a secret in it, however broken it is: blanks and control characters
# may stand before the name, or a CR and more before those, and the colon may be missing.
_SECRET = re.compile(rb"(?:\A|[\x00-\x08\x0a-\x1f\x7f-\xff])[\x00-\x20]*+"
                     rb"(?i:proxy-authorization|authorization|(?:set-)?cookie2?)"
                     rb"(?![!#$%&'*+\-.^_`|~0-9A-Za-z])[\x00-\x20]*+:?+[ \t]*+")

# What stands before the host in a URL may be a password.
_USER_INFO = re.compile(rb"(://)[^/?#\s\"<>]*@")

_MASK = b"***"

_NAMES = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def masked(line: bytes) -> tuple[bytes, bool]:
    """A line of a head, without its end, with stars for a secret; and whether it is a field that holds one."""
    found = _SECRET.search(line)
    if found is not None:
        return line[: found.end()] + _MASK, True
    return _USER_INFO.sub(rb"\1***@", line), False


def printable(text: str, *, is_exact: bool = False) -> str:
    """The text with an escape for what is not printable: control and format characters, those of C1 among them.

    Bytes that could not be decoded, by "surrogateescape", are shown as such.  ``is_exact``: a backslash is escaped too.
    """
    if text.isprintable() and not (is_exact and "\\" in text):
        return text
    return "".join(_escaped(letter, is_exact) for letter in text)


def shown(line: bytes) -> str:
    """A line of a head."""
    return printable(line.decode("utf-8", "surrogateescape"), is_exact=True)


def _escaped(letter: str, is_exact: bool) -> str:
    if letter == "\\":
        return "\\\\" if is_exact else letter
    if letter.isprintable():
        return letter
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return _NAMES.get(letter) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else
                                  f"\\U{code:08x}")
