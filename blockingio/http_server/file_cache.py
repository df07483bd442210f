"""Small files kept in memory, for as long as nothing on the way to them has changed.

To open, look at, read and close a file costs a busy server more than all the rest of a request: each call releases
the GIL and has to acquire it again.  A kept file costs one look at itself and one at each directory between it and
the root, which tell of new content and of links put in the way, and one look is enough for all requests that had come
before it.  That a precompressed neighbour came or went shows in the directory that it is in: so the root is looked at,
too, for the files in it.  Only what was opened without passing through a link is kept, and only once it has stood
unchanged for so long that the next change cannot have the same time stamp.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from threading import Lock
from time import monotonic, time

from blockingio.errors import HttpException
from blockingio.http_server.file_response import WholeAnswer
from blockingio.http_server.representation import Representation
from blockingio.server.compression import accepts_gzip
from blockingio.values.headers import HttpHeaders

# Bytes of all files that one cache holds; beside each there may be as much again, compressed.
CACHE_SIZE = 16 * 1024 * 1024

# Entries of one cache: of empty files there may be any number.
MAX_ENTRIES = 4096

# Seconds that a file or directory has to have been unchanged.  File systems stamp by ticks of
# some milliseconds (ext4, XFS), of a second (HFS+) or of two (FAT).
SETTLED_AFTER = 2.5

# Answers that are kept of one file: with and without compression, and a few more for handlers that set headers.
_MOST_ANSWERS = 4

# Characters of a target that may be a key: keys are held as well.
_MAX_KEY = 512

# What of a stat shows a change: which file it is, of what kind, and when it or its content changed.
Identity = tuple[int, int, int, int, int, int]
_Witness = tuple[str, Identity]
_Kind = tuple[bytes, str | None, bool | None]


class KeptFile:
    """A file in memory, with its precompressed neighbours where it has some.

    Any thread sets the attributes that change, each in one step.
    """

    __slots__ = ("root", "plain", "neighbours", "size", "_answers", "_witnesses", "_looked_at")

    def __init__(self, root: object, plain: Representation, neighbours: Sequence[Representation],
                 witnesses: list[_Witness]) -> None:
        self.root = root
        self.plain = plain
        self.neighbours = neighbours
        self.size = plain.size + sum(neighbour.size for neighbour in neighbours)
        # By what they were made of: the lines of the headers that the answer had before, the file's coding, and whether
        # it may be compressed, None: it never is.  Replaced as a whole; what two threads make at once is equal.
        self._answers: dict[_Kind, WholeAnswer] = {}
        self._witnesses = witnesses
        self._looked_at = 0.0  # on the monotonic clock, where that found nothing changed

    def answer(self, content: Representation, begun: HttpHeaders, asked: HttpHeaders | None) -> WholeAnswer:
        """The answer to a plain GET with one of its representations; made once for all that are the same.

        ``begun``: the headers that it has so far; ``asked``: the request's, None where nothing is compressed.
        """
        answers = self._answers
        section = begun.kept_section or begun.section()
        kind = section.data, content.coding, None if asked is None else accepts_gzip(asked)
        answer = answers.get(kind)
        if answer is None:
            answer = WholeAnswer(content, begun, bool(self.neighbours), asked)
            self._answers = {**(answers if len(answers) < _MOST_ANSWERS else {}), kind: answer}
        return answer

    def is_current(self, asked_at: float) -> bool:
        """Whether everything on the way is as it was, at some time since ``asked_at`` on the monotonic clock.

        One look serves all requests that were here before it: so a busy server looks less often.
        """
        if asked_at < self._looked_at:
            return True
        now = monotonic()
        try:
            for path, identity in self._witnesses:
                if identity_of(os.lstat(path)) != identity:
                    return False
        except OSError:
            return False
        self._looked_at = now
        return True


class FileCache:
    """Kept files by request target.  Any thread may call; ``_lock`` guards changes, a look takes one step,
    also without the GIL."""

    def __init__(self) -> None:
        self._files: dict[str, KeptFile] = {}
        self._size = 0
        self._lock = Lock()

    def find(self, target: str, root: object, asked_at: float) -> KeptFile | None:
        """The file kept for a target of this root, None where there is none that has been current since then."""
        kept = self._files.get(target)
        if kept is None:
            return None
        if kept.root is root and kept.is_current(asked_at):
            return kept
        self._forget(target)
        return None

    def keep(self, target: str, root: object, directories: Sequence[str], plain: Representation,
             neighbours: Sequence[Representation], files: Sequence[tuple[str, os.stat_result]]) -> None:
        """Load a file and keep it, unless something on the way to it has changed lately.

        ``directories`` are the paths from the root's to the file's, ``files`` its own path and its
        neighbours', with their stat when they were opened.
        """
        if len(target) > _MAX_KEY:
            return
        # The root itself may be reached by a link: its directory then is what is looked at.
        root_path = os.path.join(directories[0], ".")
        try:
            found = [(path, os.lstat(path)) for path in (root_path, *directories[1:])]
        except OSError:
            return
        found += files
        settled = time() - SETTLED_AFTER
        if any(max(status.st_mtime, status.st_ctime) > settled or stat.S_ISLNK(status.st_mode) for _, status in found):
            return
        try:
            for content in (plain, *neighbours):
                content.load()
        except (HttpException, OSError):
            return  # it is changing right now; the answer meets that as well
        # The root's own entries do not matter to a file further below: what leads there is looked at.
        witnesses = [(path, identity_of(status)) for path, status in found[1 if directories[1:] else 0:]]
        kept = KeptFile(root, plain, neighbours, witnesses)
        self._forget(target)
        with self._lock:
            while self._files and (self._size + kept.size > CACHE_SIZE or len(self._files) >= MAX_ENTRIES):
                self._size -= self._files.pop(next(iter(self._files))).size
            self._files[target] = kept
            self._size += kept.size

    def _forget(self, target: str) -> None:
        with self._lock:
            kept = self._files.pop(target, None)
            if kept is not None:
                self._size -= kept.size


def identity_of(status: os.stat_result) -> Identity:
    return (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_mode, status.st_dev)
