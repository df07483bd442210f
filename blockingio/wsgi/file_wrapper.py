"""wsgi.file_wrapper: a file as an answer, sent by its descriptor where it has one (PEP 3333)."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any


class FileWrapper:
    """An iterator of what a file still has, in blocks; closes it where it can be closed.

    Frameworks wrap it again to send a range: they ``seek``, where it is ``seekable``, and iterate.
    """

    def __init__(self, file: Any, block_size: int = 65536) -> None:
        self.file = file
        self.block_size = block_size
        if hasattr(file, "close"):
            self.close: Callable[[], object] = file.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data: bytes = self.file.read(self.block_size)
        if not data:
            raise StopIteration
        return data

    def seekable(self) -> bool:
        """Whether the file can be sought in."""
        return hasattr(self.file, "seekable") and bool(self.file.seekable())

    def seek(self, offset: int, whence: int = 0) -> int:
        """Set the position in the file, and return it."""
        return int(self.file.seek(offset, whence))

    def tell(self) -> int:
        """The position in the file."""
        return int(self.file.tell())

    def stretch(self) -> tuple[int, int, int] | None:
        """Descriptor, offset and number of bytes of a regular file that nothing but the system stands behind."""
        file = self.file
        raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
        if type(raw) is not io.FileIO:
            return None
        try:
            descriptor, offset = file.fileno(), file.tell()
            found = os.fstat(descriptor)
        except (OSError, ValueError):
            return None
        return (descriptor, offset, max(found.st_size - offset, 0)) if stat.S_ISREG(found.st_mode) else None
