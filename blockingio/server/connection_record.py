"""ConnectionRecord: what ``HttpServer.connections`` tells of each connection, and the table that a list of them prints.

How a connection is looked at is connection_view's.
"""

from __future__ import annotations

from typing import Any, TypeAlias

# Connections that have ended and are remembered.
ENDED_COUNT = 100


class ConnectionRecord:
    """One connection, at one moment; one that has ended, at its end.

    ``peer`` is "127.0.0.1:51234", "-" on a Unix-domain socket; ``state`` "handshake", "head", "body", "response",
    "idle", "closing", "detached" or "ended"; ``age`` seconds since it was accepted; ``requests`` how many came on it;
    ``bytes_in`` and ``bytes_out`` as HTTP has them, before encryption.  ``waits_for`` is what its next step needs, ""
    where it has none, ``due`` seconds until that wait is given up, None: never.  ``ended`` says why it ended, "" while
    it is open.
    """

    __slots__ = ("peer", "state", "age", "requests", "bytes_in", "bytes_out", "waits_for", "due", "ended")

    def __init__(self, peer: str, state: str, age: float, requests: int, bytes_in: int, bytes_out: int,
                 waits_for: str = "", due: float | None = None, ended: str = "") -> None:
        self.peer = peer
        self.state = state
        self.age = age
        self.requests = requests
        self.bytes_in = bytes_in
        self.bytes_out = bytes_out
        self.waits_for = waits_for
        self.due = due
        self.ended = ended

    def __repr__(self) -> str:
        return f"<ConnectionRecord {' '.join(filter(None, _row(self)))}>"


class ConnectionTable(list[ConnectionRecord]):
    """A list of ConnectionRecords that is printed as a table."""

    def __repr__(self) -> str:
        if not self:
            return "no connections"
        rows = [_HEADING, *map(_row, self)]
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join("  ".join(cell.rjust(width) if name in _NUMBERS else cell.ljust(width)
                                   for name, cell, width in zip(_HEADING, row, widths)).rstrip() for row in rows)

    __str__ = __repr__


_HEADING = ("peer", "state", "age", "requests", "bytes in", "bytes out", "waits for", "due", "ended")
_NUMBERS = frozenset(("age", "requests", "bytes in", "bytes out", "due"))


def _row(record: ConnectionRecord) -> tuple[str, ...]:
    due = "" if record.due is None else f"{record.due:.1f} s"
    return (record.peer, record.state, f"{record.age:.1f} s", str(record.requests), str(record.bytes_in),
            str(record.bytes_out), record.waits_for, due, record.ended)


# What is kept of a connection that has ended, no socket and no buffer of it: peer, when it was accepted and when it
# ended on the monotonic clock, whether it was detached, requests, bytes in and out, and why it ended.  A plain tuple:
# it costs a connection's end no call.
EndedValues: TypeAlias = tuple[Any, float, float, bool, int, int, int, str]
