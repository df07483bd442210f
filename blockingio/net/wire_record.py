"""WireRecord: what a wire_log is told.  In a module of its own: dataclasses take long to load."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WireRecord:
    """Bytes that passed a connection, in the order in which they did.

    ``connection`` counts up from 1 in each server or client.  ``peer`` is address and port, "127.0.0.1:51234" or
    "[::1]:51234"; "-" on a Unix-domain socket.  ``direction`` is "in" or "out", or "open" and "close", which have no
    data; "open" comes before a TLS handshake.  ``data`` is as HTTP has it, before encryption, which ``is_tls`` tells.
    ``seconds`` are those since the connection was opened.  The record of a sent byte comes before that of anything the
    peer said in answer.
    """

    connection: int
    peer: str
    direction: str
    data: bytes
    seconds: float
    is_tls: bool
