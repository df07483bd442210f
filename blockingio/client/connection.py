"""One connection of a client: made, used by one request after the other, looked at, cut.

It belongs to the thread that holds its lease; only ``cut`` is for any thread.  Between its making and
``begin`` its sockets are held here, so that ``cut`` reaches a connection that is still being made.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import RLock

from blockingio.client.detached import with_bytes_ahead
from blockingio.errors import HttpException
from blockingio.net.address import HttpConnectionInfo
from blockingio.net.channel import Channel
from blockingio.net.system import LONGEST_TIME, input_watch
from blockingio.net.wire_log import WireTap
from blockingio.net.x509 import X509Certificate
from blockingio.wire.body import Body
from blockingio.wire.head import Fields
from blockingio.wire.limits import DRAIN_SIZE, Limits
from blockingio.wire.source import LenientSource


class Connection:
    __slots__ = ("idle_until", "cut_reason", "channel", "source", "info", "seen_line", "seen_status",
                 "seen_fields", "seen_limits", "_der", "_certificate", "_guard", "_held", "_wait_for_input", "ahead",
                 "ahead_size", "is_limited", "_own_timeout", "tap", "send", "send_some")

    channel: Channel  # these from begin() on
    source: LenientSource
    info: HttpConnectionInfo
    send: Callable[[bytes], object]  # all of it; raises OSError
    send_some: Callable[[bytes | memoryview], int]  # what the socket takes, as socket.send

    def __init__(self) -> None:
        self.idle_until = 0.0  # the pool's
        self.cut_reason: str | None = None
        # The last status line and header section, and what was made of them: servers repeat themselves.
        self.seen_line = b""
        self.seen_status = ("", 0, "")
        self.seen_fields: Fields | None = None
        self.seen_limits: Limits | None = None  # that they were held to
        self._der: bytes | None = None
        self._certificate: X509Certificate | None = None
        # Between cut() and what it cuts.  Reentrant, because a finalizer may close in the midst of it.
        self._guard = RLock()
        self._held: list[socket.socket | Channel] = []
        # Received while a request was still being sent.  Such a connection is not used again.
        self.ahead: deque[bytes] = deque()
        self.ahead_size = 0  # bytes that were ever there
        self.is_limited = False  # how long its socket waits is not its own affair
        self._own_timeout: float | None = None
        self.tap: WireTap | None = None  # what tells a wire_log of its present socket

    def hold(self, sock: socket.socket | Channel) -> None:
        """From now on ``cut`` and ``close`` concern it.  HttpException where it is too late: it is closed."""
        with self._guard:
            if self.cut_reason is None:
                self._held.append(sock)
                return
        sock.close()
        raise HttpException(self.cut_reason)

    def drop(self, sock: socket.socket | Channel) -> None:
        """Close one that is held."""
        self._tell_the_end()
        with self._guard:
            self._held.remove(sock)
            sock.close()

    def be_told_of(self, tap: WireTap | None) -> None:
        """A wire_log is to know of the socket that has just been connected."""
        self.tap = tap
        if tap is not None:
            tap.open()

    def _tell_the_end(self) -> None:
        if self.tap is not None:
            self.tap.close()

    def pass_on(self, sock: socket.socket) -> None:
        """It is about to be wrapped by another one, which is to be held."""
        with self._guard:
            self._held.remove(sock)

    def begin(self, channel: Channel, der: bytes | None) -> None:
        """``channel``, which is held, is ready for the first request; ``der``: the server's certificate."""
        sock = channel.socket
        remote, local = sock.getpeername(), sock.getsockname()
        self.info = HttpConnectionInfo.from_socket_addresses(sock.family, remote, local)
        self.channel = channel
        tap = self.tap
        if tap is None:
            self.send, self.send_some = sock.sendall, sock.send
        else:
            self.send, self.send_some = tap.sending_all(sock.send), tap.sending(sock.send)
            channel.receive = tap.receiving(channel.receive)
        self.source = LenientSource(channel.receive)
        self._der = der
        self._wait_for_input = input_watch(sock)

    @property
    def certificate(self) -> X509Certificate | None:
        """The server's, None without TLS.  Outlives the connection."""
        if self._certificate is None and self._der is not None:
            self._certificate = X509Certificate.from_der(self._der)
        return self._certificate

    def receive_by(self, receive: Callable[[int], bytes] | None) -> None:
        """How the source gets its bytes from now on; None: as they come."""
        self.source.receive_from(receive or self.channel.receive)

    def has_input(self) -> bool:
        """Whether something came, the end of input too."""
        return bool(self._wait_for_input(0))

    def keep_ahead(self, data: bytes) -> None:
        """Keep what was received before its turn: the source gets it before what comes after."""
        if not self.ahead:
            self.receive_by(self._receive_ahead)
        self.ahead.append(data)
        self.ahead_size += len(data)

    def _receive_ahead(self, size: int) -> bytes:
        if not self.ahead:
            return self.channel.receive(size)
        data = self.ahead.popleft()
        if len(data) > size:
            self.ahead.appendleft(data[size:])
        return data[:size]

    def limit_waits(self, seconds: float) -> None:
        """Each receive waits so long at most, or as long as the socket had been told, until ``lift_limit``."""
        sock = self.channel.socket
        if not self.is_limited:
            self._own_timeout = sock.gettimeout()
            self.is_limited = True
        own = self._own_timeout
        sock.settimeout(min(max(seconds, _SHORTEST_TIME), LONGEST_TIME if own is None else own))

    def lift_limit(self) -> None:
        """The socket's next owner has the timeout that it had before.  Raises OSError."""
        if self.is_limited:
            self.is_limited = False
            self.channel.socket.settimeout(self._own_timeout)

    def drain(self, body: Body) -> bool:
        """Read away what is left of a body, as far as it has come already; whether that was all."""
        sock = self.channel.socket
        timeout = sock.gettimeout()
        sock.settimeout(0)
        try:
            return body.discard(DRAIN_SIZE)
        finally:
            sock.settimeout(timeout)

    def is_alive(self) -> bool:
        """Whether it can take a request: not at its end, and nothing came unasked."""
        return not self._wait_for_input(0) or self.channel.is_tls and self._has_only_tls_records()

    def _has_only_tls_records(self) -> bool:
        """Whether what came is TLS's own (session tickets, say), which is taken in; no end and no data."""
        sock = self.channel.socket
        timeout = sock.gettimeout()
        sock.settimeout(0)
        try:
            self.channel.receive(1)
            return False
        except OSError as error:
            return error.errno == _TLS_WANTS_READ
        finally:
            sock.settimeout(timeout)

    def close(self) -> None:
        """Never raises."""
        self._tell_the_end()
        with self._guard:
            _close_all(self._held)

    def leave(self, reason: str) -> None:
        """Close it in a forked child: the parent, and the server, notice nothing.  A use of it here raises the reason.

        Another thread may have held the lock when the process forked, and will never release it.
        """
        self._guard = RLock()
        self.cut_reason = reason
        _close_all([sock.socket if isinstance(sock, Channel) else sock for sock in self._held])
        self._held.clear()

    def cut(self, reason: str) -> None:
        """End it from any thread: what its owner waits for fails, and says why."""
        with self._guard:
            if self.cut_reason is None:
                self.cut_reason = reason
            for sock in self._held:
                if isinstance(sock, Channel):
                    sock.cut()
                    continue
                with suppress(OSError):  # not connected yet, or no more
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def detach(self, rest: bytes) -> socket.socket:
        """The socket, for another owner; its first bytes are those that were read too far.

        ``rest``: what of the response's body came with its head, and was not read.
        """
        with self._guard:
            self._held.clear()
            sock = self.channel.detach()
        self._tell_the_end()
        return with_bytes_ahead(sock, rest + self.source.take_pending() + b"".join(self.ahead))

    def __repr__(self) -> str:
        return f"<Connection {self._held!r}{' cut' if self.cut_reason else ''}>"


_SHORTEST_TIME = 0.001  # seconds: none at all would be another mode of the socket

_TLS_WANTS_READ = 2  # the errno of ssl.SSLWantReadError


def _close_all(held: list[socket.socket | Channel]) -> None:
    while held:
        with suppress(OSError):  # the system has no more to say about it, and this may be a finalizer
            held.pop().close()
