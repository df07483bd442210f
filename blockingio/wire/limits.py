"""Every bound on what a peer may make us hold, do or wait for: unit, default, reason.

The first group are defaults of settings that a server's owner can change; the
rest are fixed, because no honest peer comes near them.
"""

from __future__ import annotations

from typing import NamedTuple

from blockingio.values.checks import check, is_bound, is_size

KIB = 1024
MIB = 1024 * KIB

# Bytes asked of the kernel at once: for a head (nearly all fit; small, because each idle
# connection holds a buffer of this size while it waits) and for a body.
HEAD_RECEIVE_SIZE = 4 * KIB
BODY_RECEIVE_SIZE = 64 * KIB

# Connections of a server up to which a body of at most BODY_RECEIVE_SIZE that has come is received before its handler
# asks for it: 64 MiB of all of them.  With more of them bodies wait in the kernel, within what it allows itself.
BODIES_AHEAD = 1024

# Bytes asked of the kernel at once for a body that goes to a file: a large one needs fewer calls then.
FILE_RECEIVE_SIZE = 256 * KIB

# Bytes of output held back so that head and body leave in one write, with a Content-Length.
OUTPUT_BUFFER_SIZE = 64 * KIB

# Bytes of output in one piece that are not copied to be joined with their head and framing, nor while they wait.
LARGE_PIECE_SIZE = 64 * KIB

# Bytes of memory that may wait for slow readers: all of a server's together; and what one response may have before
# the thread that writes it waits for its client, once half of that is used.
SEND_QUEUES_SIZE = 256 * MIB
SEND_QUEUE_SIZE = 8 * MIB

# Seconds for which a writer waits for its client, and bytes that the client has to take in them.
STALL_TIME = 1.0
STALL_SIZE = 16 * KIB

# Bytes of an unread body that are read away to save the connection; past it a new one is cheaper.
DRAIN_SIZE = 256 * KIB

# Seconds that a body has in any case before it must have kept up its minimum rate: enough for a client
# that begins slowly, or is lost in a tunnel for a moment.
BODY_GRACE = 20.0

# Seconds that input is still read away after our last byte, so that a reset does not
# overtake the answer (RFC 9112 9.6).
LINGER_TIME = 2.0

# Bytes of one chunk-size line with its extensions, and of all extensions of one body beyond what its data is
# worth: few use them (signatures of chunks are such), but they could make a body that is nearly all overhead.
# So many bytes of a chunk's data pay for one byte of extensions; Go's net/http counts in a like way.
CHUNK_LINE_SIZE = 4 * KIB
CHUNK_EXTENSIONS_SIZE = 16 * KIB
CHUNK_DATA_RATE = 8

# Chunks of a body that are given one by one, as they came: some peers send a thing in each.  From then on small
# ones are given together: a step of Python for each byte would make a body of tiny chunks costly.
CHUNKS_ALONE = 100

# Bytes of a request line beside its target: method, blanks, version.
REQUEST_LINE_REST = 256

# Decimal digits of a Content-Length that can be meant: 18 are an exabyte.
CONTENT_LENGTH_DIGITS = 18


class Limits(NamedTuple):
    """What one message may take.  A status in brackets is the server's answer to more."""

    max_header_size: int = 64 * KIB  # bytes of a header section (431)
    max_header_count: int = 128  # fields in it (431)
    max_target_length: int = 16 * KIB  # bytes of a request target (414)
    max_body_size: int | None = None  # bytes of a body (413); None: any

    def changed(self, name: str, value: int | None) -> Limits:
        """These with another one; ValueError for a value that is no limit."""
        # Heads are kept in memory, so they have a limit at any time.
        check(name, value, is_bound if name == "max_body_size" else is_size)
        return self._replace(**{name: value})  # type: ignore[arg-type]


DEFAULT_LIMITS = Limits()
