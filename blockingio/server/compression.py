"""Whether a response should be sent compressed: what it is, and what the client takes."""

from __future__ import annotations

import re

from blockingio.values.headers import HttpHeaders

# Types beside text/* that gzip makes smaller; images, video and archives are compressed already.
_COMPRESSIBLE = re.compile(
    r"\s*(?:text/|[^;]*\+(?:json|xml|text)\s*(?:;|\Z)|application/(?:json|javascript|ecmascript|x-javascript|xml"
    r"|xhtml\+xml|manifest\+json|graphql|sql|yaml|toml|wasm|x-ndjson|rtf|x-sh|vnd\.ms-fontobject)\s*(?:;|\Z)"
    r"|image/(?:svg\+xml|bmp|x-icon|vnd\.microsoft\.icon)\s*(?:;|\Z)|font/(?:ttf|otf|sfnt|collection)\s*(?:;|\Z))",
    re.IGNORECASE,
)

# qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )  (RFC 9110 12.4.2)
_WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


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
            match = _WEIGHT.fullmatch(parameter)
            weight = float(match[1]) if match else 0.0
        if coding.lower() in ("gzip", "x-gzip"):
            gzip = weight
        elif coding == "*":
            anything = weight
    return bool(gzip if gzip is not None else anything)
