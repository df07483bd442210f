"""HttpClientResponse: the answer to a request, its body read as it comes.

Takes the head that an Exchange has read, and the Lease of the connection that the body is still on.  Raises
HttpException, with the request's URI, where the body breaks off or is malformed.  The connection goes back
to the pool with the last byte of the body; a response that is dropped before gives it back if the
rest has come already, and closes it otherwise.

Belongs to one thread at a time.
"""

from __future__ import annotations

import json
import socket
from codecs import CodecInfo
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from typing import Any, NoReturn

from blockingio.client.connect import Deadline
from blockingio.client.connection import Connection
from blockingio.client.gzip import GzipReader
from blockingio.client.lease import Lease
from blockingio.client.prepared_request import PreparedRequest
from blockingio.client.redirects import is_redirect
from blockingio.client.waits import TOO_LATE, receive_within
from blockingio.errors import BadMessage, HttpException, StateError, shown_uri
from blockingio.net.address import HttpConnectionInfo
from blockingio.net.x509 import X509Certificate
from blockingio.stream.stream import Stream
from blockingio.values.charset import find_codec
from blockingio.values.cookie import Cookie
from blockingio.values.headers import HttpHeaders
from blockingio.values.redirect_info import RedirectInfo
from blockingio.values.uri import Uri
from blockingio.wire.body import Body, UntilCloseBody, response_body
from blockingio.wire.head import Fields
from blockingio.wire.limits import DRAIN_SIZE

# Bytes of a body asked for at once, in iteration and in read().
_CHUNK_SIZE = 256 * 1024

_GZIP = frozenset(("gzip", "x-gzip"))  # the latter is to be taken for the former (RFC 9110 8.4.1.3)


class HttpClientResponseCompressionState(Enum):
    """Whether a body was compressed, and still is; follows dart:io's."""

    NOT_COMPRESSED = "not compressed"
    DECOMPRESSED = "decompressed"
    COMPRESSED = "compressed"


class HttpClientResponse(Stream[bytes]):
    """A response; iterating it yields the body in chunks as they come, decoded from chunked and gzip.

    The head is here, with ``status_code`` and ``reason_phrase`` ("" where the server names none); the body
    is read as it is asked for.  ``compression_state`` says whether that was compressed, and still is.  A response
    that is not read to its end keeps its connection busy until it is dropped.  Follows dart:io's HttpClientResponse.
    """

    __slots__ = ("status_code", "reason_phrase", "compression_state", "prepared", "_lease", "_connection",
                 "_fields", "_body", "_read_body", "_is_kept", "_cookies", "_kept_readers",
                 "__weakref__")

    def __init__(self, prepared: PreparedRequest, lease: Lease[Connection], status: int, reason: str, fields: Fields, *,
                 is_kept: bool) -> None:
        connection = lease.connection
        assert connection is not None  # the head came over it
        self.status_code = status
        self.reason_phrase = reason
        self.prepared = prepared
        self._lease = lease
        self._connection = connection
        self._fields = fields
        self._is_kept = is_kept  # the connection can take another request after this
        self._cookies: list[Cookie] | None = None
        body = response_body(connection.source, fields, prepared.limits, method=prepared.method, status=status)
        self._body: Body | None = body
        self._read_body: Callable[[int], bytes] = body.read_some if body is not None else _read_nothing
        self.compression_state = HttpClientResponseCompressionState.NOT_COMPRESSED
        # Most have none, and then nothing needs to be looked up among the fields.
        if b"content-encoding" in fields.block.lower() and self._is_gzip():
            self.compression_state = HttpClientResponseCompressionState.COMPRESSED
            if prepared.client.auto_uncompress:
                self.compression_state = HttpClientResponseCompressionState.DECOMPRESSED
                self._read_body = GzipReader(self._read_body).read_some
        if isinstance(self._body, UntilCloseBody) or self._is_takeover:
            self._is_kept = False
        if self._body is None and not self._is_takeover:
            self._settle()

    @property
    def headers(self) -> HttpHeaders:
        """The fields as they came; immutable."""
        return self._fields.headers

    @property
    def cookies(self) -> list[Cookie]:
        """The cookies that Set-Cookie sets; one that is malformed is left out (RFC 6265 5.2)."""
        if self._cookies is None:
            self._cookies = []
            for text in self.headers.get_all("set-cookie"):
                try:
                    self._cookies.append(Cookie.from_set_cookie_value(text))
                except ValueError:
                    continue  # as browsers do: one server's mistake is no reason to lose the response
        return self._cookies

    @property
    def content_length(self) -> int:
        """The Content-Length field in bytes, -1 where there is none; of the body before it is decoded."""
        return self.headers.content_length

    @property
    def persistent_connection(self) -> bool:
        """Whether the server keeps the connection open."""
        return self.headers.persistent_connection

    @property
    def is_redirect(self) -> bool:
        """Whether ``follow_redirects`` follows this: 301, 302, 303, 307, 308 to GET and HEAD, 303 to POST."""
        return is_redirect(self.prepared.method, self.status_code)

    @property
    def redirects(self) -> list[RedirectInfo]:
        """The redirects that led here, the oldest first."""
        return self.prepared.redirects

    @property
    def certificate(self) -> X509Certificate | None:
        """The server's certificate, None without TLS."""
        return self._connection.certificate

    @property
    def connection_info(self) -> HttpConnectionInfo | None:
        """The peer's address and port, and the local port; None on a socket without addresses."""
        return self._connection.info

    def __iter__(self) -> Iterator[bytes]:
        """The chunks of the body that are still to come, each of 256 KiB at most."""
        return iter(partial(self._read_some, _CHUNK_SIZE), b"")

    def read(self, size: int = -1) -> bytes:
        """The next ``size`` bytes of the body, fewer only at its end; all that is left where it is below 0.

        Raises HttpException where the body ends early or is malformed.
        """
        if size is None or size < 0:
            return self._read_all()
        data = self._read_some(size) if size else b""
        if len(data) == size or not data:
            return data
        parts = [data]
        left = size - len(data)
        while left and (data := self._read_some(left)):
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def _read_all(self) -> bytes:
        body = self._body
        holds_back = self.compression_state is HttpClientResponseCompressionState.DECOMPRESSED
        parts = []
        while data := self._read_some(_CHUNK_SIZE):
            parts.append(data)
            if body is not None and body.finished and not holds_back:
                break  # usually: all has come in one piece
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def text(self) -> str:
        """The rest of the body, decoded by the charset of its Content-Type, utf-8 where that names none.

        Raises LookupError for a charset that Python does not have, before anything is read, so that read() still
        gives the bytes; HttpException where the body is not in its charset, and what read() raises.
        """
        codec = self._text_codec()
        try:
            return codec.decode(self.read())[0]
        except ValueError as error:
            raise HttpException(f"the body is not in its charset, {codec.name}: {error}", self.prepared.uri) from error

    def json(self) -> Any:
        """What the rest of the body is as JSON (RFC 8259), in the charset that ``text`` takes.

        Raises ValueError where it is none, LookupError as ``text`` does, and what read() raises.
        """
        codec = self._text_codec()
        data = self.read()
        try:
            return json.loads(codec.decode(data)[0].removeprefix("\ufeff"), parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            what = f"{error.msg} in the body of {shown_uri(self.prepared.uri)} ({self._described(len(data))})"
            raise json.JSONDecodeError(what, error.doc, error.pos) from None
        except RecursionError as error:
            raise ValueError(f"the body is JSON that is nested too deeply: {error}") from None

    def _described(self, size: int) -> str:
        """What came instead of JSON, for a message: the body itself may be private."""
        kind = self.headers.content_type
        rest = f"{size} bytes" if size else "nothing left to read"
        return f"status {self.status_code}, {'no Content-Type' if kind is None else kind.mime_type}, {rest}"

    def _text_codec(self) -> CodecInfo:
        content_type = self.headers.content_type
        return find_codec(content_type and content_type.charset or "utf-8")

    def _read_some(self, limit: int) -> bytes:
        """At least one byte and at most ``limit``, or b"" at the end."""
        try:
            data = self._read_body(limit)
            if not data and self._connection.cut_reason is not None and not self._lease.is_settled:
                raise HttpException(self._connection.cut_reason)  # not the end, though it looks like it
        except HttpException as error:
            self._lease.discard()
            message = self._connection.cut_reason or error.message
            seconds = self.prepared.response_timeout
            if seconds is not None and isinstance(error, BadMessage) and error.status == TOO_LATE:
                message = f"no more of the response's body came for {seconds:g} seconds"
            raise HttpException(message, self.prepared.uri) from error
        except BaseException:
            self._lease.discard()  # it stopped at an unknown place
            raise
        if self._body is not None and self._body.finished and not self._lease.is_settled:
            self._settle()
        return data

    def redirect(self, method: str | None = None, url: Uri | None = None, follow_loops: bool = False
                 ) -> HttpClientResponse:
        """Follow a redirect by hand: the response to the request that it leads to.

        ``method`` None: the request's, or GET after a 303; ``url`` None: the Location.  The request's body goes along
        where the method stays.  What is left of this response's is given up.  max_redirects does not count.  Raises
        StateError where there is no Location, or where the body had over 256 KiB and is not kept any more,
        RedirectException for a URL that is among ``redirects``, unless ``follow_loops``.
        """
        location = url if url is not None else next(iter(self.headers.get_all("location")), "")
        if not location:
            raise StateError("the response has no Location to redirect to")
        prepared = self.prepared.redirected(self.status_code, location, method, follow_loops=follow_loops)
        self.dispose()
        response: HttpClientResponse = self.prepared.client.redirect_to(prepared)
        return response

    def detach_socket(self) -> socket.socket:
        """The connection, for another protocol: after 101 (Switching Protocols), say.

        What has been read too far comes first from its recv.  The client has nothing more to do with it.
        StateError where the connection has been given back, because the body was read to its end.
        """
        lease = self._lease
        if lease.is_settled:
            raise StateError("the response has been read, and its connection is in use elsewhere or closed")
        self._connection.lift_limit()
        sock = self._connection.detach(b"" if self._body is None else self._body.rest)
        lease.take_out()
        return sock

    @property
    def _is_takeover(self) -> bool:
        """Whether what follows on the connection is no HTTP."""
        return self.status_code == 101 or self.prepared.method == "CONNECT" and self.status_code // 100 == 2

    def _is_gzip(self) -> bool:
        codings = self.headers.get_all("content-encoding")
        return len(codings) == 1 and codings[0].lower() in _GZIP

    def _settle(self) -> None:
        """The body has been read."""
        if self._body is not None and self._body.is_doubtful:
            self._is_kept = False
        if self._is_kept and not self._connection.source.pending_size:
            if self._connection.is_limited:
                self._connection.lift_limit()
            self._lease.release()
        else:
            self._lease.discard()

    def dispose(self) -> None:
        """Read away what is left of the body, so that the connection can be used again; over 256 KiB close it."""
        body = self._body
        if self._lease.is_settled:
            return
        if body is not None and self._is_kept and self._read_away(body):
            self._settle()
        else:
            self._lease.discard()

    def _read_away(self, body: Body) -> bool:
        """Whether that was all; where waits are limited this as a whole is one."""
        seconds = self.prepared.response_timeout
        if seconds is None:
            return body.discard(DRAIN_SIZE)
        connection, receive, deadline = self._connection, self._connection.channel.receive, Deadline(seconds)
        connection.receive_by(lambda size: receive_within(connection, deadline, receive, size))
        try:
            return body.discard(DRAIN_SIZE)
        finally:
            self._connection.receive_by(None)

    def __del__(self) -> None:
        if not self._lease.is_settled:
            try:
                is_usable = self._is_kept and self._has_come()
            except Exception:  # such as a socket that is closed already: the response is whole, so this is no error
                is_usable = False
            self._lease.drop(is_usable=is_usable)

    def _has_come(self) -> bool:
        """Whether the rest of the body is here without a wait, and no more than that."""
        body, connection = self._body, self._connection
        if body is None or body.failed or connection.cut_reason is not None or not connection.drain(body):
            return False
        connection.lift_limit()
        return not (body.is_doubtful or connection.source.pending)

    def __repr__(self) -> str:
        state = "" if self._lease.is_settled else ", body unread"
        return f"<HttpClientResponse {self.status_code} {self.reason_phrase} to {shown_uri(self.prepared.uri)}{state}>"


def _read_nothing(limit: int) -> bytes:
    return b""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"the body is no JSON: it has {name}, expected a number")
