"""A URI's path to names on disk and back: percent-decoded once, segment by segment.

Names are what ``os.fsdecode`` makes of the decoded bytes, so that every name on disk can be
asked for, whatever its bytes are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from blockingio.http_server.safe_open import is_name
from blockingio.values.grammar import PCHAR
from blockingio.values.percent import decode_bytes, encode_bytes

# Names that need no decoding and have nothing special about them, one after the other.
_PLAIN_RE = re.compile(rf"(?:/(?!\.{{1,2}}(?:/|\Z))[{PCHAR}]++)++")


def decode_path(path: str) -> tuple[tuple[str, ...], bool] | None:
    """The names of a path's segments, and whether it ends in a slash, so means a directory.

    Empty segments and "." count for nothing.  None where a segment can be no name: "..", or one
    with a slash or NUL in it, encoded or not; on Windows also with a backslash, a colon and the like.
    """
    if os.name != "nt" and _PLAIN_RE.fullmatch(path):
        return tuple(path[1:].split("/")), False
    names = []
    for segment in path.split("/"):
        try:
            name = os.fsdecode(decode_bytes(segment))
        except UnicodeError:
            return None
        if name in ("", "."):
            continue
        if not is_name(name):
            return None
        names.append(name)
    return tuple(names), name in ("", ".")


def encode_name(name: str) -> str:
    """A name as a path segment."""
    return encode_bytes(os.fsencode(name), PCHAR)


def encode_path(names: Sequence[str]) -> str:
    """The path of a directory: "/" before each name and at the end; it never begins with two."""
    return "/" + "".join(f"{encode_name(name)}/" for name in names)


def shown(name: str) -> str:
    """A name as text for people: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(name).decode("utf-8", "replace")
