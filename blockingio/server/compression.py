"""Whether a response should be sent compressed: what it is, and what the client takes."""

from __future__ import annotations

import re
import zlib

from blockingio.values.headers import HttpHeaders
from blockingio.wire.sink import Compressor

# zlib's own middle between speed and size, and its word for a gzip header with a window of 32 KiB.
_LEVEL = 6
_GZIP = 31

# Types beside text/* that gzip makes smaller; images, video and archives are compressed already.
_COMPRESSIBLE = re.compile(
    r"\s*(?:text/|[^;]*\+(?:json|xml|text)\s*(?:;|\Z)|application/(?:json|javascript|ecmascript|x-javascript|xml"
    r"|xhtml\+xml|manifest\+json|graphql|sql|yaml|toml|wasm|x-ndjson|rtf|x-sh|vnd\.ms-fontobject)\s*(?:;|\Z)"
    r"|image/(?:svg\+xml|bmp|x-icon|vnd\.microsoft\.icon)\s*(?:;|\Z)|font/(?:ttf|otf|sfnt|collection)\s*(?:;|\Z))",
    re.IGNORECASE,
)

# qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )  (RFC 9110 12.4.2)
_WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


def gzip_compressor() -> Compressor:
    """For one response (RFC 1952)."""
    return zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)


def compressed_headers(status: int, headers: HttpHeaders, request_headers: HttpHeaders) -> HttpHeaders | None:
    """A response's headers as they have to be where compression comes into play; None where it does not.

    They say that the answer depends on Accept-Encoding; with ``content-encoding: gzip`` it is to be compressed.
    """
    if "content-encoding" in headers or status in (204, 205, 206, 304) or not is_compressible(headers):
        return None
    headers = headers.copy()
    vary = [name.strip().lower() for name in headers.get("vary", "").split(",")]
    if "accept-encoding" not in vary and "*" not in vary:
        headers.add("vary", "Accept-Encoding")
    if accepts_gzip(request_headers):
        headers.remove_all("content-length")
        headers.set("content-encoding", "gzip")
        etag = headers.get("etag", "")
        if etag.startswith('"'):
            headers.set("etag", f"W/{etag}")  # other bytes, same meaning (RFC 9110 8.8.3)
    return headers


def is_compressible(headers: HttpHeaders) -> bool:
    """Whether the Content-Type names something that gets smaller."""
    return "content-type" in headers and _COMPRESSIBLE.match(headers["content-type"]) is not None


def accepts_gzip(headers: HttpHeaders) -> bool:
    """Whether Accept-Encoding gives gzip a weight above zero (RFC 9110 12.5.3)."""
    gzip = anything = None
    for member in headers.get("accept-encoding", "").split(","):
        coding, *parameters = [part.strip() for part in member.split(";")]
        weight = 1.0
        for parameter in parameters:
            if parameter[:2].lower() == "q=":
                match = _WEIGHT.fullmatch(parameter)
                weight = float(match[1]) if match else 0.0
        if coding.lower() in ("gzip", "x-gzip"):
            gzip = weight
        elif coding == "*":
            anything = weight
    return bool(gzip if gzip is not None else anything)
