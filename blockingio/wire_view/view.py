"""WireView: a wire_log that writes what passes for people to read."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from threading import RLock
from typing import TYPE_CHECKING, TextIO

from blockingio.values.terminal import wants_colour
from blockingio.wire_view.body import Line
from blockingio.wire_view.reader import Reader, Talk
from blockingio.wire_view.text import printable

if TYPE_CHECKING:
    from blockingio.net.wire_record import WireRecord

# Columns in front of a remark that stands beside a line.
_MARGIN = 48

_ARROWS = {"in": "<-", "out": "->"}
_COLOURS = {"in": "36", "out": "32"}  # cyan and green (ECMA-48, SGR)
_FAINT = "2"


class WireView:
    """A ``wire_log`` for people: each line of a head as it is, with CR and LF visible, and remarks on what it means.

    A line names its connection, the direction, "<-" is received and "->" sent, and the seconds since the connection was
    opened.  Behind "|" stands what passed, behind "*" a remark; lines of a body end where it has LF, and after
    ``body_limit`` characters its rest is only counted.  A body with a Content-Encoding is not decoded, only measured.

    ``stream`` None: stderr.  ``colour`` None: on a terminal, unless NO_COLOR is set.  ``secrets``: show what stands in
    Authorization, Proxy-Authorization, Cookie and Set-Cookie, and passwords in URLs; in bodies nothing is hidden.
    What a terminal would take for a command is escaped.  For any number of threads; of several servers or clients each
    gets a view of its own, as each counts its connections from 1.
    """

    def __init__(self, stream: TextIO | None = None, *, colour: bool | None = None, secrets: bool = False,
                 body_limit: int = 1024) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._colour = wants_colour(self._stream) if colour is None else colour
        self._secrets = secrets
        if not isinstance(body_limit, int) or body_limit < 0:
            raise ValueError(f"body_limit cannot be {body_limit!r}, expected a number of characters")
        self._body_limit = body_limit
        # Guards the rest.  Reentrant: the garbage collector may close a connection, and so tell of it, meanwhile.
        self._lock = RLock()
        self._waiting: deque[WireRecord] = deque()
        self._is_writing = False
        self._connections: dict[tuple[int, str], _Connection] = {}

    def __call__(self, record: WireRecord) -> None:
        """Write the lines that are whole by this record.  Raises what the stream does."""
        with self._lock:
            self._waiting.append(record)
            if self._is_writing:
                return  # the thread that writes takes it too
            self._is_writing = True
            try:
                while self._waiting:
                    self._write(self._waiting.popleft())
            finally:
                self._is_writing = False

    def _write(self, record: WireRecord) -> None:
        """All lines in one write: those of another process may stand between, and not within."""
        key = record.connection, record.peer  # so that a server and its client may share a view
        connection = self._connections.get(key)
        if connection is None:
            connection = self._connections[key] = _Connection(self._body_limit, self._secrets)
        if record.direction == "close":
            del self._connections[key]
        if lines := [self._formatted(record, direction, line) for direction, line in connection.lines(record)]:
            self._stream.write(_encodable("".join(lines), self._stream))
            self._stream.flush()

    def _formatted(self, record: WireRecord, direction: str, line: Line) -> str:
        arrow = self._coloured(_ARROWS.get(direction, "--"), _COLOURS.get(direction, _FAINT))
        begin = f"#{record.connection} {arrow} {record.seconds:9.4f} "
        if line.text is None:
            return f"{begin}{self._coloured(f'* {line.remark}', _FAINT)}\n"
        text = f"{line.text}{self._coloured(line.ending, _FAINT)}"
        if not line.remark:
            return f"{begin}| {text}\n"
        gap = " " * max(_MARGIN - len(line.text) - len(line.ending), 2)
        return f"{begin}| {text}{gap}{self._coloured(f'* {line.remark}', _FAINT)}\n"

    def _coloured(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and text else text


class _Connection:
    """One connection: a reader for each direction.  The first bytes tell which end is the server."""

    def __init__(self, body_limit: int, secrets: bool) -> None:
        self._body_limit = body_limit
        self._secrets = secrets
        self._readers: dict[str, Reader] = {}

    def lines(self, record: WireRecord) -> Iterator[tuple[str, Line]]:
        """Those of a record, each with its direction."""
        if record.direction == "open":
            tls = ", TLS" if record.is_tls else ""
            yield "open", Line(None, remark=f"open: {printable(record.peer)}{tls}")
        elif record.direction == "close":
            for direction, reader in self._readers.items():
                for line in reader.end():
                    yield direction, line
            yield "close", Line(None, remark="close")
        else:
            if not self._readers:
                self._begin(record)
            for line in self._readers[record.direction].feed(record.data):
                yield record.direction, line

    def _begin(self, record: WireRecord) -> None:
        talk = Talk()
        answers = record.data.startswith(b"HTTP/1.")
        for direction in ("in", "out"):
            self._readers[direction] = Reader(talk, of_requests=(direction == record.direction) != answers,
                                              body_limit=self._body_limit, secrets=self._secrets)


def _encodable(text: str, stream: TextIO) -> str:
    """With an escape for what the stream's encoding lacks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text if text.isascii() else text.encode(encoding, "backslashreplace").decode(encoding)
