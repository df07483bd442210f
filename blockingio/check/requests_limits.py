"""What is larger than any client needs; real servers have larger limits than the server of the conformance tests.

These rows are for ``python -m blockingio.check`` alone.
"""

from __future__ import annotations

from blockingio.check.cases import Case, Refused, Seen, case

_END = b"\r\nHost: a.example\r\n\r\n"
_GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n"
_CHUNKED = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
_MUCH = 1 << 20
_BIG = Refused((400, 413, 414, 431))

LIMITS: tuple[Case, ...] = (
    case("a request line of 8000 bytes", "9112 3", b"GET /?" + b"a" * 7985 + b" HTTP/1.1" + _END, Seen(target=None)),
    case("a target of 1 MiB", "9112 3", b"GET /?" + b"a" * _MUCH + b" HTTP/1.1" + _END, _BIG),
    case("a request line that does not end", "9112 3", b"GET /" + b"a" * _MUCH, _BIG),
    case("a field of 1 MiB", "9110 5.4", _GET + b"A: " + b"b" * _MUCH + b"\r\n\r\n", _BIG),
    case("a field that does not end", "9110 5.4", _GET + b"A: " + b"b" * _MUCH, _BIG),
    case("100,000 fields", "9110 5.4", _GET + b"A: b\r\n" * 100_000 + b"\r\n", _BIG),
    case("fields that do not end", "9110 5.4", _GET + b"A: b\r\n" * 200_000, _BIG),
    case("a chunk extension of 1 MiB", "9112 7.1.1", _CHUNKED + b"5;" + b"a" * _MUCH + b"\r\nhello\r\n0\r\n\r\n", _BIG),
    case("a chunk's size of 1 MiB of zeros", "9112 7.1", _CHUNKED + b"0" * _MUCH + b"5\r\nhello\r\n0\r\n\r\n", _BIG),
    case("100,000 trailers", "9112 7.1.2", _CHUNKED + b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 100_000 + b"\r\n", _BIG),
)
