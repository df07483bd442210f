"""Sending a request while its server may answer already (RFC 9112 9.5).

Takes bytes that are framed, and a function that reads as much of the response's head as has come; sends, and knows
afterwards whether the server wants no more.  A final answer of 400 or above, or one with Connection: close, stops
it.  Any other answer may be made from what is being sent (an echo, a filter): then both sides go on, and what
would not fit the system's buffers is kept here, as the server could not send it and would not read.

Raises OSError where the connection breaks, and HttpException.  Belongs to the request's thread.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

from blockingio.client.connection import Connection
from blockingio.errors import HttpException
from blockingio.net.system import READABLE, WRITABLE, wait_for
from blockingio.wire.body import has_body
from blockingio.wire.head import Fields
from blockingio.wire.limits import BODY_RECEIVE_SIZE, MIB

Head = tuple[str, int, str, Fields]

# Seconds that a server which has answered may take nothing more of the request: where its answer is whole, as
# it has nothing to wait for, and where it is not, as it may be busy with what it got.
_PATIENCE_ANSWERED: Final = 2.0
_PATIENCE_ANSWERING: Final = 20.0

# Bytes of a response that are kept while its request is being sent, beyond as many as have been sent: a filter
# gives about as much as it takes.
_AHEAD_SIZE: Final = 64 * MIB


class Upload:
    def __init__(self, connection: Connection, method: str, read_head: Callable[[], Head | None],
                 fail: Callable[[str], HttpException]) -> None:
        self.head: Head | None = None  # the final response's, where it came before all was sent
        self.is_stopped = False  # nothing more is to be sent
        self._connection = connection
        self._method = method
        self._read_head = read_head  # without waiting; None: it is not whole yet
        self._fail = fail
        self._sent = 0
        self._is_at_end = False  # of the server's side
        self._wanted = WRITABLE  # what sending waits for; TLS may have to read first

    @property
    def is_clean(self) -> bool:
        """Whether the connection is as after any other request: all was sent, and nothing taken off it."""
        return not self.is_stopped and not self._connection.ahead

    def send(self, data: bytes) -> None:
        """Send all of it, unless the answer stops it."""
        sock = self._connection.channel.socket
        timeout = sock.gettimeout()
        sock.settimeout(0)
        try:
            self._send(memoryview(data), timeout)
        finally:
            sock.settimeout(timeout)

    def _send(self, view: memoryview, timeout: float | None) -> None:
        while True:
            if self.head is None and self._connection.has_input():
                self._take_head()
            if self.is_stopped:
                return
            sent = self._send_some(view)
            self._sent += sent
            view = view[sent:]
            if not view:
                return
            if not sent:
                self._wait(timeout)

    def _send_some(self, view: memoryview) -> int:
        self._wanted = WRITABLE
        try:
            return self._connection.send_some(view)
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0
        except ssl.SSLWantReadError:
            self._wanted = READABLE
            return 0

    def _take_head(self) -> None:
        self.head = self._read_head()
        if self.head is not None:
            _, status, _, fields = self.head
            self.is_stopped = status >= 400 or b"close" in fields.connection

    def _wait(self, timeout: float | None) -> None:
        """Until something can be sent, or something came that is to be looked at."""
        if self.head is not None:
            timeout = _PATIENCE_ANSWERED if self._is_answer_whole() else _PATIENCE_ANSWERING
        found = wait_for(self._connection.channel.socket, self._wanted | (0 if self._is_at_end else READABLE), timeout)
        if not found:
            self._end_waiting(timeout)
        elif self.head is not None and found == READABLE:
            self._read_ahead()

    def _end_waiting(self, timeout: float | None) -> None:
        """Nothing was taken for so long."""
        if self.head is None:
            raise TimeoutError(f"the server took nothing for {timeout} seconds")
        if not self._is_answer_whole():
            raise self._fail(f"the server began to answer, and took no more of the request for {timeout:g} seconds")
        self.is_stopped = True

    def _read_ahead(self) -> None:
        """Take what has come of the response's body, so that the server can go on."""
        connection = self._connection
        try:
            data = connection.channel.receive(BODY_RECEIVE_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        if not data:
            self._is_at_end = True
            return
        connection.keep_ahead(data)
        if connection.ahead_size > _AHEAD_SIZE + self._sent:
            raise self._fail(f"{connection.ahead_size} bytes of the response came before the request was sent, "
                             f"expected no more than {_AHEAD_SIZE + self._sent}")

    def _is_answer_whole(self) -> bool:
        """Whether all of the response is here; a chunked one is only looked at from its end."""
        assert self.head is not None
        _, status, _, fields = self.head
        if self._is_at_end or not has_body(self._method, status):
            return True
        connection = self._connection
        pending = connection.source.pending
        if fields.chunked:
            return b"".join([pending, *list(connection.ahead)[-5:]]).endswith(b"0\r\n\r\n")
        return 0 <= fields.content_length <= len(pending) + connection.ahead_size
