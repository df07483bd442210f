"""What is in a directory, in the order and in the part that a request asks for.

Takes an open directory, so that what is listed is what was found safe.  Names that ``is_hidden`` are left out, as ls
and other servers do; so is what could not be served: devices and the like, names that no URI can have here, and links
where ``look_behind`` finds nothing.  What cannot be looked at (in a directory that may be read but not entered) has its
name there alone.  Pages are made of it in listing_page.py.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from blockingio.http_server.paths import shown
from blockingio.http_server.safe_open import is_name

# Entries of one page: 5,000 are 350 KB of HTML, which a phone shows at once.
PAGE_SIZE = 5000

_DIGITS = re.compile(r"([0-9]+)")


# What a look at a directory finds: name, mode, size in bytes, and when it was modified; the last two None: unknown.
Item: TypeAlias = tuple[str, int, int | None, float | None]


class Entry(NamedTuple):
    """One line of a listing; ``modified`` in seconds since 1970, ``size`` in bytes.  None: unknown."""

    name: str
    is_directory: bool
    size: int | None
    modified: float | None


def begins_with_dot(name: str) -> bool:
    """What ls hides."""
    return name.startswith(".")


def read_items(directory: int | str, look_behind: Callable[[str], os.stat_result | None],
               is_hidden: Callable[[str], bool] = begins_with_dot) -> list[Item]:
    """What is in a directory, given by descriptor (or path, where the system has none for it).

    ``look_behind`` gives the stat of what a link leads to, None where that is not to be served, and raises OSError
    where it cannot tell; ``is_hidden`` says behind which links nothing is looked for.  They come in the order that the
    system has them in.  Raises OSError.
    """
    items: list[Item] = []
    with os.scandir(directory) as found:
        for item in found:
            try:
                if not item.is_symlink():
                    status: os.stat_result | None = item.stat(follow_symlinks=False)
                else:
                    status = None if is_hidden(item.name) else look_behind(item.name)
            except FileNotFoundError:
                continue  # gone meanwhile
            except OSError:
                items.append((item.name, _mode_by_name(item), None, None))
                continue
            if status is not None:
                items.append((item.name, status.st_mode, status.st_size, status.st_mtime))
    return items


def _mode_by_name(item: os.DirEntry[str]) -> int:
    """Of what cannot be looked at: most systems tell with a name of what kind it is."""
    try:
        if item.is_dir(follow_symlinks=False):
            return stat.S_IFDIR
        return stat.S_IFREG if item.is_file(follow_symlinks=False) or item.is_symlink() else 0
    except OSError:
        return stat.S_IFREG


def entries_of(items: Sequence[Item], is_hidden: Callable[[str], bool] = begins_with_dot) -> list[Entry]:
    """Those that may be seen and can be served."""
    return [Entry(name, stat.S_ISDIR(mode), size, modified) for name, mode, size, modified in items
            if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and is_name(name) and not is_hidden(name)]


class View(NamedTuple):
    """What is asked for of a listing, as its URL's query has it: what makes no sense there counts for nothing."""

    sort: str = "name"  # or "size", "time"
    descending: bool = False
    filter: str = ""  # a part of the names that are wanted, whatever their case
    page: int = 1

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> View:
        sort, page = parameters.get("sort", ""), parameters.get("page", "")
        return cls(sort if sort in ("size", "time") else "name", parameters.get("order") == "desc",
                   parameters.get("filter", ""), int(page) if re.fullmatch("[1-9][0-9]{0,8}", page, re.ASCII) else 1)


class Listing(NamedTuple):
    """One page of a directory's entries, with the sums over all that the filter lets through."""

    entries: Sequence[Entry]
    folders: int
    files: int
    size: int  # bytes of the files
    pages: int


def select(entries: Sequence[Entry], view: View) -> Listing:
    """The part of a directory's entries that a view shows.

    Directories come first, each sort by name as people sort: 2 before 10, case passed over.
    """
    if view.filter:
        wanted = _folded(view.filter)
        entries = [entry for entry in entries if wanted in _folded(shown(entry.name))]
    entries = sorted(entries, key=_order)
    folders = [entry for entry in entries if entry.is_directory]
    files = [entry for entry in entries if not entry.is_directory]
    if view.sort == "size":
        files.sort(key=lambda entry: entry.size or 0)
    elif view.sort == "time":
        folders.sort(key=lambda entry: entry.modified or 0)
        files.sort(key=lambda entry: entry.modified or 0)
    if view.descending:
        if view.sort != "size":
            folders.reverse()
        files.reverse()
    pages = max(1, -(-len(entries) // PAGE_SIZE))
    start = (min(view.page, pages) - 1) * PAGE_SIZE
    shown_ones = [*folders, *files][start:start + PAGE_SIZE]
    return Listing(shown_ones, len(folders), len(files), sum(entry.size or 0 for entry in files), pages)


def _folded(text: str) -> str:
    """Without case, and each letter with its marks as one character: some systems' names have them as two."""
    return unicodedata.normalize("NFC", text).casefold()


def _order(entry: Entry) -> tuple[bool, list[str | int], str]:
    # Digits stand at the odd places of what split() gives, so that str meets str and int int.
    parts: list[str | int] = []
    for place, part in enumerate(_DIGITS.split(entry.name.casefold())):
        # No int(): a name may have more digits than it takes.
        parts += (len(part.lstrip("0")), part.lstrip("0")) if place % 2 else (part,)
    return not entry.is_directory, parts, entry.name
