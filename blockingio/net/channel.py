"""One connected socket: receive, send, timeouts, and an end in stages.

The reading half and the writing half each have one owner at a time, which need not be
the same thread (on TLS a DuplexTlsChannel sees to that: net/tls_channel.py).  ``cut`` may be called
by any thread at any time; ``close`` only by the one that knows that no other thread reads or writes
any more, because a closed socket's number may at once be another client's.

This module does not import ssl: a TLS socket is handled through socket.socket's methods, and its errors are OSErrors.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING

from blockingio.net import system
from blockingio.net.system import (
    DONT_WAIT, LONGEST_TIME, READABLE, WRITABLE, ReentrantLock, set_kernel_timeout, wait_for)

if TYPE_CHECKING:
    from blockingio.net.wire_log import WireTap

# Bytes that are sent at first of several pieces, where the system does not send them in one call.
_START_SIZE = 16 * 1024

# Bytes of a file that are read at once, where the system does not send it by itself.
_READ_SIZE = 256 * 1024

# Seconds between two looks at whether the peer has taken what was sent.
_LOOK_EVERY = 0.01

# Pieces of input that are read away at the end at most, each of up to 64 KiB.
_LINGER_PIECES = 64

# Bytes that an orderly end may leave unconfirmed: a close_notify in its record, and the FIN.
_LAST_WORDS = 128


class Channel:
    """A plain socket.  Timeouts are the kernel's: they cost a call when they change, not at each read."""

    __slots__ = ("socket", "receive", "receive_timeout", "sent", "_lock", "_open", "_aborted", "notes_end", "_left")

    is_tls = False
    receives_by_method = False  # else ``receive`` is the socket's own function
    tap: WireTap | None = None  # what tells of this connection: a ToldChannel's

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        # receive(size): b"" at the end of input; BlockingIOError or TimeoutError when nothing came
        # in time; OSError when the connection broke.
        self.receive: Callable[[int], bytes]
        if not self.receives_by_method:
            self.receive = sock.recv
        self.receive_timeout: float | None = None
        # Bytes that the system has taken by the functions here.  Written by the owner of the writing half.
        self.sent = 0
        # Held by cut() and close(): the number of a closed socket may be another one's, which is not to be shut down.
        # Reentrant: a signal handler may call server.close() in the middle of either.
        self._lock = ReentrantLock()
        self._open = True
        self._aborted = False
        self.notes_end = False  # by note_end
        self._left = 0  # bytes that were not confirmed at the end, where that was to be noted

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.socket.fileno()}{'' if self._open else ' closed'}>"

    def set_receive_timeout(self, seconds: float | None) -> None:
        """How long each receive waits from now on; None: for ever."""
        if seconds != self.receive_timeout:
            self.receive_timeout = seconds
            set_kernel_timeout(self.socket, socket.SO_RCVTIMEO, seconds)

    def receive_now(self, size: int) -> bytes:
        """``receive`` of what is here already; BlockingIOError where nothing is, and needs a wait to be found out."""
        return self.socket.recv(size, DONT_WAIT)

    def send_now(self, data: bytes | memoryview) -> int:
        """Send what the kernel takes without waiting; the number of bytes, perhaps 0.  Raises OSError."""
        try:
            sent = self.socket.send(data, DONT_WAIT)
        except BlockingIOError:
            return 0
        self.sent += sent
        return sent

    def send_row_now(self, row: tuple[bytes, ...]) -> int:
        """``send_now`` of several in a row, without a copy of them."""
        if system.HAS_SENDMSG:
            try:
                sent = self.socket.sendmsg(row, (), DONT_WAIT)
            except BlockingIOError:
                return 0
            self.sent += sent
            return sent
        return self._send_each_now(_rearranged(row))

    def _send_each_now(self, row: Iterable[bytes | memoryview]) -> int:
        """One after the other, until one is not taken whole."""
        done = 0
        for data in row:
            try:
                sent = self.send_now(data) if data else 0
            except OSError:
                if not done:
                    raise
                break  # what has gone counts, and the next one to send finds that it breaks
            done += sent
            if sent < len(data):
                break
        return done

    def send_some(self, data: bytes | memoryview, timeout: float | None) -> int:
        """Wait until something can be sent, at most all; the number of bytes.  Raises as send_all."""
        set_kernel_timeout(self.socket, socket.SO_SNDTIMEO, timeout)
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            raise TimeoutError(f"the peer took nothing for {timeout} seconds") from None
        self.sent += sent
        return sent

    def wait_to_send(self, seconds: float | None) -> bool:
        """Until something can be sent, or the connection is broken; False where the time is up.

        The kernel reports room once a good part of its buffer is free: after a False it may yet take some.
        """
        return wait_for(self.socket, WRITABLE, seconds) != 0

    def unsent(self) -> int:
        """Bytes that the kernel has taken, and the peer has not confirmed; 0 where the system does not say."""
        return system.unsent(self.socket)

    def wait_while_taken(self, patience: float | None, is_over: Callable[[], bool]) -> None:
        """Until the peer's system has confirmed all, or nothing for ``patience`` seconds (None: any), or ``is_over``.

        Also until the connection is broken.  By the owner of both halves.  The kernel has no event for it.
        """
        left, since = self.unsent(), monotonic()
        while left and not is_over() and not self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            sleep(_LOOK_EVERY)
            before, left = left, self.unsent()
            if left != before:
                since = monotonic()
            elif patience is not None and monotonic() - since > patience:
                return

    def note_end(self) -> None:
        """Have ``is_confirmed`` tell also what was so when the connection ended.  Before its end, from any thread."""
        self.notes_end = True

    @property
    def is_confirmed(self) -> bool | None:
        """Whether the peer's system has confirmed all that was sent; None where it may still do so.

        True where the system does not say.  From any thread.
        """
        if self.unsent():
            return None
        return self._open or self._left <= _LAST_WORDS

    def send_all(self, data: bytes | memoryview, timeout: float | None) -> None:
        """Send everything.  Raises TimeoutError when nothing was taken for ``timeout`` seconds, OSError."""
        set_kernel_timeout(self.socket, socket.SO_SNDTIMEO, timeout)
        try:
            self.socket.sendall(data)
        except BlockingIOError:
            raise TimeoutError(f"the peer took nothing for {timeout} seconds") from None

    def send_file(self, descriptor: int, offset: int, count: int, timeout: float | None,
                  note: Callable[[int], object] = int) -> int:
        """Send ``count`` bytes of a file from ``offset``; fewer where it ends before.  Raises as send_all.

        ``note`` is told of each number of bytes that has gone, also where the next fails.
        """
        if system.send_file is None:
            return self._send_as_read(descriptor, offset, count, timeout, note)
        set_kernel_timeout(self.socket, socket.SO_SNDTIMEO, timeout)
        system.cork(self.socket, True)
        done = 0
        try:
            while done < count:
                sent = system.send_file(self.socket.fileno(), descriptor, offset + done, min(count - done, 1 << 30))
                if not sent:
                    break
                done += sent
                self.sent += sent
                note(sent)
        except BlockingIOError:
            raise TimeoutError(f"the peer took nothing for {timeout} seconds") from None
        finally:
            system.cork(self.socket, False)
        return done

    def _send_as_read(self, descriptor: int, offset: int, count: int, timeout: float | None,
                      note: Callable[[int], object]) -> int:
        """send_file by way of this program's memory."""
        done = 0
        while done < count:
            data = system.read_at(descriptor, min(count - done, _READ_SIZE), offset + done)
            if not data:
                break
            done += len(data)
            view = memoryview(data)
            while view:
                sent = self.send_some(view, timeout)
                note(sent)
                view = view[sent:]
        return done

    def has_input(self) -> bool:
        """Whether there is something to receive, or the end of input.  From any thread, without waiting."""
        try:
            if not DONT_WAIT:
                return wait_for(self.socket, READABLE, 0) != 0
            socket.socket.recv(self.socket, 1, socket.MSG_PEEK | DONT_WAIT)
        except BlockingIOError:
            return False
        except (OSError, ValueError):
            pass  # broken: its thread is about to find that
        return True

    def say_end(self) -> None:
        """Tell the peer that nothing more is sent, where that is more than the end of the connection.  Never raises."""

    def half_close(self) -> None:
        """Nothing more will be sent: the peer reads to the end.  Never raises."""
        self.say_end()
        with suppress(OSError):  # it is gone already: just what is wanted
            # Not ssl.SSLSocket's own shutdown(), which would make it a plain socket.
            socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def linger(self, seconds: float) -> None:
        """Read input away until it ends or the time is up, so that a reset cannot overtake our last bytes.

        For after ``half_close`` (RFC 9112 9.6).  Never raises.
        """
        end = monotonic() + seconds
        pieces = _LINGER_PIECES
        try:
            while pieces and (left := end - monotonic()) > 0 and self._discard_some(left):
                pieces -= 1
        except OSError:
            return

    def _discard_some(self, seconds: float) -> bool:
        """Read some input away; False at its end.  Raises OSError, also when nothing came in time."""
        self.set_receive_timeout(seconds)
        return bool(self.socket.recv(65536))

    def cut(self) -> None:
        """End both directions at once, from any thread: a thread that reads or writes notices.  Never raises.

        After ``abort`` only the reading one.
        """
        with self._lock:
            if self._open:
                with suppress(OSError):  # not connected any more
                    # Not ssl.SSLSocket's own shutdown(), which would make it a plain socket.
                    socket.socket.shutdown(self.socket, socket.SHUT_RD if self._aborted else socket.SHUT_RDWR)

    def abort(self) -> None:
        """``cut`` where something is missing in what was sent: the peer is not to take what it got for the whole.

        An orderly end could be that of a body.  So it gets none: ``close`` resets the connection, and until then
        the writing half stays as it is, and is not written to.
        """
        with self._lock:
            if self._open:
                self._aborted = True
                with suppress(OSError):  # it is gone already
                    self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, system.RESET_ON_CLOSE)
        self.cut()

    def reset(self) -> None:
        """``abort``, and a thread that is sending notices: for a peer that takes nothing.

        The end that shutdown() sends is behind all that waits in the kernel, and ``close`` drops both.
        """
        self.abort()
        with self._lock:
            if self._open:
                with suppress(OSError):  # not connected any more
                    socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back; for the one thread that still has it.  Idempotent."""
        with self._lock:
            self._open = False
            if self.notes_end and self.socket.fileno() >= 0:
                self._left = self.unsent()
            self.socket.close()

    def expect_new_owner(self) -> None:
        """What comes in from here on is for the next owner, to which the connection is about to be handed over."""

    def let_go(self) -> None:
        """What passes from here on is the next owner's, which uses this channel as a mere socket."""

    def detach(self) -> socket.socket:
        """The socket, without timeouts; the channel lets go of it."""
        with self._lock:
            self._open = False
            self.set_receive_timeout(None)
            set_kernel_timeout(self.socket, socket.SO_SNDTIMEO, None)
            return self.socket


class TlsChannel(Channel):
    """A socket of ssl.SSLContext.wrap_socket, for one thread at a time.

    Timeouts are Python's: OpenSSL knows none of the kernel's.
    """

    __slots__ = ()

    is_tls = True

    def handshake(self, timeout: float | None) -> None:
        """Raises OSError (ssl.SSLError is one), TimeoutError where it takes longer than ``timeout`` seconds."""
        self.socket.settimeout(None if timeout is None else min(timeout, LONGEST_TIME))
        self.receive_timeout = timeout
        self.socket.do_handshake()  # type: ignore[attr-defined]

    def set_receive_timeout(self, seconds: float | None) -> None:
        if seconds != self.receive_timeout:
            self.receive_timeout = seconds
            self.socket.settimeout(None if seconds is None else min(seconds, LONGEST_TIME))

    def detach(self) -> socket.socket:
        with self._lock:
            self._open = False
            self.socket.settimeout(None)
            return self.socket


class NonBlockingChannel(Channel):
    """A socket that never blocks: a thread waits outside of it, until it is ready.

    For what the kernel's timeouts do not do: TLS, and systems without MSG_DONTWAIT, where on a socket that blocks
    one thread could not send without waiting while another receives.
    """

    __slots__ = ()

    # An attribute with a method of the object's own would keep it, and all that OpenSSL has of a connection, until the
    # next collection of garbage.
    receives_by_method = True

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        if not self.is_tls:  # else its handshake, which comes first, waits in the socket and does this behind it
            sock.settimeout(0)

    def set_receive_timeout(self, seconds: float | None) -> None:
        self.receive_timeout = seconds

    def receive_now(self, size: int) -> bytes:
        raise BlockingIOError("a timeout costs nothing here: receive() does as well")

    def receive(self, size: int) -> bytes:
        end = end_of(self.receive_timeout)
        while True:
            try:
                return self.socket.recv(size)
            except BlockingIOError:
                self._wait(READABLE, end)

    def send_some(self, data: bytes | memoryview, timeout: float | None) -> int:
        end = end_of(timeout)
        while not (sent := self.send_now(data)) and data:
            self._wait(WRITABLE, end)
        return sent

    def send_all(self, data: bytes | memoryview, timeout: float | None) -> None:
        view = memoryview(data)
        while view:
            view = view[self.send_some(view, timeout) :]

    def send_file(self, descriptor: int, offset: int, count: int, timeout: float | None,
                  note: Callable[[int], object] = int) -> int:
        return self._send_as_read(descriptor, offset, count, timeout, note)

    def _discard_some(self, seconds: float) -> bool:
        self._wait(READABLE, monotonic() + seconds)
        return bool(self._read_away())

    def _read_away(self) -> bytes:
        # Of TLS as it comes: not decrypted.
        return socket.socket.recv(self.socket, 65536)

    def detach(self) -> socket.socket:
        with self._lock:
            self._open = False
            self.socket.settimeout(None)
            return self.socket

    def _wait(self, event: int, end: float | None) -> None:
        """Until the socket is ready, or broken.  Raises TimeoutError at ``end`` on the monotonic clock."""
        if not wait_for(self.socket, event, None if end is None else end - monotonic()):
            raise TimeoutError("the peer was too slow")


def reason_of(error: OSError) -> str:
    """Why a connection broke, for people."""
    if isinstance(error, ConnectionError):
        return "the client reset the connection"
    return f"the connection broke: {error.strerror or error}"


def _rearranged(row: tuple[bytes, ...]) -> Iterator[bytes | memoryview]:
    """The same bytes, a short first piece, a head, with the beginning of the next: so that it does not go alone.

    Not for TLS, where OpenSSL wants what it could not send again in the same pieces.
    """
    first, second, *rest = row
    room = max(_START_SIZE - len(first), 0)
    yield first + second[:room]
    yield memoryview(second)[room:]
    yield from rest


def end_of(timeout: float | None) -> float | None:
    """When that many seconds are over, on the monotonic clock; None: never."""
    return None if timeout is None else monotonic() + timeout


#: What a server needs of a plain socket: one thread may receive while another sends, without waiting.
DuplexChannel: type[Channel] = Channel if system.DONT_WAIT else NonBlockingChannel
