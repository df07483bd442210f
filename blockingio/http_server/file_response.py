"""An open file as the answer to a request: validators, preconditions, ranges, and the bytes.

Takes a request and a descriptor that somebody found safe to open, and closes neither: the
response is closed here, the descriptor by who opened it.  Knows no paths but the name that the
media type comes from.  What is to be refused is returned as a status, for the owner's own page.
"""

from __future__ import annotations

import os
from functools import lru_cache
from time import time
from typing import TYPE_CHECKING

from blockingio.errors import HttpException
from blockingio.http_server.conditional import NOT_MODIFIED, PROCEED, evaluate, range_applies
from blockingio.http_server.mime import SNIFF_SIZE, sniff, type_of_extension
from blockingio.http_server.ranges import RangeNotSatisfiable, parse_range
from blockingio.http_server.safe_open import Opened
from blockingio.values.date import HttpDate

if TYPE_CHECKING:
    from blockingio.server.request import HttpRequest
    from blockingio.server.response import HttpResponse
    from blockingio.values.headers import HttpHeaders

# Bytes up to which a file is read and sent in one write with its head: less than the response's
# buffer, so that it is not sent before it is closed.
SMALL_FILE = 64 * 1024 - 1

# Bytes read at once where the content has to be compressed on its way.
_CHUNK_SIZE = 256 * 1024

# Bytes of chance in a boundary: no content has it by accident, and nobody can guess it.
_BOUNDARY_BYTES = 12

_NO_STATUS = 0


def respond(request: HttpRequest, name: str, opened: Opened, gzipped: Opened | None, takes_gzip: bool) -> int:
    """Answer with a regular file, or with ``gzipped``, which holds the same compressed, for who ``takes_gzip``.

    The media type is that of ``name``.  Preconditions and ranges count for a response that is
    still a 200: an error page is sent as it is.  Returns 0, or the status of an answer that is
    for the caller to give (412, 416), its own fields set.
    """
    response = request.response
    headers = response.headers
    content = opened if gzipped is None or not takes_gzip else gzipped
    status = content.stat
    size = status.st_size
    fields = request.headers._values
    # Range is defined for GET alone (RFC 9110 14.2).
    ranges = None
    if gzipped is not None:
        _add_vary(headers)
    if response.status_code == 200:
        etag = f'"{status.st_mtime_ns:x}-{size:x}"' if content is opened else f'"{status.st_mtime_ns:x}-{size:x}-gz"'
        now = time()
        # No later than Date (RFC 9110 8.8.2.1), whatever the clock was when the file was written.
        modified = max(0, int(min(status.st_mtime, now)))
        verdict = evaluate(fields, etag, modified)
        if verdict == NOT_MODIFIED:
            headers._set_trusted("etag", etag)
            headers.content_type = None  # the default one would overwrite what the client has kept
            response.status_code = verdict
            response.close()
            return _NO_STATUS
        if verdict != PROCEED:
            return verdict
        if "range" in fields and request.method == "GET" and range_applies(fields, etag, modified, now):
            try:
                ranges = parse_range(", ".join(fields["range"]), size)
            except RangeNotSatisfiable:
                headers.set("content-range", f"bytes */{size}")
                return 416
        headers._set_trusted("etag", etag)
        headers._set_trusted("last-modified", _http_date(modified))
        headers._set_trusted("accept-ranges", "bytes")
    media_type = type_of_extension(_extension(name)) or sniff(_read_at(opened.descriptor, 0, SNIFF_SIZE))
    headers._set_trusted("content-type", media_type)
    if content is gzipped:
        headers._set_trusted("content-encoding", "gzip")
    if ranges is not None:
        _send_ranges(response, content.descriptor, size, ranges, media_type)
    elif request.method == "HEAD":
        response.content_length = size
    else:
        _send_whole(response, content.descriptor, size)
    response.close()
    return _NO_STATUS


def _send_whole(response: HttpResponse, descriptor: int, size: int) -> None:
    if size <= SMALL_FILE:
        data = _read_at(descriptor, 0, size)
        if len(data) == size:
            response.add(data)
        else:
            response.add_error(_shrunk(len(data), size))
        return
    response.content_length = size
    response.flush()
    if response._compressor is None:
        response._send_file(descriptor, 0, size)
        return
    for offset in range(0, size, _CHUNK_SIZE):
        count = min(_CHUNK_SIZE, size - offset)
        data = _read_at(descriptor, offset, count)
        if len(data) < count:
            response.add_error(_shrunk(offset + len(data), size))
            return
        response.add(data)
        if not response.is_connected:
            return


def _send_ranges(response: HttpResponse, descriptor: int, size: int, ranges: list[tuple[int, int]],
                 media_type: str) -> None:
    """206 with one stretch as the body, or several as multipart/byteranges (RFC 9110 15.3.7)."""
    response.status_code = 206
    if len(ranges) == 1:
        first, last = ranges[0]
        response.headers._set_trusted("content-range", f"bytes {first}-{last}/{size}")
        response.content_length = last - first + 1
        _send_stretch(response, descriptor, first, last - first + 1)
        return
    boundary = os.urandom(_BOUNDARY_BYTES).hex()
    heads = [
        f"\r\n--{boundary}\r\ncontent-type: {media_type}\r\ncontent-range: bytes {first}-{last}/{size}\r\n\r\n".encode("latin-1")
        for first, last in ranges
    ]
    end = f"\r\n--{boundary}--\r\n".encode("ascii")
    response.headers._set_trusted("content-type", f"multipart/byteranges; boundary={boundary}")
    response.content_length = sum(map(len, heads)) + sum(last - first + 1 for first, last in ranges) + len(end)
    for head, (first, last) in zip(heads, ranges):
        response.add(head)
        _send_stretch(response, descriptor, first, last - first + 1)
    response.add(end)


def _send_stretch(response: HttpResponse, descriptor: int, first: int, count: int) -> None:
    if count > SMALL_FILE:
        response._send_file(descriptor, first, count)
        return
    data = _read_at(descriptor, first, count)
    if len(data) == count:
        response.add(data)
    else:
        response.add_error(_shrunk(first + len(data), first + count))


def _shrunk(found: int, size: int) -> HttpException:
    return HttpException(f"the file ended after {found} bytes, expected {size}")


def _read_at(descriptor: int, offset: int, count: int) -> bytes:
    """``count`` bytes from there, fewer only at the end of the file."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    data = os.read(descriptor, count)
    while len(data) < count and (more := os.read(descriptor, count - len(data))):
        data += more
    return data


def _extension(name: str) -> str:
    _, dot, extension = name.rpartition(".")
    return extension if dot else ""


@lru_cache(maxsize=1024)
def _http_date(seconds: int) -> str:
    return HttpDate._format_timestamp(seconds)


def _add_vary(headers: HttpHeaders) -> None:
    if "accept-encoding" not in headers.get("vary", "").lower():
        headers.add("vary", "Accept-Encoding")
