"""The system's file paths <-> the path and host of a file URI (RFC 8089), for Uri."""

from __future__ import annotations

import os
import re
from typing import Final

from blockingio.values.grammar import PATH_CHARACTERS
from blockingio.values.percent import decode_bytes, encode_bytes

WINDOWS: Final = os.name == "nt"


def from_file_path(path: str, windows: bool = WINDOWS) -> tuple[str | None, str]:
    """The host and the encoded path of a URI; the host is None for a relative path."""
    host = ""
    if windows:
        path = path.replace("\\", "/")
        if path[:2] == "//":
            host, slash, path = path[2:].partition("/")
            path = slash + path or "/"
        elif re.match("[A-Za-z]:/", path):
            path = "/" + path
    return host if path[:1] == "/" else None, encode_bytes(os.fsencode(path), PATH_CHARACTERS)


def to_file_path(host: str, path: str, windows: bool = WINDOWS) -> str:
    """The path that they name; ValueError for a host that this system has no syntax for, and for a
    segment that cannot be the name of one file."""
    host = "" if host == "localhost" else host
    if host and not windows:
        raise ValueError(f"expected a file URI without a host, found {host[:255]!r}")
    if re.search("%2F|%00" + (r"|%5C" if windows else ""), path, re.IGNORECASE):
        raise ValueError(f"expected no separator and no NUL in a segment, found {path[:200]!r}")
    path = os.fsdecode(decode_bytes(path))
    if not windows:
        return path
    if host:
        path = f"//{host}{path}"
    elif re.match("/[A-Za-z]:", path):
        path = path[1:]
    return path.replace("/", "\\")
