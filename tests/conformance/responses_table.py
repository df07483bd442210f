"""Responses as a client must read them: raw bytes, and what must come of them.

``closes``: the server ends the connection behind the bytes.  ``again``: whether the client uses the
connection for its next request, None where either is right; one that may not be used, but is, would
be desynchronised.  ``trails``: bytes come behind the message, perhaps after the next request has gone.
"""
import gzip
from collections.abc import Mapping
from typing import NamedTuple

from blockingio.check.requests_chunked import BAD_EXTENSIONS


class Got(NamedTuple):
    """The response that the caller gets; a part that is None is not compared."""

    status: int = 200
    reason: str | None = "OK"
    body: bytes | None = b"hello"
    fields: Mapping[str, list[str]] | None = None


class Broken(NamedTuple):
    """HttpException, from close() or from read()."""

    or_got: Got | None = None


class ResponseCase(NamedTuple):
    """One row."""

    name: str
    section: str
    raw: bytes
    outcome: Got | Broken
    method: str
    closes: bool
    again: bool | None
    trails: bool


def case(name: str, section: str, raw: bytes, outcome: Got | Broken, *, method: str = "GET",
         closes: bool = False, again: bool | None = None, framed: bool = False, trails: bool = False) -> ResponseCase:
    """A row; a connection is used again after a whole response, unless that ended it or says so.

    ``framed``: where a broken message ends is beyond doubt.
    """
    if trails:
        again = False
    elif again is None and not framed and not (isinstance(outcome, Broken) and outcome.or_got):
        again = isinstance(outcome, Got) and not closes
    return ResponseCase(name, section, raw, outcome, method, closes, again, trails)


HELLO = b"Content-Length: 5\r\n\r\nhello"
TOP = b"HTTP/1.1 200 OK\r\n"
TE = TOP + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"
ZIPPED = gzip.compress(b"hello" * 100, mtime=0)
BROKEN = Broken()
OK = Got()
NONE = Got(body=b"")

LINES: tuple[ResponseCase, ...] = (
    case("200", "9112 4", TOP + HELLO, OK),
    case("404", "9110 15.5.5", b"HTTP/1.1 404 Not Found\r\n" + HELLO, Got(404, "Not Found")),
    case("500", "9110 15.6.1", b"HTTP/1.1 500 Oh no\r\n" + HELLO, Got(500, "Oh no")),
    case("a status nobody registered", "9110 15", b"HTTP/1.1 299 Mine\r\n" + HELLO, Got(299, "Mine")),
    case("an empty reason", "9112 4", b"HTTP/1.1 200 \r\n" + HELLO, Got(reason="")),
    case("no reason and no blank", "9112 4", b"HTTP/1.1 200\r\n" + HELLO, Got(reason="")),
    case("a reason of many words", "9112 4", b"HTTP/1.1 200 It  is\tfine!\r\n" + HELLO, Got(reason="It  is\tfine!")),
    case("a reason above ASCII", "9112 4", b"HTTP/1.1 200 Tr\xe8s bien\r\n" + HELLO, Got(reason="Tr\xe8s bien")),
    case("1.0", "9112 2.3", b"HTTP/1.0 200 OK\r\n" + HELLO, OK, again=False),
    case("1.0 that stays open", "9112 9.3", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + HELLO, OK),
    case("1.2 is taken as 1.1", "9110 2.5", b"HTTP/1.2 200 OK\r\n" + HELLO, OK),
    case("an empty line first", "9112 2.2", b"\r\n" + TOP + HELLO, Broken(or_got=OK)),
    case("2.0", "9112 2.3", b"HTTP/2.0 200 OK\r\n" + HELLO, BROKEN),
    case("0.9", "9112 2.3", b"HTTP/0.9 200 OK\r\n" + HELLO, BROKEN),
    case("a body without a head, as 0.9 had it", "9112 2.3", b"<html>hello</html>", BROKEN, closes=True),
    case("a version in lower case", "9112 2.3", b"http/1.1 200 OK\r\n" + HELLO, BROKEN),
    case("a version of two digits", "9112 2.3", b"HTTP/1.10 200 OK\r\n" + HELLO, BROKEN),
    case("another protocol", "9112 2.3", b"ICY 200 OK\r\n" + HELLO, BROKEN),
    case("a greeting of another protocol", "9112 4", b"220 smtp.example ESMTP\r\n\r\n", BROKEN),
    case("a blank first", "9112 4", b" HTTP/1.1 200 OK\r\n" + HELLO, BROKEN),
    case("two blanks before the status", "9112 4", b"HTTP/1.1  200 OK\r\n" + HELLO, BROKEN),
    case("a tab before the status", "9112 4", b"HTTP/1.1\t200 OK\r\n" + HELLO, BROKEN),
    case("no status", "9112 4", b"HTTP/1.1 OK\r\n" + HELLO, BROKEN),
    case("a status of two digits", "9112 4", b"HTTP/1.1 20 OK\r\n" + HELLO, BROKEN),
    case("a status of four digits", "9112 4", b"HTTP/1.1 2000 OK\r\n" + HELLO, BROKEN),
    case("a status of letters", "9112 4", b"HTTP/1.1 abc OK\r\n" + HELLO, BROKEN),
    case("a status with a sign", "9112 4", b"HTTP/1.1 +20 OK\r\n" + HELLO, BROKEN),
    case("a status below 100", "9110 15", b"HTTP/1.1 099 OK\r\n" + HELLO, BROKEN),
    case("a status of superscripts", "9112 4", b"HTTP/1.1 2\xb2\xb2 OK\r\n" + HELLO, BROKEN),
    case("a NUL in the reason", "9112 4", b"HTTP/1.1 200 O\x00K\r\n" + HELLO, BROKEN),
    case("a bare CR in the reason", "9112 2.2", b"HTTP/1.1 200 O\rK\r\n" + HELLO, BROKEN),
    case("a line ended by LF", "9112 2.2", b"HTTP/1.1 200 OK\n" + HELLO, OK, again=False),
    case("a head of nothing but LF", "9112 2.2", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", OK, again=False),
    case("a head without fields that ends in LF", "9112 2.2", b"HTTP/1.1 200 OK\n\nhello", OK, closes=True),
    case("a head that ends in LF alone", "9112 2.2", TOP + b"Content-Length: 5\r\n\nhello", OK, again=False),
    case("a head that ends in LF and CRLF", "9112 2.2", TOP + b"Content-Length: 5\n\r\nhello", OK, again=False),
    case("LF, and CRLF CRLF in the body", "9112 2.2",
         b"HTTP/1.1 200 OK\nContent-Length: 9\n\nhe\r\n\r\nllo", Got(body=b"he\r\n\r\nllo"), again=False),
    case("LF, and a body of CRLF", "9112 2.2", b"HTTP/1.1 200 OK\nContent-Length: 4\n\n\r\n\r\n",
         Got(body=b"\r\n\r\n"), again=False),
    case("LF in an interim head", "9112 2.2", b"HTTP/1.1 100 Continue\n\n" + TOP + HELLO, OK, again=False),
    case("LF CR", "9112 2.2", b"HTTP/1.1 200 OK\n\rContent-Length: 5\r\n\r\nhello", BROKEN),
    case("a request", "9112 2.1", b"GET / HTTP/1.1\r\n" + HELLO, BROKEN),
)

FIELDS: tuple[ResponseCase, ...] = (
    case("fields", "9112 5", TOP + b"A: b\r\nc:d\r\na:  e \r\n" + HELLO,
         Got(fields={"a": ["b", "e"], "c": ["d"], "content-length": ["5"]})),
    case("an empty value", "9110 5.5", TOP + b"A:\r\n" + HELLO, Got(fields={"a": [""], "content-length": ["5"]})),
    case("bytes above ASCII", "9110 5.5", TOP + b"A: \xe9\x85\r\n" + HELLO,
         Got(fields={"a": ["\xe9\x85"], "content-length": ["5"]})),
    case("set-cookie in two lines", "9110 5.3", TOP + b"Set-Cookie: a=1, b\r\nSet-Cookie: c=2\r\n" + HELLO,
         Got(fields={"set-cookie": ["a=1, b", "c=2"], "content-length": ["5"]})),
    case("a folded value", "9112 5.2", TOP + b"A: b\r\n  c\r\n" + HELLO, Broken(or_got=OK)),
    case("a blank before the colon", "9112 5.1", TOP + b"A : b\r\n" + HELLO, BROKEN),
    case("a blank before a length's colon", "9112 5.1", TOP + b"Content-Length : 5\r\n\r\nhello", BROKEN),
    case("no colon", "9112 5", TOP + b"A\r\n" + HELLO, BROKEN),
    case("no name", "9110 5.1", TOP + b": b\r\n" + HELLO, BROKEN),
    case("a NUL in a value", "9110 5.5", TOP + b"A: b\x00\r\n" + HELLO, BROKEN),
    case("a bare CR in a value", "9112 2.2", TOP + b"A: b\rc\r\n" + HELLO, BROKEN),
    case("a bare LF between fields", "9112 2.2", TOP + b"A: b\nc: d\r\n" + HELLO,
         Got(fields={"a": ["b"], "c": ["d"], "content-length": ["5"]}), again=False),
    case("a bare LF in a value", "9112 2.2", TOP + b"A: b\nc d\r\n" + HELLO, BROKEN),
    case("a blank before the first field", "9112 2.2", TOP + b" A: b\r\n" + HELLO, BROKEN),
    case("a field without an end", "9110 5.4", TOP + b"A: " + b"b" * 200_000, BROKEN),
    case("fields without an end", "9110 5.4", TOP + b"A: b\r\n" * 20_000, BROKEN),
    case("more fields than anybody needs", "9110 5.4", TOP + b"A: b\r\n" * 5_000 + HELLO, BROKEN),
    case("nothing at all", "9112 8", b"", BROKEN, closes=True),
    case("half a line", "9112 8", b"HTTP/1.1 20", BROKEN, closes=True),
    case("half a head", "9112 8", TOP + b"A: b\r\n", BROKEN, closes=True),
)

INTERIM: tuple[ResponseCase, ...] = (
    case("100 first", "9110 15.2.1", b"HTTP/1.1 100 Continue\r\n\r\n" + TOP + HELLO, OK),
    case("103 first", "8297 2", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + TOP + HELLO,
         Got(fields={"content-length": ["5"]})),
    case("an interim one of no name", "9110 15.2", b"HTTP/1.1 199\r\n\r\n" + TOP + HELLO, OK),
    case("several first", "9110 15.2",
         b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 102 \r\n\r\nHTTP/1.1 103 \r\n\r\n" + TOP + HELLO, OK),
    case("100 with a length, which means nothing", "9112 6.3",
         b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + TOP + HELLO, OK),
    case("103 with all kinds of framing, which mean nothing", "9112 6.3",
         b"HTTP/1.1 103 \r\nContent-Length: x\r\nTransfer-Encoding: gzip\r\nContent-Length: 1, 2\r\n\r\n" +
         TOP + HELLO, OK),
    case("100 and nothing more", "9112 8", b"HTTP/1.1 100 Continue\r\n\r\n", BROKEN, closes=True),
    case("a bad one first", "9112 4", b"HTTP/1.1 100 Con\x00\r\n\r\n" + TOP + HELLO, BROKEN),
)

BODIES: tuple[ResponseCase, ...] = (
    case("a length of nothing", "9112 6.3", TOP + b"Content-Length: 0\r\n\r\n", NONE),
    case("leading zeros", "9110 8.6", TOP + b"Content-Length: 005\r\n\r\nhello", OK),
    case("every byte", "9112 6", TOP + b"Content-Length: 256\r\n\r\n" + bytes(range(256)), Got(body=bytes(range(256)))),
    case("until close", "9112 6.3", TOP + b"\r\nhello", OK, closes=True),
    case("until close, and nothing", "9112 6.3", TOP + b"\r\n", NONE, closes=True),
    case("until close on 1.0", "9112 6.3", b"HTTP/1.0 200 OK\r\n\r\nhello", OK, closes=True),
    case("close, with a length", "9112 9.6", TOP + b"Connection: close\r\n" + HELLO, OK, again=False),
    case("close, with chunks", "9112 9.6",
         TOP + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" + LAST, OK, again=False),
    case("a body cut short", "9112 8", TOP + b"Content-Length: 6\r\n\r\nhello", BROKEN, closes=True),
    case("a body that never began", "9112 8", TOP + b"Content-Length: 6\r\n\r\n", BROKEN, closes=True),
    case("more than the length", "9112 6.3", TOP + b"Content-Length: 3\r\n\r\nhello", Got(body=b"hel"), trails=True),
    case("HEAD with a length", "9112 6.3", TOP + b"Content-Length: 5\r\n\r\n", NONE, method="HEAD"),
    case("HEAD with chunked", "9112 6.3", TE, NONE, method="HEAD"),
    case("HEAD without framing", "9112 6.3", TOP + b"\r\n", NONE, method="HEAD"),
    case("HEAD with a body nobody asked for", "9112 6.3", TOP + HELLO, NONE, method="HEAD", trails=True),
    case("204", "9110 15.3.5", b"HTTP/1.1 204 No Content\r\n\r\n", Got(204, "No Content", b"")),
    case("304 with a length", "9110 15.4.5", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
         Got(304, "Not Modified", b"")),
    case("304 with chunked", "9112 6.3", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
         Got(304, "Not Modified", b"")),
    *(case(f"{name} with {kind}, which means nothing", "9112 6.3", raw + framing + b"\r\n",
           Got(int(raw[9:12]), None, b""), method=method, again=again)
      for name, method, raw in (("HEAD", "HEAD", TOP), ("204", "GET", b"HTTP/1.1 204 No\r\n"),
                                ("304", "GET", b"HTTP/1.1 304 No\r\n"))
      # What nobody can make sense of is no reason to go on with such a server.
      for kind, framing, again in (
          ("two lengths", b"Content-Length: 5\r\nContent-Length: 6\r\n", False),
          ("a length of letters", b"Content-Length: five\r\n", False),
          ("a length and chunked", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", False),
          ("a coding nobody knows", b"Transfer-Encoding: frobnicate\r\n", False),
          ("chunked alone", b"Transfer-Encoding: chunked\r\n", True),
          ("a length", b"Content-Length: 5\r\n", True))),
    case("a length with a plus", "9110 8.6", TOP + b"Content-Length: +5\r\n\r\nhello", BROKEN),
    case("a length with a minus", "9110 8.6", TOP + b"Content-Length: -5\r\n\r\nhello", BROKEN),
    case("a length in hex", "9110 8.6", TOP + b"Content-Length: 0x5\r\n\r\nhello", BROKEN),
    case("a length of letters", "9110 8.6", TOP + b"Content-Length: five\r\n\r\nhello", BROKEN),
    case("an empty length", "9110 8.6", TOP + b"Content-Length:\r\n\r\nhello", BROKEN),
    case("a superscript length", "9110 8.6", TOP + b"Content-Length: \xb2\r\n\r\nhello", BROKEN),
    case("a length of more digits than int() takes", "9110 8.6",
         TOP + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nhello", BROKEN),
    case("two lengths", "9112 6.3", TOP + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", BROKEN),
    case("a list of lengths", "9112 6.3", TOP + b"Content-Length: 5, 6\r\n\r\nhello!", BROKEN),
    case("a length twice", "9112 6.3", TOP + b"Content-Length: 5\r\n" + HELLO, OK),
    case("a length and chunked", "9112 6.3",
         TOP + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" + LAST, OK, again=False),
    case("chunked and a length", "9112 6.3",
         TOP + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n" + LAST, OK, again=False),
    case("chunked and two lengths", "9112 6.3", TOP + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"
         b"Content-Length: 6\r\n\r\n5\r\nhello\r\n" + LAST, BROKEN),
    case("identity", "2616 3.6", TOP + b"Transfer-Encoding: identity\r\n\r\nhello", OK, closes=True),
    case("identity and a length", "2616 3.6", TOP + b"Transfer-Encoding: Identity\r\n" + HELLO, OK, again=False),
    case("identity, then chunked", "9112 6.1",
         TOP + b"Transfer-Encoding: identity, chunked\r\n\r\n5\r\nhello\r\n" + LAST, BROKEN),
    case("gzip as a transfer coding", "9112 6.1", TOP + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + LAST, BROKEN),
    case("a coding nobody knows", "9112 6.3", TOP + b"Transfer-Encoding: frobnicate\r\n\r\nhello", BROKEN, closes=True),
    case("chunked twice", "9112 6.1", TOP + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + LAST, BROKEN),
    case("chunked, then identity", "9112 6.3",
         TOP + b"Transfer-Encoding: chunked, identity\r\n\r\n5\r\nhello\r\n" + LAST, BROKEN, closes=True),
    case("chunked on 1.0", "9112 6.1",
         b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" +
         LAST, Broken(or_got=OK), again=False),
    case("101 nobody asked for", "9110 15.2.2",
         b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
         Broken(or_got=Got(101, None, None))),
)

CHUNKS: tuple[ResponseCase, ...] = (
    case("chunks", "9112 7.1", TE + b"2\r\nhe\r\n3\r\nllo\r\n" + LAST, OK),
    case("no chunk", "9112 7.1", TE + LAST, NONE),
    case("sizes in upper hex with zeros", "9112 7.1", TE + b"00A\r\n0123456789\r\n000\r\n\r\n",
         Got(body=b"0123456789")),
    case("extensions", "9112 7.1.1", TE + b'5;a;b="c;d"\r\nhello\r\n0;e=f\r\n\r\n', OK),
    case("trailers", "9112 7.1.2", TE + b"5\r\nhello\r\n0\r\nA: b\r\nc: d\r\n\r\n",
         Got(fields={"transfer-encoding": ["chunked"]})),
    case("a chunk of line ends", "9112 7.1", TE + b"5\r\n\r\n0\r\n\r\n" + LAST, Got(body=b"\r\n0\r\n")),
    case("no size", "9112 7.1", TE + b"\r\nhello\r\n" + LAST, BROKEN),
    case("a size with 0x", "9112 7.1", TE + b"0x5\r\nhello\r\n" + LAST, BROKEN),
    case("a size with a sign", "9112 7.1", TE + b"+5\r\nhello\r\n" + LAST, BROKEN),
    case("a size with an underscore", "9112 7.1", TE + b"0_5\r\nhello\r\n" + LAST, BROKEN),
    case("a size that is none", "9112 7.1", TE + b"x\r\nhello\r\n" + LAST, BROKEN),
    case("a size past 64 bits", "9112 7.1", TE + b"10000000000000005\r\nhello\r\n" + LAST, BROKEN),
    case("a size without an end", "9112 7.1", TE + b"0" * 50_000, BROKEN),
    case("a size ended by LF", "9112 7.1", TE + b"5\nhello\r\n" + LAST, BROKEN),
    case("data ended by LF", "9112 7.1", TE + b"5\r\nhello\n" + LAST, BROKEN),
    case("data longer than its size", "9112 7.1", TE + b"4\r\nhello\r\n" + LAST, BROKEN),
    case("data shorter than its size", "9112 7.1", TE + b"6\r\nhello\r\n" + LAST, BROKEN),
    case("an extension without an end", "9112 7.1.1", TE + b"5;" + b"a" * 50_000, BROKEN),
    *(case(f"{name} in the trailers", "9110 6.5.1", TE + b"5\r\nhello\r\n0\r\nA: b\r\n" + trailer + b"\r\n", OK,
           again=False)
      for name, trailer in (
          ("no colon", b"A\r\n"), ("a length", b"Content-Length: 3\r\n"), ("a coding", b"transfer-encoding: gzip\r\n"),
          ("a cookie", b"Set-Cookie: a=b\r\n"), ("a name with a blank", b"A b: c\r\n"), ("no name", b": b\r\n"),
          ("a NUL", b"A: \x00\r\n"), ("a folded value", b" c\r\n"), ("a bare CR", b"A: b\rc\r\n"),
          ("a bare LF", b"C: d\n"), ("a response", b"HTTP/1.1 200 OK\r\n"))),
    case("trailers that end in LF", "9112 2.2", TE + b"5\r\nhello\r\n0\r\nA: b\n\n", OK, again=False),
    case("a last chunk's line that ends in LF", "9112 7.1", TE + b"5\r\nhello\r\n0\n\r\n", BROKEN),
    *(case(f"{name} behind a size", "9112 7.1", TE + b"5" + blanks + b"\r\nhello\r\n0" + blanks + b"\r\n\r\n", OK)
      for name, blanks in (("a blank", b" "), ("a tab", b"\t"), ("blanks", b" " * 9),
                           ("an extension and a blank", b";a "))),
    case("a blank before a size", "9112 7.1", TE + b" 5\r\nhello\r\n" + LAST, BROKEN),
    case("a blank in a size", "9112 7.1", TE + b"0 5\r\nhello\r\n" + LAST, BROKEN),
    case("blanks behind a size, for ever", "9112 7.1", TE + b"5" + b" " * 50_000 + b"\r\nhello\r\n" + LAST, BROKEN),
    case("bad blanks in an extension", "9112 7.1.1", TE + b"5 ; a = b\r\nhello\r\n" + LAST, OK),
    *(case(f"an extension that is {extension!r}", "9112 7.1.1", TE + b"5" + extension + b"\r\nhello\r\n" + LAST, BROKEN)
      for extension in BAD_EXTENSIONS),
    case("trailers without an end", "9112 7.1.2", TE + b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 20_000, BROKEN),
    case("chunks cut short", "9112 8", TE + b"5\r\nhel", BROKEN, closes=True),
    case("chunks without the last", "9112 8", TE + b"5\r\nhello\r\n", BROKEN, closes=True),
    case("a last chunk without its end", "9112 8", TE + b"5\r\nhello\r\n0\r\n", BROKEN, closes=True),
)

CODED: tuple[ResponseCase, ...] = (
    case("gzip", "9110 8.4.1.3", TOP + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(ZIPPED) + ZIPPED,
         Got(body=b"hello" * 100)),
    case("gzip by its old name", "9110 8.4.1.3",
         TOP + b"Content-Encoding: X-GZIP\r\nContent-Length: %d\r\n\r\n" % len(ZIPPED) + ZIPPED,
         Got(body=b"hello" * 100)),
    case("gzip in chunks", "9112 7.1", TOP + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" +
         b"%x\r\n" % len(ZIPPED) + ZIPPED + b"\r\n" + LAST, Got(body=b"hello" * 100)),
    case("gzip until close", "9112 6.3", TOP + b"Content-Encoding: gzip\r\n\r\n" + ZIPPED,
         Got(body=b"hello" * 100), closes=True),
    case("gzip of two members", "1952 2.2", TOP + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" %
         (2 * len(ZIPPED)) + ZIPPED + ZIPPED, Got(body=b"hello" * 200)),
    case("gzip cut short", "1952 2.3", TOP + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" %
         (len(ZIPPED) - 4) + ZIPPED[:-4], BROKEN, framed=True),
    case("gzip with a wrong checksum", "1952 2.3", TOP + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" %
         len(ZIPPED) + ZIPPED[:-8] + b"\0" * 8, BROKEN, framed=True),
    case("gzip that is none", "1952 2.3", TOP + b"Content-Encoding: gzip\r\n" + HELLO, BROKEN, framed=True),
    case("gzip with garbage behind it", "1952 2.2",
         TOP + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (len(ZIPPED) + 7) + ZIPPED + b"garbage",
         Got(body=b"hello" * 100)),
    case("gzip on HEAD", "9112 6.3", TOP + b"Content-Encoding: gzip\r\nContent-Length: 30\r\n\r\n", NONE,
         method="HEAD"),
    case("a content coding nobody knows", "9110 8.4", TOP + b"Content-Encoding: x-mine\r\n" + HELLO, OK),
)

GROUPS: dict[str, tuple[ResponseCase, ...]] = {
    "line": LINES, "field": FIELDS, "interim": INTERIM, "body": BODIES, "chunk": CHUNKS, "coding": CODED,
}
RESPONSES: tuple[tuple[str, ResponseCase], ...] = tuple(
    (f"{group}: {row.name}", row) for group, rows in GROUPS.items() for row in rows)
