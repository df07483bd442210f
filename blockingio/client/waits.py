"""How long a client waits for a response: from the last byte of the request to the head, and in the body.

Takes a Connection that a request has been sent on; gives functions that receive.  Raises TimeoutError.  The system
takes a request long before it is all on the wire, so what it has not got rid of yet is waited for first:
a slow upload does not count.  Belongs to the request's thread.
"""

from __future__ import annotations

import ssl
import struct
from collections.abc import Callable

from blockingio.client.connection import Connection
from blockingio.client.connect import Deadline

try:
    from fcntl import ioctl
    from termios import TIOCOUTQ
except ImportError:  # Windows: then the time counts from when the system took the last byte
    TIOCOUTQ = None  # type: ignore[assignment]

# The status of the BadMessage where the rest of something did not come in time.
TOO_LATE = 408

# Seconds between two looks at what has not been sent; nothing tells when it has.
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05


def wait_until_sent(connection: Connection, seconds: float) -> None:
    """Until the peer's system has all of the request, or something comes from it.

    TimeoutError where nothing more of it was taken for so many seconds.
    """
    left = _unsent(connection)
    deadline = Deadline(seconds)
    pause = _FIRST_PAUSE
    while left and not connection.has_input(pause):
        deadline.left()
        now_left = _unsent(connection)
        if now_left != left:
            left = now_left
            deadline = Deadline(seconds)
        pause = min(2 * pause, _LONGEST_PAUSE)


def receive_within(connection: Connection, seconds: float) -> Callable[[int], bytes]:
    """A ``receive`` for all of something: TimeoutError, or BlockingIOError, once that time is over."""
    deadline = Deadline(seconds)
    receive = connection.channel.receive

    def receive_in_time(size: int) -> bytes:
        left = deadline.left()
        assert left is not None
        connection.limit_waits(left)
        return receive(size)

    return receive_in_time


def receive_slowly(receive: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Byte by byte, so that nothing is read that may be meant for somebody else."""
    return lambda size: receive(1)


def receive_now(receive: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """What has come, BlockingIOError for nothing; of a socket that does not wait, also by TLS."""
    def receive_what_is_there(size: int) -> bytes:
        try:
            return receive(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    return receive_what_is_there


def _unsent(connection: Connection) -> int:
    """Bytes that the peer's system has not acknowledged, as far as this one tells."""
    if TIOCOUTQ is None:
        return 0
    try:
        answer = ioctl(connection.channel.socket.fileno(), TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0  # it is no socket that knows, or is closed
    return int(struct.unpack("@i", answer)[0])
