"""wsgi.file_wrapper: a file as an answer, sent by its descriptor where it has one (PEP 3333)."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any


class FileWrapper:
    """Iterates what a file still has, in blocks; closes it where it can be closed."""

    def __init__(self, file: Any, block_size: int = 65536) -> None:
        self.file = file
        self.block_size = block_size
        if hasattr(file, "close"):
            self.close: Callable[[], object] = file.close

    def __iter__(self) -> Iterator[bytes]:
        while data := self.file.read(self.block_size):
            yield data

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
