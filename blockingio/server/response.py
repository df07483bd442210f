"""HttpResponse: what a handler says in answer to one request.

How it goes out is ResponseWriter's, on which it stands.
"""

from __future__ import annotations

import sys
from concurrent.futures import Future
from time import monotonic
from typing import TYPE_CHECKING

from blockingio.errors import StateError
from blockingio.net.address import HttpConnectionInfo
from blockingio.server.compression import negotiate
from blockingio.server.response_writer import STARTED, ResponseWriter
from blockingio.server.deadline import Deadline
from blockingio.server.response_head import cookie_lines, make_detached_head, phrase_of
from blockingio.server.session import SESSION_COOKIE, HttpSession, Sessions
from blockingio.values.checks import check, is_wait
from blockingio.values.cookie import Cookie, SameSite
from blockingio.values.grammar import FIELD_VALUE_RE
from blockingio.values.elsewhere import names_here, point_elsewhere
from blockingio.values.header_store import FRAMING_NAMES
from blockingio.values.headers import HttpHeaders
from blockingio.values.uri import Uri
from blockingio.values.written import written_uri
from blockingio.wire.sink import BUFFERING, CLOSED, OPEN, STREAMING

if TYPE_CHECKING:
    import socket


# Seconds that a client's system gets to confirm what was sent before a reset, which would make ours forget the rest.
_CONFIRM_TIME = 2.0


class HttpResponse(ResponseWriter):
    """The answer.  The head goes out with the first byte that leaves; a body that is closed
    before it outgrows the buffer is sent with its Content-Length in one write.

    Socket errors are swallowed: once the client is gone, writes do nothing.  As a context manager it closes itself; an
    exception inside makes it a 500 if nothing was sent, else aborts the connection, and goes on up.  A response dropped
    without close() is closed, with a ResourceWarning; what a second name, a list or a thread still holds is not
    dropped.  That is when the next request is asked for.  On a Python without the GIL it is so only for the variable of
    a loop; else it is when the garbage collector runs, or the client sends more.  One thread at a time may work on it.
    Follows dart:io's HttpResponse.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        phase = ("open", "buffering", "streaming", "closed", "untaken")[self.phase]
        return f"<HttpResponse {self._status_code} {phase}{'' if self.is_connected else ' disconnected'}>"

    # ---------------------------------------------------------------- what it says

    @property
    def status_code(self) -> int:
        """200 until set.  Setting it raises ValueError outside of 100 to 999, StateError once it has begun."""
        return self._status_code

    @status_code.setter
    def status_code(self, status: int) -> None:
        if self.phase != OPEN:
            raise StateError("the response has begun: status_code is set before the first write, flush or close")
        if not isinstance(status, int) or not 100 <= status <= 999:
            raise ValueError(f"a status code has three digits, got {status!r}")
        self._status_code = int(status)

    @property
    def reason_phrase(self) -> str:
        """The registered one until set.  Setting it: ValueError for CR, LF and the like, StateError once begun."""
        return phrase_of(self._status_code) if self._reason_phrase is None else self._reason_phrase

    @reason_phrase.setter
    def reason_phrase(self, phrase: str) -> None:
        if self.phase != OPEN:
            raise StateError("the response has begun: reason_phrase is set before the first write, flush or close")
        if not isinstance(phrase, str) or not FIELD_VALUE_RE.fullmatch(phrase):
            raise ValueError(f"a reason phrase is one line of latin-1 text, got {phrase!r}")
        self._reason_phrase = phrase

    @property
    def headers(self) -> HttpHeaders:
        """The header fields, at first the server's default ones; immutable once the response has begun.

        They are those of an HTTP/1.1 message, which is what goes out; a client of 1.0 is spared the rest.
        """
        if self._headers is None:
            self._headers = self._connection.state.new_headers()
            if self.phase != OPEN:
                self._headers.freeze(STARTED)
        return self._headers

    @property
    def cookies(self) -> list[Cookie]:
        """Sent with Set-Cookie; change the list before the response begins."""
        if self._cookies is None:
            self._cookies = []
        return self._cookies

    @property
    def content_length(self) -> int:
        """Bytes of the body; -1: not known in advance.  Setting it once begun: HttpException."""
        return self.headers.content_length

    @content_length.setter
    def content_length(self, length: int) -> None:
        self.headers.content_length = length

    @property
    def persistent_connection(self) -> bool:
        """Whether the connection may be used again.  Setting it once begun: HttpException."""
        return self._asked.keep_alive and self.headers.persistent_connection

    @persistent_connection.setter
    def persistent_connection(self, persistent: bool) -> None:
        self.headers.persistent_connection = persistent

    @property
    def connection_info(self) -> HttpConnectionInfo | None:
        """The peer's address and port, and the local port; None on a socket without addresses."""
        return self._connection.info

    def session_for(self, asked: list[Cookie]) -> HttpSession:
        """The session of a request with these cookies; see HttpRequest.session."""
        session, sessions = self._session, self._connection.state.sessions
        if session is None or session.is_destroyed:
            found = (sessions.find(cookie.value) for cookie in asked if cookie.name == SESSION_COOKIE)
            session = next((known for known in found if known is not None), None)
            if session is None:
                session = self._start_session(sessions)
            self._session = session
        return session

    def _start_session(self, sessions: Sessions) -> HttpSession:
        if self.phase != OPEN:
            raise StateError("the response has begun: use request.session before the first write, so that its "
                             "cookie can be sent")
        session = sessions.create()
        cookie = Cookie(SESSION_COOKIE, session.id)
        cookie.path = "/"
        cookie.same_site = SameSite.LAX
        cookie.secure = self._connection.scheme == "https"
        # In place of that of one that was begun and destroyed in the same request.
        self.cookies[:] = [other for other in self.cookies if other.name != SESSION_COOKIE] + [cookie]
        return session

    # ---------------------------------------------------------------- how it goes

    @property
    def done(self) -> Future[HttpResponse]:
        """Completes with this response once it is closed and handed to the system as a whole.

        Where it never can be, because the client went away or it was aborted, with an HttpException.
        """
        done = self._done
        if done is None:
            done = self._done = Future()
            queue = self._send_queue
            if self.phase == CLOSED and (queue is None or not queue.busy):
                if queue is not None and queue.failed:
                    self._gone = True  # its thread is just about to say so
                self._complete(done)
        return done

    def note_end(self) -> None:
        """Have ``is_confirmed`` tell also what was so when the connection ended."""
        self._connection.channel.note_end()

    @property
    def is_confirmed(self) -> bool | None:
        """Whether the client's system has confirmed all that was sent; None where it may still do so.

        True where this system does not say.  Before the connection's end ``note_end`` has been called.
        """
        return self._connection.channel.is_confirmed

    @property
    def deadline(self) -> float | None:
        """Seconds from when it is set; then the response is cut off, and further data ignored.  None: no limit.

        Setting it raises ValueError below 0; once the response is closed it does nothing.
        """
        return None if self._deadline is None else self._deadline.seconds

    @deadline.setter
    def deadline(self, seconds: float | None) -> None:
        check("deadline", seconds, is_wait)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None and self.phase != CLOSED:
            self._deadline = Deadline(seconds, self._connection)

    def redirect(self, location: Uri | str, *, status: int = 302) -> None:
        """Answer with Location and close (RFC 9110 15.4).

        What a URI cannot hold is percent-encoded in a str.  Raises StateError once the response has begun,
        ValueError for a location with CR, LF or NUL, or with what cannot be a host.
        """
        if self.phase != OPEN:
            raise StateError("the response has begun: redirect() comes before the first write, flush or close")
        self.headers.set_trusted("location", str(written_uri(location)))
        self.status_code = status
        self.close()

    def detach_socket(self, *, write_headers: bool = True) -> socket.socket:
        """Take the connection over, for another protocol; the server lets go of it.

        ``write_headers`` sends the head first, whatever was written behind it.  Raises StateError where
        the response has been closed, OSError or RuntimeError where the system has no sockets or threads left for it.
        """
        if self.phase == CLOSED:
            raise StateError("the response is closed, and its connection is used for the next request")
        self._connection.channel.expect_new_owner()
        if self.phase == OPEN:
            self._freeze_headers()
        if self.phase == BUFFERING:
            head = b""
            if write_headers:
                head = make_detached_head(self._connection.state.head_starts, self._asked,
                                          self._status_code, self._reason_phrase, self.headers, self._cookies or ())
            body = self._take_buffered()
            self._transmit(head + body, len(body))
        else:
            self._send_buffered(sync=True)
        if self._send_queue is not None and not self._send_queue.wait():
            # Bytes are missing, so nothing may follow them, from the new owner neither.
            self._gone = True
            self._connection.channel.half_close()
        try:
            sock = self._connection.detach(self, b"" if self._body is None else self._body.rest)
        except BaseException:
            if not self.finished:
                self.give_up()
            raise
        self.phase = CLOSED
        self._settle()
        return sock

    # ---------------------------------------------------------------- for answers that are made for several requests

    @property
    def is_usual(self) -> bool:
        """Whether it is a 200 to a GET that has not begun, and nothing but headers was said of it."""
        return (self.phase == OPEN and self._status_code == 200 and self._asked.method == "GET" and not self._cookies
                and self._reason_phrase is None)

    @property
    def may_be_compressed(self) -> bool:
        """Whether the server compresses what clients take so."""
        return not self._is_as_given

    def take_headers(self, headers: HttpHeaders) -> None:
        """Answer with these instead of the default ones, and uncompressed; before the first write.

        They may serve several answers at once where they are not changed any more.
        """
        self._headers = headers
        self._is_as_given = True

    def negotiate_as(self, media_type: str, length: int) -> None:
        """Say of auto_compress what a 200 with this content would, for a 304 or 206 that does not name its type.

        Before the response begins; its status, and the ETag where it has one, are set.
        """
        if self._connection.state.auto_compress:
            described = self.headers.copy()
            described.set("content-type", media_type)
            negotiate(self._status_code, described, self._asked.fields.headers, length)
            for name in ("vary", "etag"):
                self.headers.remove_all(name)
                for value in described.get_all(name):
                    self.headers.add(name, value)

    # ---------------------------------------------------------------- framed by the caller

    def head_with(self, framing: bytes) -> bytes:
        """The head, with these lines in place of those that frame a body and of Connection; the response has begun.

        With ``send_as_it_is`` and ``end_as_it_is``: for an answer that is to break HTTP, as tests of clients want it.
        """
        if self.phase == OPEN:
            self._freeze_headers()
        headers, starts = self.headers, self._connection.state.head_starts
        start = starts.made_for(self._status_code, self._reason_phrase, headers)
        fields = headers.encode_without(FRAMING_NAMES) + cookie_lines(self._cookies or ())
        return b"%b%b%b\r\n" % (start, fields, framing)

    def send_as_it_is(self, data: bytes) -> bool:
        """Send bytes without framing, and wait until the system has taken them; False once the client is gone."""
        if self.phase == OPEN:
            self._freeze_headers()
        self.phase = STREAMING
        self._transmit(data, len(data))
        if self._send_queue is not None and not self._send_queue.wait():
            self._gone = True
        return not self._gone

    def end_as_it_is(self, *, reset: bool = False) -> None:
        """No more of the answer comes, and the connection ends: orderly, or by a reset behind all that was sent."""
        if self.phase == CLOSED:
            return
        if reset:
            end = monotonic() + _CONFIRM_TIME
            self._connection.channel.wait_while_taken(None, lambda: monotonic() >= end)
            self._connection.channel.abort()
            self.give_up()
            return
        self.phase = CLOSED
        self._keep = False
        self._finish(not self._gone)

    # ---------------------------------------------------------------- its end

    def __enter__(self) -> HttpResponse:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.fail(500)

    def __dir__(self) -> list[str]:
        return names_here(type(self), list(super().__dir__()))


# What other libraries have under these names.
point_elsewhere(HttpResponse, {name: f"a response has no {name!r}: it is {place}" for name, place in {
    "status": "status_code", "body": "write(), for bytes add()", "send": "write(), for bytes add()", "end": "close()",
    "json": "write(json.dumps(...)), with headers.content_type = ContentType.JSON",
    "content_type": "headers.content_type", "set_header": "headers.set(name, value)",
    "set_cookie": "cookies.append(Cookie(name, value))",
}.items()})


class UnfinishedResponse(HttpResponse):
    """An HttpResponse with a finalizer, which it loses at its end: ``_finish`` makes it a plain one.

    A finalizer that has nothing to do would still have its share of Ctrl-C: a loop's thread lets go of one answered
    request after the other, and what is raised in a finalizer the interpreter drops.  Without the GIL a change of class
    stops all threads, so there it stays; the connection's thread, which made the response, calls it while the
    connection goes on.
    """

    __slots__ = ()

    def __del__(self) -> None:
        if not (self.finished or sys.is_finalizing()):
            self._end_dropped()


# In messages it is called as users know it.
UnfinishedResponse.__name__ = UnfinishedResponse.__qualname__ = HttpResponse.__name__
HttpResponse._finished_class = HttpResponse
