"""The command line's access log: one line a request, coloured on a terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping
from threading import Lock
from typing import TextIO

from blockingio.server.access import AccessRecord

# By the status' first digit, as SGR parameters: green, cyan, yellow, red.
_COLOURS = {2: "32", 3: "36", 4: "33", 5: "1;31"}


# Answers that are given before anybody has looked at a password, or because it was wrong.
_UNCHECKED = (401, 421)


class RequestLog:
    """Writes a line for each record to a text stream; a server's ``access_log``.

    Any number of threads may call it: ``_lock`` keeps lines whole.  A stream whose reader has gone
    is no reason to stop serving, so the log falls silent then.
    """

    def __init__(self, stream: TextIO, *, colour: bool, user: str | None = None) -> None:
        """``user`` is the only one that gets in, None where anybody does."""
        self._stream = stream
        self._colour = colour
        self._user = user
        self._lock = Lock()
        self._silent = False

    def __call__(self, record: AccessRecord) -> None:
        if self._user is not None and record.status not in _UNCHECKED and "authorization" in record.request_headers:
            record.user = self._user
        line = record.common_log_line()
        if self._colour:
            line = self._coloured(line, record.status)
        with self._lock:
            if self._silent:
                return
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except OSError:
                self._silent = True

    def _coloured(self, line: str, status: int) -> str:
        colour = _COLOURS.get(status // 100)
        if colour is None:
            return line
        # Status, size and time are the last three, whatever the request's line holds.
        head, *tail = line.rsplit(" ", 3)
        return f"{head} \x1b[{colour}m{tail[0]}\x1b[0m {' '.join(tail[1:])}"


def wants_colour(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a stream is a terminal that shows colours, and nobody has said NO_COLOR (no-color.org)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
