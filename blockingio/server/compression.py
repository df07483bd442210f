"""Whether a response should be sent compressed: what it is, and what the client takes."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from functools import lru_cache, partial

from blockingio.values.headers import HttpHeaders
from blockingio.values.kept import kept
from blockingio.wire.sink import Compressor

# zlib's own middle between speed and size.
_LEVEL = 6

# zlib's words for a gzip header with a window of 32 KiB, the largest, and of 16 KiB.  Content that fits the smaller one
# comes out the same, in little more than half of the time: the larger one's memory is the system's, new each time.
_GZIP = 31
_GZIP_OF_LITTLE = 30
_LITTLE = 16 * 1024

# Field values whose meaning is kept, and characters of one at most: clients and programs repeat a handful.
_VALUES_KEPT = 64
_VALUE_KEPT_SIZE = 256

# Bytes of content below which nothing is gained: gzip adds 18, and has too little to find repetitions in.
_WORTH_IT = 150

# Statuses that say nothing of a representation: No Content, Reset Content.
_WITHOUT_CONTENT = (204, 205)

# Types beside text/* that gzip makes smaller; images, video and archives are compressed already.
_COMPRESSIBLE = (
    r"\s*(?:text/|[^;]*\+(?:json|xml|text)\s*(?:;|\Z)|application/(?:json|javascript|ecmascript|x-javascript|xml"
    r"|xhtml\+xml|manifest\+json|graphql|sql|yaml|toml|wasm|x-ndjson|rtf|x-sh|vnd\.ms-fontobject)\s*(?:;|\Z)"
    r"|image/(?:svg\+xml|bmp|x-icon|vnd\.microsoft\.icon)\s*(?:;|\Z)|font/(?:ttf|otf|sfnt|collection)\s*(?:;|\Z))"
)

# qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )  (RFC 9110 12.4.2)
_WEIGHT = r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)"

# Most servers compress nothing: each is compiled when it is first asked for.
_compiled = lru_cache(maxsize=None)(partial(re.compile, flags=re.IGNORECASE))


def gzip_compressor(length: int) -> Compressor:
    """For one response (RFC 1952) with content of ``length`` bytes; -1: not known."""
    return zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_OF_LITTLE if 0 <= length <= _LITTLE else _GZIP)


def negotiate(status: int, headers: HttpHeaders, asked: HttpHeaders, length: int) -> bool:
    """Have a response's headers say what depends on Accept-Encoding; whether its content is to be compressed.

    Decided by what is the same for GET and for HEAD, and on a 200 and a 304: so is the outcome (RFC 9110 8.6, 9.3.2,
    15.4.5).  ``length`` is that of the content before it is compressed; -1: not known, so it counts as long.
    ``asked``: the request's headers.
    """
    if status < 200 or status in _WITHOUT_CONTENT or "content-encoding" in headers:
        return False
    if not _is_compressible(headers.get("content-type", "")):
        return False
    add_vary(headers)
    if status == 206 or 0 <= length < _WORTH_IT or not accepts_gzip(asked):
        return False  # a range is one of the content as it is
    headers.remove_all("content-length")
    etag = headers.get("etag", "")
    if etag.startswith('"'):
        headers.set("etag", f"W/{etag}")  # other bytes, same meaning (RFC 9110 8.8.3)
    if status == 304:
        return False
    headers.set("content-encoding", "gzip")
    return True


def add_vary(headers: HttpHeaders) -> None:
    """Say that the answer depends on Accept-Encoding (RFC 9110 12.5.5)."""
    vary = [name.strip().lower() for name in headers.get("vary", "").split(",")]
    if "accept-encoding" not in vary and "*" not in vary:
        headers.add("vary", "Accept-Encoding")


@kept(_VALUES_KEPT, _VALUE_KEPT_SIZE)
def _is_compressible(content_type: str) -> bool:
    """Whether this Content-Type names something that gets smaller; "": there is none."""
    return _compiled(_COMPRESSIBLE).match(content_type) is not None


def accepts_gzip(headers: HttpHeaders) -> bool:
    """Whether Accept-Encoding gives gzip a weight above zero (RFC 9110 12.5.3)."""
    return _gives_gzip_weight(headers.get("accept-encoding", ""))


@kept(_VALUES_KEPT, _VALUE_KEPT_SIZE)
def _gives_gzip_weight(field: str) -> bool:
    return weight_of("gzip", weights(field)) > 0


def weights(field: str) -> dict[str, float]:
    """What Accept-Encoding says, by coding in lower case; 0 where a weight cannot be read (RFC 9110 12.5.3)."""
    found = {}
    for member in field.split(","):
        coding, *parameters = [part.strip() for part in member.split(";")]
        weight = 1.0
        for parameter in parameters:
            if parameter[:2].lower() == "q=":
                match = _compiled(_WEIGHT).fullmatch(parameter)
                weight = float(match[1]) if match else 0.0
        coding = coding.lower()
        found["gzip" if coding == "x-gzip" else coding] = weight
    return found


def weight_of(coding: str, accepted: Mapping[str, float]) -> float:
    """A coding's weight, 0 where it is not taken; ``*`` speaks for what is not named."""
    return accepted.get(coding, accepted.get("*", 0.0))
