"""Heads: start lines and header sections, to the letter; what framing needs of them."""
from __future__ import annotations

import time
from typing import Any

import pytest

from blockingio.errors import BadMessage
from blockingio.wire.head import (
    Fields, check_field_lines, field_list, parse_fields, parse_request_line, parse_status_line,
)
from blockingio.wire.limits import DEFAULT_LIMITS, Limits
from tests.wire.feeding import head_of, rest_of, sources


def fields_of(block: bytes, version: str = "1.1", *, of_request: bool = True,
              limits: Limits = DEFAULT_LIMITS) -> Fields:
    return parse_fields(block, version, limits, of_request=of_request)


def refused(block: bytes, version: str = "1.1", *, of_request: bool = True,
            limits: Limits = DEFAULT_LIMITS) -> int:
    """The status that this header section gets."""
    with pytest.raises(BadMessage) as caught:
        fields_of(block, version, of_request=of_request, limits=limits)
    return caught.value.status


# ----------------------------------------------------------------- request lines

@pytest.mark.parametrize("line, method, target, version", [
    (b"GET / HTTP/1.1", "GET", "/", "1.1"),
    (b"GET / HTTP/1.0", "GET", "/", "1.0"),
    (b"GET / HTTP/1.9", "GET", "/", "1.1"),
    (b"x!#$%&'*+-.^_`|~9 /a?b=c%20d HTTP/1.1", "x!#$%&'*+-.^_`|~9", "/a?b=c%20d", "1.1"),
    (b"GET //a//b HTTP/1.1", "GET", "//a//b", "1.1"),
    (b'GET /"<>[]\\^`{|} HTTP/1.1', "GET", '/"<>[]\\^`{|}', "1.1"),
    (b"GET /?% HTTP/1.1", "GET", "/?%", "1.1"),
    (b"GET http://a.example HTTP/1.1", "GET", "http://a.example", "1.1"),
    (b"GET HTTPS://a.example:1/x?y HTTP/1.1", "GET", "HTTPS://a.example:1/x?y", "1.1"),
    (b"GET http://[::1]:80/ HTTP/1.1", "GET", "http://[::1]:80/", "1.1"),
    (b"OPTIONS * HTTP/1.1", "OPTIONS", "*", "1.1"),
    (b"CONNECT a.example:443 HTTP/1.1", "CONNECT", "a.example:443", "1.1"),
    (b"CONNECT [::1]:443 HTTP/1.1", "CONNECT", "[::1]:443", "1.1"),
])
def test_a_request_line(line: bytes, method: str, target: str, version: str) -> None:
    for source, trailing in sources(line + b"\r\nHost: a\r\n\r\n"):
        head = head_of(source)
        assert head
        assert parse_request_line(head.partition(b"\r\n")[0], DEFAULT_LIMITS) == (method, target, version)
        assert rest_of(source) == trailing


@pytest.mark.parametrize("line, status", [
    (b"", 400), (b"GET", 400), (b"GET /", 400), (b"GET  / HTTP/1.1", 400), (b" GET / HTTP/1.1", 400),
    (b"GET / HTTP/1.1 ", 400), (b"GET\t/\tHTTP/1.1", 400), (b"GET / http/1.1", 400), (b"GET / HTTP/11", 400),
    (b"GET / HTTP/1.", 400), (b"GET / HTTP/1.10", 400), (b"G(T / HTTP/1.1", 400), (b"GET /a b HTTP/1.1", 400),
    (b"GET /#x HTTP/1.1", 400), (b"GET /\xc3\xa4 HTTP/1.1", 400), (b"GET a HTTP/1.1", 400),
    (b"GET * HTTP/1.1", 400), (b"GET ftp://a/ HTTP/1.1", 400), (b"GET http:///x HTTP/1.1", 400),
    (b"GET http://a b/ HTTP/1.1", 400), (b"GET http://u@a/ HTTP/1.1", 400),
    (b"GET http://a:99999/ HTTP/1.1", 400), (b"GET /%zz HTTP/1.1", 400), (b"GET /% HTTP/1.1", 400),
    (b"CONNECT / HTTP/1.1", 400), (b"CONNECT a HTTP/1.1", 400), (b"CONNECT a: HTTP/1.1", 400),
    (b"CONNECT a:65536 HTTP/1.1", 400), (b"CONNECT [::1] HTTP/1.1", 400),
    (b"CONNECT http://a:1 HTTP/1.1", 400), (b"GET / HTTP/2.0", 505), (b"GET / HTTP/0.9", 505),
    (b"GET / HTTP/3.1", 505), (b"GET /" + b"x" * 16384 + b" HTTP/1.1", 414),
    (b"A" * 1000 + b" / HTTP/1.1", 414),
], ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else value)
def test_a_bad_request_line(line: bytes, status: int) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_request_line(line, DEFAULT_LIMITS)
    assert caught.value.status == status and len(str(caught.value)) < 300


# ------------------------------------------------------------------ status lines

@pytest.mark.parametrize("line, version, status, reason", [
    (b"HTTP/1.1 200 OK", "1.1", 200, "OK"), (b"HTTP/1.0 404 Not Found", "1.0", 404, "Not Found"),
    (b"HTTP/1.1 200 ", "1.1", 200, ""), (b"HTTP/1.1 200", "1.1", 200, ""),
    (b"HTTP/1.1 999 caf\xe9\t!", "1.1", 999, "caf\u00e9\t!"), (b"HTTP/1.7 100 x", "1.1", 100, "x"),
])
def test_a_status_line(line: bytes, version: str, status: int, reason: str) -> None:
    assert parse_status_line(line) == (version, status, reason)


@pytest.mark.parametrize("line", [b"", b"HTTP/1.1", b"HTTP/1.1 20", b"HTTP/1.1 2000 OK", b"HTTP/1.1 OK",
                                  b"http/1.1 200 OK", b"HTTP/2.0 200 OK", b"HTTP/1.1  200 OK",
                                  b"HTTP/1.1 200 \x00", b"HTTP/1.1 000 x", b" HTTP/1.1 200 OK", b"ICY 200 OK",
                                  b"HTTP/1.1 +20 OK"])
def test_a_bad_status_line(line: bytes) -> None:
    with pytest.raises(BadMessage):
        parse_status_line(line)


# ---------------------------------------------------------------- header sections

def test_field_list_keeps_order_and_case() -> None:
    block = b"Host: a\r\nX:\r\nx:  b c  \r\nY:d\r\nZ: \t e\tf \t\r\nLatin: \xe9\r\nC: :"
    check_field_lines(block)
    assert field_list(block) == [("Host", "a"), ("X", ""), ("x", "b c"), ("Y", "d"), ("Z", "e\tf"),
                                 ("Latin", "\u00e9"), ("C", ":")]
    assert field_list(b"") == []


@pytest.mark.parametrize("block", [
    b"Host: a", b"Host: a\r\nA: b", b"host:a", b"HOST:   a   ", b"Host: a\r\nX: " + bytes(range(0x80, 0x100)),
])
def test_a_header_section(block: bytes) -> None:
    for source, trailing in sources(b"GET / HTTP/1.1\r\n" + block + b"\r\n\r\n"):
        head = head_of(source)
        assert head
        fields = fields_of(head.partition(b"\r\n")[2])
        assert fields.host == "a" and fields.keep_alive and fields.content_length == -1 and not fields.chunked
        assert fields.headers["host"] == "a" and fields.headers is fields.headers
        assert rest_of(source) == trailing


@pytest.mark.parametrize("line", [
    b"X : y", b": y", b"X", b" X: y", b"\tX: y", b"X\t: y", b"X y: z", b"X:\x00", b"X: a\x01b", b"X: \x7f",
    b"", b"X(: y", b"\xe4: y", b"X: a\rb", b"X: a\nb", b'"X": y', b"X@: y", b"X;: y",
])
@pytest.mark.parametrize("at", ["first", "middle", "last"])
@pytest.mark.parametrize("of_request", [True, False])
def test_a_bad_line(line: bytes, at: str, of_request: bool) -> None:
    good = [b"Host: a", b"A: b"]
    good.insert({"first": 0, "middle": 1, "last": 2}[at], line)
    if not of_request and line[:1] in (b" ", b"\t") and at != "first":
        return  # folded, which a user agent has to take (RFC 9112 5.2)
    if not line and at == "last":
        return  # a head ends at its first empty line, so there is none to come
    assert refused(b"\r\n".join(good), of_request=of_request) == 400


def test_obs_fold_in_a_response_is_a_blank() -> None:
    fields = fields_of(b"A: b\r\n c\r\n\t d \r\nContent-Length:\r\n 5", of_request=False)
    assert fields.headers["a"] == "b c d" and fields.content_length == 5
    assert refused(b"Host: a\r\nA: b\r\n c") == 400


def test_the_limits_of_a_section() -> None:
    block = b"Host: a\r\nA: b"
    assert fields_of(block, limits=Limits(max_header_size=len(block), max_header_count=2)).host == "a"
    assert refused(block, limits=Limits(max_header_size=len(block) - 1)) == 431
    assert refused(block, limits=Limits(max_header_count=1)) == 431


def test_patterns_take_linear_time() -> None:
    """Blanks, colons and commas by the ten thousand."""
    began = time.process_time()
    limits = Limits(max_header_size=10**7, max_header_count=10**6, max_target_length=10**7)
    for text in (b" ", b"\t", b":", b",", b"a ", b"a,", b", ,", b"x:", b"\xff", b"%41", b"a."):
        many = text * (100_000 // len(text))
        for name in (b"X", b"Connection", b"Host", b"Transfer-Encoding", b"Content-Length", b"Expect"):
            for of_request in (True, False):
                try:
                    fields_of(b"Host: a\r\n" + name + b":" + many + b"\x01"[:of_request],
                              of_request=of_request, limits=limits)
                    field_list(b"Host: a\r\n" + name + b":" + many)
                except BadMessage:
                    pass
        for line in (b"GET /" + many, b"GET http://" + many + b"/", b"CONNECT " + many, many):
            with pytest.raises(BadMessage):
                parse_request_line(line + b" HTTP/1.x", limits)
            try:
                parse_request_line(line + b" HTTP/1.1", limits)
            except BadMessage:
                pass
    assert time.process_time() - began < 5


# ------------------------------------------------------------------------ framing

@pytest.mark.parametrize("block, version, expected", [
    (b"", "1.1", {"keep_alive": True}), (b"", "1.0", {"keep_alive": False}),
    (b"Connection: close", "1.1", {"keep_alive": False, "connection": (b"close",)}),
    (b"Connection: keep-alive", "1.0", {"keep_alive": True}),
    (b"connection:  Keep-Alive , Upgrade ", "1.0",
     {"keep_alive": True, "connection": (b"keep-alive", b"upgrade")}),
    (b"Connection: keep-alive\r\nConnection: close", "1.1", {"keep_alive": False}),
    (b"Connection:", "1.1", {"keep_alive": True}),
    (b"Connection: ,,close,", "1.1", {"keep_alive": False}),
    (b"Content-Length: 5", "1.1", {"content_length": 5}), (b"content-length:0", "1.0", {"content_length": 0}),
    (b"Content-Length: 00005", "1.1", {"content_length": 5}),
    (b"Content-Length: 999999999999999999", "1.1", {"content_length": 999999999999999999}),
    (b"Transfer-Encoding: chunked", "1.1", {"chunked": True}),
    (b"Transfer-Encoding: Chunked ", "1.1", {"chunked": True}),
    (b"Expect: 100-Continue", "1.1", {"expects_continue": True}),
    (b"Expect: 100-continue", "1.0", {"expects_continue": False}),
    (b"Expect: nonsense", "1.0", {"expects_continue": False}),
    (b"X-Connection: close\r\nX: connection: close", "1.1", {"keep_alive": True, "connection": ()}),
])
def test_what_framing_needs(block: bytes, version: str, expected: dict[str, Any]) -> None:
    for prefix, suffix in ((b"Host: a\r\n", b""), (b"", b"\r\nHost: a"),
                           (b"Host: a\r\nA: b\r\n", b"\r\nC: d")):
        fields = fields_of((prefix + block + suffix).replace(b"\r\n\r\n", b"\r\n").strip(b"\r\n"), version)
        assert {name: getattr(fields, name) for name in expected} == expected


@pytest.mark.parametrize("block, status", [
    (b"Content-Length: 5\r\nContent-Length: 5", 400), (b"Content-Length: 5\r\nContent-Length: 6", 400),
    (b"Content-Length: 5, 5", 400), (b"Content-Length:", 400), (b"Content-Length: -1", 400),
    (b"Content-Length: +1", 400), (b"Content-Length: 1 2", 400), (b"Content-Length: 0x5", 400),
    (b"Content-Length: 1_0", 400), (b"Content-Length: \xb2", 400), (b"Content-Length: 5;", 400),
    (b"Content-Length: 1000000000000000000", 413), (b"Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
    (b"Content-Length: 5\r\nTransfer-Encoding: chunked", 400), (b"Transfer-Encoding: gzip", 400),
    (b"Transfer-Encoding: gzip, chunked", 501), (b"Transfer-Encoding: identity", 400),
    (b"Transfer-Encoding: chunked, chunked", 400),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400), (b"Transfer-Encoding:", 400),
    (b"Transfer-Encoding: chunked,", 400), (b"Transfer-Encoding: chunked;x=y", 400),
    (b"Transfer-Encoding: xchunked", 400), (b"Transfer-Encoding: chunked, gzip", 400),
    (b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", 501),
    (b"Expect: other", 417), (b"Expect: 100-continue, other", 417), (b"Expect:", 417),
])
def test_framing_that_is_refused(block: bytes, status: int) -> None:
    assert refused(b"Host: a\r\n" + block) == status
    assert refused(block + b"\r\nHost: a") == status


def test_transfer_encoding_in_1_0() -> None:
    assert refused(b"Transfer-Encoding: chunked", "1.0") == 400
    assert fields_of(b"Transfer-Encoding: chunked", "1.0", of_request=False).chunked


def test_a_response_may_repeat_its_length() -> None:
    """Careless servers do, and browsers take it (RFC 9110 8.6)."""
    for block in (b"Content-Length: 5\r\nContent-Length: 5", b"Content-Length: 5, 5",
                  b"Content-Length: 5\r\nContent-Length: 5, 5"):
        assert fields_of(block, of_request=False).content_length == 5
    for block in (b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: 5, 6", b"Content-Length: 5,",
                  b"Content-Length: x, x"):
        fields = fields_of(block, of_request=False)
        assert fields.fault and fields.content_length == -1 and not fields.keep_alive, "judged with the body"


def test_what_only_a_request_must_have() -> None:
    assert fields_of(b"Expect: other", of_request=False).host is None
    assert not fields_of(b"Expect: 100-continue", of_request=False).expects_continue


# --------------------------------------------------------------------------- Host

@pytest.mark.parametrize("host", ["a", "a.example", "a.example:80", "a:", "1.2.3.4:8080", "[::1]", "[::1]:80",
                                  "[v1.a]", "%41", "a_b", "a:65535", "A!$&'()*+,;=-._~", "[::ffff:1.2.3.4]"])
def test_a_host(host: str) -> None:
    assert fields_of(f"Host: {host}".encode()).host == host


@pytest.mark.parametrize("host", ["a b", "a/b", "a@b", "a:b", "a:65536", "a:-1", ":80", "[::1", "::1",
                                  "[::1]x", "[:::]", "[1::2::3]", "[g::]", "%4", "%zz", "a?b", "a#b", "a\\b",
                                  "[]", "\u00e4", "<a>", '"a"', "a:1:2"])
def test_a_bad_host(host: str) -> None:
    assert refused(f"Host: {host}".encode("latin-1")) == 400


def test_how_many_hosts() -> None:
    assert refused(b"A: b") == refused(b"") == 400
    assert refused(b"Host: a\r\nHost: a") == refused(b"Host: a\r\nHost: a", "1.0") == 400
    assert fields_of(b"", "1.0").host is None
    assert fields_of(b"Host:").host == ""
