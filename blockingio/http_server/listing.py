"""What is in a directory, as a page.

Takes an open directory, so that what is listed is what was found safe, and gives HTML.  Names
that ``is_hidden`` are left out, as ls and other servers do; so is what could not be served:
devices and the like, names that no URI can have here, and links where ``look_behind`` finds nothing.
What cannot be looked at (in a directory that may be read but not entered) has its name there alone.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import NamedTuple

from blockingio.http_server.page import escape, page
from blockingio.http_server.paths import encode_name, shown
from blockingio.http_server.safe_open import is_name

_DIGITS = re.compile(r"([0-9]+)")

# Sizes are given in units of 1,000 bytes, as file managers do.
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")

UPLOAD_FORM = (
    '<form method="post" enctype="multipart/form-data">\n'
    '<input type="file" name="file" multiple required aria-label="Files to upload">\n'
    "<button>Upload</button>\n</form>\n"
)


class Entry(NamedTuple):
    """One line of a listing; ``modified`` in seconds since 1970, ``size`` in bytes.  None: nobody knows."""

    name: str
    is_directory: bool
    size: int | None
    modified: float | None


def begins_with_dot(name: str) -> bool:
    """What ls hides."""
    return name.startswith(".")


def read_entries(directory: int | str, look_behind: Callable[[str], os.stat_result | None],
                 is_hidden: Callable[[str], bool] = begins_with_dot) -> list[Entry]:
    """The entries of a directory, given by descriptor (or path, where the system has none for it).

    ``look_behind`` gives the stat of what a link leads to, None where that is not to be served,
    and raises OSError where it cannot tell; ``is_hidden`` says which names are left out.
    Directories come first, each sort by name as people sort: 2 before 10, case passed over.
    Raises OSError.
    """
    entries = []
    with os.scandir(directory) as found:
        for item in found:
            if is_hidden(item.name) or not is_name(item.name):
                continue
            entry = _entry(item, look_behind)
            if entry is not None:
                entries.append(entry)
    return sorted(entries, key=_order)


def _entry(item: os.DirEntry[str], look_behind: Callable[[str], os.stat_result | None]) -> Entry | None:
    try:
        status = look_behind(item.name) if item.is_symlink() else item.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None  # gone meanwhile
    except OSError:
        return _entry_of_name(item)
    if status is None or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return None
    return Entry(item.name, stat.S_ISDIR(status.st_mode), status.st_size, status.st_mtime)


def _entry_of_name(item: os.DirEntry[str]) -> Entry | None:
    """The line for what cannot be looked at: most systems tell with a name of what kind it is."""
    try:
        is_directory = item.is_dir(follow_symlinks=False)
        if not (is_directory or item.is_file(follow_symlinks=False) or item.is_symlink()):
            return None
    except OSError:
        is_directory = False
    return Entry(item.name, is_directory, None, None)


def listing_page(names: Sequence[str], entries: Sequence[Entry], form: str = "") -> str:
    """The page for the directory that ``names`` lead to from the root; ``form`` is HTML above the table."""
    path = escape("/" + "".join(f"{shown(name)}/" for name in names))
    rows = "".join(map(_row, entries))
    if names:
        rows = '<tr><td><a class="directory" href="../">../</a></td><td></td><td></td></tr>\n' + rows
    if rows:
        content = (
            '<table>\n<thead><tr><th>Name</th><th class="size">Size</th>'
            '<th class="date">Modified (UTC)</th></tr>'
            f"</thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
        )
    else:
        content = "<p>Nothing here.</p>\n"
    return page(f"Index of {path}", f"<h1>Index of {_trail(names)}</h1>\n{form}{content}")


def size_text(size: int) -> str:
    """Bytes as people read them: "12 B", "3.4 kB", "56 MB"."""
    if size < 1000:
        return f"{size} B"
    number = float(size)
    for unit in _UNITS:
        number /= 1000
        if number < 999.5 or unit == _UNITS[-1]:
            break
    return f"{number:.1f} {unit}" if number < 9.95 else f"{number:.0f} {unit}"


def _order(entry: Entry) -> tuple[bool, list[str | int], str]:
    # Digits stand at the odd places of what split() gives, so that str meets str and int int.
    parts: list[str | int] = []
    for place, part in enumerate(_DIGITS.split(entry.name.casefold())):
        # No int(): a name may have more digits than it takes.
        parts += (len(part.lstrip("0")), part.lstrip("0")) if place % 2 else (part,)
    return not entry.is_directory, parts, entry.name


def _row(entry: Entry) -> str:
    slash, kind = ("/", "directory") if entry.is_directory else ("", "file")
    size = ""
    if entry.size is not None and not entry.is_directory:
        size = f'<span title="{entry.size:,} bytes">{size_text(entry.size)}</span>'
    # "./" keeps a name with a colon from being taken for a scheme.
    return (
        f'<tr><td><a class="{kind}" href="./{escape(encode_name(entry.name))}{slash}">'
        f'<bdi>{escape(shown(entry.name))}</bdi>{slash}</a></td>'
        f'<td class="size">{size}</td><td class="date">{_date(entry.modified)}</td></tr>\n'
    )


def _date(seconds: float | None) -> str:
    if seconds is None:
        return ""
    try:
        date = datetime.fromtimestamp(seconds, timezone.utc)
        return f'<time datetime="{date:%Y-%m-%dT%H:%M:%SZ}">{date:%Y-%m-%d %H:%M}</time>'
    except (ValueError, OverflowError, OSError):
        return ""  # a date that no calendar has


def _trail(names: Sequence[str]) -> str:
    """The path, each directory on it but the last a link."""
    trail = []
    for depth, name in enumerate(("", *names)):
        text = f"<bdi>{escape(shown(name))}</bdi>/" if name else "/"
        above = len(names) - depth
        trail.append(f'<a href="{"../" * above}">{text}</a>' if above else text)
    return "".join(trail)
