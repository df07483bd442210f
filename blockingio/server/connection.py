"""One client's connection: its socket, its peer, and what may be asked of it from any thread.

A socket has two halves.  The writing half belongs to the open response, else it is free.  The reading half belongs to
the connection's thread, except from the hand-over of a request with a body until its response is closed.
``writing`` is locked while a response is open: the connection's thread takes it before a hand-over, the response
gives it back.  So a thread that takes it knows that nothing else writes.

Knows no request and no response: what the thread does with them is connection_loop's.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import blockingio.net as net
from blockingio.net.address import HttpConnectionInfo, InternetAddress
from blockingio.net.channel import Channel, DuplexChannel
from blockingio.server.state import ServerState, log
from blockingio.server.relay import Relay
from blockingio.values.header_store import first_member
from blockingio.wire.head import Fields
from blockingio.wire.limits import LINGER_TIME
from blockingio.wire.source import Source

if TYPE_CHECKING:
    import socket

    from blockingio.net.x509 import X509Certificate
    from blockingio.server.pace import BodyPace
    from blockingio.server.send_queue import SendQueue
    from blockingio.server.timer import Timer
    from blockingio.wire.body import Body


class Writer(Protocol):
    """What a connection knows of a response."""

    finished: bool  # nothing is left to be done, and the connection knows


class Connection:
    """One client.  ``loop`` is what its thread does; the rest may be called from others where it says so."""

    __slots__ = ("state", "channel", "source", "certificate", "broken", "idle_since", "opened_at", "hands_over",
                 "writing", "is_last", "is_cut", "may_read_ahead", "head_due", "client_closes", "closed_by_response",
                 "relay", "detached", "speaks_plain_http", "rest_of_plain", "peer", "address", "accepted_at",
                 "is_shaking_hands", "handshake_due", "body", "pace", "send_queue", "_reason", "_linger_timer")

    def __init__(self, state: ServerState, sock: socket.socket, peer: Any) -> None:
        self.state = state
        logs = state.wire_logs
        tap = None if logs is None else logs.tap(peer, is_tls=state.tls is not None)
        self.channel: Channel = DuplexChannel(sock) if tap is None else net.told_channel.ToldChannel(sock, tap)
        self.certificate: X509Certificate | None = None
        self.broken = False  # the client is known to be gone
        # The first two are the same until the first answer.
        self.idle_since = self.opened_at = self.accepted_at = monotonic()
        self.hands_over = False  # close() waits for its end: no request comes on the queue behind the close
        self.peer = peer  # its address as the socket module has it ...
        self.address: str = peer[0] if isinstance(peer, tuple) else ""  # ... and the IP address of that; "" without one
        self.source = Source(self.channel.receive)
        self.writing = threading.Lock()
        # Written by the response's thread before it gives writing back, read by this thread once it has it.
        self.is_last = False  # no further request is answered on this connection: the client has yet to close
        self.may_read_ahead = False  # this thread is in receive() while a response is open
        self.head_due: float | None = None  # when the head that is coming must be whole, on the monotonic clock
        self.is_cut = False
        self.client_closes = False  # it has said close, and sent all of its last request
        self._linger_timer: Timer | None = None
        self.closed_by_response = False  # by this thread: the last response closes the socket
        self.detached = False
        self.speaks_plain_http = False  # on a port for TLS; and what came behind its first five bytes
        self.rest_of_plain = b""
        self.relay: Relay | None = None  # set by detach(); then this thread only passes on
        # For a look at it, on any thread.  Written by this thread, send_queue by the response's.
        self.is_shaking_hands = state.tls is not None
        self.handshake_due: float | None = None
        self.body: Body | None = None  # the last request's that had one, and how slowly it may come
        self.pace: BodyPace | None = None
        self.send_queue: SendQueue | None = None  # the last response's that had to wait for the client
        self._reason = ""  # why it ends: the first one that is known, on any thread

    def __repr__(self) -> str:
        return f"<Connection {self.remote} {'idle' if self.is_idle else 'active'}>"

    # ---------------------------------------------------------------- what others ask, from any thread

    @property
    def scheme(self) -> str:
        return "http" if self.state.tls is None else "https"

    @property
    def info(self) -> HttpConnectionInfo | None:
        if not self.peer:
            return None
        return HttpConnectionInfo.from_socket_addresses(self.channel.socket.family, self.peer, ("", self.state.port))

    @property
    def remote(self) -> str:
        """The client's address; "-" on a Unix-domain socket."""
        return self.address or "-"

    def client_address(self, fields: Fields) -> str:
        """The address of a request's client: the peer's, or what trusted proxies say; "" where there is none."""
        proxies = self.state.trusted_proxies
        return self.address if proxies is None else proxies.client(self.address, fields.headers)

    def is_on_this_machine(self, fields: Fields | None) -> bool:
        """Whether a request's client is: its peer, and where that is a trusted proxy the client that it asks for.

        ``fields`` None: they could not be read, so what client a proxy asks for is unknown.
        """
        proxies = self.state.trusted_proxies
        if not _is_loopback(self.address):
            return False
        if proxies is None or not proxies.has(self.address):
            return True
        return fields is not None and _is_loopback(proxies.client(self.address, fields.headers))

    def forwarded(self, fields: Fields, name: str, *, by_anybody: bool = True) -> str:
        """What a list that proxies add to, X-Forwarded-Proto say, is believed to say; "" for nothing.

        ``by_anybody``: without trusted proxies every peer is believed.
        """
        proxies = self.state.trusted_proxies
        if proxies is not None:
            return proxies.member(self.address, fields.headers, name)
        return first_member(fields.headers, name) if by_anybody else ""

    @property
    def is_idle(self) -> bool:
        """No response is open and no head is on its way."""
        return not self.writing.locked() and self.head_due is None

    @property
    def is_open(self) -> bool:
        """A response is open, or about to be."""
        return self.writing.locked()

    def cut(self, reason: str) -> None:
        """End it at once, in both directions; its thread notices and closes the socket."""
        self.end_because(reason)
        self.is_cut = True
        if self.relay is None:  # else the socket has another owner
            self.channel.cut()

    def end_because(self, reason: str) -> None:
        """It is about to end, for this reason unless there is another one already."""
        if not self._reason:
            self._reason = reason

    def forget(self) -> None:
        """It has ended, or its socket has another owner from now on.  By the one thread that found that."""
        state = self.state
        requests, received = self.source.counts()
        is_detached = self.detached or self.relay is not None
        state.ended.append((self.peer, self.accepted_at, monotonic(), is_detached, requests, received,
                            self.channel.sent, self._reason or "the client closed"))
        state.connections.discard(self)

    def abandon(self, error: BaseException | None = None) -> None:
        """It has no thread, or that has died: close the socket.  By the thread that accepted it, or that noticed."""
        self.broken = True
        self.closed_by_response = True  # first: an open response that ends now closes it
        self.hands_over = False
        self.cut("the server has no thread for it")
        if self.writing.acquire(False):
            self.channel.close()
        self.forget()
        self.state.made_room()

    # ---------------------------------------------------------------- for its thread

    def handshake(self) -> bool:
        """TLS, under header_timeout (RFC 8446); False where it comes to nothing: ``speaks_plain_http`` may say why."""
        tls, limit = self.state.tls, self.state.header_timeout
        assert tls is not None
        self.handshake_due = None if limit is None else monotonic() + limit
        try:
            sock = tls.wrap_socket(self.channel.socket, server_side=True, do_handshake_on_connect=False)
        except OSError as error:
            self._log_handshake(error)
            return False  # the client has gone already
        tap = self.channel.tap
        if tap is None:
            self.channel = channel = net.tls_channel.DuplexTlsChannel(sock)
        else:
            self.channel = channel = net.told_channel.ToldTlsChannel(sock, tap)
        self.source.receive_from(channel.receive)
        if self.is_cut:
            return False  # another thread cut the channel that has just been replaced
        try:
            channel.handshake(limit, self.state.requests.__len__)
        except OSError as error:
            if channel.met_plain_http(error):
                self.speaks_plain_http = True
                self.rest_of_plain = channel.rest_of_plain() if channel.has_input() else b""
                self.channel = channel.to_plain()  # to answer it in plain HTTP
            else:
                self._log_handshake(error)
            return False
        der = sock.getpeercert(True)
        if der is not None:
            try:
                self.certificate = net.x509.X509Certificate.from_der(der)
            except ValueError as error:
                self._log_handshake(error)
                return False  # OpenSSL could read the certificate, and we cannot: an unknown client is refused
        self.idle_since = self.opened_at = monotonic()
        self.is_shaking_hands = False
        return True

    def _log_handshake(self, error: Exception) -> None:
        self.end_because(f"the TLS handshake failed: {error}")
        # Not above DEBUG: port scanners and browsers that distrust us make them fail all day.
        log.debug("a TLS handshake with %s failed: %s", self.remote, error)

    def close(self) -> None:
        """In stages: nothing more from us, read away what still comes, close (RFC 9112 9.6)."""
        channel = self.channel
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            if self.state.closing:
                self.state.timer_thread.prune()
        if not (self.is_cut or self.broken):
            if channel.notes_end:
                channel.wait_while_taken(self.state.body_timeout, lambda: self.is_cut)
            lingers = self.is_last and not self.client_closes
            if lingers:
                channel.half_close()
                channel.linger(LINGER_TIME)
            elif channel.is_tls:
                channel.say_end()  # close() does the rest: what a shutdown() would send goes out with it
        channel.close()

    # ---------------------------------------------------------------- for the response

    def expire(self) -> None:
        """The response's deadline has passed: on the timer's thread."""
        self.end_because("the response's deadline passed")
        self.broken = True
        self.channel.cut()

    def note_last_response(self) -> None:
        """The response that is closed is this connection's last one: before it gives ``writing`` back."""
        state = self.state
        self.is_last = True
        self.end_because("the server was closed" if state.closing else "its last response was sent")
        if state.closing:
            state.timer_thread.prune()  # its thread does not wait on for a deadline that was kept
        if self.may_read_ahead:
            self._end_reading_ahead()

    def end_by_response(self) -> None:
        """``closed_by_response`` says so: the thread that closes the last response closes the socket."""
        if self.channel.notes_end:  # then the client may take its time, which is not the handler's
            try:
                self.state.threads.run(self.end)
                return
            except Exception:
                self.broken = True  # no thread is left to wait for what the client confirms
        self.end()

    def end(self) -> None:
        """Close it, once the last response is done.  By the one thread that still has it."""
        self.close()
        self.forget()
        self.state.made_room()

    def _end_reading_ahead(self) -> None:
        """The connection's thread waits for input: until the client ends it, or LINGER_TIME is over."""
        if self.broken:
            self.channel.cut()
            return
        self.channel.half_close()
        try:
            self._linger_timer = self.state.timer_thread.schedule(LINGER_TIME, self.channel.cut)
        except Exception:  # no thread for a timer: it ends now
            self.channel.cut()

    def detach(self, response: Writer, rest: bytes) -> socket.socket:
        """Let go of the socket, for the response's thread; what was read too far comes out of it first.

        ``rest``: what of the request's body came with its head, and was not read.

        From here on the server does not know it any more: it is its new owner's to close.
        Raises OSError or RuntimeError where the system has no sockets or no thread for a relay.
        """
        self.is_last = True
        if self.may_read_ahead or self.source.pending or rest:
            # This connection's thread may be in receive(), or has read what belongs to the new owner.
            sock = self._start_relay(rest)
            self.channel.let_go()
        else:
            self.detached = True
            sock = self.channel.detach()
        self.end_because("its socket was handed over")
        self.forget()
        response.finished = True
        self.writing.release()
        self.state.made_room()
        return sock

    def _start_relay(self, rest: bytes) -> socket.socket:
        """The end for the new owner.  Raises what kept the relay from starting; then there is none."""
        relay = Relay(self.channel)
        self.relay = relay  # from here on this connection's thread leaves all that comes as pending
        try:
            relay.pass_early(rest, self.source.partial)
            self.state.threads.run(relay.pass_out, relay.abandon)
        except BaseException:
            self.relay = None
            relay.close()
            raise
        return relay.theirs


def _is_loopback(address: str) -> bool:
    """Whether this machine talks to itself; "" is a Unix-domain socket."""
    found = InternetAddress.try_parse(address) if address else None
    return not address or (found is not None and found.is_loopback)
