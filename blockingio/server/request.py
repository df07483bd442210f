"""HttpRequest: a request as its handler sees it.

A request is made by its connection's thread and then belongs to the thread that takes it off the
server.  Names, values and the Uri become objects when they are asked for.  Its body is read by the
handler straight from the connection, until the response is closed; one of at most 64 KiB that has come whole by the
time of its head is here already, so that the connection's thread can go on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from blockingio.errors import BadMessage, StateError
from blockingio.net.address import HttpConnectionInfo
from blockingio.net.file_output import PIPE_SIZE, CannotSplice, Splice, write_pieces
from blockingio.server.session import HttpSession
from blockingio.stream.stream import Stream
from blockingio.values.cookie import Cookie
from blockingio.values.elsewhere import names_here, point_elsewhere
from blockingio.values.headers import HttpHeaders
from blockingio.values.uri import Uri
from blockingio.wire.body import AgainBody, Body, FixedBody
from blockingio.wire.head import RequestHead
from blockingio.wire.limits import BODY_RECEIVE_SIZE, FILE_RECEIVE_SIZE
from blockingio.wire.sink import CLOSED

if TYPE_CHECKING:
    from blockingio.net.x509 import X509Certificate
    from blockingio.server.connection import Connection
    from blockingio.server.response import HttpResponse

_NO_TRAILERS = HttpHeaders.from_fields([])

# What is believed of a scheme that a proxy names: ws and wss for the handshake of a WebSocket (RFC 6455 3).
_SCHEMES = frozenset(("http", "https", "ws", "wss"))

# Of these what WSGI has a name for.
_SECURITY = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

# What is believed of a host that a client or a proxy names.
_HOST_AND_PORT = re.compile(r"(?:[0-9A-Za-z\-._~]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")


class HttpRequest(Stream[bytes]):
    """A request; iterating it yields the body in chunks as they come, decoded from chunked.

    ``response`` is the HttpResponse to it.  ``read`` makes it a binary file: ``json.load(request)`` works.
    Follows dart:io's HttpRequest.
    """

    __slots__ = ("response", "_head", "_body", "_connection", "_cookies", "_kept_readers", "__weakref__")

    def __init__(self, connection: Connection, head: RequestHead, body: Body | None, response: HttpResponse) -> None:
        self.response = response
        self._connection = connection
        self._head = head
        self._body = body
        self._cookies: list[Cookie] | None = None

    def __repr__(self) -> str:
        return f"<HttpRequest {self.method} {self._head.target} HTTP/{self.protocol_version}>"

    # ---------------------------------------------------------------- the head

    @property
    def method(self) -> str:
        """As it came, since methods are case-sensitive: "GET", "POST" (RFC 9110 9.1)."""
        return self._head.method

    @property
    def protocol_version(self) -> str:
        """What the client speaks, "1.0" or "1.1" (RFC 9112 2.3)."""
        return self._head.version

    @property
    def target(self) -> str:
        """The request target as it came, as text (RFC 9112 3.2)."""
        return self._head.target

    @property
    def asked_host(self) -> str:
        """The target's host, else Host's, with its port where one is named (RFC 9112 3.2.2); "" where there is none."""
        return self._head.host or ""

    @property
    def received_at(self) -> float:
        """When the head was here, on time.monotonic()'s clock."""
        return self.response.started_at

    @property
    def has_failed(self) -> bool:
        """Whether its body could not be read, by the client's fault."""
        return self._body is not None and self._body.failed

    @property
    def body_fault(self) -> tuple[str, tuple[bytes, int] | None]:
        """Section and spot of the BadMessage where its body could not be read."""
        return ("", None) if self._body is None else self._body.fault

    @property
    def uri(self) -> Uri:
        """The request target as it came: for most requests a path and perhaps a query (RFC 9112 3.2)."""
        return self._head.uri

    @property
    def requested_uri(self) -> Uri:
        """What the client asked for, as a whole (RFC 9112 3.3).

        A target in absolute-form is the answer.  Else scheme and authority are those that a proxy in front names
        in X-Forwarded-Proto (http, https, ws or wss) and X-Forwarded-Host, else those of the connection, of Host, or
        of the server's own address; the authority of a CONNECT is its target.  Once ``trusted_proxies`` is set, only
        those are believed.
        """
        uri = self.uri
        if uri.scheme:
            return uri if uri.path else uri.replace(path="/")
        proto = self._connection.forwarded(self._head.fields, "x-forwarded-proto").lower()
        scheme = proto if proto in _SCHEMES else self._connection.scheme
        if self.method == "CONNECT":
            return _origin(scheme, self._head.target) or self._origin_asked(scheme)
        host = self._connection.forwarded(self._head.fields, "x-forwarded-host")
        base = _origin(scheme, host) or self._origin_asked(scheme)
        if self._head.target == "*":
            return base
        return base.replace(path=uri.path or "/", query=uri.query if uri.has_query else None)

    def _origin_asked(self, scheme: str) -> Uri:
        return _origin(scheme, self._head.fields.host) or Uri.parse(f"{scheme}://{self._connection.state.name}")

    @property
    def headers(self) -> HttpHeaders:
        """The header fields; immutable."""
        return self._head.fields.headers

    @property
    def cookies(self) -> list[Cookie]:
        """What the Cookie fields hold, in order, as it stands there; what has no name is left out.

        Many clients send what RFC 6265 has no place for: such a Cookie can be read, and not be sent on.
        """
        if self._cookies is None:
            self._cookies = Cookie.of_pairs(self._head.fields.cookie_pairs)
        return self._cookies

    @property
    def content_length(self) -> int:
        """Bytes of the body; 0 without one, -1 where it is not known in advance (RFC 9112 6.3)."""
        return 0 if self._body is None else self._body.length

    @property
    def persistent_connection(self) -> bool:
        """Whether the client means to use the connection again (RFC 9112 9.3)."""
        return self._head.keep_alive

    @property
    def session(self) -> HttpSession:
        """The client's session, a new one where it brought none that still lives, or this one was destroyed.

        StateError where a new one is asked for after the response's head, which carries its cookie, has gone.
        """
        return self.response.session_for(self.cookies)

    @property
    def certificate(self) -> X509Certificate | None:
        """The client's certificate; None where it gave none, or was not asked for one."""
        return self._connection.certificate

    @property
    def connection_info(self) -> HttpConnectionInfo | None:
        """The peer's address and port, and the local port; None on a socket without addresses."""
        return self._connection.info

    @property
    def scheme(self) -> str:
        """"http" or "https": what a proxy of ``trusted_proxies`` says in X-Forwarded-Proto, else the connection's."""
        said = self._connection.forwarded(self._head.fields, "x-forwarded-proto", by_anybody=False).lower()
        return _SECURITY.get(said) or self._connection.scheme

    def begin_here(self) -> None:
        """Its connection's thread works on it: close() does not wait until it is handed over."""
        self._connection.hands_over = False

    @property
    def client_address(self) -> str:
        """The client's IP address as text, without port; "" where there is none, on a Unix-domain socket.

        The peer's address.  Where ``trusted_proxies`` names the peer: X-Forwarded-For's, else Forwarded's (RFC 7239)
        rightmost address that is none of those (all are: the leftmost; an entry that is no address: what was known
        before it).
        """
        return self._connection.client_address(self._head.fields)

    @property
    def addressing(self) -> tuple[str, str, str]:
        """``scheme``, the address that the server was bound to with its port, and ``client_address``, at once."""
        connection = self._connection
        state = connection.state
        if state.trusted_proxies is not None:
            return self.scheme, state.name, self.client_address
        return "http" if state.tls is None else "https", state.name, connection.address

    # ---------------------------------------------------------------- the body

    @property
    def trailers(self) -> HttpHeaders:
        """The fields behind a chunked body, once it is read; immutable."""
        if self._body is None or not self._body.trailers:
            return _NO_TRAILERS
        return HttpHeaders.from_fields(self._body.trailers, self.protocol_version)

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes of the body, fewer only at its end; all that is left for -1 or None.

        Raises HttpException where the client went away, was too slow or broke the framing, or sent
        more than ``max_body_size``; StateError once the response is closed.
        """
        body = self._body
        if body is None:
            return b""
        parts = []
        if size is None or size < 0:
            if body.is_here:
                return self._read_some(-1)
            while data := self._read_some(BODY_RECEIVE_SIZE):
                parts.append(data)
                if body.finished:
                    break
        else:
            while size > 0 and (data := self._read_some(min(size, BODY_RECEIVE_SIZE))):
                parts.append(data)
                size -= len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def __iter__(self) -> Iterator[bytes]:
        """The chunks of the body that are still to come, of 64 KiB at most; raises as read() does."""
        return self.pieces(BODY_RECEIVE_SIZE)

    def pieces(self, size: int) -> Iterator[bytes]:
        """The body as it comes, in pieces of ``size`` bytes at most; raises as read() does."""
        while data := self._read_some(size):
            yield data

    def write_to(self, descriptor: int) -> int:
        """The rest of the body into an open file, from where that stands; how many bytes these were.

        Where the system has a way for it, most of a large one goes there without a copy of it in this program: on
        Linux, of a body that comes with its length and without TLS.  Raises as read() does, and OSError where the
        file takes no more; what has been written by then stays in it.
        """
        written = 0
        body = self._body
        if isinstance(body, FixedBody) and body.left >= FILE_RECEIVE_SIZE:
            if here := body.here:
                written += write_pieces((self._read_some(here),), descriptor)
            pace = self._connection.pace
            splice = None if pace is None else pace.splice_into(descriptor)
            if splice is not None:
                with splice:
                    written += self._move_by(splice)
        return written + write_pieces(self.pieces(FILE_RECEIVE_SIZE), descriptor)

    def _move_by(self, splice: Splice) -> int:
        """Take the body off the connection and give it to its file, as far as that can be done; how many bytes."""
        moved = 0
        try:
            while taken := self._take_some(splice):
                moved += taken
                if not splice.give():
                    break
        except CannotSplice:
            pass
        finally:
            splice.give_rest()
        return moved

    def _take_some(self, splice: Splice) -> int:
        """``_read_some`` of what is yet to come of a body that has a length."""
        body = self._body
        assert isinstance(body, FixedBody)
        with body.lock:
            if body.finished:
                return 0
            self._begin_to_read(body)
            if body.here:  # another thread has read meanwhile, and received more than it asked for: that comes first
                raise CannotSplice
            pace = self._connection.pace
            assert pace is not None  # until the response is closed
            try:
                return body.take_some(partial(pace.take, splice.take), PIPE_SIZE)
            except BadMessage as error:
                self.response.body_has_failed(error)
                raise

    def read_again(self, content: bytes) -> None:
        """The body, which has been read whole, is read once more, from ``content``: for what reads it before a handler.

        By the thread that works on the request, before it hands it to another.
        """
        if self._body is not None and content:
            self._body = AgainBody(content, self._body)

    # As a file to Python.
    def readable(self) -> bool:
        """True, as a file's."""
        return True

    def _read_some(self, limit: int) -> bytes:
        body = self._body
        if body is None:
            return b""
        response = self.response
        with body.lock:  # the connection's thread takes it when the response is closed
            if body.finished:
                return b""
            if body.held_back or response.phase == CLOSED:
                self._begin_to_read(body)
            try:
                return body.read_some(limit) if limit >= 0 else body.read_rest()
            except BadMessage as error:
                response.body_has_failed(error)
                raise

    def _begin_to_read(self, body: Body) -> None:
        """With its lock held: StateError where it is gone; a client that waits for 100 (Continue) gets that."""
        if self.response.phase == CLOSED:
            raise StateError("the response is closed, and the body went with it: read first, close last")
        if body.held_back:
            body.held_back = False
            self.response.send_continue()

    def __dir__(self) -> list[str]:
        return names_here(type(self), list(super().__dir__()))


# What other libraries have under these names, and what is the response's.
point_elsewhere(HttpRequest, {name: f"a request has no {name!r}: it is {place}" for name, place in {
    "path": "request.uri.path", "url": "request.uri, or as a whole request.requested_uri",
    "query": "request.uri.query, or request.uri.query_parameters", "args": "request.uri.query_parameters",
    "query_parameters": "request.uri.query_parameters", "body": "request.read()", "data": "request.read()",
    "text": "request.read().decode()", "json": "json.load(request)",
    "form": "the body of HttpBodyHandler.process_request(request), from blockingio.http_server",
    "remote_addr": "request.client_address", "content_type": "request.headers.content_type",
    "status_code": "request.response.status_code", "write": "request.response.write",
    "close": "request.response.close", "redirect": "request.response.redirect",
}.items()})


def _origin(scheme: str, host: str | None) -> Uri | None:
    """The URI of a host, perhaps with a port; None where it is none: any client may have sent it."""
    uri = Uri.try_parse(f"{scheme}://{host}") if host and _HOST_AND_PORT.fullmatch(host) else None
    return uri if uri is not None and uri.host and (uri.port or not uri.has_port) else None
