"""An application's answer: start_response, write, and what it returns, sent as it comes (PEP 3333)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from types import TracebackType

from blockingio.errors import HttpException
from blockingio.server.request import HttpRequest
from blockingio.server.response_head import phrase_of
from blockingio.server.slots import Slots
from blockingio.values.grammar import CONTENT_LENGTH_RE, FIELD_VALUE, FIELD_VALUE_RE, TOKEN_RE
from blockingio.values.headers import HttpHeaders
from blockingio.values.kept import keep
from blockingio.wsgi.file_wrapper import FileWrapper

_STATUS_RE = re.compile(f"([2-9][0-9]{{2}}) ({FIELD_VALUE})")

# Those that are the server's (RFC 9110 7.6.1; PEP 3333, "Other HTTP Features").
_HOP_BY_HOP = frozenset("connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
                        "trailers transfer-encoding upgrade".split())

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class ClientGone(ConnectionError):
    """What write() raises; it is no mistake of the application's."""

    is_of_peer = True


class WsgiAnswer:
    """One request's; it belongs to the thread that works on it."""

    __slots__ = ("_request", "_response", "_slots", "_status", "_headers", "_length", "_sent", "_begun")

    def __init__(self, request: HttpRequest, slots: Slots | None) -> None:
        self._request = request
        self._response = request.response
        self._slots = slots
        self._status: tuple[int, str | None] | None = None  # None: start_response has not been called
        self._length = -1  # by the application's Content-Length; -1: there is none
        self._sent = 0  # bytes of the body, one piece after the other
        self._begun = False  # the head has gone, or is about to

    def start_response(self, status: str, headers: list[tuple[str, str]],
                       exc_info: ExcInfo | None = None) -> Callable[[bytes], object]:
        """What the application is given.  Raises what ``exc_info`` holds where the head has gone."""
        if exc_info is not None:
            try:
                if self._begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # a cycle else
        elif self._status is not None:
            raise RuntimeError("start_response was called before: PEP 3333 allows that only with exc_info")
        if type(status) is not str:
            raise TypeError(f"PEP 3333: a status is a str, found {type(status).__name__}")
        if type(headers) is not list:
            raise TypeError(f"PEP 3333: the headers are a list, found {type(headers).__name__}")
        key = status, tuple(headers)
        try:
            self._status, self._headers, self._length = _starts[key]
        except (KeyError, TypeError):  # TypeError: a list in it
            self._status, self._headers, self._length = _make_start(key)
        return self.write

    def write(self, data: bytes) -> None:
        """Send it at once: start_response's result, for old applications."""
        _check_piece(data)
        self._begin()
        self._send(data)
        if not self._response.is_connected:
            raise ClientGone("the client has gone: nothing can be sent to it any more")

    def send(self, result: Iterable[bytes]) -> None:
        """Send what the application has returned, and close."""
        if isinstance(result, (str, bytes)) or result is None:
            raise TypeError("PEP 3333: an application returns an iterable of bytes, "
                            f"found {'None' if result is None else type(result).__name__}")
        if type(result) is FileWrapper and self._send_file(result):
            return
        is_whole = isinstance(result, (list, tuple)) and len(result) <= 1
        if is_whole and not self._begun:
            piece = result[0] if result else b""  # type: ignore[index]
            _check_piece(piece)
            self._send_whole(piece)
            return
        pieces = iter(result)
        for piece in pieces:
            _check_piece(piece)
            if not piece:
                continue
            if not self._begun and len(piece) == self._length:
                self._send_whole(piece)
                if self._has_content():
                    self._exhaust(pieces)
                return
            self._begin()
            self._send(piece)
            if not self._response.is_connected or not self._has_content():
                break  # the client has gone: the rest may be without end
        if not self._begun:
            self._send_whole(b"")
            return
        if self._sent < self._length and self._has_content() and self._response.is_connected:
            raise ValueError(f"PEP 3333: Content-Length is {self._length}, and the body has {self._sent} bytes")
        self._response.close()

    def abort_if_begun(self, error: BaseException) -> None:
        """The answer cannot be completed: where its head has gone, the client is to see that."""
        if self._begun:
            self._response.add_error(HttpException(f"the application failed: {error}"))

    def _set_head(self, length: int) -> None:
        """Status and fields, and Content-Length where ``length`` is not -1."""
        if self._status is None:
            raise RuntimeError("PEP 3333: start_response is called before the first piece of the body, it was not")
        response = self._response
        status, reason = self._status
        if status != 200:
            response.status_code = status
        if reason is not None:
            response.reason_phrase = reason
        headers = self._headers
        if length >= 0:
            headers = headers.copy()
            headers.content_length = length
        response.take_headers(headers)

    def _begin(self) -> None:
        if not self._begun:
            self._set_head(self._length)
            self._begun = True
            self._response.buffer_output = False

    def _send(self, data: bytes) -> None:
        """The thread may have to wait for its client: without a slot."""
        self._sent += len(data)
        if 0 <= self._length < self._sent:
            if not self._has_content():
                return
            raise ValueError(f"PEP 3333: Content-Length is {self._length}, and the body has at least "
                             f"{self._sent} bytes")
        slots = self._slots
        if slots is not None:
            slots.leave()
        try:
            self._response.add(data)
            self._response.flush()
        finally:
            if slots is not None:
                slots.enter()

    def _send_whole(self, piece: bytes) -> None:
        """The head and all of the body in one write, with its length."""
        length, response = self._length, self._response
        if piece and (length < 0 or length == len(piece)) and self._status is not None and response.is_usual:
            code, phrase = self._status
            if code == 200 and phrase is None:
                self._begun = True
                response.send_whole(self._headers, piece)
                return
        has_content = self._has_content()
        if length >= 0 and length != len(piece) and (has_content or piece):
            raise ValueError(f"PEP 3333: Content-Length is {length}, and the body has {len(piece)} bytes")
        # The server counts what it sends; what has no body says what it would have had.
        self._set_head(-1 if has_content else length)
        self._begun = True
        if piece:
            response.add(piece)
        response.close()

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """By descriptor; False where that cannot be."""
        stretch = wrapper.stretch()
        if stretch is None or self._begun:
            return False
        descriptor, offset, count = stretch
        if self._length > count:
            raise ValueError(f"PEP 3333: Content-Length is {self._length}, and the file has {count} bytes")
        if self._length >= 0:
            count = self._length
        self._set_head(count)
        self._begun = True
        if count:
            self._response.send_file(descriptor, offset, count)
        self._response.close()
        return True

    def _has_content(self) -> bool:
        """Whether the body is sent: else its length may be another one's (RFC 9110 8.6)."""
        return self._request.method != "HEAD" and (self._status is None or self._status[0] not in (204, 205, 304))

    def _exhaust(self, pieces: Iterable[bytes]) -> None:
        """Let the application come to its end; what it gives beyond its Content-Length is its mistake."""
        for piece in pieces:
            _check_piece(piece)
            if piece:
                raise ValueError(f"PEP 3333: Content-Length is {self._length}, and the body is longer")


def _check_piece(piece: object) -> None:
    if not isinstance(piece, bytes):
        raise TypeError(f"PEP 3333: the pieces of a body are bytes, found {type(piece).__name__}")


# What was made of an application's start_response, by its arguments: applications repeat theirs too.
_starts: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[tuple[int, str | None], HttpHeaders, int]] = {}
_MOST_STARTS = 256
# Fields of one that is kept, and characters of all of them: what an application repeats is short.
_MOST_FIELDS = 32
_LONGEST_KEPT = 2048


def _make_start(key: tuple[str, tuple[tuple[str, str], ...]]) -> tuple[tuple[int, str | None], HttpHeaders, int]:
    """The status, the fields without Content-Length, frozen, and what that says, -1 where there is none."""
    status, fields = key
    start = _make_status(status), *_make_section(fields)
    size = len(status) + sum([len(name) + len(value) for name, value in fields])
    if len(fields) <= _MOST_FIELDS and size <= _LONGEST_KEPT:
        keep(_starts, key, start, _MOST_STARTS)
    return start


def _make_status(status: str) -> tuple[int, str | None]:
    """The code, and the phrase where it is not the registered one."""
    match = _STATUS_RE.fullmatch(status)
    if match is None:
        raise ValueError(f"PEP 3333: a status is three digits from 200 on, a space and a phrase, found {status!r}")
    code, phrase = int(match[1]), match[2]
    return code, None if phrase == phrase_of(code) else phrase


def _make_section(fields: tuple[tuple[str, str], ...]) -> tuple[HttpHeaders, int]:
    headers, length = HttpHeaders(), -1
    for field in fields:
        if type(field) is not tuple or len(field) != 2 or type(field[0]) is not str or type(field[1]) is not str:
            raise TypeError(f"PEP 3333: a header is a tuple of two str, found {field!r}")
        name, value = field
        if not TOKEN_RE.fullmatch(name):
            raise ValueError(f"a header's name is a token, found {name!r}")
        if not FIELD_VALUE_RE.fullmatch(value):
            raise ValueError(f"the value of {name} is one line of latin-1 text, found {value!r}")
        lower = name.lower()
        if lower in _HOP_BY_HOP:
            raise ValueError(f"PEP 3333: {name} is the server's to set, for one hop only")
        if lower != "content-length":
            headers.add(name, value, preserve_header_case=True)
        elif length >= 0 or not CONTENT_LENGTH_RE.fullmatch(value):
            raise ValueError(f"Content-Length is one number, found {value!r}"
                             + (f" behind {length}" if length >= 0 else ""))
        else:
            length = int(value)
    headers.freeze("the headers of an application's answer may serve several")
    return headers, length
