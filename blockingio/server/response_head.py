"""A response's head: its lines as bytes, how the body behind it is framed, and whether the connection stays.

Takes values, gives values; knows neither the connection nor the response.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import time
from typing import NamedTuple

from blockingio.server.core import Core, date_line
from blockingio.values.cookie import Cookie
from blockingio.values.headers import HttpHeaders
from blockingio.values.status import HttpStatus
from blockingio.wire.head import RequestHead
from blockingio.wire.sink import CHUNKED, COUNTED, NO_BODY, UNTIL_CLOSE

_WRITTEN_HERE = ("connection", "content-length", "transfer-encoding")


class Head(NamedTuple):
    data: bytes
    framing: int  # one of wire.sink's
    keep: bool


def phrase_of(status: int) -> str:
    """The registered reason phrase."""
    try:
        return HttpStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def make_head(core: Core, asked: RequestHead, status: int, reason: str, headers: HttpHeaders,
              cookies: Iterable[Cookie], *, length: int, has_body: bool, may_keep: bool) -> Head:
    """The head in front of a body of ``length`` bytes; -1: more may come.

    ``has_body``: something was written, which for HEAD says what GET would send.
    ``may_keep``: nothing but the headers speaks against using the connection again.
    """
    closes = any(option.lower() == "close" for option in _options(headers))
    keep = may_keep and not core.closing and not closes
    framing, line = _frame(asked, status, headers, length, has_body)
    if framing == UNTIL_CLOSE or status < 200 or (asked.method == "CONNECT" and status < 300):
        keep = False  # what the client now waits for, or sends, is no HTTP that anybody here understands
    return _assemble(core, asked, status, reason, headers, cookies, keep, framing, line)


def make_detached_head(core: Core, asked: RequestHead, status: int, reason: str, headers: HttpHeaders,
                       cookies: Iterable[Cookie]) -> bytes:
    """The head in front of what is not framed here (RFC 9110 7.8, 9.3.6).

    A content_length that was set is the new owner's promise; not where there may be none (8.6).
    """
    declared = headers.content_length
    may_count = declared >= 0 and status >= 200 and status != 204 and asked.method != "CONNECT"
    line = _counted(declared) if may_count else b""
    return _assemble(core, asked, status, reason, headers, cookies, False, UNTIL_CLOSE, line).data


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
        # Where the handler wrote no body, nobody knows how long GET's would be.
        return NO_BODY, line if has_body or declared >= 0 else b""
    return framing, line


def _counted(length: int) -> bytes:
    return b"content-length: %d\r\n" % length


def _assemble(core: Core, asked: RequestHead, status: int, reason: str, headers: HttpHeaders,
              cookies: Iterable[Cookie], keep: bool, framing: int, framing_line: bytes) -> Head:
    values = headers._values
    parts = [b"HTTP/1.1 %d %b\r\n" % (status, reason.encode("latin-1")), _without_framing(headers)]
    if "server" not in values:
        parts.append(core.server_line())
    if "date" not in values:
        parts.append(date_line(time()))
    for cookie in cookies:
        parts.append(b"set-cookie: %b\r\n" % str(cookie).encode("latin-1"))
    parts.append(_connection_line(asked, status, headers, keep))
    parts.append(framing_line)
    parts.append(b"\r\n")
    return Head(b"".join(parts), framing, keep)


def _connection_line(asked: RequestHead, status: int, headers: HttpHeaders, keep: bool) -> bytes:
    options = [option for option in _options(headers) if option.lower() not in ("close", "keep-alive")]
    if status >= 200 and not keep:
        options.append("close")
    elif status >= 200 and asked.version == "1.0":
        options.append("keep-alive")
    return b"connection: %b\r\n" % ", ".join(options).encode("latin-1") if options else b""


def _options(headers: HttpHeaders) -> list[str]:
    """The options of the Connection field (RFC 9110 7.6.1)."""
    return [option.strip() for option in headers.get("connection", "").split(",") if option.strip()]


def _without_framing(headers: HttpHeaders) -> bytes:
    """All fields but those that are written here."""
    if any(name in headers._values for name in _WRITTEN_HERE):
        headers = headers._copy()
        for name in _WRITTEN_HERE:
            headers._drop(name)
    return headers._encode()
