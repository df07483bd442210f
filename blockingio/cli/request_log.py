"""The commands' access log: a line for each request, to a stream or a file, coloured on a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Lock
from time import sleep
from typing import TextIO

from blockingio.cli.log_file import LogFile
from blockingio.cli.log_format import LogFormat, common
from blockingio.server.access import AccessRecord
from blockingio.stream.thread import Thread

# By the status' first digit, as SGR parameters: green, cyan, yellow, red.
_COLOURS = {2: "32", 3: "36", 4: "33", 5: "1;31"}

# Answers that are given before the password was looked at, or because it was wrong.
_UNCHECKED = (401, 421)

# Lines that wait for the log's reader at most: some seconds of a busy server, and about a megabyte.
MOST_LINES = 10_000

# Bytes that a pipe takes without those of another writer among them (PIPE_BUF), at least.
_PIPE_PIECE = 4096

# Lines that are written in one go at most.
_BATCH = 1000

# Seconds that the first of them waits for more: no reader notices, and to wake the writing thread for each line would
# cost a busy server as much as the request.
_GATHERING_TIME = 0.01


class RequestLog:
    """Writes a line for each record to a text stream or a file; a server's ``access_log``.

    Any number of threads may call it, and none of them waits: a thread of its own writes, and what that cannot get
    rid of waits in a queue.  Where the queue is full, lines are dropped and counted; the log says so where they are
    missing.  A stream whose reader has gone is no reason to stop serving, so the log falls silent then.
    """

    def __init__(self, target: TextIO | LogFile, *, colour: bool = False, user: str | None = None,
                 sender: str | None = None, line_of: LogFormat = common) -> None:
        """``user``: the only name that is let in, None: there is no such rule; ``sender``: the same for POST and PUT,
        where that is another one.  A file is closed by the log.
        """
        self._file = target if isinstance(target, LogFile) else None
        self._write = target.write if isinstance(target, LogFile) else _writer_to(target)
        self._colour = colour
        self._user = user
        self._sender = sender or user
        self._line_of = line_of
        self._lines: SimpleQueue[str | None] = SimpleQueue()  # None: the end
        self._lock = Lock()  # guards _dropped
        self._dropped = 0
        self._silent = False  # set once, by the writing thread where its output has no reader any more, or by close()
        # A daemon: it may be stuck in a write for ever, and holds nothing that others wait for.
        self._thread = Thread(self._work, name="blockingio log", lost=self._fall_silent)
        self._thread.start()

    def __call__(self, record: AccessRecord) -> None:
        if self._silent:
            return
        user = self._sender if record.method in ("POST", "PUT") else self._user
        if user is not None and record.status not in _UNCHECKED and "authorization" in record.request_headers:
            record.user = user
        line = self._line_of(record, self._shown(record.status))
        # Several threads may find the last place free at once: then there are as many lines more.
        if self._lines.qsize() >= MOST_LINES:
            with self._lock:
                self._dropped += 1
            return
        self._note_dropped()
        self._lines.put(line)

    def close(self, seconds: float) -> None:
        """Write what waits, for so long at most; what comes later is not written.  Call it once."""
        self._silent = True
        self._note_dropped()
        self._lines.put(None)
        self._thread.join(seconds)

    def _note_dropped(self) -> None:
        """In the place of those that are missing."""
        if self._dropped:
            with self._lock:
                dropped, self._dropped = self._dropped, 0
            if dropped:
                self._lines.put(f"# {dropped} line{'s' if dropped > 1 else ''} dropped: the log was not read in time")

    def _fall_silent(self, error: Exception) -> None:
        """The writing thread did not come up."""
        self._silent = True
        if self._file is not None:
            self._file.close()

    def _work(self) -> None:
        """The writing thread; the file is its own."""
        ends = False
        try:
            while not ends:
                lines, ends = self._next_lines()
                self._write("".join([line + "\n" for line in lines]))
        except OSError:
            self._silent = True
        finally:
            if self._file is not None:
                self._file.close()

    def _next_lines(self) -> tuple[list[str], bool]:
        """Those that wait, a batch at most, or the next one that comes and what follows it closely; and whether these
        are the last."""
        lines: list[str] = []
        try:
            while len(lines) < _BATCH:
                if len(lines) == 1 and not self._silent and self._lines.empty():
                    sleep(_GATHERING_TIME)
                line = self._lines.get(block=not lines)
                if line is None:
                    return lines, True
                lines.append(line)
        except Empty:
            self._note_dropped()
        return lines, False

    def _shown(self, status: int) -> str:
        colour = _COLOURS.get(status // 100) if self._colour else None
        return str(status) if colour is None else f"\x1b[{colour}m{status}\x1b[0m"


def _writer_to(stream: TextIO) -> Callable[[str], object]:
    """What writes text to a stream, all of it and at once.

    To the system's file below where there is one: a thread that is stuck in the stream's own write would hold its
    lock, which the interpreter wants on its way out.
    """
    try:
        descriptor = stream.fileno()
    except OSError:  # it is in memory
        return stream.write

    def write(text: str) -> None:
        data = text.encode("ascii", "backslashreplace")
        while data:
            # Whole lines, and no more than a pipe takes in one piece: other processes may write to it too.
            end = len(data)
            if end > _PIPE_PIECE:
                end = data.rfind(b"\n", 0, _PIPE_PIECE) + 1 or end
            data = data[os.write(descriptor, data[:end]) :]

    return write
