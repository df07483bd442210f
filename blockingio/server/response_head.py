"""A response's head: its lines as bytes, how the body behind it is framed, and whether the connection stays.

There is one way to make one, whatever the handler has said:

    start      status line, Server and Date; kept for each status, for the current second
    fields     the header section, which keeps its bytes until it is changed
    cookies    a Set-Cookie line each
    framing    Connection, and Content-Length or Transfer-Encoding

ResponseWriter joins them, and says how long its body is where that is all there is to say; ``make_head`` knows the
rest.  Takes values, gives values; knows neither the connection nor the response.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import time

from blockingio.values.cookie import Cookie, checked_cookies
from blockingio.values.date import HttpDate
from blockingio.values.header_store import FRAMING_NAMES
from blockingio.values.headers import HttpHeaders
from blockingio.values.status import HttpStatus
from blockingio.wire.head import RequestHead
from blockingio.wire.sink import CHUNKED, COUNTED, NO_BODY, UNTIL_CLOSE

# Different status codes whose start is kept: more than any program answers with.
_STARTS_KEPT = 64

# Status codes whose answers have no content, or none to speak of.
_WITHOUT_CONTENT = frozenset((*range(100, 200), 204, 205, 304))

_NO_OPTIONS: Sequence[str] = ()


class HeadStarts:
    """The first lines of a server's answers.

    Any thread may ask.  What is kept is replaced as a whole for each second, its dicts grow by single steps, and what
    two threads make at once is equal: so also without the GIL.
    """

    __slots__ = ("_server_line", "kept", "_without_content")

    def __init__(self, server_header: str | None) -> None:
        self._server_line = b"" if server_header is None else b"server: %b\r\n" % server_header.encode("latin-1")
        # What was made in one second, by status, of answers with content; its beginning and its end, in floats to be
        # compared with time().
        self.kept: tuple[float, float, dict[int, bytes]] = (0.0, 0.0, {})
        self._without_content: dict[int, bytes] = {}  # the others

    def of(self, status: int) -> bytes:
        """Status line with the registered phrase, Server and Date."""
        second = int(time())
        begin, _, starts = self.kept
        if begin != second or len(starts) >= _STARTS_KEPT:
            self._without_content, starts = {}, {}
            self.kept = float(second), second + 1.0, starts
        if status in _WITHOUT_CONTENT:
            starts = self._without_content
        start = starts.get(status)
        if start is None:
            start = starts[status] = status_line(status, phrase_of(status)) + self._server_line + date_line(second)
        return start

    def made_for(self, status: int, reason: str | None, headers: HttpHeaders) -> bytes:
        """The same with another phrase, or for headers that have a Server or a Date themselves."""
        start = status_line(status, phrase_of(status) if reason is None else reason)
        if "server" not in headers:
            start += self._server_line
        return start if "date" in headers else start + date_line(int(time()))


def status_line(status: int, reason: str) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, reason.encode("latin-1"))


def date_line(second: int) -> bytes:
    return b"date: %b\r\n" % HttpDate.format_timestamp(second).encode("ascii")


def phrase_of(status: int) -> str:
    """The registered reason phrase."""
    try:
        return HttpStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def make_head(starts: HeadStarts, asked: RequestHead, status: int, reason: str | None, headers: HttpHeaders,
              length: int, has_body: bool, may_keep: bool) -> tuple[bytes, bytes, bytes, int, bool]:
    """Start, fields and framing of a body of ``length`` bytes (-1: more may come), each as its lines; how the body is
    delimited (one of wire.sink's), and whether the connection is kept.

    ``reason`` None is the registered phrase.  ``has_body``: the handler has written one, so that what GET would send
    is known for HEAD.  ``may_keep``: nothing but the headers speaks against using the connection again.
    """
    section = headers.section()
    fields, options = section.data, _NO_OPTIONS
    if section.has_framing:
        fields = headers.encode_without(FRAMING_NAMES)
        options = _options(headers)
        may_keep = may_keep and not any(option.lower() == "close" for option in options)
    framing, line = _frame(asked, status, headers, length, has_body)
    if framing == UNTIL_CLOSE or status < 200 or (asked.method == "CONNECT" and status < 300):
        may_keep = False  # what the client now waits for, or sends, is no HTTP that this server understands
    if reason is None and not section.has_origin:
        start = starts.of(status)
    else:
        start = starts.made_for(status, reason, headers)
    if not may_keep or options or asked.version == "1.0":
        line = _connection_line(asked, status, options, may_keep) + line
    return start, fields, line, framing, may_keep


def make_detached_head(starts: HeadStarts, asked: RequestHead, status: int, reason: str | None, headers: HttpHeaders,
                       cookies: Iterable[Cookie]) -> bytes:
    """The head in front of what is not framed here (RFC 9110 7.8, 9.3.6).

    A content_length that was set is the new owner's promise; not where there may be none (8.6).
    """
    declared = headers.content_length
    may_count = declared >= 0 and status >= 200 and status != 204 and asked.method != "CONNECT"
    start = starts.made_for(status, reason, headers)
    fields = headers.encode_without(FRAMING_NAMES) + cookie_lines(cookies)
    framing_line = _counted(declared) if may_count else b""
    return b"%b%b%b%b\r\n" % (start, fields, _connection_line(asked, status, _options(headers), False), framing_line)


def _frame(asked: RequestHead, status: int, headers: HttpHeaders, length: int, has_body: bool) -> tuple[int, bytes]:
    """How the body is delimited, and the line that says so (RFC 9112 6.3)."""
    declared = headers.content_length
    if status < 200 or status == 204:
        return NO_BODY, b""
    if status == 304:
        return NO_BODY, b"" if declared < 0 else _counted(declared)
    if status == 205:
        return NO_BODY, _counted(0)  # whatever was written (RFC 9110 15.3.6)
    if asked.method == "CONNECT" and status < 300:
        return NO_BODY, b""  # a tunnel begins
    if declared >= 0:
        framing, line = COUNTED, _counted(declared)
    elif length >= 0 and not (headers.chunked_transfer_encoding and asked.version == "1.1"):
        framing, line = COUNTED, _counted(length)
    elif asked.version == "1.1":
        framing, line = CHUNKED, b"transfer-encoding: chunked\r\n"
    else:
        framing, line = UNTIL_CLOSE, b""
    if asked.method == "HEAD":
        # Where the handler wrote no body, the length that GET's would have is unknown.
        return NO_BODY, line if has_body or declared >= 0 else b""
    return framing, line


def _counted(length: int) -> bytes:
    return b"content-length: %d\r\n" % length


def cookie_lines(cookies: Iterable[Cookie]) -> bytes:
    return b"".join([b"set-cookie: %b\r\n" % str(cookie).encode("latin-1") for cookie in checked_cookies(cookies)])


def _connection_line(asked: RequestHead, status: int, options: Sequence[str], keep: bool) -> bytes:
    if not options and not keep and status >= 200:
        return b"connection: close\r\n"
    options = [option for option in options if option.lower() not in ("close", "keep-alive")]
    if status >= 200 and not keep:
        options.append("close")
    elif status >= 200 and asked.version == "1.0":
        options.append("keep-alive")
    return b"connection: %b\r\n" % ", ".join(options).encode("latin-1") if options else b""


def _options(headers: HttpHeaders) -> list[str]:
    """The options of the Connection field (RFC 9110 7.6.1)."""
    return [option.strip() for option in headers.get("connection", "").split(",") if option.strip()]
