"""HttpClientRequest: a request that is being written, and the way to its response.

Takes what the user writes; gives the response.  Raises HttpException, with the request's URI, where the
server goes away, breaks HTTP or is cut off, and where the body is not what content_length said.
Framing, buffering and encoding are IOSink's, one connection's business is Exchange's.

Belongs to one thread at a time, but for ``abort`` and ``done``.
"""

from __future__ import annotations

from concurrent.futures import Future
from threading import Lock
from typing import NoReturn
from weakref import ref

from blockingio.client.exchange import Exchange
from blockingio.client.follow import follow
from blockingio.client.prepared_request import EXPECTS_CONTENT, KeptBody, PreparedRequest
from blockingio.client.response import HttpClientResponse
from blockingio.errors import HttpException, StateError, shown_uri
from blockingio.net.address import HttpConnectionInfo
from blockingio.net.system import ReentrantLock
from blockingio.stream.fork import after_fork_in_child
from blockingio.values.checks import check, is_flag, is_size
from blockingio.values.cookie import Cookie, checked_cookies
from blockingio.values.elsewhere import WithoutElsewhere, names_here, point_elsewhere
from blockingio.values.headers import HttpHeaders
from blockingio.values.uri import Uri
from blockingio.wire.sink import BUFFERING, CHUNKED, CLOSED, COUNTED, NO_BODY, OPEN, STREAMING, IOSink

# Guards how each request ended and its future: taken for a moment, once or twice a request.
_ending = Lock()


def _renew_lock() -> None:
    """In a forked child: another thread of the parent's may have had it."""
    global _ending
    _ending = Lock()


after_fork_in_child(_renew_lock)

_ABORTED = "the request was aborted"


class HttpClientRequest(IOSink, metaclass=WithoutElsewhere):
    """A request: set its headers, write its body, ``close`` it for the response.

    The body goes with a Content-Length if one is set or all of it fits the buffer, else chunked.
    One that is dropped without close() gives up its connection.  Follows dart:io's HttpClientRequest.

        request = client.post_url("http://127.0.0.1:4040/people")
        request.headers.content_type = ContentType.JSON
        request.write(json.dumps({"name": "Ann"}))
        print(request.close().status_code)
    """

    __slots__ = ("_plan", "_exchange", "_cookies", "_working", "_response", "_failure", "_done")

    def __init__(self, prepared: PreparedRequest, exchange: Exchange) -> None:
        # IOSink's, set here: a call of its own would cost each request one more frame.
        self.phase = OPEN
        self._parts = []
        self._size = self._written = 0
        self._declared = -1
        self._framing = COUNTED
        self._codec = self._encoder = self.compressor = None
        self._is_as_given = self.buffer_output = True

        self._plan = prepared
        self._headers = prepared.headers
        self._cookies: list[Cookie] | None = None
        self._working = ReentrantLock()  # held by the owner during I/O, so that abort() knows whether to clean up
        # Guarded by _ending: the exchange that can be cut, and how it ended.
        self._exchange = exchange
        self._response: ref[HttpClientResponse] | None = None  # weak: a dropped response must be noticed
        self._failure: BaseException | None = None
        self._done: Future[HttpClientResponse] | None = None

    @property
    def method(self) -> str:
        """The method, in upper case."""
        return self._plan.method

    @property
    def uri(self) -> Uri:
        """The URI that was asked for."""
        return self._plan.uri

    @property
    def headers(self) -> HttpHeaders:
        """The fields; they can be changed until the first write."""
        return self._plan.headers

    @property
    def cookies(self) -> list[Cookie]:
        """Cookies to send, in addition to what a Cookie field says; change the list before the first write."""
        if self._cookies is None:
            self._cookies = []
        return self._cookies

    @property
    def content_length(self) -> int:
        """The body's length in bytes as announced, -1 where it is not known in advance (RFC 9110 8.6).

        Setting it after the first write: HttpException.
        """
        return self._plan.headers.content_length

    @content_length.setter
    def content_length(self, length: int) -> None:
        self._plan.headers.content_length = length

    @property
    def persistent_connection(self) -> bool:
        """Whether the connection may be used again (RFC 9112 9.3).  Setting it after the first write: HttpException."""
        return self._plan.headers.persistent_connection

    @persistent_connection.setter
    def persistent_connection(self, is_persistent: bool) -> None:
        self._plan.headers.persistent_connection = is_persistent

    @property
    def follow_redirects(self) -> bool:
        """Whether redirects are followed without asking: of GET and HEAD, and of POST after a 303, as GET."""
        return self._plan.follow_redirects

    @follow_redirects.setter
    def follow_redirects(self, follows: bool) -> None:
        check("follow_redirects", follows, is_flag)
        self._plan.follow_redirects = bool(follows)

    @property
    def max_redirects(self) -> int:
        """How many redirects are followed, 5 until set; one more is a RedirectException."""
        return self._plan.max_redirects

    @max_redirects.setter
    def max_redirects(self, most: int) -> None:
        check("max_redirects", most, is_size)
        self._plan.max_redirects = most

    @property
    def connection_info(self) -> HttpConnectionInfo | None:
        """The peer's address and port, and the local port; None on a socket without addresses."""
        return self._exchange.connection.info

    @property
    def done(self) -> Future[HttpClientResponse]:
        """What close() gives or raises, for another thread to wait for."""
        with _ending:
            if self._done is None:
                self._done = Future()
                self._done.set_running_or_notify_cancel()
                if self._failure is not None:
                    self._done.set_exception(self._failure)
                elif self._response is not None:
                    response = self._response()
                    if response is None:
                        self._done.set_exception(StateError("the response has been dropped"))
                    else:
                        self._done.set_result(response)
            return self._done

    def close(self) -> HttpClientResponse:
        """Send what is left of the request and wait for the response's head; redirects are followed first.

        A second call gives the same response.  Raises HttpException, RedirectException, and what abort() was given.
        """
        with self._working:
            if self.phase == CLOSED:
                return self._ended()
            try:
                if "transfer-encoding" in self._plan.headers.by_name and self.phase != STREAMING:
                    self.flush()  # it is to be chunked, though it may fit the buffer
                self._send_rest()
                self.phase = CLOSED
                response = follow(self._exchange.response(), self._go_on)
            except BaseException as error:
                self.give_up()
                if self._end(failure=error):
                    raise
                raise self._reason() from None
            if not self._end(response=response):
                self._exchange.give_up()
                raise self._reason()
            return response

    def abort(self, exception: Exception | None = None) -> None:
        """End the request and its connection; close() and ``done`` raise ``exception``, or an HttpException.

        For any thread.  Nothing happens once the response is there; later writes do nothing.
        """
        if not self._end(failure=exception or HttpException(_ABORTED, self._plan.uri)):
            return
        with _ending:
            exchange = self._exchange
        exchange.cut(_ABORTED)
        # A thread that is at work with it notices, and cleans up; else this one does.
        if self._working.acquire(blocking=False):
            try:
                self.give_up()
            finally:
                self._working.release()

    def _end(self, *, response: HttpClientResponse | None = None, failure: BaseException | None = None) -> bool:
        """Set how it ended; False where that is settled already."""
        with _ending:
            if self._failure is not None or self._response is not None:
                return False
            self._failure = failure
            if response is not None:
                self._response = ref(response)
            done = self._done
        if done is not None:
            if response is not None:
                done.set_result(response)
            else:
                done.set_exception(failure)
        return True

    def _ended(self) -> HttpClientResponse:
        """What close() gave before."""
        if self._failure is not None:
            raise self._failure
        response = self._response() if self._response is not None else None
        if response is None:
            raise StateError("close() was called before, and the response has been dropped")
        return response

    def _reason(self) -> BaseException:
        """Why it had ended before what was done now could count."""
        return self._failure or StateError("the request has ended")

    def _go_on(self, exchange: Exchange) -> None:
        """A redirect or an answer to a challenge is about to be sent in place of this request."""
        with _ending:
            self._exchange = exchange
            is_aborted = self._failure is not None
        if is_aborted:
            raise self._reason()

    def _freeze_headers(self) -> None:
        headers = self._plan.headers
        if self._cookies:
            pairs = headers.get_all("cookie") + [cookie.pair() for cookie in checked_cookies(self._cookies)]
            headers.set_trusted("cookie", "; ".join(pairs))
        headers.freeze("the request's headers have been sent, or stand since its first write")
        self._declared = headers.content_length if "content-length" in headers.by_name else -1
        self.phase = BUFFERING

    def _begin(self, length: int, body: bytes = b"") -> bytes:
        headers = self._plan.headers
        if self._declared >= 0:
            self._framing = COUNTED
        elif length >= 0:
            self._framing = COUNTED if length else NO_BODY
            if length or self._plan.method in EXPECTS_CONTENT:
                headers.set_trusted("content-length", str(length))
        elif "transfer-encoding" in headers:
            if not headers.chunked_transfer_encoding:
                self.give_up()
                found = headers["transfer-encoding"]
                raise HttpException(f"Transfer-Encoding is {found!r}, expected chunked", self.uri)
            self._framing = CHUNKED
        elif self._size or self._plan.method in EXPECTS_CONTENT:
            self._framing = CHUNKED
            headers.set_trusted("transfer-encoding", "chunked")
        else:
            # A flush of a GET: a body is not expected by anyone, and many servers would not read it.
            self._framing = NO_BODY
            self._declared = 0
        head = self._plan.head()
        return head + body if self._framing == COUNTED else head

    def _add(self, data: bytes) -> None:
        IOSink._add(self, data)  # super() costs more, for each piece
        if data:
            plan = self._plan
            if plan.body is None:
                plan.body = KeptBody()
            plan.body.add(data)

    def _transmit(self, data: bytes, body: int = 0, after: int = 0) -> None:
        with self._working:
            if self._failure is not None:
                return  # aborted: writes do nothing
            try:
                self._exchange.send(data)
            except BaseException as error:
                self.give_up()
                if self._end(failure=error):
                    raise
                raise self._reason() from None

    def give_up(self) -> None:
        """Cut the connection: the request cannot be completed."""
        self.phase = CLOSED
        self._exchange.give_up()

    def _fail_length(self, message: str) -> NoReturn:
        self.give_up()
        failure = HttpException(message, self.uri)
        self._end(failure=failure)
        raise failure

    def add_error(self, error: Exception) -> None:
        """The request cannot be completed: it is aborted with that error."""
        self.abort(error)

    def _refuse_late_write(self) -> None:
        if self._failure is None:
            super()._refuse_late_write()  # after an abort, writes do nothing

    def __del__(self) -> None:
        # A thread that has the future must not wait for ever.  No other reference to this object is left: no lock.
        done: Future[HttpClientResponse] | None = getattr(self, "_done", None)  # not there: it was never made whole
        if done is not None and not done.done():
            done.set_exception(HttpException("the request was dropped without close()", self._plan.uri))

    def __dir__(self) -> list[str]:
        return names_here(type(self), list(super().__dir__()))

    def __repr__(self) -> str:
        state = "closed" if self.phase == CLOSED else "open" if self.phase == OPEN else "being sent"
        return f"<HttpClientRequest {self.method} {shown_uri(self.uri)} {state}>"


point_elsewhere(HttpClientRequest, {
    **{name: f"a request has no {name!r}, its response has: call close() to send it and to get that"
       for name in dir(HttpClientResponse) if name[0] != "_"},
    "body": "a request has no 'body': write() sends text, and add() bytes",
    "data": "a request has no 'data': write() sends text, and add() bytes",
    "send": "a request has no 'send': close() sends it, and gives the response",
    "params": "a request has no 'params': they are part of its URL, Uri(..., query_parameters={...}) makes one",
    "url": "a request has no 'url': it is 'uri'",
    "content_type": "a request has no 'content_type': it is headers.content_type",
})
