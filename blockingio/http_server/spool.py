"""A file of a form in a temporary file instead of in memory, once it has shown to be large.

Takes the part's chunks, gives bytes or an open file.  The file has no name on disk (on Windows
it goes when it is closed), and is closed when the last reference to it goes: so it is left over
by nothing that goes wrong, nor by a killed program.  Raises OSError, and what the chunks raise.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterable
from itertools import chain

from blockingio.net.file_output import write_pieces

# Bytes up to which a file stays in memory: what people send by the dozen is smaller (1 MiB).
MOST_IN_MEMORY = 1024 * 1024

# Where to keep files: None and False nowhere, True in the system's directory for temporary files.
Spool = bool | str | os.PathLike[str] | None


class SpooledFile(io.BufferedReader):
    """An open temporary file of ``size`` bytes.  Closes itself without a word when it is dropped."""

    size: int

    def __del__(self) -> None:
        self.close()


def check_spool(spool: Spool) -> None:
    """Raises TypeError unless it is a directory, a bool or None."""
    if spool is not None and not isinstance(spool, (bool, str, os.PathLike)):
        raise TypeError(f"expected a directory, True or None as spool, found {spool!r}")


def gather_or_spool(chunks: Iterable[bytes], spool: bool | str | os.PathLike[str]) -> bytes | SpooledFile:
    """All of the bytes, in a file at its beginning where they are over MOST_IN_MEMORY."""
    rest = iter(chunks)
    begin = io.BytesIO()
    for chunk in rest:
        begin.write(chunk)
        if begin.tell() > MOST_IN_MEMORY:
            return _spool(chain((begin.getvalue(),), rest), None if isinstance(spool, bool) else os.fspath(spool))
    return begin.getvalue()


def _spool(chunks: Iterable[bytes], directory: str | None) -> SpooledFile:
    raw = tempfile.TemporaryFile(buffering=0, dir=directory)
    try:
        size = write_pieces(chunks, raw.fileno())
        raw.seek(0)
        file = SpooledFile(raw)
    except BaseException:
        raw.close()
        raise
    file.size = size
    return file
