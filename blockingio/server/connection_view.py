"""Looks at the connections of a server for ``HttpServer.connections``.

From any thread, while theirs go on: each value was true a moment ago, and two of them need not be of the same moment.
"""

from __future__ import annotations

from math import inf
from time import monotonic

from blockingio.net.address import shown_peer
from blockingio.server.connection import Connection
from blockingio.server.connection_record import ConnectionRecord, ConnectionTable
from blockingio.server.state import ServerState
from blockingio.wire.limits import LINGER_TIME


def connection_table(state: ServerState) -> ConnectionTable:
    """Those that are open, oldest first, then those that have ended, in the order in which they did."""
    connections = list(state.connections)
    ended = state.ended.copy()
    # One that ends between the two looks is in both.
    over = {(peer, accepted_at) for peer, accepted_at, *_ in ended}
    table = ConnectionTable(_open_record(connection)
                            for connection in sorted(connections, key=lambda connection: connection.accepted_at)
                            if (connection.peer, connection.accepted_at) not in over)
    table += [ConnectionRecord(shown_peer(peer), "detached" if is_detached else "ended", ended_at - accepted_at,
                               requests, bytes_in, bytes_out, ended=reason)
              for peer, accepted_at, ended_at, is_detached, requests, bytes_in, bytes_out, reason in ended]
    return table


def _open_record(connection: Connection) -> ConnectionRecord:
    state, waits_for, due = _situation(connection)
    now = monotonic()  # behind that look: what has begun meanwhile is not to have more time than its limit
    left = None if due is None or due == inf else max(due - now, 0.0)
    requests, received = connection.source.counts()
    return ConnectionRecord(shown_peer(connection.peer), state, now - connection.accepted_at, requests, received,
                            connection.channel.sent, waits_for, left)


def _situation(connection: Connection) -> tuple[str, str, float | None]:
    """State, what is waited for, and when that ends on the monotonic clock, None: never."""
    if connection.is_shaking_hands:
        return "handshake", "the TLS handshake", connection.handshake_due
    body, pace, queue = connection.body, connection.pace, connection.send_queue
    if queue is not None and queue.busy:
        return "response", "the client to take the response", queue.due
    if connection.is_last:  # then its thread may hold the writing half
        return "closing", "the client to close", connection.idle_since + LINGER_TIME
    if connection.is_open:
        if pace is not None and pace.is_waiting:
            return "body", "the rest of a request's body", pace.due
        return "response", "the handler's response", None
    if body is not None and not (body.finished or body.failed):
        return "body", "the rest of a request's body", None if pace is None else pace.due
    if connection.head_due is not None:
        return "head", "the rest of a request's head", connection.head_due
    limit = connection.state.idle_timeout
    waits_for = "the next request" if connection.source.counts()[0] else "the first request"
    return "idle", waits_for, None if limit is None else connection.idle_since + limit
