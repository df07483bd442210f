"""WireRecord: what a wire_log is told.  In a module of its own: dataclasses take long to load."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WireRecord:
    """Bytes that passed a connection, in the order in which they did.

    ``direction`` is "in" or "out", or "open" and "close", which have no data; "open" comes before a TLS handshake.
    The record of a sent byte comes before that of anything the peer said in answer.
    """

    connection: int
    """Counts up from 1 in each server or client."""
    peer: str
    """Address and port, "127.0.0.1:51234" or "[::1]:51234"; "-" on a Unix-domain socket."""
    direction: str
    data: bytes
    """As HTTP has them: before encryption."""
    seconds: float
    """Since the connection was opened."""
    is_tls: bool
