"""A URI's path to names on disk and back: percent-decoded once, segment by segment.

Names are what ``os.fsdecode`` makes of the decoded bytes, so that every name on disk can be
asked for, whatever its bytes are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from blockingio.http_server.safe_open import is_name

# pct-encoded (RFC 3986 2.1)
_PERCENT_RE = re.compile(rb"%([0-9A-Fa-f]{2})")

# pchar = unreserved / pct-encoded / sub-delims / ":" / "@" (RFC 3986 3.3)
_NO_PCHAR_RE = re.compile(rb"[^0-9A-Za-z\-._~!$&'()*+,;=:@]")

# Names that need no decoding and have nothing special about them, one after the other.
_PLAIN_RE = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[0-9A-Za-z\-._~!$&'()*+,;=:@]++)++")


def decode_path(path: str) -> tuple[tuple[str, ...], bool] | None:
    """The names of a path's segments, and whether it ends in a slash, so means a directory.

    Empty segments and "." count for nothing.  None where a segment can be no name: "..", or one
    with a slash or NUL in it, encoded or not; on Windows also with a backslash, a colon and the like.
    """
    if os.name != "nt" and _PLAIN_RE.fullmatch(path):
        return tuple(path[1:].split("/")), False
    segments = path.split("/")
    names = []
    for segment in segments:
        name = _decode_segment(segment)
        if name in ("", "."):
            continue
        if name is None or not is_name(name):
            return None
        names.append(name)
    return tuple(names), _decode_segment(segments[-1]) in ("", ".")


def encode_name(name: str) -> str:
    """A name as a path segment."""
    return _NO_PCHAR_RE.sub(lambda found: b"%%%02X" % found[0][0], os.fsencode(name)).decode("ascii")


def encode_path(names: Sequence[str]) -> str:
    """The path of a directory: "/" before each name and at the end; it never begins with two."""
    return "/" + "".join(f"{encode_name(name)}/" for name in names)


def shown(name: str) -> str:
    """A name as text for people: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(name).decode("utf-8", "replace")


def _decode_segment(segment: str) -> str | None:
    try:
        data = segment.encode("latin-1")
        return os.fsdecode(_PERCENT_RE.sub(lambda found: bytes((int(found[1], 16),)), data))
    except UnicodeError:
        return None
