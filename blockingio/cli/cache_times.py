"""--cache: for how many seconds browsers may use what they have without asking, by what it is."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from blockingio.http_server.mime import type_of_extension
from blockingio.values.arguments import whole_number
from blockingio.values.percent import decode_lenient

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/(?:[a-z0-9!#$&^_.+-]+|\*)", re.IGNORECASE)

# What a folder is shown as.
_PAGE = "text/html"


def parse_cache_time(text: str) -> tuple[str, int]:
    """``3600`` is ``("", 3600)``, ``image/*=86400`` is ``("image/*", 86400)``.

    Raises ArgumentTypeError for anything else.
    """
    kind, equals, seconds = text.rpartition("=")
    number = whole_number(seconds)
    if equals and not _TYPE.fullmatch(kind):
        raise argparse.ArgumentTypeError(f"expected a media type as text/css or image/*, found {kind!r}")
    return kind.lower(), number


class CacheTimes:
    """The Cache-Control of files.  A file's type is told by the ending of its name.

    ``default``: the field's value for what no type of ``by_type`` is for.
    """

    def __init__(self, seconds: int | None, by_type: Sequence[tuple[str, int]]) -> None:
        """``seconds`` None: browsers ask each time whether they have the newest."""
        self.default = _field(seconds)
        self.by_type = {kind: _field(seconds) for kind, seconds in by_type}

    def at(self, path: str) -> str:
        """The field's value for what is at a path."""
        name = decode_lenient(path.rpartition("/")[2])
        _, dot, extension = name.rpartition(".")
        found = type_of_extension(extension) if dot else None
        kind = (found or "").partition(";")[0] if name else _PAGE
        return self.by_type.get(kind) or self.by_type.get(f"{kind.partition('/')[0]}/*") or self.default


def _field(seconds: int | None) -> str:
    return "no-cache" if seconds is None else f"max-age={seconds}"
