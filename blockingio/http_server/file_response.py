"""A file as the answer to a request: validators, preconditions, ranges, and the bytes.

Takes a request and a Representation, closes the response and nothing else.  What is to be
refused is returned as a status, for the owner's own page.
"""

from __future__ import annotations

import os
from time import time
from typing import TYPE_CHECKING

from blockingio.errors import HttpException
from blockingio.http_server.conditional import NOT_MODIFIED, PROCEED, evaluate, range_applies
from blockingio.http_server.ranges import RangeNotSatisfiable, parse_range
from blockingio.http_server.representation import SMALL_FILE, Representation
from blockingio.server.compression import add_vary, gzip_compressor, negotiate
from blockingio.server.response_writer import STARTED

if TYPE_CHECKING:
    from blockingio.server.request import HttpRequest
    from blockingio.server.response import HttpResponse
    from blockingio.values.headers import HttpHeaders

# Bytes of a range up to which it is read and sent by the handler's thread: most systems take so much at once, and a
# thread for it costs more.
_SMALL_STRETCH = 128 * 1024

# Bytes read at once where the content has to be compressed on its way.
_CHUNK_SIZE = 256 * 1024

# Bytes of chance in a boundary: no content has it by accident, and it cannot be guessed.
_BOUNDARY_BYTES = 12

_ANSWERED = 0


def respond(request: HttpRequest, content: Representation, varies: bool) -> int:
    """Answer with a representation; ``varies`` where another one goes to clients that take other codings.

    Preconditions and ranges count for a response that is still a 200: an error page is sent as it is.  Returns 0, or
    the status of an answer that is for the caller to give (412, 416), with the fields for it set.
    """
    response = request.response
    headers = response.headers
    if varies:
        add_vary(headers)
    ranges = None
    if response.status_code == 200:
        fields = request.headers.by_name
        verdict = evaluate(fields, content.etag, content.modified)
        if verdict == NOT_MODIFIED:
            headers.set_trusted("etag", content.etag)
            headers.content_type = None  # the default one would overwrite what the client has kept
            response.status_code = verdict
            if content.coding is None:
                response.negotiate_as(content.media_type, content.size)
            response.close()
            return _ANSWERED
        if verdict != PROCEED:
            return verdict
        # Range is defined for GET alone (RFC 9110 14.2).
        if ("range" in fields and request.method == "GET"
                and range_applies(fields, content.etag, content.modified, time())):
            try:
                ranges = parse_range(", ".join(fields["range"]), content.size)
            except RangeNotSatisfiable:
                headers.set("content-range", f"bytes */{content.size}")
                return 416
        _set_validators(headers, content)
    _set_type(headers, content)
    try:
        if ranges is not None:
            _send_ranges(response, content, ranges)
        elif request.method == "HEAD":
            response.content_length = content.size
        else:
            _send_whole(response, content)
    except (HttpException, OSError) as error:
        response.add_error(error)
    response.close()
    return _ANSWERED


class WholeAnswer:
    """A small file's answer to a plain GET, made once: what it says of the file, and the file, perhaps compressed."""

    __slots__ = ("_headers", "_body")

    def __init__(self, content: Representation, begun: HttpHeaders, varies: bool, asked: HttpHeaders | None) -> None:
        """``content`` is in memory, ``begun`` are the headers that the answer has so far, ``asked`` the request's that
        say whether it may be compressed, None where it is not.  Raises what reading it would."""
        headers = begun.copy()
        if varies:
            add_vary(headers)
        _set_validators(headers, content)
        _set_type(headers, content)
        body = content.load()
        if asked is not None and negotiate(200, headers, asked, len(body)) and body:
            compressor = gzip_compressor(len(body))
            body = compressor.compress(body) + compressor.flush()
        headers.freeze(STARTED)  # by the first answer that has them, of several
        self._headers = headers
        self._body = body

    def send(self, response: HttpResponse) -> None:
        response.send_whole(self._headers, self._body)


def _set_validators(headers: HttpHeaders, content: Representation) -> None:
    """For a 200 or 206: what later requests may refer to."""
    headers.set_trusted("etag", content.etag)
    headers.set_trusted("last-modified", content.last_modified)
    headers.set_trusted("accept-ranges", "bytes")


def _set_type(headers: HttpHeaders, content: Representation) -> None:
    headers.set_trusted("content-type", content.media_type)
    if content.coding is not None:
        headers.set_trusted("content-encoding", content.coding)


def _send_whole(response: HttpResponse, content: Representation) -> None:
    size = content.size
    if size <= SMALL_FILE or content.data is not None:
        response.add(content.read(0, size))
        return
    response.content_length = size
    response.flush()
    if response.compressor is None:
        response.send_file(content.descriptor, 0, size)
        return
    for offset in range(0, size, _CHUNK_SIZE):
        response.add(content.read(offset, min(_CHUNK_SIZE, size - offset)))
        if not response.is_connected:
            break


def _send_ranges(response: HttpResponse, content: Representation, ranges: list[tuple[int, int]]) -> None:
    """206 with one stretch as the body, or several as multipart/byteranges (RFC 9110 15.3.7)."""
    response.status_code = 206
    size = content.size
    if len(ranges) == 1:
        first, last = ranges[0]
        response.headers.set_trusted("content-range", f"bytes {first}-{last}/{size}")
        response.content_length = last - first + 1
        _send_stretch(response, content, first, last)
        return
    if content.coding is None:
        response.negotiate_as(content.media_type, size)
    boundary = os.urandom(_BOUNDARY_BYTES).hex()
    head = f"\r\n--{boundary}\r\ncontent-type: {content.media_type}\r\ncontent-range: bytes "
    heads = [f"{head}{first}-{last}/{size}\r\n\r\n".encode("latin-1") for first, last in ranges]
    end = f"\r\n--{boundary}--\r\n".encode("latin-1")
    response.headers.set_trusted("content-type", f"multipart/byteranges; boundary={boundary}")
    response.content_length = sum(map(len, heads)) + sum(last - first + 1 for first, last in ranges) + len(end)
    for text, (first, last) in zip(heads, ranges):
        response.add(text)
        _send_stretch(response, content, first, last)
    response.add(end)


def _send_stretch(response: HttpResponse, content: Representation, first: int, last: int) -> None:
    count = last - first + 1
    if count <= _SMALL_STRETCH or content.data is not None:
        response.add(content.read(first, count))
    else:
        response.send_file(content.descriptor, first, count)
