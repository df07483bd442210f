"""How long a client waits for a response: from the last byte of the request to the head, and in the body.

Takes a Connection that a request has been sent on; gives functions that receive.  Raises TimeoutError.  The system
takes a request long before it is all on the wire, so what it has not got rid of yet is waited for first: a slow
upload does not count.  Belongs to the request's thread.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from blockingio.client.connection import Connection
from blockingio.client.connect import Deadline
from blockingio.net.system import LONGEST_TIME
from blockingio.wire.source import TIMED_OUT

# The status of the BadMessage where the rest of something did not come in time.
TOO_LATE = 408

# Seconds between two looks at what has not been sent; nothing tells when it has.
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05


class HeadWait:
    """``receive`` for a response's head: all of it within so many seconds of the last byte sent, else TimeoutError.

    As long as the peer's system takes more of the request, the time has not begun.
    """

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection = connection
        self._receive = connection.channel.receive
        self._seconds = seconds
        self._deadline = Deadline(seconds)
        self._unsent = connection.channel.unsent()
        self._pause = _FIRST_PAUSE

    def receive(self, size: int) -> bytes:
        while self._unsent:
            try:
                data = receive_within(self._connection, self._deadline, self._receive, size, self._pause)
            except TIMED_OUT:
                self._look_again()
                continue
            self._unsent = 0  # it has begun to answer, whatever it still takes
            self._deadline = Deadline(self._seconds)
            return data
        return receive_within(self._connection, self._deadline, self._receive, size)

    def _look_again(self) -> None:
        """Whether there is less to be sent than before: then the time begins anew."""
        self._deadline.left()
        unsent = self._connection.channel.unsent()
        if unsent != self._unsent:
            self._unsent = unsent
            self._deadline = Deadline(self._seconds)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def receive_within(connection: Connection, deadline: Deadline, receive: Callable[[int], bytes], size: int,
                   pause: float = LONGEST_TIME) -> bytes:
    """TimeoutError where nothing came until the deadline, or for ``pause`` seconds."""
    left = deadline.left()
    assert left is not None  # it has an end
    connection.limit_waits(min(left, pause))
    return receive(size)


def receive_slowly(receive: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Byte by byte, so that nothing behind the head is read: it may be another protocol's."""
    return lambda size: receive(1)


def receive_now(receive: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """What has come, BlockingIOError for nothing; of a socket that does not wait, also by TLS."""
    def receive_what_is_there(size: int) -> bytes:
        try:
            return receive(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    return receive_what_is_there
