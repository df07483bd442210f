"""Names below a root to open files and directories, without a way out.

Takes a root and segments that are names already (decoded, split), gives a descriptor with its stat.  Each segment is
opened relative to the directory before it and never through a link, so that between checking and opening there is no
moment in which a link could be put in the way; links are read and walked by the same steps.  A descriptor is all the
caller gets: to open by path again would be that moment.

Where the system cannot open relative to a directory (Windows) no link is followed in a jail, and a line in the log says
so.  What was opened is held against its path afterwards: it has to be the very file that is there without a link.  Only
a program that may write below the root could still exchange a directory between the steps of that.

Raises OSError: FileNotFoundError for what is not there and for what is outside, which cannot
be told apart; PermissionError for what may not be read.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from contextlib import closing
from errno import ELOOP, EMFILE, EMLINK, ENFILE, ENOENT, ENOMEM, ENOTDIR

from blockingio.net.system import CAN_OPEN_BELOW, CAN_OPEN_DIRECTORIES, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_READ

_log = logging.getLogger("blockingio")

# What the system says when it has no more to give: the same may go the next moment.
EXHAUSTED = frozenset((EMFILE, ENFILE, ENOMEM))

# Links in one path: Linux allows 40.
MAX_LINKS = 40

# Tries to open what is replaced with another file again and again, by path.
_TRIES = 20

_THROUGH = O_PATH | O_NOFOLLOW | O_DIRECTORY

# What open() says of a link with O_NOFOLLOW: Linux, macOS and POSIX; FreeBSD; with O_DIRECTORY as well.
_IS_LINK = (ELOOP, EMLINK, ENOTDIR)

# What no name may hold where "\\" separates: separators, streams of a file, patterns; and what
# Windows takes for a device or strips.
_NOT_ON_WINDOWS = re.compile(
    r'[\x00-\x1f<>:"|?*\\]|[. ]\Z|\A(?i:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|\Z)')


class Opened:
    """An open file or directory; its holder closes it.

    ``descriptor`` is -1 for a directory where the system opens none (Windows).  ``direct`` says
    that no link was passed through on the way from the root.
    """

    __slots__ = ("descriptor", "stat", "direct")

    def __init__(self, descriptor: int, status: os.stat_result, direct: bool = False) -> None:
        self.descriptor = descriptor
        self.stat = status
        self.direct = direct

    def close(self) -> None:
        """Give the descriptor back.  Idempotent."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def is_name(segment: str, *, windows: bool = os.name == "nt") -> bool:
    """Whether a decoded path segment can be the name of one directory entry."""
    if segment in ("", ".", "..") or "/" in segment or "\0" in segment:
        return False
    return not windows or _NOT_ON_WINDOWS.search(segment) is None


def open_below(root: str, names: Sequence[str], *, follow_links: bool = True, jail: bool = True) -> Opened:
    """Open what ``names`` lead to from ``root``; each must be one of which ``is_name`` is true.

    Links are followed where ``follow_links``, while ``jail`` only as long as they stay below the
    root: an absolute one has to name the root.  The root itself may be reached through links.
    Without CAN_OPEN_BELOW none is followed in a jail.
    """
    if follow_links and not jail:
        return _open_path(os.path.join(root, *names))
    if not CAN_OPEN_BELOW:
        return _open_by_path(root, names, follow_links)
    if not names:
        return _open_path(root)
    if len(names) == 1:
        # By far the most common case needs no descriptor for the directory.
        try:
            descriptor = os.open(f"{root}/{names[0]}", O_READ | O_NOFOLLOW)
        except OSError as error:
            if error.errno not in _IS_LINK:
                raise
        else:
            return _with_stat(descriptor, direct=True)
    with closing(_Walk(root, follow_links)) as walk:
        return walk.to(names)


class _Walk:
    """A way down from a root, step by step; one descriptor for each directory on it.

    ``..`` in a link goes back to the descriptor of the directory above, which is the one that
    was come through, wherever it may have been moved meanwhile.
    """

    def __init__(self, root: str, follow_links: bool) -> None:
        self._root = root
        self._follow_links = follow_links
        self._links = 0
        self._directories = [os.open(root, O_DIRECTORY | O_PATH)]

    def close(self) -> None:
        while self._directories:
            os.close(self._directories.pop())

    def to(self, names: Sequence[str]) -> Opened:
        left = list(reversed(names))
        while left:
            name = left.pop()
            if name in ("", "."):
                continue
            if name == "..":
                if len(self._directories) == 1:
                    raise _outside()
                os.close(self._directories.pop())
                continue
            here = self._directories[-1]
            try:
                if not left:
                    return _with_stat(os.open(name, O_READ | O_NOFOLLOW, dir_fd=here), direct=not self._links)
                self._directories.append(os.open(name, _THROUGH, dir_fd=here))
            except OSError as error:
                if error.errno not in _IS_LINK:
                    raise
                left.extend(self._read_link(name, error))
        # A link to a directory that it is itself in, or to the root.
        return _with_stat(os.open(".", O_READ, dir_fd=self._directories[-1]))

    def _read_link(self, name: str, refusal: OSError) -> list[str]:
        """The steps that a link stands for, the first of them last."""
        self._links += 1
        if not self._follow_links or self._links > MAX_LINKS:
            raise _outside()
        try:
            target = os.readlink(name, dir_fd=self._directories[-1])
        except OSError:
            raise refusal from None  # no link: a file where a directory was expected
        if target.startswith("/"):
            target = self._below_root(target)
            while len(self._directories) > 1:
                os.close(self._directories.pop())
        return target.split("/")[::-1]

    def _below_root(self, target: str) -> str:
        """What an absolute link's target adds to the root."""
        for root in (os.path.abspath(self._root), os.path.realpath(self._root)):
            prefix = root.rstrip("/") + "/"
            if f"{target}/".startswith(prefix):
                return target[len(prefix):]
        raise _outside()


def _open_path(path: str) -> Opened:
    try:
        descriptor = os.open(path, O_READ)
    except PermissionError:
        if CAN_OPEN_DIRECTORIES or not os.path.isdir(path):
            raise
        return Opened(-1, os.stat(path))
    return _with_stat(descriptor)


def _with_stat(descriptor: int, direct: bool = False) -> Opened:
    try:
        return Opened(descriptor, os.fstat(descriptor), direct)
    except BaseException:
        os.close(descriptor)
        raise


def _open_by_path(root: str, names: Sequence[str], follow_links: bool) -> Opened:
    """open_below where nothing can be opened relative to a directory."""
    for _ in range(_TRIES):
        opened = _open_and_check(root, names, follow_links)
        if opened is not None:
            return opened
    raise _outside()


def _open_and_check(root: str, names: Sequence[str], follow_links: bool) -> Opened | None:
    """The path without links is found after opening.  It has to be the one asked for, and to lead to
    the very file that is open; None where that has just got a successor.
    """
    opened = _open_path(os.path.join(root, *names))
    opened.direct = True
    try:
        real_root = os.path.realpath(root)
        real = os.path.realpath(os.path.join(root, *names))
        if os.path.normcase(real) != os.path.normcase(os.path.join(real_root, *names)):
            if follow_links:
                _tell_of_links(root)
            raise _outside()
        if not os.path.samestat(os.lstat(real), opened.stat):
            opened.close()
            return None
    except BaseException:
        opened.close()
        raise
    return opened


_told: set[str] = set()  # roots; any thread adds one, in one step: at worst two threads tell of it


def _tell_of_links(root: str) -> None:
    if root not in _told:
        _told.add(root)
        _log.warning("links below %s are not followed: this system cannot see to it that they stay there "
                     "(os.open with dir_fd and O_NOFOLLOW)", root)


def _outside() -> FileNotFoundError:
    return FileNotFoundError(ENOENT, "no such file below the root")
