"""What a connection's thread does: receive a head, hand the request over, wait for its response.

The thread keeps no reference to a request or a response that it has handed over: the queue's readers must be able to
notice one that is dropped without close().
"""

from __future__ import annotations

from time import monotonic, time

import blockingio.server as room
from blockingio.errors import BadMessage
from blockingio.net.channel import reason_of
from blockingio.server.access import AccessRecord, log_access
from blockingio.server.connection import Connection
from blockingio.server.pace import BodyPace
from blockingio.server.request import HttpRequest
from blockingio.server.response import UnfinishedResponse
from blockingio.server.refusal import refusal
from blockingio.server.response_head import make_head
from blockingio.server.state import log
from blockingio.stream.subscription import release_frames
from blockingio.wire.body import Body, request_body
from blockingio.wire.head import Fields, RequestHead
from blockingio.wire.limits import BODIES_AHEAD, BODY_RECEIVE_SIZE, DRAIN_SIZE, HEAD_RECEIVE_SIZE
from blockingio.wire.source import TIMED_OUT, Truncated

# What is answered where a request could not be read, or only so far as that it asks for a head.
_ILLEGIBLE = RequestHead("GET", "*", "1.1", Fields(b"", "1.1"))
_ILLEGIBLE_HEAD = RequestHead("HEAD", "*", "1.1", Fields(b"", "1.1"))


class ConnectionLoop:
    """``run`` is the thread's; all that is here is its own."""

    __slots__ = ("_connection", "_state", "_seen", "_head", "_made_with", "_settings", "_body", "_receives_ahead")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._state = connection.state
        self._seen = b""  # the last head ...
        self._head = _ILLEGIBLE  # ... and what was made of it: clients repeat themselves
        self._made_with: object = None  # the settings then
        # Those that this connection keeps to; None: what it waits for next has another limit than an idle one.
        self._settings: object = None
        self._body: Body | None = None  # the last request's
        self._receives_ahead = True  # the last body that had not come with its head was no long one

    def run(self) -> None:
        """Serve until the client or the server ends it.  Never raises; the socket gets closed."""
        connection = self._connection
        try:
            if self._state.tls is None or connection.handshake():
                self._take_settings()
                receive, hand_over = self._receive, self._hand_over
                while (head := receive()) is not None and hand_over(head):
                    pass
            elif connection.speaks_plain_http:
                self._refuse_plain_http()
        except Exception as error:
            log.exception("a connection failed in the server itself: please report this")
            connection.broken = True
            connection.closed_by_response = False
            connection.end_because(f"the server failed: {error!r}")
            connection.channel.cut()
            release_frames(error)  # which may hold a response: dropped now, it is done before we go on
            if connection.hands_over:
                connection.hands_over = False
                if connection.writing.locked():  # else that response has released it
                    connection.writing.release()
        if connection.closed_by_response:
            return
        connection.writing.acquire()  # the last response writes until it is closed
        if connection.relay is not None:
            connection.relay.pass_in(connection.source.take_pending())
        elif not connection.detached:
            connection.end()

    def _take_settings(self) -> None:
        """They have changed since the last request, or what was waited for had a limit of its own."""
        connection, state = self._connection, self._state
        self._settings = state.known_fields
        if self._made_with is not self._settings:
            self._made_with = self._settings
            self._seen = b""
        connection.head_due = None
        connection.channel.set_receive_timeout(state.idle_timeout)

    # ---------------------------------------------------------------- receive

    def _receive(self) -> RequestHead | None:
        """The next request's head; None where none comes any more."""
        connection, state = self._connection, self._state
        while True:
            data = None
            try:
                data = connection.source.head(state.limits, self._before_wait)
                if data is None:
                    return None
                if self._settings is not state.known_fields:
                    self._take_settings()
                if data != self._seen:
                    self._head = state.parse_head(data)
                    self._seen = data
                head = self._head
                self._body = self._take_body(head.fields) if head.has_body else None
                return head
            except BadMessage as error:
                self._end_unread(data, error)
                return None
            except TIMED_OUT:
                if self._waits_on():
                    continue
                connection.end_because(f"idle for {state.idle_timeout:g} s")
                return None
            except OSError as error:
                connection.end_because(reason_of(error))
                connection.broken = True
                return None

    def _take_body(self, fields: Fields) -> Body | None:
        connection, state = self._connection, self._state
        ahead = self._receives_ahead and len(state.connections) <= BODIES_AHEAD
        return request_body(connection.source, fields, state.limits, connection.channel.receive_now if ahead else None)

    def _end_unread(self, data: bytes | None, error: BadMessage) -> None:
        """What came is no request."""
        source = self._connection.source
        self._connection.end_because(self._reason(error))
        if data is not None:
            source.unread_head(data)  # for a relay
        if not isinstance(error, Truncated):
            fields = self._head.fields if data is not None and data == self._seen else None
            self._refuse(error, is_head=source.pending.lstrip(b"\r\n").startswith(b"HEAD "), fields=fields)

    def _reason(self, error: BadMessage) -> str:
        """Why the connection ends where this came of a head."""
        if isinstance(error, Truncated):
            cause = error.__cause__
            return reason_of(cause) if isinstance(cause, OSError) else "the client closed in the middle of a head"
        if error.status == 408:
            return f"head not whole in {self._state.header_timeout:g} s"
        return f"refused: {error.status} {error.message}"

    # ---------------------------------------------------------------- hand over

    def _hand_over(self, head: RequestHead) -> bool:
        """Once the last response is closed; False where this thread is done."""
        connection, state, body = self._connection, self._state, self._body
        connection.writing.acquire()
        connection.hands_over = True
        if connection.is_last or connection.is_cut or state.closing:
            self._keep_unanswered()
            return False
        # Ahead only where nothing of this request is left to read, and nothing but a request can come.
        connection.may_read_ahead = reads_ahead = head.is_followed and (body is None or body.is_here)
        if not reads_ahead:
            self._note_end(head, body)
        # No variable here ever holds the request: its handler is to be the only holder, at once.
        state.requests.hand_over(HttpRequest(connection, head, body, UnfinishedResponse(connection, head, body)))
        connection.hands_over = False
        return reads_ahead or (not connection.closed_by_response and self._wait(head, body))

    def _keep_unanswered(self) -> None:
        """A request has come behind the end of the server, or of this connection."""
        connection = self._connection
        connection.hands_over = False
        connection.end_because("the server was closed")
        body = self._body
        # For a relay; else it is answered by the close.
        connection.source.unread_head(self._seen, b"" if body is None else body.rest)
        connection.writing.release()

    def _note_end(self, head: RequestHead, body: Body | None) -> None:
        """Where the request that is handed over next ends: its body is yet to come, or nothing comes behind it."""
        connection, state = self._connection, self._state
        if body is not None and not body.is_here:
            pace = BodyPace(connection.channel, state.body_timeout, state.min_body_rate, connection.source.pending_size)
            connection.source.receive_from(pace.receive)
            connection.body, connection.pace = body, pace
        elif head.is_last and not connection.source.pending:
            # The client sends nothing more, so this thread is done: the thread that closes the response closes the
            # socket.
            connection.closed_by_response = connection.client_closes = True

    # ---------------------------------------------------------------- wait

    def _wait(self, head: RequestHead, body: Body | None) -> bool:
        """Until the response is closed, and what it left of the body is read; False where this thread is done."""
        connection = self._connection
        connection.writing.acquire()
        connection.writing.release()
        if connection.is_last:
            # A client that said close sends nothing more: no answer can be lost to a reset.
            connection.client_closes = (
                not head.keep_alive and not connection.source.pending
                and (body is None or body.is_here or body.finished))
            return False
        if body is not None:
            with body.lock:  # a handler's thread may still be in read()
                if not body.discard(DRAIN_SIZE):
                    connection.end_because("the rest of a request's body was not read")
                    connection.is_last = True
                    return False
                if connection.pace is not None:
                    # Clients repeat themselves: what is much longer would be received and copied in vain.
                    self._receives_ahead = connection.pace.received <= HEAD_RECEIVE_SIZE + BODY_RECEIVE_SIZE
                connection.source.receive_from(connection.channel.receive)
                connection.channel.set_receive_timeout(self._state.idle_timeout)
                connection.body = connection.pace = None
        return True

    # ---------------------------------------------------------------- limits

    def _before_wait(self) -> None:
        """A head is on its way: from its first byte on it has header_timeout."""
        if self._connection.relay is not None:
            raise Truncated("the socket was handed over")  # what has come is its new owner's
        self._settings = None
        now = monotonic()
        limit = self._state.header_timeout
        if self._connection.head_due is None:
            self._connection.head_due = now + (limit if limit is not None else float("inf"))
        if limit is None:
            self._connection.channel.set_receive_timeout(None)
        elif self._connection.head_due > now:
            self._connection.channel.set_receive_timeout(self._connection.head_due - now)
        else:
            raise BadMessage(f"a request head was not whole within {limit:g} seconds", 408, "RFC 9110 15.5.9")

    def _waits_on(self) -> bool:
        """Nothing came in time.  True where a response is open, or the last one was closed less than that ago."""
        connection, limit = self._connection, self._state.idle_timeout
        if connection.is_last or connection.is_cut:
            return False
        left = limit
        if limit is not None and not connection.writing.locked():
            left = connection.idle_since + limit - monotonic()
            if left <= 0:
                return False
        self._settings = None
        connection.channel.set_receive_timeout(left)
        return True

    # ---------------------------------------------------------------- refuse

    def _refuse_plain_http(self) -> None:
        """Tell a client that takes this for an http port."""
        connection = self._connection
        if connection.is_cut:
            return
        connection.end_because("it speaks plain HTTP to a port for TLS")
        log.info("%s speaks plain HTTP to the HTTPS port %s", connection.remote, self._state.name)
        location = room.plain_http.https_location(connection.rest_of_plain, self._state.port, self._state.parse_head)
        error = BadMessage("this is plain HTTP, and the port speaks TLS: use https:// in the URL",
                           308 if location else 400)
        self._refuse(error, is_head=False, location=location)

    def _refuse(self, error: BadMessage, *, is_head: bool, fields: Fields | None = None,
                location: str | None = None) -> None:
        """Answer what was no request, whole and valid, once the last response is done; the connection ends.

        ``fields``: the request's, None where they are not known.  An answer to HEAD says how long its content would
        be, and has none (RFC 9110 9.3.2).
        """
        connection, state = self._connection, self._state
        connection.writing.acquire()
        try:
            if connection.is_last or connection.is_cut:
                return
            body = refusal(error, explains=connection.is_on_this_machine(fields)).encode("latin-1", "replace")
            headers = state.error_headers()
            if location is not None:
                headers.set("location", location)
            start, lines, framing, _, _ = make_head(
                state.head_starts, _ILLEGIBLE_HEAD if is_head else _ILLEGIBLE, error.status, None, headers, len(body),
                True, False)
            head = b"%b%b%b\r\n" % (start, lines, framing)
            answer = head if is_head else head + body
            sent, head_size = 0, len(head)
            try:
                sent = connection.channel.send_now(answer)
                while sent < len(answer):
                    sent += connection.channel.send_some(answer[sent:], state.body_timeout)
            except OSError:
                connection.broken = True
            connection.is_last = True
            if state.access_log is not None:
                log_access(state.access_log, AccessRecord(
                    connection.remote, None, time(), "-", "-", "-", error.status, max(sent - head_size, 0), 0.0,
                    _ILLEGIBLE.fields.headers, sent == len(answer)))
        finally:
            connection.writing.release()
