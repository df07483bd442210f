"""A folder as a ZIP that is written while it is sent: no temporary file, and no more memory than a note on each file.

Takes what opens names below a root, so that nothing gets in that would not be served; links to folders are left out,
since they may lead round in a circle.  The content is stored and not compressed: what is large mostly is already.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from time import localtime
from typing import IO, Protocol, cast

from blockingio.http_server.listing import Entry
from blockingio.http_server.paths import shown
from blockingio.http_server.safe_open import EXHAUSTED, Opened

# Bytes of a file that are read at once.
_CHUNK_SIZE = 256 * 1024

# Bytes that are written before the reader is waited for: what is sent slowly does not pile up in memory.
_AHEAD = 1024 * 1024

# The years that a ZIP's dates can have (APPNOTE 4.4.6).
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
_LAST_DATE = (2107, 12, 31, 23, 59, 58)

Open = Callable[[Sequence[str]], Opened]
Entries = Callable[[Opened, Sequence[str]], list[Entry]]


class Output(Protocol):
    """What the archive is written to; it need not be able to seek, and ``flush`` waits until its reader has all."""

    def write(self, data: bytes, /) -> object: ...
    def flush(self) -> object: ...


def write_zip(output: Output, names: Sequence[str], open_names: Open, entries: Entries,
              goes_on: Callable[[], bool]) -> list[str]:
    """Write the folder that ``names`` lead to; returns the names of what is not in it since it could not be read.

    ``open_names`` opens names below the root, ``entries`` says what is in an open folder and may be seen.  What is
    gone by the time it comes to it is left out too.  Ends early once ``goes_on`` says no.  Raises OSError, also where
    the system can open no more files, and what ``output`` raises.
    """
    missing: list[str] = []
    with zipfile.ZipFile(cast(IO[bytes], _Unseekable(output)), "w", strict_timestamps=False) as archive:
        for name, opened in _walk(tuple(names), "", open_names, entries, missing):
            with closing(opened):
                is_directory = stat.S_ISDIR(opened.stat.st_mode)
                info = zipfile.ZipInfo(name, _date(opened.stat.st_mtime))
                info.external_attr = (opened.stat.st_mode & 0xFFFF) << 16 | (0x10 if is_directory else 0)
                info.file_size = 0 if is_directory else opened.stat.st_size
                with archive.open(info, "w") as member:
                    left = info.file_size
                    while left and (data := os.read(opened.descriptor, min(left, _CHUNK_SIZE))):
                        member.write(data)
                        left -= len(data)
                        if not goes_on():
                            return missing
    return missing


def _walk(names: tuple[str, ...], place: str, open_names: Open, entries: Entries,
          missing: list[str]) -> Iterator[tuple[str, Opened]]:
    """Everything below a folder, with its name in the archive, where the folder is ``place``; the caller closes it."""
    with closing(open_names(names)) as folder:
        found = [entry.name for entry in entries(folder, names) if not _is_linked_folder(folder, entry)]
    taken: set[str] = set()
    for name in found:
        path = (*names, name)
        try:
            opened = open_names(path)
        except OSError as error:
            _leave_out(f"{place}{shown(name)}", error, missing)
            continue
        is_directory = stat.S_ISDIR(opened.stat.st_mode)
        if not is_directory and not stat.S_ISREG(opened.stat.st_mode):
            opened.close()
            continue
        member = f"{place}{_free_name(shown(name), taken)}{'/' if is_directory else ''}"
        yield member, opened
        if is_directory:
            try:
                yield from _walk(path, member, open_names, entries, missing)
            except OSError as error:
                _leave_out(member, error, missing)


def _leave_out(name: str, error: OSError, missing: list[str]) -> None:
    """Go on without it.  Raises the error where all that follows would be missing as well."""
    if error.errno in EXHAUSTED:
        raise error
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):  # it is there
        missing.append(name)


def _free_name(name: str, taken: set[str]) -> str:
    """A name that none in its folder has yet, from now on ``taken``: bytes that are not UTF-8 all look the same."""
    stem, extension = os.path.splitext(name)
    free, number = name, 0
    while free in taken:
        number += 1
        free = f"{stem} ({number}){extension}"
    taken.add(free)
    return free


def _is_linked_folder(folder: Opened, entry: Entry) -> bool:
    if not entry.is_directory or folder.descriptor < 0:
        return False
    try:
        return stat.S_ISLNK(os.stat(entry.name, dir_fd=folder.descriptor, follow_symlinks=False).st_mode)
    except OSError:
        return True  # gone, or not to be looked at


def _date(seconds: float) -> tuple[int, int, int, int, int, int]:
    """For a ZIP: local time, of a year that it can have."""
    try:
        date = localtime(seconds)[:6]
    except (ValueError, OverflowError, OSError):
        return _FIRST_DATE
    return min(max(date, _FIRST_DATE), _LAST_DATE)


class _Unseekable:
    """For zipfile, which then writes sizes behind each file instead of going back."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._ahead = 0

    def write(self, data: bytes) -> int:
        self._output.write(bytes(data))
        self._ahead += len(data)
        if self._ahead >= _AHEAD:
            self._output.flush()
            self._ahead = 0
        return len(data)

    def flush(self) -> None:
        """zipfile's call is not needed: it comes for each file, however small."""
