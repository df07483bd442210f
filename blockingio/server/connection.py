"""The life of one connection: its thread reads heads and hands over requests.

    receive head -> parse -> wait for the last response -> hand over -> receive head ...

A socket has two halves.  The writing half belongs to the open response, then to nobody.  The
reading half belongs to this thread, except from the hand-over of a request with a body until
its response is closed.  ``_turn`` is locked while a response is open: this thread takes it
before a hand-over, the response gives it back (``response_done``).  So whoever finds it free
knows that nobody writes.

This thread keeps no reference to a request it has handed over: one that is dropped without
close() must be noticed.
"""

from __future__ import annotations

import threading
from time import monotonic, time
from traceback import clear_frames
from typing import TYPE_CHECKING, Any

from blockingio.errors import BadMessage
from blockingio.net.address import HttpConnectionInfo
from blockingio.net.channel import Channel
from blockingio.net.tls_channel import DuplexTlsChannel
from blockingio.net.x509 import X509Certificate
from blockingio.server.access import AccessRecord, log_access
from blockingio.server.core import Core, log
from blockingio.server.pace import BodyPace
from blockingio.server.plain_http import https_location
from blockingio.server.proxies import first_member
from blockingio.server.relay import Relay
from blockingio.server.request import HttpRequest
from blockingio.server.response import HttpResponse
from blockingio.server.response_head import make_head, phrase_of
from blockingio.wire.body import request_body
from blockingio.wire.head import Fields, RequestHead
from blockingio.wire.limits import DRAIN_SIZE, LINGER_TIME
from blockingio.wire.source import TIMED_OUT, Source, Truncated

if TYPE_CHECKING:
    import socket

    from blockingio.server.answer import Answer
    from blockingio.server.timekeeper import Appointment

# What is answered where a request could not be read, or only so far as that it asks for a head.
_ILLEGIBLE = RequestHead("GET", "*", "1.1", Fields(b"", "1.1"))
_ILLEGIBLE_HEAD = RequestHead("HEAD", "*", "1.1", Fields(b"", "1.1"))


class Connection:
    """One client.  ``run`` is the thread; everything else may be called from others where it says so."""

    __slots__ = ("core", "channel", "certificate", "broken", "idle_since", "opened_at", "hands_over", "_peer", "_family",
                 "_source", "_turn", "_last", "_reads_ahead", "_head_due", "_cut", "_detached", "_relay",
                 "_client_is_done", "_is_left", "_end_of_patience")  # fmt: skip

    def __init__(self, core: Core, sock: socket.socket, peer: Any) -> None:
        self.core = core
        self.channel = Channel(sock)
        self.certificate: X509Certificate | None = None
        self.broken = False  # the client is known to be gone
        self.idle_since = self.opened_at = monotonic()  # the same until the first answer
        self.hands_over = False  # close() waits for its end: no request comes on the queue behind the close
        self._peer = peer
        self._family = sock.family
        self._source = Source(self.channel.receive)
        self._turn = threading.Lock()
        # Written by response_done before it frees _turn, read by this thread once it has it.
        self._last = False  # no further request is answered on this connection
        self._reads_ahead = False  # this thread is in receive() while a response is open
        self._head_due: float | None = None  # when the head that is coming must be whole, on the monotonic clock
        self._cut = False
        self._client_is_done = False  # it has said close, and sent all of its last request
        self._end_of_patience: Appointment | None = None
        self._is_left = False  # by this thread: the last response closes the socket
        self._detached = False
        self._relay: Relay | None = None  # set by detach(); then this thread only passes on

    def __repr__(self) -> str:
        return f"<Connection {self.remote} {'idle' if self.is_idle else 'active'}>"

    # ---------------------------------------------------------------- what others ask, from any thread

    @property
    def scheme(self) -> str:
        return "http" if self.core.tls is None else "https"

    @property
    def authority(self) -> str:
        """The server's own, for a request that names none."""
        return self.core.name

    @property
    def info(self) -> HttpConnectionInfo | None:
        if not self._peer:
            return None
        return HttpConnectionInfo.from_socket_addresses(self._family, self._peer, ("", self.core.port))

    @property
    def remote(self) -> str:
        """The client's address; "-" on a Unix-domain socket."""
        return self._peer[0] if isinstance(self._peer, tuple) else "-"

    def client_address(self, fields: Fields) -> str:
        """The address of a request's client: the peer's, or what trusted proxies say; "" where there is none."""
        peer = self._peer[0] if isinstance(self._peer, tuple) else ""
        proxies = self.core.trusted_proxies
        return peer if proxies is None else proxies.client(peer, fields.headers)[0]

    def forwarded(self, fields: Fields, name: str, *, by_anybody: bool = True) -> str:
        """What a list that proxies add to, X-Forwarded-Proto say, is believed to say; "" for nothing.

        ``by_anybody``: everybody is believed where no trusted proxies are set.
        """
        proxies = self.core.trusted_proxies
        if proxies is not None:
            peer = self._peer[0] if isinstance(self._peer, tuple) else ""
            return proxies.member(peer, fields.headers, name)
        return first_member(fields.headers, name) if by_anybody else ""

    @property
    def is_idle(self) -> bool:
        """No response is open and no head is on its way."""
        return not self._turn.locked() and self._head_due is None

    @property
    def is_open(self) -> bool:
        """A response is open, or about to be."""
        return self._turn.locked()

    @property
    def is_closing(self) -> bool:
        """The last response is done; the client has yet to close."""
        return self._last

    def cut(self) -> None:
        """End it at once, in both directions; its thread notices and closes the socket."""
        self._cut = True
        if self._relay is None:  # else the socket is somebody else's
            self.channel.cut()

    def abandon(self, error: BaseException | None = None) -> None:
        """It has no thread, or that has died; the socket gets closed.  By who accepted it, or noticed."""
        self.broken = True
        self._is_left = True  # first: an open response that ends now closes it
        self.hands_over = False
        self.cut()
        if self._turn.acquire(False):
            self.channel.close()
        self.core.connections.discard(self)
        self.core.made_room()

    # ---------------------------------------------------------------- the thread

    def run(self) -> None:
        """Serve until the client or the server has had enough.  Never raises; the socket gets closed."""
        core = self.core
        try:
            if core.tls is None or self._handshake():
                self._serve()
        except Exception as error:
            log.exception("a connection failed in the server itself: please report this")
            self.broken = True
            self._is_left = False
            self.channel.cut()
            clear_frames(error.__traceback__)  # which may hold a response: dropped now, it is done before we go on
            if self.hands_over:
                self.hands_over = False
                if self._turn.locked():  # else that response has released it
                    self._turn.release()
        if self._is_left:
            return
        self._turn.acquire()  # the last response writes until it is closed
        if self._relay is not None:
            self._relay.pass_in(self._source.take_pending())
        elif not self._detached:
            self._close()
            core.connections.discard(self)
            core.made_room()

    def _handshake(self) -> bool:
        """TLS, under header_timeout; False where it comes to nothing (RFC 8446)."""
        tls = self.core.tls
        assert tls is not None
        try:
            sock = tls.wrap_socket(self.channel.socket, server_side=True, do_handshake_on_connect=False)
        except OSError as error:
            self._log_handshake(error)
            return False  # the client has gone already
        self.channel = channel = DuplexTlsChannel(sock)
        self._source = Source(channel.receive)
        if self._cut:
            return False  # somebody cut the channel that has just been replaced
        try:
            channel.handshake(self.core.header_timeout)
        except OSError as error:
            if channel.met_plain_http(error):
                self._refuse_plain_http(channel)
            else:
                self._log_handshake(error)
            return False
        der = sock.getpeercert(True)
        if der is not None:
            try:
                self.certificate = X509Certificate.from_der(der)
            except ValueError as error:
                self._log_handshake(error)
                return False  # OpenSSL could read it, and we cannot: better nobody than somebody unknown
        self.idle_since = self.opened_at = monotonic()
        return True

    def _log_handshake(self, error: Exception) -> None:
        # Not above DEBUG: port scanners and browsers that distrust us make them fail all day.
        log.debug("a TLS handshake with %s failed: %s", self.remote, error)

    def _refuse_plain_http(self, channel: DuplexTlsChannel) -> None:
        """Tell a client that takes this for an http port, in the one language that it reads."""
        location = None
        if channel.has_input():
            location = https_location(channel.rest_of_plain(), self.core.port, self.core.parse_head)
        self.channel = channel.to_plain()
        if self._cut:
            return  # somebody cut the channel that has just been replaced
        log.info("%s speaks plain HTTP to the HTTPS port %s", self.remote, self.core.name)
        error = BadMessage("this is plain HTTP, and the port speaks TLS: use https:// in the URL",
                           308 if location else 400)
        self._refuse(error, is_head=False, location=location)

    def _serve(self) -> None:
        core, channel, source, turn = self.core, self.channel, self._source, self._turn
        seen = b""
        known: object = None
        wait = core.idle_timeout
        while True:
            # ------------------------------------------------ receive
            if wait != channel.receive_timeout:
                channel.set_receive_timeout(wait)
            data = None
            try:
                data = source.head(core.limits, self._before_wait)
                if data is None:
                    return
                # -------------------------------------------- parse: clients repeat themselves
                if data != seen or core.known_fields is not known:
                    known = core.known_fields
                    head = core.parse_head(data)
                    seen = data
                body = request_body(source, head.fields, core.limits) if head.has_body else None
            except BadMessage as error:
                if data is not None:
                    source.unread_head(data)  # for a relay
                if not isinstance(error, Truncated):
                    self._refuse(error, is_head=source.pending.lstrip(b"\r\n").startswith(b"HEAD "))
                return
            except TIMED_OUT:
                wait = self._patience()
                if wait is None or wait > 0:
                    continue
                return
            except OSError:
                self.broken = True
                return
            self._head_due = None
            wait = core.idle_timeout

            # ------------------------------------------------ hand over
            turn.acquire()
            self.hands_over = True
            if self._last or self._cut or core.closing:
                self.hands_over = False
                source.unread_head(data)  # for a relay; else it is answered by the close
                turn.release()
                return
            # Ahead only where nothing of this request is left to read, and nothing but a request can come.
            self._reads_ahead = head.is_followed
            if body is not None:
                self._set_pace()
            elif head.is_last and not source.pending:
                # The client sends nothing more, so this thread is done: who closes the response closes the socket.
                self._is_left = self._client_is_done = True
            # No variable here ever holds the request: its handler is to be the only one, at once.
            core.requests.put(HttpRequest(self, head, body, HttpResponse(self, head, body)))
            self.hands_over = False
            if head.is_followed:
                continue
            if self._is_left:
                return

            # ------------------------------------------------ or wait
            turn.acquire()
            turn.release()
            if self._last:
                # A client that said close sends nothing more: no answer can be lost to a reset.
                self._client_is_done = not head.keep_alive and not source.pending and (body is None or body.finished)
                return
            if body is not None:
                with body.lock:  # a handler's thread may still be in read()
                    if not body.discard(DRAIN_SIZE):
                        self._last = True
                        return
                    source.receive_from(channel.receive)

    def _set_pace(self) -> None:
        """A body comes next: how long to wait for it, between two pieces and in all."""
        gap, rate = self.core.body_timeout, self.core.min_body_rate
        if rate is None:
            self.channel.set_receive_timeout(gap)
        else:
            pace = BodyPace(self.channel, gap, rate, self._source.pending_size)
            self._source.receive_from(pace.receive)

    def _before_wait(self) -> None:
        """A head is on its way: from its first byte on it has header_timeout."""
        if self._relay is not None:
            raise Truncated("the socket was handed over")  # what has come is its new owner's
        now = monotonic()
        limit = self.core.header_timeout
        if self._head_due is None:
            self._head_due = now + (limit if limit is not None else float("inf"))
        if limit is None:
            self.channel.set_receive_timeout(None)
        elif self._head_due > now:
            self.channel.set_receive_timeout(self._head_due - now)
        else:
            raise BadMessage(f"a request head was not whole within {limit:g} seconds", 408)

    def _patience(self) -> float | None:
        """Nothing came in time.  How long to wait on: a response is open, or was until lately; 0: no longer."""
        limit = self.core.idle_timeout
        if self._last or self._cut:
            return 0
        if limit is None or self._turn.locked():
            return limit
        return max(self.idle_since + limit - monotonic(), 0)

    def _refuse(self, error: BadMessage, *, is_head: bool, location: str | None = None) -> None:
        """Answer what was no request, whole and valid, once the last response is done; the connection ends.

        An answer to HEAD says how long its content would be, and has none (RFC 9110 9.3.2).
        """
        self._turn.acquire()
        try:
            if self._last or self._cut:
                return
            core = self.core
            phrase = phrase_of(error.status)
            body = f"{error.status} {phrase}: {error.message}\n".encode("latin-1", "replace")
            headers = core.error_headers()
            if location is not None:
                headers.set("location", location)
            head, _, _ = make_head(core.head_starts, _ILLEGIBLE_HEAD if is_head else _ILLEGIBLE, error.status, None,
                             headers, (), length=len(body), has_body=True, may_keep=False)
            if is_head:
                body = b""
            answer = head + body
            sent = 0
            try:
                sent = self.channel.send_now(answer)
                while sent < len(answer):
                    sent += self.channel.send_some(answer[sent:], core.body_timeout)
            except OSError:
                self.broken = True
            self._last = True
            if core.access_log is not None:
                size = max(sent - len(head), 0)
                log_access(core, AccessRecord(self.remote, None, time(), "-", "-", "-", error.status, size, 0.0,
                                              _ILLEGIBLE.fields.headers, sent == len(answer)))  # fmt: skip
        finally:
            self._turn.release()

    def _close(self) -> None:
        """In stages: nothing more from us, read away what still comes, close (RFC 9112 9.6)."""
        channel = self.channel
        if self._end_of_patience is not None:
            self._end_of_patience.cancel()
            if self.core.closing:
                self.core.timekeeper.prune()
        if not (self._cut or self.broken):
            lingers = self._last and not self._client_is_done
            if lingers or channel.is_tls:
                channel.half_close()
            if lingers:
                channel.linger(LINGER_TIME)
        channel.close()

    # ---------------------------------------------------------------- for the response

    def expire(self) -> None:
        """The response's deadline has passed: on the timekeeper's thread."""
        self.broken = True
        self.channel.cut()

    def response_done(self, response: Answer, keep: bool) -> None:
        """The response is closed: on its thread, and its last act, since from here on the socket may be closed."""
        self.idle_since = monotonic()
        if not keep or self.core.closing:
            self._last = True
            if self.core.closing:
                self.core.timekeeper.prune()  # its thread does not wait on for a deadline that was kept
            if self._reads_ahead:
                self._end_reading_ahead()
        if self._is_left:
            response._finished = True
            self.core.connections.discard(self)
            self._close()
            self.core.made_room()
            return
        # In one step as Ctrl-C sees it, which comes between calls: what is not finished is not released.
        response._finished = True
        self._turn.release()
        if self.core.closing and not self._last:
            self.cut()  # close() has just begun, and took this connection for a busy one

    def _end_reading_ahead(self) -> None:
        """The connection's thread waits for input: the client's end of it, or our patience's."""
        if self.broken:
            self.channel.cut()
            return
        self.channel.half_close()
        try:
            self._end_of_patience = self.core.timekeeper.schedule(LINGER_TIME, self.channel.cut)
        except Exception:  # no thread for a timer: no patience
            self.channel.cut()

    def detach(self, response: Answer) -> socket.socket:
        """Let go of the socket, for the response's thread; what was read too far comes out of it first.

        From here on the server does not know it any more: it is its new owner's to close.
        Raises OSError or RuntimeError where the system has no sockets or no thread for a relay.
        """
        self._last = True
        if self._reads_ahead or self._source.pending:
            # This connection's thread may be in receive(), or has read what belongs to the new owner.
            sock = self._start_relay()
        else:
            self._detached = True
            sock = self.channel.detach()
        self.core.connections.discard(self)
        response._finished = True
        self._turn.release()
        self.core.made_room()
        return sock

    def _start_relay(self) -> socket.socket:
        """The end for the new owner.  Raises what kept the relay from starting; then there is none."""
        relay = Relay(self.channel)
        self._relay = relay  # from here on this connection's thread leaves all that comes as pending
        try:
            relay.pass_early(self._source.partial)
            self.core.threads.run(relay.pass_out, relay.abandon)
        except BaseException:
            self._relay = None
            relay.close()
            raise
        return relay.theirs
