"""A TLS socket whose two halves have an owner each, as a plain socket's have.

OpenSSL's objects are not for two threads at once.  So the socket never blocks, each call into
OpenSSL is made under a lock, and a thread that has to wait does so outside of it, on the socket below.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from blockingio.net.channel import Channel, DuplexChannel, NonBlockingChannel, TlsChannel, end_of
from blockingio.net.system import DONT_WAIT, LONGEST_TIME, WRITABLE, ReentrantLock, input_watch
from blockingio.net.turns import Turns

# Bytes that OpenSSL is given at once, four records.  Where it cannot send all of them it says nothing of those that it
# has sent, and must be given at least as many again: of a large piece nothing would seem to go, for that long.
_STEP = 64 * 1024

# Bytes of data: what comes with fewer is taken for the end of a message, behind which the next one is waited for.
_SHORT = 4 * 1024

# The errno of ssl.SSLWantReadError and ssl.SSLWantWriteError.
_WANTS_READ = 2
_WANTS_WRITE = 3

# OpenSSL's reasons for a handshake that fails at its first bytes: GET, HEAD, POST, PUT; CONNECT; no TLS.
_PLAIN_HTTP = ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST")
_NO_TLS = "WRONG_VERSION_NUMBER"
_PEEKED = 16 * 1024  # bytes: heads of browsers have a tenth of it
_REST_OF_REQUEST_LINE = re.compile(rb"[\x20-\x7e]*+(?<=HTTP/1\.[01])\r?\n")

#: For what answers a ClientHello: a signature, which costs more than all else of a short connection.
handshake_turns = Turns()


class DuplexTlsChannel(NonBlockingChannel, TlsChannel):
    """A server's TLS connection: one thread may receive while another sends."""

    __slots__ = ("_inside", "_waits_first", "_watch")

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        # These two are the reading half's.  To find nothing costs OpenSSL and Python more than to wait first, and
        # behind a short message a client mostly waits for its answer.
        self._waits_first = False
        self._watch: Callable[[float], object] | None = None  # waits for input; None: it was never waited for
        # Held for each call into OpenSSL, and never while waiting.  Reentrant: a signal handler that aborts may have
        # interrupted the thread that holds it, behind its call.
        self._inside = ReentrantLock()

    def handshake(self, timeout: float | None, are_waiting: Callable[[], object] = bool) -> None:
        """As TlsChannel's.  Where many connections are at it, they answer their ClientHello in turns.

        Requests have their answers first where ``are_waiting`` says that some wait.
        """
        try:
            if handshake_turns.arrive():
                self._handshake_in_steps(timeout, are_waiting)
            else:
                super().handshake(timeout)
                self.socket.settimeout(0)
        finally:
            handshake_turns.depart()

    def _handshake_in_steps(self, timeout: float | None, are_waiting: Callable[[], object]) -> None:
        self.socket.settimeout(0)
        self.receive_timeout = timeout
        end = end_of(timeout)
        self._wait_for_input(end)
        while not self._handshake_step(end, are_waiting):
            pass

    def _handshake_step(self, end: float | None, are_waiting: Callable[[], object]) -> bool:
        """As far as it goes with what has come; False where more has to come, behind the wait for that.

        A send does a handshake that is not done, and of no bytes it does nothing else.  do_handshake() would set the
        timeout again at each step, for which it lets go of the GIL, and waits for it behind other handshakes.
        """
        sock = self.socket
        try:
            if sock.cipher() is None:  # type: ignore[attr-defined]  # not agreed on: the ClientHello was not read
                with handshake_turns:
                    handshake_turns.let_pass(are_waiting)
                    sock.send(b"")
            else:
                sock.send(b"")
            return True
        except OSError as error:
            self._wait_as_wanted(error, end)
            return False

    def met_plain_http(self, error: OSError) -> bool:
        """Whether a handshake failed with this because the client speaks HTTP without TLS."""
        reason = getattr(error, "reason", None)
        if reason in _PLAIN_HTTP:
            return True
        # OpenSSL knows the methods that are most usual, by the five bytes it took; of others it leaves the rest of
        # a request line.  It is not waited for: what else speaks no TLS may never end a line.
        if reason != _NO_TLS or not self.has_input():
            return False
        try:
            return _REST_OF_REQUEST_LINE.match(socket.socket.recv(self.socket, 4096, socket.MSG_PEEK)) is not None
        except OSError:
            return False

    def rest_of_plain(self) -> bytes:
        """What is here of a plain request, but for the first bytes, which a failed handshake took.  Does not wait."""
        try:
            return socket.socket.recv(self.socket, _PEEKED, socket.MSG_PEEK | DONT_WAIT)
        except OSError:
            return b""

    def to_plain(self) -> Channel:
        """The socket without TLS, after a handshake that failed; this channel lets go of it."""
        return DuplexChannel(self.to_plain_socket())

    def to_plain_socket(self) -> socket.socket:
        """``to_plain`` without a channel."""
        with self._lock:
            self._open = False
            sock = socket.socket(fileno=self.socket.detach())
            sock.setblocking(True)
            return sock

    def receive(self, size: int) -> bytes:
        end = end_of(self.receive_timeout)
        if self._waits_first:
            self._wait_for_input(end)
        while True:
            try:
                with self._inside:
                    data = b"" if self._aborted else self.socket.recv(size)
                # Less than was asked for: OpenSSL has nothing more that it has decrypted, so input is all to wait for.
                self._waits_first = len(data) < size and len(data) < _SHORT
                return data
            except OSError as error:
                if error.errno != _WANTS_READ:
                    self._wait_as_wanted(error, end)
                else:
                    self._wait_for_input(end)

    def _wait_for_input(self, end: float | None) -> None:
        """Until something can be read, or the socket is broken.  Raises TimeoutError at ``end``."""
        if self._watch is None:
            self._watch = input_watch(self.socket)
        left = LONGEST_TIME if end is None else min(max(end - monotonic(), 0), LONGEST_TIME)
        while not self._watch(left * 1000):
            if end is not None:
                raise TimeoutError("the peer was too slow")

    def send_now(self, data: bytes | memoryview) -> int:
        """The rest of ``data`` has to be what is sent next: the first _STEP bytes of it, or all, in one piece."""
        sent = 0
        view = data if len(data) <= _STEP else memoryview(data)
        try:
            while sent < len(view):
                with self._inside:
                    if self._aborted:
                        raise ConnectionAbortedError("the connection has been aborted")
                    sent += self.socket.send(view[sent : sent + _STEP])
        except OSError as error:
            if error.errno not in (_WANTS_READ, _WANTS_WRITE):
                raise
        self.sent += sent
        return sent

    def send_row_now(self, row: tuple[bytes, ...]) -> int:
        return self._send_each_now(row)

    def abort(self) -> None:
        """As a plain socket's, and nothing of TLS goes out any more: the reset is all that the peer gets.

        To OpenSSL an end of input without close_notify is a fault, of which it tells the peer by an alert at once.
        So no thread is inside it while the reading half ends, and none enters it after that.
        """
        with self._inside:
            super().abort()

    def say_end(self) -> None:
        with suppress(OSError, ValueError), self._inside:  # it would have waited, or is gone already
            if not self._aborted:
                self.socket.unwrap()  # type: ignore[attr-defined]  # sends close_notify, cannot wait for the peer's

    def _wait_as_wanted(self, error: OSError, end: float | None) -> None:
        if error.errno == _WANTS_READ:
            self._wait_for_input(end)
        elif error.errno == _WANTS_WRITE:
            self._wait(WRITABLE, end)
        else:
            raise error
