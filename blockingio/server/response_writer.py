"""ResponseWriter: how the answer to one request goes out, written straight to the connection.

The writing half of the connection belongs to the open answer, and so to the thread that works on
it.  What the client does not take at once a SendQueue sends.
"""

from __future__ import annotations

import warnings
from concurrent.futures import Future, InvalidStateError
from time import monotonic, time
from typing import TYPE_CHECKING, Any, ClassVar

from blockingio.errors import BadMessage, HttpException
from blockingio.net.channel import reason_of
from blockingio.net.system import HAS_GIL, read_at
from blockingio.server.access import AccessRecord, log_access
from blockingio.server.compression import gzip_compressor, negotiate
from blockingio.server.send_queue import SendQueue
from blockingio.server.piece import FilePart, Piece, pieces_of
from blockingio.server.refusal import failure
from blockingio.server.response_head import cookie_lines, make_head
from blockingio.server.session import HttpSession
from blockingio.values.cookie import Cookie
from blockingio.values.headers import HttpHeaders
from blockingio.wire.body import Body
from blockingio.wire.head import RequestHead
from blockingio.wire.limits import BODY_RECEIVE_SIZE, DRAIN_SIZE
from blockingio.wire.sink import BUFFERING, CLOSED, COUNTED, NO_BODY, OPEN, UNTAKEN, UNTIL_CLOSE, Compressor, IOSink

if TYPE_CHECKING:
    from blockingio.server.connection import Connection
    from blockingio.server.deadline import Deadline

STARTED = "the response has begun: headers are set before the first write, flush or close"


class ResponseWriter(IOSink):
    """What HttpResponse stands on; it supplies ``headers``."""

    __slots__ = ("_connection", "_asked", "_body", "_keep", "_gone", "_status_code", "_reason_phrase",
                 "_cookies", "_session", "_send_queue", "_done", "_deadline", "started_at", "_sent",
                 "finished")

    # What it becomes with its end, of the same layout: see response.py.
    _finished_class: ClassVar[type[ResponseWriter]]

    def __init__(self, connection: Connection, asked: RequestHead, body: Body | None) -> None:
        # IOSink's, set here: a call of its own would cost each request one more frame.
        self.phase = UNTAKEN
        self.finished = False  # nothing is left to be done, and the connection knows
        self._parts = []
        self._size = self._written = self._sent = 0
        self._declared = -1
        self._framing = COUNTED
        self._codec = self._encoder = self.compressor = None
        self.buffer_output = True

        self._connection = connection
        self._asked = asked
        self._body = body
        self._is_as_given = not connection.state.auto_compress
        self._keep = True  # the connection is used again; decided when the head is made
        self._gone = False  # nothing can be sent any more
        self._status_code = 200
        self._reason_phrase: str | None = None
        self._headers: HttpHeaders | None = None  # None: the default ones, untouched
        self._cookies: list[Cookie] | None = None
        self._session: HttpSession | None = None
        self._send_queue: SendQueue | None = None
        self._done: Future[Any] | None = None
        self._deadline: Deadline | None = None
        self.started_at = monotonic()  # when the request's head was here

    # ---------------------------------------------------------------- its end

    def close(self) -> None:
        """Send what is left; the connection goes on with the next request.  Idempotent.

        It does not wait for a client that reads slowly: then a background thread sends the rest, and ``done`` tells
        when the system has it all.  Bytes that the system has may still be on their way to the client.
        Raises HttpException where a content_length was set and less was written.
        """
        if self.phase == CLOSED:
            return
        try:
            if self._gone:
                self._parts = []
            else:
                self._send_rest()
        except (ValueError, TypeError):
            self.fail(500)  # a cookie that cannot be written, or is none, say
            raise
        except BaseException:
            self.give_up()
            raise
        self.phase = CLOSED
        queue = self._send_queue
        if queue is None:
            self._finish(not self._gone)
        else:
            queue.finish(self._finish)

    def fail(self, status: int, error: BadMessage | None = None) -> None:
        """An error came in between: answer with its status if nothing was sent, else abort.

        ``error`` is what was wrong with the request: a client on this machine is told.
        """
        if self.phase == CLOSED:
            return
        if self.phase > BUFFERING or self._gone:
            self.give_up()
            return
        self._parts = []
        self._size = 0
        self._declared = -1
        self.phase = OPEN
        self._headers = self._connection.state.error_headers()
        self._cookies = None
        self._encoder = None
        self._status_code = status
        self._reason_phrase = None
        told = error if error is not None and self._connection.is_on_this_machine(self._asked.fields) else None
        self.add(failure(status, told).encode("latin-1", "replace"))
        self.close()

    def give_up(self) -> None:
        if self.phase == CLOSED:
            return
        self._gone = True  # first, for a thread that asks for done meanwhile
        self.phase = CLOSED
        self._keep = False
        self._parts = []
        if self._framing == UNTIL_CLOSE:
            self._connection.channel.abort()  # an orderly end would be that of the body
        self._connection.cut("its response was given up")
        if self._send_queue is None:
            self._finish(False)
        else:
            self._send_queue.finish(self._finish)

    def _finish(self, sent: bool) -> None:
        """All is sent, or never will be.  Its last act: from here on the writing half has no owner, and the socket may
        be closed."""
        connection = self._connection
        if not sent:
            self._keep = False
            self._gone = connection.broken = True
            queue = self._send_queue
            connection.end_because((queue.failure if queue is not None else "") or "the client is gone")
        state = connection.state
        if self._deadline is not None or self._done is not None or state.access_log is not None:
            self._settle()
        connection.idle_since = monotonic()
        if not self._keep or state.closing:
            connection.note_last_response()
        closes = connection.closed_by_response
        # In one step as Ctrl-C sees it, which comes between calls: what is not finished is not released.
        self.finished = True
        if HAS_GIL:
            self.__class__ = self._finished_class
        if closes:
            connection.end_by_response()
            return
        connection.writing.release()
        if state.closing and not connection.is_last:
            connection.cut("the server was closed")  # close() has just begun, and took this connection for a busy one

    def _settle(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if self._done is not None:
            self._complete(self._done)
        if self._connection.state.access_log is not None:
            self._log()

    def _complete(self, done: Future[Any]) -> None:
        try:
            if self._gone:
                asked = self._asked
                done.set_exception(HttpException(f"the answer to {asked.method} {asked.target} was not sent whole"))
            else:
                done.set_result(self)
        except InvalidStateError:
            pass  # close() and the first look at `done` met, on two threads: both see it completed

    def _log(self) -> None:
        connection, asked = self._connection, self._asked
        log_access(connection.state.access_log, AccessRecord(
            connection.client_address(asked.fields) or "-", None, time(), asked.method, asked.target, asked.version,
            self._status_code, self.body_sent, monotonic() - self.started_at,
            asked.fields.headers, not self._gone,
        ))

    def _end_dropped(self) -> None:
        """What is not finished will be used no more."""
        if self.phase == UNTAKEN:
            self.fail(503)  # Ctrl-C came in the moment in which a loop was about to get it
        elif self.phase != CLOSED:
            self.close_forgotten()
        else:
            # Ctrl-C came in the middle of close(): whether all was sent is unknown.
            self._connection.cut("its response was given up")
            self._finish(False)

    def close_forgotten(self) -> None:
        """Close for a handler that has dropped it."""
        try:
            asked = self._asked
            warnings.warn(f"a response was dropped without close(): {asked.method} {asked.target}",
                          ResourceWarning, stacklevel=3, source=self)
        finally:  # a filter may make the warning an error
            try:
                self.close()
            except HttpException:
                pass  # too little written: the connection has been cut, which is all the client can be told

    # ---------------------------------------------------------------- its head

    def _freeze_headers(self) -> None:
        if self._headers is not None:
            self._headers.freeze(STARTED)
            self._declared = self._headers.content_length
        self.phase = BUFFERING

    def _choose_compressor(self, length: int) -> Compressor | None:
        asked = self._asked
        if asked.method == "CONNECT":
            return None
        # A handler may leave the content away for HEAD, and perhaps say how long it would be; 304 has none either.
        is_known = length != 0 or not (asked.method == "HEAD" or self._status_code == 304)
        headers = self.headers.copy()
        is_compressed = negotiate(self._status_code, headers, asked.fields.headers,
                                  self._declared if self._declared >= 0 else length if is_known else -1)
        if is_compressed and not (is_known or self._declared >= 0):
            # Whether GET has content at all is unknown: what is not said cannot be wrong (RFC 9110 9.3.2).
            headers.remove_all("content-encoding")
            is_compressed = False
        headers.freeze(STARTED)
        self._headers = headers
        return gzip_compressor(length) if is_compressed else None

    def _find_codec(self) -> str:
        headers = self._headers
        if headers is None:
            headers = self._connection.state.default_response_headers
        section = headers.kept_section
        if section is None or section.codec is None or self.phase != OPEN:
            return self._codec_of(headers)
        return section.codec

    def _begin(self, length: int, body: bytes = b"") -> bytes:
        state = self._connection.state
        headers = self._headers
        if headers is None:
            headers = state.default_response_headers
        section = headers.kept_section or headers.section()
        asked = self._asked
        if not (asked.keep_alive and state.keeps_connections and (
                self._body is None or self._is_body_worth_keeping(self._body))):
            self._keep = False
        begin, end, starts = state.head_starts.kept
        start = starts.get(self._status_code) if begin <= time() < end else None
        if start is not None and length >= 0 and asked.is_usual and section.is_usual and self._reason_phrase is None:
            # A start that is kept belongs to a status with content: how long that is, is all there is left to say.
            fields = section.data
            framing = b"content-length: %d\r\n" % length
            if not self._keep:
                framing = b"connection: close\r\n" + framing
        else:
            start, fields, framing, self._framing, self._keep = make_head(
                state.head_starts, asked, self._status_code, self._reason_phrase, self.headers_so_far, length,
                self._written + self._size > 0, self._keep)
            if self._framing != COUNTED:
                body = b""
        if self._cookies is not None:
            fields += cookie_lines(self._cookies)
        return b"".join((start, fields, framing, b"\r\n", body))

    def _is_body_worth_keeping(self, body: Body) -> bool:
        """Whether what is left of it can be read away, so that the connection goes on.

        Not where it was not asked for (100-continue), has failed, or is more than a new connection costs.
        """
        return body.finished or not (body.failed or body.left > DRAIN_SIZE or body.held_back)

    # ---------------------------------------------------------------- its bytes

    @property
    def is_connected(self) -> bool:
        """False once the client is known to be gone: a write failed, or its connection broke."""
        queue = self._send_queue
        return not (self._gone or self._connection.broken or (queue is not None and queue.failed))

    @property
    def body_sent(self) -> int:
        """Bytes of the body that the system has taken to send."""
        return self._sent + (0 if self._send_queue is None else self._send_queue.sent)

    def _refuse_late_write(self) -> None:
        if not self._gone:
            super()._refuse_late_write()

    @property
    def headers_so_far(self) -> HttpHeaders:
        """Its own, or the server's default ones where it has none yet: for reading alone."""
        return self._connection.state.default_headers() if self._headers is None else self._headers

    def send_whole(self, headers: HttpHeaders, body: bytes) -> None:
        """Answer what ``is_usual`` with these headers, and close.  They frame nothing, and were frozen for STARTED: so
        they may serve several answers at once."""
        self._headers, self._is_as_given, self.phase = headers, True, BUFFERING
        if self.buffer_output:
            self._parts, self._size = [body], len(body)
        else:
            self._add(body)
        self.close()

    def _transmit(self, data: bytes, body: int = 0, after: int = 0) -> None:
        """Send what the kernel takes now; the rest goes to the queue, so that a slow client holds no thread up.

        ``body`` bytes of it are the body's, and ``after`` bytes stand behind them.
        """
        if self._gone:
            return
        queue = self._send_queue
        if queue is not None and (queue.busy or queue.failed):
            sent = 0
        else:
            try:
                sent = self._connection.channel.send_now(data)
            except OSError as error:
                self._lose(error)
                return
            if sent == len(data):
                self._sent += body
                return
        last = len(data) - after
        piece = Piece(data, 0, last - body, last)
        self._sent += piece.advance(sent)
        self._send_later(piece)

    def _transmit_row(self, before: bytes, body: bytes, after: bytes) -> None:
        """Not joined: what of the body has to wait is kept as the object that the handler wrote."""
        if self._gone:
            return
        sent = 0
        queue = self._send_queue
        if queue is None or not (queue.busy or queue.failed):
            try:
                sent = self._connection.channel.send_row_now((before, body, after))
            except OSError as error:
                self._lose(error)
                return
            self._sent += min(max(sent - len(before), 0), len(body))
        pieces = pieces_of(before, body, after, sent)
        if pieces:
            self._send_later(*pieces)

    def _lose(self, error: OSError) -> None:
        """The connection broke: swallowed, as the client is not there to be told."""
        self._gone = True
        self._connection.end_because(reason_of(error))

    def _send_later(self, *pieces: Piece | FilePart) -> None:
        queue = self._send_queue
        if queue is None:
            connection, state = self._connection, self._connection.state
            queue = connection.send_queue = self._send_queue = SendQueue(
                connection.channel, state.body_timeout, state.budget, state.threads.run)
        if not queue.put(*pieces):
            self._gone = True  # bytes are missing, so nothing may follow them

    def flush(self) -> None:
        """Send what is buffered, the head too if it has not gone, and wait until the system has taken it."""
        super().flush()
        if self._send_queue is not None and not self._send_queue.wait():
            self._gone = True

    def send_file(self, descriptor: int, offset: int, count: int) -> int:
        """Write ``count`` bytes of an open file from ``offset``; content_length was set to at least that.

        The bytes go from the file to the socket without a copy, on a thread of their own.  A file that
        becomes shorter meanwhile ends the connection.  Returns ``count``.
        """
        if self.phase == CLOSED:
            self._refuse_late_write()
            return count
        if self.phase == OPEN:
            self._freeze_headers()
        if 0 <= self._declared < self._written + self._size + count:
            self._fail_length(f"{self._written + self._size + count} bytes written, "
                              f"expected {self._declared} by content_length")
        self._send_buffered()
        if self.compressor is not None:
            self._add_file(descriptor, offset, count)
            return count
        self._written += count
        if self._framing != NO_BODY and not self._gone:
            self._send_later(FilePart(descriptor, offset, count))
        return count

    def _add_file(self, descriptor: int, offset: int, count: int) -> None:
        """send_file where the bytes have to be compressed on their way."""
        end = offset + count
        while offset < end and self.is_connected:
            data = read_at(descriptor, min(BODY_RECEIVE_SIZE, end - offset), offset)
            if not data:
                self._fail_length(f"a file ended {end - offset} bytes before what was promised of it")
            self._add(data)
            offset += len(data)

    def send_continue(self) -> None:
        """100, for a client that waits for it before it sends a body (RFC 9110 10.1.1).

        Not once the answer has begun.
        """
        if self.phase <= BUFFERING:
            self._transmit(b"HTTP/1.1 100 Continue\r\n\r\n")

    def body_has_failed(self, error: BadMessage) -> None:
        """The body cannot be read: say so unless the handler says otherwise; the connection ends with this answer."""
        self._keep = False
        self._connection.end_because(f"a body could not be read: {error.message}")
        if self.phase == OPEN and self._status_code == 200:
            self._status_code = error.status
