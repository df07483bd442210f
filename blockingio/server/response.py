"""HttpResponse: the answer to one request, written straight to the connection.

The writing half of the connection belongs to the open response, and so to whatever thread
works on it; once it is closed, to nobody.  What the client does not take at once an Outbox sends.
"""

from __future__ import annotations

import os
import sys
import warnings
from concurrent.futures import Future, InvalidStateError
from time import monotonic, time
from typing import TYPE_CHECKING, NoReturn

from blockingio.errors import BadMessage, HttpException, StateError
from blockingio.net.address import HttpConnectionInfo
from blockingio.server.access import AccessRecord, log_access
from blockingio.server.compression import compressed_headers, gzip_compressor
from blockingio.server.outbox import FilePart, Outbox
from blockingio.server.response_head import make_detached_head, make_head, phrase_of
from blockingio.server.session import SESSION_COOKIE, HttpSession, Sessions
from blockingio.values.cookie import Cookie, SameSite
from blockingio.values.grammar import FIELD_VALUE_RE
from blockingio.values.headers import HttpHeaders
from blockingio.values.uri import Uri
from blockingio.wire.body import Body
from blockingio.wire.head import RequestHead
from blockingio.wire.limits import BODY_RECEIVE_SIZE, DRAIN_SIZE
from blockingio.wire.sink import BUFFERING, CLOSED, COUNTED, NO_BODY, OPEN, STREAMING, Compressor, IOSink

if TYPE_CHECKING:
    import socket

    from blockingio.server.connection import Connection
    from blockingio.server.core import Core
    from blockingio.server.timekeeper import Appointment

# The first phase of a response: its request is still on the server's queue.
UNTAKEN = -1

_STARTED = "the response has begun: headers are set before the first write, flush or close"


class HttpResponse(IOSink):
    """The answer.  The head goes out with the first byte that leaves; a body that is closed
    before it outgrows the buffer is sent with its Content-Length in one write.

    Socket errors are swallowed: once the client is gone, writes do nothing.
    As a context manager it closes itself; an exception inside makes it a 500 if nothing was
    sent, else aborts the connection, and goes on up.  A response dropped without close() is
    closed, with a ResourceWarning.  One thread at a time may work on it.  Follows dart:io's HttpResponse.
    """

    __slots__ = ("_connection", "_asked", "_body", "_plain", "_keep", "_gone",
                 "_status_code", "_reason_phrase", "_headers", "_cookies", "_session", "_outbox", "_done",
                 "_deadline", "_appointment", "_started_at", "_finished")  # fmt: skip

    def __init__(self, connection: Connection, asked: RequestHead, body: Body | None) -> None:
        # IOSink's, set here: a call of its own would cost each request one more frame.
        self._phase = UNTAKEN
        self._finished = False  # nothing is left to be done, and the connection knows
        self._parts = []
        self._size = self._written = self._compressed = 0
        self._declared = -1
        self._framing = COUNTED
        self._codec = self._encoder = self._compressor = None
        self.buffer_output = True

        self._connection = connection
        self._asked = asked
        self._body = body
        # Nothing about request or response asks for more than the head that is made in advance.
        self._plain = asked.is_plain
        self._keep = True  # the connection is used again; decided when the head is made
        self._gone = False  # nothing can be sent any more
        self._status_code = 200
        self._reason_phrase: str | None = None
        self._headers: HttpHeaders | None = None  # None: the default ones, untouched
        self._cookies: list[Cookie] | None = None
        self._session: HttpSession | None = None
        self._outbox: Outbox | None = None
        self._done: Future[HttpResponse] | None = None
        self._deadline: float | None = None
        self._appointment: Appointment | None = None
        self._started_at = monotonic()  # when the request's head was here

    def __repr__(self) -> str:
        phase = ("open", "buffering", "streaming", "closed", "untaken")[self._phase]
        return f"<HttpResponse {self._status_code} {phase}{'' if self.is_connected else ' disconnected'}>"

    # ---------------------------------------------------------------- what it says

    @property
    def status_code(self) -> int:
        """200 until set.  Setting it raises ValueError outside of 100 to 999, StateError once it has begun."""
        return self._status_code

    @status_code.setter
    def status_code(self, status: int) -> None:
        if self._phase != OPEN:
            raise StateError("the response has begun: status_code is set before the first write, flush or close")
        if not isinstance(status, int) or not 100 <= status <= 999:
            raise ValueError(f"a status code has three digits, got {status!r}")
        self._status_code = int(status)
        self._plain = False

    @property
    def reason_phrase(self) -> str:
        """The registered one until set.  Setting it: ValueError for CR, LF and the like, StateError once begun."""
        if self._reason_phrase is not None:
            return self._reason_phrase
        return phrase_of(self._status_code)

    @reason_phrase.setter
    def reason_phrase(self, phrase: str) -> None:
        if self._phase != OPEN:
            raise StateError("the response has begun: reason_phrase is set before the first write, flush or close")
        if not FIELD_VALUE_RE.fullmatch(phrase):
            raise ValueError(f"a reason phrase is one line of latin-1 text, got {phrase!r}")
        self._reason_phrase = phrase
        self._plain = False

    @property
    def headers(self) -> HttpHeaders:
        """The header fields, at first the server's default ones; immutable once the response has begun.

        They are those of an HTTP/1.1 message, which is what goes out; a client of 1.0 is spared the rest.
        """
        if self._headers is None:
            self._headers = self._connection.core.default_response_headers._copy()
            if self._phase != OPEN:
                self._headers._freeze(_STARTED)
            else:
                self._plain = False
        return self._headers

    @property
    def cookies(self) -> list[Cookie]:
        """Sent with Set-Cookie; change the list before the response begins."""
        if self._cookies is None:
            self._cookies = []
            self._plain = False
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
        """Who is at the other end; None on a socket without addresses."""
        return self._connection.info

    @property
    def is_connected(self) -> bool:
        """False once the client is known to be gone: a write failed, or its connection broke."""
        outbox = self._outbox
        return not (self._gone or self._connection.broken or (outbox is not None and outbox.failed))

    @property
    def done(self) -> Future[HttpResponse]:
        """Completes with this response once it is closed and handed to the system as a whole.

        Where it never can be, because the client went away or it was aborted, with an HttpException.
        """
        done = self._done
        if done is None:
            done = self._done = Future()
            if self._phase == CLOSED and (self._outbox is None or not self._outbox.busy):
                self._complete(done)
        return done

    @property
    def deadline(self) -> float | None:
        """Seconds from when it is set; then the response is cut off, and further data ignored.  None: no limit.

        Setting it raises ValueError below 0.
        """
        return self._deadline

    @deadline.setter
    def deadline(self, seconds: float | None) -> None:
        if seconds is not None and not seconds >= 0:
            raise ValueError(f"a deadline is seconds from now, or None, got {seconds!r}")
        if self._appointment is not None:
            self._appointment.cancel()
            self._appointment = None
        self._deadline = seconds
        if seconds is not None and self._phase != CLOSED:
            self._appointment = self._connection.core.timekeeper.schedule(seconds, self._connection.expire)

    # ---------------------------------------------------------------- its end

    def close(self) -> None:
        """Send what is left; the connection goes on with the next request.  Idempotent.

        Raises HttpException where a content_length was set and less was written.
        """
        if self._phase == CLOSED:
            return
        try:
            if self._gone:
                self._parts = []
            else:
                self._send_rest()
        except BaseException:
            self._give_up()
            raise
        self._phase = CLOSED
        outbox = self._outbox
        if outbox is None:
            self._finish(not self._gone)
        else:
            outbox.finish(self._finish)

    def redirect(self, location: Uri | str, *, status: int = 302) -> None:
        """Answer with Location and close (RFC 9110 15.4).

        Raises StateError once the response has begun, ValueError for a location with CR, LF or NUL.
        """
        if self._phase != OPEN:
            raise StateError("the response has begun: redirect() comes before the first write, flush or close")
        self.status_code = status
        text = str(location)
        self.headers.set("location", text if text.isascii() else str(Uri.parse(text)))
        self.close()

    def detach_socket(self, *, write_headers: bool = True) -> socket.socket:
        """Take the connection over, for another protocol; the server lets go of it.

        ``write_headers`` sends the head first, whatever was written behind it.  Raises StateError where
        the response has been closed.
        """
        if self._phase == CLOSED:
            raise StateError("the response is closed, and its connection is used for the next request")
        if self._phase == OPEN:
            self._lock()
        if self._phase == BUFFERING:
            head = b""
            if write_headers:
                head = make_detached_head(self._connection.core, self._asked,
                                          self._status_code, self.reason_phrase, self.headers, self._cookies or ())
            self._transmit(head + self._take_buffered())
        if self._outbox is not None:
            self._outbox.wait()
        self._phase = CLOSED
        sock = self._connection.detach(self)
        self._settle()
        return sock

    def __enter__(self) -> HttpResponse:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._fail(500)

    def __del__(self) -> None:
        if self._finished or sys.is_finalizing():
            return
        if self._phase == UNTAKEN:
            self._fail(503)  # Ctrl-C came in the moment in which a loop was about to get it
        elif self._phase != CLOSED:
            self._close_forgotten()
        else:
            self._connection.cut()  # Ctrl-C came in the middle of close(): whether all was sent nobody knows
            self._finish(False)

    def _close_forgotten(self) -> None:
        """Close for a user who has dropped it."""
        try:
            warnings.warn(f"a response was dropped without close(): {self._asked.method} {self._asked.target}", ResourceWarning,
                          stacklevel=3, source=self)  # fmt: skip
        finally:  # a filter may make the warning an error
            try:
                self.close()
            except HttpException:
                pass  # too little written: the connection has been cut, which is all the client can be told

    def _fail(self, status: int) -> None:
        """An error came in between: answer with its status if nothing was sent, else abort."""
        if self._phase == CLOSED:
            return
        if self._phase > BUFFERING or self._gone:
            self._give_up()
            return
        self._parts = []
        self._size = 0
        self._phase = OPEN
        self._headers = None
        self._cookies = None
        self._codec = self._encoder = None
        self._status_code = status
        self._reason_phrase = None
        self._plain = False
        self.write(f"{status} {phrase_of(status)}\n")
        self.close()

    def _give_up(self) -> None:
        if self._phase == CLOSED:
            return
        self._phase = CLOSED
        self._gone = True
        self._keep = False
        self._parts = []
        self._connection.cut()
        if self._outbox is None:
            self._finish(False)
        else:
            self._outbox.finish(self._finish)

    def _finish(self, sent: bool) -> None:
        """All is sent, or never will be: the writing half is nobody's now."""
        if not sent:
            self._gone = self._connection.broken = True
        if self._appointment is not None or self._done is not None or self._connection.core.access_log is not None:
            self._settle()
        self._connection.response_done(self, self._keep and sent)

    def _settle(self) -> None:
        if self._appointment is not None:
            self._appointment.cancel()
        if self._done is not None:
            self._complete(self._done)
        if self._connection.core.access_log is not None:
            self._log()

    def _complete(self, done: Future[HttpResponse]) -> None:
        try:
            if self._gone:
                done.set_exception(HttpException(f"the answer to {self._asked.method} {self._asked.target} was not sent whole"))
            else:
                done.set_result(self)
        except InvalidStateError:
            pass  # close() and the first look at `done` met, on two threads: both see it completed

    def _log(self) -> None:
        connection = self._connection
        log_access(connection.core, AccessRecord(
            connection.remote, None, time(), self._asked.method, self._asked.target, self._asked.version, self._status_code,
            self._body_size(), monotonic() - self._started_at, self._asked.fields.headers,
        ))  # fmt: skip

    def _body_size(self) -> int:
        """Bytes of body that went out, without framing."""
        if self._framing == NO_BODY:
            return 0
        return self._written if self._compressor is None else self._compressed

    # ---------------------------------------------------------------- for IOSink

    def _refuse_late_write(self) -> None:
        if not self._gone:
            super()._refuse_late_write()

    def _lock(self) -> None:
        if self._headers is not None:
            self._headers._freeze(_STARTED)
            self._declared = self._headers.content_length
        self._phase = BUFFERING

    def _choose_compressor(self) -> Compressor | None:
        if not self._connection.core.auto_compress:
            return None
        headers = compressed_headers(self._status_code, self.headers, self._asked.fields.headers)
        if headers is None:
            return None
        headers._freeze(_STARTED)
        self._headers = headers
        return gzip_compressor() if "content-encoding" in headers else None

    def _send_rest(self) -> None:
        # What most requests get, a plain 200 whose body has not outgrown the buffer, in as few steps as can be.
        if self._plain and self._phase <= BUFFERING and self._encoder is None:
            head = self._connection.core.plain_head()
            if head is not None:
                self._send_plain(head, b"".join(self._parts))
                return
        super()._send_rest()

    def _send_plain(self, head: bytes, body: bytes) -> None:
        """A whole 200 behind a head that was made in advance, all but what is this answer's own."""
        if self._connection.core.closing or not self._asked.keep_alive:
            self._keep = False
            head += b"connection: close\r\n"
        self._written = len(body)
        self._transmit(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))

    def _answer_plainly(self, fields: bytes, body: bytes) -> bool:
        """Send a 200 with this header section instead of the default one, and close.

        For a response that nobody has touched.  False where it needs a head of its own: nothing is sent.
        """
        if not self._plain or self._phase != OPEN:
            return False
        head = self._connection.core.plain_head_with(fields)
        if head is None:
            return False
        self._send_plain(head, body)
        self._phase = STREAMING
        self.close()
        return True

    def _begin(self, length: int) -> bytes:
        head = make_head(
            self._connection.core, self._asked, self._status_code, self.reason_phrase,
            self.headers, self._cookies or (), length=length, has_body=self._written + self._size > 0,
            may_keep=self._may_keep(),
        )
        self._framing = head.framing
        self._keep = head.keep
        return head.data

    def _may_keep(self) -> bool:
        """Whether nothing but the response's own headers speaks against using the connection again."""
        if not (self._asked.keep_alive and self._keep):
            return False
        body = self._body
        # Not asked for (100-continue), failed, or more than is worth reading away: a new connection is cheaper.
        return body is None or body.finished or not (
            body.failed or body.left > DRAIN_SIZE or body.held_back
        )

    def _find_codec(self) -> str:
        if self._headers is None:
            core = self._connection.core
            # What default_codec() would look at as well, without the calls.
            made_of = core.codec_made_of
            if made_of is not None and made_of is core.default_response_headers._encoded:
                return core.codec
            return core.default_codec()
        return super()._find_codec()

    def _transmit(self, data: bytes | memoryview) -> None:
        """Send what the kernel takes now; the rest goes to the outbox, so that a slow client holds nobody up."""
        if self._gone:
            return
        outbox = self._outbox
        if outbox is None or not outbox.busy:
            try:
                sent = self._connection.channel.send_now(data)
            except OSError:
                self._gone = True  # swallowed: the client is not there to be told
                return
            if sent == len(data):
                return
            data = memoryview(data)[sent:]
        if not self._make_outbox().put(data):
            self._gone = True

    def _make_outbox(self) -> Outbox:
        if self._outbox is None:
            core = self._connection.core
            self._outbox = Outbox(self._connection.channel, core.body_timeout, core.budget, core.threads.run)
        return self._outbox

    def flush(self) -> None:
        """Send what is buffered, the head too if it has not gone, and wait until the system has taken it."""
        super().flush()
        if self._outbox is not None and not self._outbox.wait():
            self._gone = True

    def _send_file(self, descriptor: int, offset: int, count: int) -> int:
        """Write ``count`` bytes of an open file from ``offset``; content_length was set to at least that.

        The bytes go from the file to the socket without a copy, on a thread of their own.  A file that
        becomes shorter meanwhile ends the connection.  Returns ``count``.
        """
        if self._phase == CLOSED:
            self._refuse_late_write()
            return count
        if self._phase == OPEN:
            self._lock()
        if 0 <= self._declared < self._written + self._size + count:
            self._fail_length(f"{self._written + self._size + count} bytes written, "
                              f"expected {self._declared} by content_length")  # fmt: skip
        self._send_buffered()
        if self._compressor is not None:
            self._add_file(descriptor, offset, count)
            return count
        self._written += count
        if self._framing == NO_BODY or self._gone:
            return count
        if not self._make_outbox().put(FilePart(descriptor, offset, count)):
            self._gone = True
        return count

    def _add_file(self, descriptor: int, offset: int, count: int) -> None:
        """_send_file where the bytes have to be compressed on their way."""
        end = offset + count
        while offset < end and self.is_connected:
            data = os.pread(descriptor, min(BODY_RECEIVE_SIZE, end - offset), offset)
            if not data:
                self._fail_length(f"a file ended {end - offset} bytes before what was promised of it")
            self._add(data)
            offset += len(data)

    # ---------------------------------------------------------------- for HttpRequest

    def _start_session(self, sessions: Sessions) -> None:
        if self._phase != OPEN:
            raise StateError("the response has begun: use request.session before the first write, so that its "
                             "cookie can be sent")  # fmt: skip
        self._session = sessions.create()
        cookie = Cookie(SESSION_COOKIE, self._session.id)
        cookie.path = "/"
        cookie.same_site = SameSite.LAX
        cookie.secure = self._connection.scheme == "https"
        self.cookies.append(cookie)

    def _send_continue(self) -> None:
        """100, for a client that waits for it before it sends a body (RFC 9110 10.1.1); not once the answer has begun."""
        if self._phase <= BUFFERING:
            self._transmit(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _body_failed(self, error: BadMessage) -> None:
        """The body cannot be read: say so unless the handler says otherwise; the connection ends with this answer."""
        self._keep = False
        self._plain = False
        if self._phase == OPEN and self._status_code == 200:
            self._status_code = error.status
