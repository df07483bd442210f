"""The secrets of TLS connections as lines of an NSS key log, for Wireshark and the like.

Python's ssl gives them to a file only.  So a context that is to be logged gets a file that no
other user can open and that has no name any more, and the new lines are read from it after each
handshake.  A context has one log, also where several clients share it: each line is given out once.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from threading import Lock
from weakref import WeakKeyDictionary

from blockingio.net.system import O_READ, read_at

# Bytes of log read at once; a handshake makes about one thousand.
_READ_SIZE = 64 * 1024


class KeyLog:
    """The log of one context, from when it was made on; for any thread."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._lock = Lock()
        if context.keylog_filename is not None:
            # The user logs into a file already: what is added to it is read there.
            self._descriptor = os.open(context.keylog_filename, O_READ)
            self._read_to = os.fstat(self._descriptor).st_size
        else:
            self._descriptor, path = tempfile.mkstemp(prefix="blockingio")  # made with mode 0600
            self._read_to = 0
            try:
                context.keylog_filename = path  # opens it at once ...
            finally:
                self._unlink(path, context)  # ... so that it needs no name

    def _unlink(self, path: str, context: ssl.SSLContext) -> None:
        """OSError where a file that is open keeps its name, as on Windows: the secrets would stay on the disk."""
        try:
            os.unlink(path)
        except PermissionError as error:
            context.keylog_filename = None  # type: ignore[assignment]  # typeshed knows no None
            os.close(self._descriptor)
            del self._descriptor
            os.unlink(path)
            raise OSError(error.errno, "key_log: this system keeps the name of a file that is open; expected an "
                                       "ssl.SSLContext whose keylog_filename is a file of your own") from None

    def new_lines(self) -> list[str]:
        """The lines that came since the last call, each with its line feed; comments are left out."""
        with self._lock:
            data = b""
            while more := read_at(self._descriptor, _READ_SIZE, self._read_to + len(data)):
                data += more
            data = data[: data.rfind(b"\n") + 1]
            self._read_to += len(data)
        lines = data.decode("ascii", "replace").splitlines(keepends=True)
        return [line for line in lines if not line.startswith("#")]

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)


_lock = Lock()
_logs: WeakKeyDictionary[ssl.SSLContext, KeyLog] = WeakKeyDictionary()  # guarded by _lock


def key_log_of(context: ssl.SSLContext) -> KeyLog:
    """The log of that context, which is switched on where it was not.  Raises OSError."""
    with _lock:
        log = _logs.get(context)
        if log is None:
            log = _logs[context] = KeyLog(context)
        return log
