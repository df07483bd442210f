"""One WebSocket's connection: the thread that reads it, its heartbeat, and how it ends.

The thread of ``run`` reads: it turns bytes into messages, answers Pings and puts messages into the inbox, in turns with
the threads that iterate (Reading).  The writing half is the Writer's.  Only the thread of ``run`` closes the socket, as
its last act: no thread is writing any more by then (``Writer.shut``).  Any other thread cuts the connection instead,
and the thread of ``run`` notices.

An end is one of these (RFC 6455 7):
    the peer's Close    it is answered; behind both Closes the server ends TCP first
    our Close           ``close``: the thread that calls it sends it, and waits for the peer's, but not for ever
    a violation         the peer is told by a Close, and half-closing and reading on saves that from a reset
    no Close at all     the peer has vanished
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from time import monotonic

from blockingio.net.channel import Channel, DuplexChannel
from blockingio.net.system import AF_UNIX, schedule_as_batch
from blockingio.net.tls_channel import DuplexTlsChannel
from blockingio.server.timer import Timer
from blockingio.stream.thread import Thread
from blockingio.websocket.compression import Agreement
from blockingio.websocket.frames import Close
from blockingio.websocket.inbound import Inbound
from blockingio.websocket.inbox import Inbox
from blockingio.websocket.reading import Reading
from blockingio.websocket.status import MAX_REASON_SIZE, Violation, WebSocketException, WebSocketStatus, of_peer
from blockingio.websocket.watch import clock, watch
from blockingio.websocket.writer import Writer
from blockingio.wire.source import TIMED_OUT

_log = logging.getLogger("blockingio")

# Seconds that an end in good order may take: for the peer's Close, for a writer that is in the way, and for the
# peer's end of TCP.
CLOSE_TIME = 5.0

# Seconds in which a peer that did not answer a Ping may still answer the Close that says so.
_LAST_CHANCE = 1.0

# Bytes that are read away at once.
_DRAIN_SIZE = 256 * 1024

# Bytes of messages that wait for a reader where a message may have any size.
DEFAULT_SIZE = 64 * 1024 * 1024


class Link:
    """``run`` is its thread; everything else is for any thread."""

    def __init__(self, sock: socket.socket, *, is_server: bool, agreement: Agreement | None) -> None:
        self._channel = _channel_on(sock)
        self._is_server = is_server
        self.writer = Writer(self._channel, masks=not is_server,
                             deflater=agreement.deflater(is_server) if agreement else None)
        self.inbound = Inbound(is_masked=is_server, max_size=DEFAULT_SIZE,
                               inflater=agreement.inflater(is_server) if agreement else None)
        self.inbox = Inbox(DEFAULT_SIZE)
        self.heartbeat = Heartbeat(self)
        self.reading = Reading(self._channel, self.inbound, self.inbox, on_ping=self.writer.pong,
                               on_pong=self.heartbeat.hear)
        # Written by the thread of ``run``, but where it says otherwise.
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self.is_given_up = False  # the peer did not answer a Ping; written by the clock's thread
        self.is_closed_here = False  # ``close`` came before the peer's end; written by the threads that call it
        self.is_over = False  # both Closes have been exchanged, or the connection is gone
        self._over = Lock()  # free once it is over
        self._over.acquire()
        self._on_end: list[Callable[[], None]] = []  # under _end_lock
        self._end_lock = Lock()
        self._has_ended = False  # the socket is closed; under _end_lock
        self._cutting: Timer | None = None  # cuts off a peer for which no thread waits; under _end_lock

    def start(self) -> None:
        """Raises RuntimeError where the system has no thread left; then the socket is closed."""
        try:
            Thread(self.run, name="blockingio websocket", lost=self._lost).start()
        except BaseException:
            self._channel.close()
            raise

    def _lost(self, error: Exception) -> None:
        """There is no thread: to the user it is as if the peer had vanished."""
        _log.error("a WebSocket has no thread to read it", exc_info=error)
        self._end()

    def when_ended(self, action: Callable[[], None]) -> None:
        """Call it once the socket is closed: on the thread that closes it, or at once."""
        with self._end_lock:
            if not self._has_ended:
                self._on_end.append(action)
                return
        action()

    # ---------------------------------------------------------------- the thread

    def run(self) -> None:
        """Read until the end.  Never raises; the socket gets closed."""
        schedule_as_batch()
        try:
            event = self.reading.read_to_end()
            if isinstance(event, Close):
                self._take_close(event)
            elif event is not None:
                self._fail(event)
        except Exception:
            _log.exception("a WebSocket failed in the library itself: please report this")
            self.writer.close(WebSocketStatus.INTERNAL_SERVER_ERROR, b"", monotonic())
        finally:
            self._end()

    def _take_close(self, close: Close) -> None:
        """RFC 6455 5.5.1, 7.1: answer with the same code, unless ours has been sent."""
        self.close_code = WebSocketStatus.NO_STATUS_RECEIVED if close.code is None else close.code
        self.close_reason = close.reason
        deadline = monotonic() + CLOSE_TIME
        self.writer.close(close.code, b"", deadline)
        self._set_over()
        if self._is_server:
            self._channel.half_close()
        self._drain(deadline)

    def _fail(self, violation: Violation) -> None:
        """RFC 6455 7.1.7: tell the peer, then the reader; and see to it that the peer can read that."""
        deadline = monotonic() + CLOSE_TIME
        reason = violation.message.encode()[:MAX_REASON_SIZE]  # ASCII
        if self.writer.close(violation.code, reason, deadline):
            self.close_code = violation.code
            self.close_reason = reason.decode()
        error = WebSocketException(violation.message)
        self.inbox.end(None if self.is_closed_here else of_peer(error) if self._is_server else error)
        self._channel.half_close()
        self._set_over()
        self._drain(deadline)

    def _drain(self, deadline: float) -> None:
        """Read away what still comes, to the peer's end: with input unread, closing the socket would be a reset."""
        channel = self._channel
        try:
            while (left := deadline - monotonic()) > 0:
                channel.set_receive_timeout(left)
                if not channel.receive(_DRAIN_SIZE):
                    return
        except TIMED_OUT:
            return
        except OSError:
            channel.linger(deadline - monotonic())  # below TLS, which may have ended already

    def _set_over(self) -> None:
        """Nothing more comes: readers find the end, and threads that wait in ``close`` go on."""
        if self.close_code is None:
            self.close_code = WebSocketStatus.ABNORMAL_CLOSURE
            self.close_reason = ""
        self.inbox.end()
        if not self.is_over:
            self.is_over = True
            self._over.release()

    def _end(self) -> None:
        self._channel.cut()
        self.writer.shut()
        self._channel.close()
        self._set_over()
        self.heartbeat.set_interval(None)
        watch.discard(self.reading)
        with self._end_lock:
            self._has_ended = True
            cutting, self._cutting = self._cutting, None
            actions, self._on_end = self._on_end, []
        if cutting is not None:
            cutting.cancel()
            clock.prune()
        for action in actions:
            action()

    # ---------------------------------------------------------------- for others

    def close(self, code: int | None, reason: bytes) -> None:
        """Send Close, and wait for the peer's; both together take CLOSE_TIME at most, then the connection is cut."""
        deadline = monotonic() + CLOSE_TIME
        self._send_close(code, reason, deadline)
        if not self.wait_until_over(deadline - monotonic()):
            self._channel.cut()
            self.wait_until_over(CLOSE_TIME)

    def close_without_waiting(self, code: int) -> None:
        """Send Close; the thread of ``run`` goes on until the peer's, or until the connection is cut in CLOSE_TIME."""
        self._send_close(code, b"", monotonic())
        self._cut_in(CLOSE_TIME)

    def _send_close(self, code: int | None, reason: bytes, deadline: float) -> None:
        if not self.is_peer_gone:
            self.is_closed_here = True
        self.reading.drop()  # reading goes on, past messages that are not read, to the peer's Close
        if not self.writer.close(code, reason, deadline) and not self.writer.is_closed:
            self._channel.cut()  # a writer is stuck

    def _cut_in(self, seconds: float) -> None:
        timer = clock.schedule(seconds, self._channel.cut)
        with self._end_lock:
            if not self._has_ended:
                self._cutting = timer
                return
        timer.cancel()
        clock.prune()

    @property
    def is_peer_gone(self) -> bool:
        """Whether the peer's end is known: its Close, a violation, no Pong, or a connection that is broken.

        Each part of this is true for good once it is.  Which came first, that or our ``close``, is decided by the one
        look that ``_send_close`` takes at it.
        """
        return self.reading.has_ended or self.writer.is_broken or self.is_given_up or self.is_over

    def wait_until_over(self, seconds: float) -> bool:
        if not self._over.acquire(timeout=max(seconds, 0)):
            return False
        self._over.release()
        return True

    def give_up(self) -> None:
        """The peer does not answer Pings: on the clock's thread, so without waiting."""
        if self.is_peer_gone or self.writer.is_closed:
            return
        self.is_given_up = True
        self.close_code = WebSocketStatus.GOING_AWAY
        self.close_reason = ""
        self.writer.close(WebSocketStatus.GOING_AWAY, b"no Pong came", monotonic())
        self.reading.recall()
        self._cut_in(_LAST_CHANCE)


class Heartbeat:
    """Pings at intervals, and what is made of their answers.

    ``_beat`` runs on the clock's thread, ``hear`` on the thread that reads, ``set_interval`` on any.  Each attribute is
    written by one of them, but for ``_timer``, which ``_lock`` guards together with ``interval``.
    """

    __slots__ = ("interval", "_link", "_lock", "_timer", "_count", "_heard", "_awaited", "_seen")

    def __init__(self, link: Link) -> None:
        self.interval: float | None = None
        self._link = link
        self._lock = Lock()
        self._timer: Timer | None = None
        self._count = 0  # Pings; the last one's payload
        self._heard = b""  # the last Pong's payload
        self._awaited: bytes | None = None  # the payload of the Ping that was sent
        self._seen = (0, 0)  # what had been received and sent at the last beat

    def set_interval(self, seconds: float | None) -> None:
        with self._lock:
            self.interval = seconds
            old, self._timer = self._timer, None
            if seconds is not None and not self._link.is_over:
                self._awaited = None
                self._timer = clock.schedule(seconds, self._beat)
        if old is not None:
            old.cancel()
            clock.prune()

    def hear(self, payload: bytes) -> None:
        self._heard = payload

    def _beat(self) -> None:
        link = self._link
        if self._is_dead():
            link.give_up()
            return
        if not link.writer.is_ping_due:
            self._count += 1
            self._awaited = self._count.to_bytes(8)
            link.writer.ping(self._awaited)
        link.reading.recall()  # a thread that iterates may be busy when the answer comes
        with self._lock:
            if self.interval is not None and not link.is_over:
                self._timer = clock.schedule(self.interval, self._beat)

    def _is_dead(self) -> bool:
        """Whether the last Ping's answer is missing, and nothing excuses that.

        A Pong cannot come before the rest of a frame that is coming, nor while the inbox is full and so nothing is
        read; nor before our Ping has been sent, which waits for the rest of a message that the peer is taking.
        """
        link = self._link
        seen, self._seen = self._seen, (self._link.reading.received, link.writer.progress)
        if self._awaited is None or self._heard == self._awaited:
            return False
        if link.writer.is_ping_due:
            return seen[1] == link.writer.progress and seen[0] == self._link.reading.received
        return not (link.inbox.is_full or link.inbound.left and seen[0] != self._link.reading.received)


def _channel_on(sock: socket.socket) -> Channel:
    """TCP_NODELAY, because a message is not to wait for the next one; and TLS for two threads."""
    if sock.family != AF_UNIX:
        with suppress(OSError):  # it is gone already, or no TCP
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(sock, "do_handshake"):  # an ssl.SSLSocket, without importing ssl
        sock.settimeout(0)
        return DuplexTlsChannel(sock)
    sock.settimeout(None)
    return DuplexChannel(sock)
