"""Files from a form, or one that comes as it is, into a directory, never over another.

A file is written under a name of its own, hidden, as it comes, and linked to its real one when it is whole; so half a
file is never seen, and neither one that fails nor the end of the program leaves any.  Everything happens relative to an
open directory: renaming or linking it elsewhere meanwhile changes nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from errno import EEXIST, ENOSYS, ENOTSUP, EOPNOTSUPP, EPERM
from functools import partial
from threading import Lock
from typing import NamedTuple

from blockingio.errors import BadMessage, HttpException
from blockingio.http_server.form_data import HttpMultipartFormData
from blockingio.http_server.multipart import MimeMultipart
from blockingio.http_server.paths import shown
from blockingio.http_server.safe_open import is_name
from blockingio.net.file_output import write_pieces
from blockingio.net.system import O_NOFOLLOW
from blockingio.server.request import HttpRequest
from blockingio.wire.limits import FILE_RECEIVE_SIZE

# What file systems without hard links say (FAT, many network ones).
_NO_LINKS = frozenset((EPERM, ENOSYS, ENOTSUP, EOPNOTSUPP))

# Bytes of a name: file systems allow 255, and " (9999)" has to find room.
_MAX_NAME = 240

# Tries for a free name.
_MAX_COPIES = 10_000

# What a terminal takes for a command (C0, DEL, C1), and what has a name shown in another order than it is written in,
# so that "exe.png" may end in another extension: Unicode's marks, embeddings, overrides and isolates of direction.
# Line and paragraph separators and the byte order mark are no part of a name either.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")

_TEMPORARY_RE = re.compile(r"\.[0-9a-f]{24}\.upload", re.IGNORECASE)

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | O_NOFOLLOW


def is_temporary(name: str) -> bool:
    """Whether this is what an upload is called while it comes; case counts for nothing on some file systems."""
    return _TEMPORARY_RE.fullmatch(name) is not None


_CONTENT_TOO_LARGE = 413


class Saved(NamedTuple):
    """A file that has come whole: the name that it got, and the one that it was sent with, as far as a file's."""

    name: str
    sent_as: str
    size: int  # bytes
    sha256: str | None  # hexadecimal; None where nothing is hashed


class Uploads:
    """Saves files that come; any number of threads may do so at once, each with a directory of its own.

    ``_lock`` guards what stands behind it, and is held while a file is made or gets its name: ``close`` comes
    before or after, never in the middle.
    """

    def __init__(self, is_reserved: Callable[[str], bool], *, most: int, hashes: bool = False) -> None:
        """``is_reserved`` says which names no file gets, as if they were taken.

        ``most`` is how many bytes the files of one request have at most; ``hashes`` asks for their SHA-256.
        """
        self._is_reserved = is_reserved
        self._most = most
        self._hashes = hashes
        self._lock = Lock()
        self._closed = False
        self._half: set[tuple[int, str]] = set()  # temporary names, each with its directory

    def save(self, parts: Iterable[MimeMultipart], directory: int) -> list[Saved]:
        """Save the files of a multipart/form-data body in an open directory.

        Fields that are no files are passed over.  Raises HttpException for a broken body, or where this is
        closed, BadMessage with status 413 for too large a one, and OSError; files that were whole by then stay.
        """
        saved: list[Saved] = []
        left = self._most
        for part in parts:
            filename = HttpMultipartFormData.parse(part).content_disposition.parameters.get("filename")
            if filename:
                saved.append(self._save(partial(self._write_pieces, part, left), clean_name(filename), directory))
                left -= saved[-1].size
        return saved

    def save_body(self, request: HttpRequest, name: str, directory: int, *, is_exact: bool) -> Saved:
        """Save the body of a request, which is a file as it is, in an open directory.

        ``is_exact``: under this name or not at all, FileExistsError where it is taken; else under one like it.
        Raises also as ``save`` does.  Where nothing has to look at the bytes, they do not pass through this program.
        """
        write: Callable[[int], tuple[int, str | None]]
        if not self._hashes and 0 <= request.content_length <= self._most:
            def write(descriptor: int) -> tuple[int, None]:
                return request.write_to(descriptor), None
        else:
            write = partial(self._write_pieces, request.pieces(FILE_RECEIVE_SIZE), self._most)
        return self._save(write, name, directory, is_exact=is_exact)

    def is_taken(self, name: str, directory: int) -> bool:
        """Whether there is a file of this name in an open directory, or none gets it."""
        return self._is_reserved(name) or _exists(name, directory)

    def close(self) -> None:
        """The program ends: what is half there goes, and no more comes.  Idempotent; from any thread."""
        with self._lock:
            self._closed = True
            for directory, temporary in self._half:
                with suppress(OSError):  # it is gone already
                    os.unlink(temporary, dir_fd=directory)

    def _save(self, write: Callable[[int], tuple[int, str | None]], name: str, directory: int, *,
              is_exact: bool = False) -> Saved:
        """``write`` fills an open file; it says how many bytes it has then, and their SHA-256 where that is wanted."""
        temporary, descriptor = self._create(directory)
        try:
            try:
                size, sha256 = write(descriptor)
            finally:
                os.close(descriptor)
            given = self._give_name(temporary, name, directory, is_exact)
            return Saved(given, name, size, sha256)
        finally:
            with self._lock:
                self._half.discard((directory, temporary))
                with suppress(FileNotFoundError):  # renamed, where it could not be linked; or closed
                    os.unlink(temporary, dir_fd=directory)

    def _write_pieces(self, pieces: Iterable[bytes], most: int, descriptor: int) -> tuple[int, str | None]:
        """For ``_save``: 413 where they have over ``most`` bytes."""
        digest = hashlib.sha256() if self._hashes else None

        def checked() -> Iterator[bytes]:
            left = most
            for piece in pieces:
                left -= len(piece)
                if left < 0:
                    raise BadMessage(f"the files have over {self._most} bytes", _CONTENT_TOO_LARGE)
                if digest is not None:
                    digest.update(piece)
                yield piece

        size = write_pieces(checked(), descriptor)
        return size, None if digest is None else digest.hexdigest()

    def _create(self, directory: int) -> tuple[str, int]:
        temporary = f".{secrets.token_hex(12)}.upload"
        with self._lock:
            self._check_open()
            descriptor = os.open(temporary, _WRITE, 0o666, dir_fd=directory)
            self._half.add((directory, temporary))
        return temporary, descriptor

    def _give_name(self, temporary: str, name: str, directory: int, is_exact: bool) -> str:
        with self._lock:
            self._check_open()
            if is_exact:
                if self._is_reserved(name) or not _take_name(temporary, name, directory):
                    raise FileExistsError(EEXIST, f"{shown(name)} is taken")
                return name
            number = 0
            while (number := self._free_number(name, number, directory)) < _MAX_COPIES:
                candidate = _numbered(name, number)
                if _take_name(temporary, candidate, directory):
                    return candidate
                number += 1  # another program has taken it meanwhile
        raise FileExistsError(EEXIST, f"{shown(name)} and {_MAX_COPIES} names like it are taken")

    def _free_number(self, name: str, first: int, directory: int) -> int:
        """One from ``first`` on whose name is free, _MAX_COPIES where none was found.

        It is the first one where there are no gaps behind it.  Not one after the other: a form may bring thousands of
        one name.
        """
        def is_taken(number: int) -> bool:
            return self.is_taken(_numbered(name, number), directory)

        taken, free, step = first - 1, first, 1
        while free < _MAX_COPIES and is_taken(free):
            taken, free, step = free, min(free + step, max(_MAX_COPIES - 1, free + 1)), step * 2
        while free - taken > 1:
            middle = (taken + free) // 2
            if is_taken(middle):
                taken = middle
            else:
                free = middle
        return free

    def _check_open(self) -> None:
        if self._closed:
            raise HttpException("the program ends, and takes no more files")


def clean_name(filename: str) -> str:
    """What a client calls a file, as the name of a visible file in one directory."""
    name = _CONTROLS.sub("", filename).replace("\\", "/").rpartition("/")[2].rstrip(" ").lstrip(". ")
    stem, extension = os.path.splitext(name)
    data = stem.encode("utf-8", "surrogateescape")
    room = max(_MAX_NAME - len(extension.encode("utf-8", "surrogateescape")), 1)
    if len(data) > room:
        name = data[:room].decode("utf-8", "ignore") + extension
    if not is_name(name) or len(os.fsencode(name)) > _MAX_NAME:
        return "upload"
    return name


def _take_name(temporary: str, name: str, directory: int) -> bool:
    try:
        os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # The name is taken with an empty file first: renaming would replace another's.
        try:
            os.close(os.open(name, _WRITE, 0o666, dir_fd=directory))
        except FileExistsError:
            return False
        try:
            os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            os.unlink(name, dir_fd=directory)
            raise
    return True


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False  # where it is another error, to take the name meets that as well
    return True


def _numbered(name: str, number: int) -> str:
    if not number:
        return name
    stem, extension = os.path.splitext(name)
    return f"{stem} ({number}){extension}"
