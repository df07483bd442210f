"""An end that clients do not notice: a client that has asked, or is about to ask, still gets an answer.

Runs on the thread that ends the server, behind the last connection that is accepted and before ``close()``.
"""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockingio.server.connection import Connection
    from blockingio.server.state import ServerState

# Seconds that a connection which has had no answer yet may take to ask; browsers open some that they never use.
FIRST_REQUEST_TIME = 5.0

# Seconds for a request that is on its way on a connection which has had an answer.
NEXT_REQUEST_TIME = 0.5

# Seconds between two looks at the connections.
_LOOK_EVERY = 0.02


def let_finish(state: ServerState, seconds: float) -> None:
    """Returns once all connections have ended, or the time is up.

    Each answer from now on is the last one of its connection, and says so.
    """
    state.keeps_connections = False
    begin = monotonic()
    while state.connections and (waited := monotonic() - begin) < seconds:
        for connection in list(state.connections):
            if _is_over(connection, waited):
                connection.cut("the server was closed")
        sleep(_LOOK_EVERY)


def _is_over(connection: Connection, waited: float) -> bool:
    """Whether this connection's client waits for nothing."""
    if not connection.is_idle or connection.hands_over or connection.is_last:
        return False
    limit = FIRST_REQUEST_TIME if connection.idle_since == connection.opened_at else NEXT_REQUEST_TIME
    return waited >= limit and not connection.channel.has_input()
