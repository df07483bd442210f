"""--reload of applications: which source files a process has imported, and whether one of them has changed since.

A file's time of modification is noted before the file is read, so that no change is missed, however soon it comes;
files of modules that could not be imported are among them.  The files are polled: that works on every file system.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from importlib.machinery import SourceFileLoader
from time import sleep

from blockingio.stream.thread import Thread

# Seconds between two looks at all files: some hundred, which take a millisecond or two.
_LOOK_EVERY = 0.25


class SourceWatch:
    """``begin`` before the imports, ``tell_once`` behind them; in a process that does nothing else.

    ``_seen`` is written by any thread that imports, and read by the watching one, in single steps of the dict's
    own, also without the GIL.
    """

    def __init__(self) -> None:
        self._seen: dict[str, float | None] = {}  # paths, each with its time of modification; None: it was not there
        self._missing: set[str] = set()  # the watching thread's: those that were not there at its last look

    def begin(self) -> None:
        """Note what has been imported, and from now on what will be, for the rest of the process."""
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str) and path.endswith(".py"):
                self._note(path)
        path_stats = SourceFileLoader.path_stats

        def noting(loader: SourceFileLoader, path: str) -> Mapping[str, float]:
            stats = path_stats(loader, path)
            self._seen.setdefault(path, stats["mtime"])
            return stats

        # importlib calls it for each source file, before it reads that or its compiled form.
        setattr(SourceFileLoader, "path_stats", noting)

    def begin_with_folders(self) -> None:
        """Note the folders too: an import has failed, and what it wants may not be there yet."""
        for folder in {*map(os.path.dirname, list(self._seen)), *(path or os.curdir for path in sys.path)}:
            self._note(folder)

    def tell_once(self, changed: Callable[[str], object]) -> None:
        """Call ``changed`` with a path that has changed, on a thread of its own."""
        def watch() -> None:
            while (path := self._changed()) is None:
                sleep(_LOOK_EVERY)
            changed(path)

        Thread(watch, name="blockingio reload").start()

    def _note(self, path: str) -> None:
        self._seen.setdefault(path, _modified_at(path))

    def _changed(self) -> str | None:
        for path, before in list(self._seen.items()):
            now = _modified_at(path)
            if now == before:
                self._missing.discard(path)
            elif now is None and path not in self._missing:
                self._missing.add(path)  # editors put another file in its place: it is there at the next look
            else:
                return path
        return None


def _modified_at(path: str) -> float | None:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None
