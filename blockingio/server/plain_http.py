"""Plain HTTP on an HTTPS port: where the same would be found by https://.

OpenSSL has taken the request's first five bytes and found no TLS in them; here is what can be told from the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from blockingio.errors import BadMessage
from blockingio.wire.head import RequestHead

_HTTPS = 443

# What is left of a request line without its first five characters: of "GET /a" or "PUT /a" there is "a", of "HEAD /a"
# or "POST /a" "/a", and of longer methods their end, a space and then the target.  What begins so in the first two and
# is no path is "http://a.example/" without "h" and "*" without anything.
_REST = re.compile(rb"(?:[A-Z]*+ (?=/))?+(?!ttps?://|\*?\Z)/?+([\x21-\x7e]*+) (HTTP/1\.[01])")


def https_location(rest: bytes, port: int, parse_head: Callable[[bytes], RequestHead]) -> str | None:
    """The https URL of what was asked for; None where that cannot be told.

    ``rest`` is what came behind the first five bytes, ``port`` the server's, which stands in for the one that is http's
    by default.  ``parse_head`` judges a request's head; a request for a host that is not answered for is told of none.
    """
    head, end, _ = rest.partition(b"\r\n\r\n")
    line, _, block = head.partition(b"\r\n")
    match = _REST.fullmatch(line)
    if not end or match is None:
        return None
    try:
        found = parse_head(b"GET /%b %b\r\n%b" % (*match.groups(), block))
    except BadMessage:
        return None
    host = found.host
    if not host:
        return None
    if not re.search(r":[0-9]+\Z", host) and port != _HTTPS:
        host = f"{host.rstrip(':')}:{port}"
    return f"https://{host}{found.target}"
