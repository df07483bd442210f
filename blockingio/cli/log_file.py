"""A file that an access log is appended to."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from blockingio.server.state import log

# Every write goes to the end, also where other processes write to the same file.
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class LogFile:
    """Text at the end of a file, which is made where there is none.

    Where the file is renamed or removed, as programs that rotate logs do, a new one is made.  What cannot be written
    (the disk is full) is lost, and a warning on the logger "blockingio" says so once.  One thread at a time uses it.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError where the file cannot be opened or made."""
        self._path = path.absolute()
        self._fails = False
        self._is_torn = False  # the last line has no end: the rest of it could not be written
        self._descriptor = os.open(self._path, _APPEND, 0o644)

    def write(self, text: str) -> None:
        """Append all of it."""
        data = text.encode("ascii", "backslashreplace")
        try:
            self._follow()
            if self._is_torn:
                data = b"\n" + data  # else that line and the next one would be one, which no log reader understands
            while data:
                written = os.write(self._descriptor, data)
                self._is_torn = not data.endswith(b"\n", 0, written)
                data = data[written:]
        except OSError as error:
            if not self._fails:
                log.warning("lines are missing in the access log: %s cannot be written: %s", self._path,
                            error.strerror or error)
            self._fails = True
        else:
            self._fails = False

    def close(self) -> None:
        """Idempotent."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1

    def _follow(self) -> None:
        """Open the file again, where another one has its name now, or none."""
        try:
            is_same = os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except OSError:
            is_same = False
        if not is_same:
            self.close()
            self._is_torn = False
            self._descriptor = os.open(self._path, _APPEND, 0o644)
