"""What goes beyond one message: Expect, Connection, pipelines, clients that leave in the middle."""

from __future__ import annotations

from blockingio.check.cases import Case, Cut, Ignored, Refused, Seen, case

BAD = Refused((400,))
EXPECTATION = Refused((417,))
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a.example\r\n"
OLD = b"GET / HTTP/1.0\r\n"
LENGTH = b"Content-Length: 5\r\n"
CONTINUE = b"Expect: 100-continue\r\n"
ONE = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
TWO = b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
FIVE = b"POST /5 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
HELLO = Seen("POST", body=b"hello")
SEEN_OLD = Seen(version="1.0")
SEEN_ONE = Seen(target="/1")
SEEN_TWO = Seen(target="/2")
SEEN_FIVE = Seen("POST", "/5", body=b"hello")
SEEN_CHUNKS = Seen("PUT", "/c", body=b"hello")

EXPECTATIONS: tuple[Case, ...] = (
    case("100-continue and a length", "9110 10.1.1", POST + LENGTH + CONTINUE + b"\r\nhello", HELLO),
    case("100-continue and chunks", "9110 10.1.1",
         POST + b"Transfer-Encoding: chunked\r\n" + CONTINUE + b"\r\n5\r\nhello\r\n0\r\n\r\n", HELLO),
    case("100-continue in another case", "9110 10.1.1", POST + LENGTH + b"expect: 100-Continue\r\n\r\nhello", HELLO),
    case("100-continue without a body", "9110 10.1.1", GET + CONTINUE + b"\r\n", Seen()),
    case("100-continue and a length of nothing", "9110 10.1.1",
         POST + b"Content-Length: 0\r\n" + CONTINUE + b"\r\n", Seen("POST")),
    case("100-continue on 1.0 is not looked at", "9110 10.1.1",
         b"POST / HTTP/1.0\r\n" + LENGTH + CONTINUE + b"\r\nhello",
         Seen("POST", version="1.0", body=b"hello"), closes=True),
    case("another expectation", "9110 10.1.1", GET + b"Expect: something\r\n\r\n", EXPECTATION),
    case("another expectation with a value", "9110 10.1.1", GET + b"Expect: a=b;c\r\n\r\n", EXPECTATION),
    case("another expectation and a body", "9110 10.1.1", POST + LENGTH + b"Expect: 200-ok\r\n\r\nhello", EXPECTATION),
    case("100-continue and another", "9110 10.1.1",
         POST + LENGTH + b"Expect: 100-continue, x\r\n\r\nhello", EXPECTATION),
    case("100-continued", "9110 10.1.1", POST + LENGTH + b"Expect: 100-continued\r\n\r\nhello", EXPECTATION),
)

CONNECTIONS: tuple[Case, ...] = (
    case("close", "9112 9.6", GET + b"Connection: close\r\n\r\n", Seen(), closes=True),
    case("close in capitals", "9110 7.6.1", GET + b"Connection: CLOSE\r\n\r\n", Seen(), closes=True),
    case("close in a list", "9110 7.6.1", GET + b"Connection: a, close , b\r\n\r\n", Seen(), closes=True),
    case("close in a second line", "9110 7.6.1", GET + b"Connection: a\r\nConnection: close\r\n\r\n",
         Seen(), closes=True),
    case("close beats keep-alive", "9112 9.3", GET + b"Connection: keep-alive, close\r\n\r\n", Seen(), closes=True),
    case("close after empty elements", "9110 5.6.1", GET + b"Connection: , ,close\r\n\r\n", Seen(), closes=True),
    case("closed is not close", "9110 7.6.1", GET + b"Connection: closed\r\n\r\n", Seen()),
    case("keep-alive on 1.1", "9112 9.3", GET + b"Connection: keep-alive\r\n\r\n", Seen()),
    case("an empty Connection", "9110 7.6.1", GET + b"Connection:\r\n\r\n", Seen()),
    case("an upgrade that nobody takes", "9110 7.8",
         GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", Seen()),
    case("an upgrade to h2c that nobody takes", "9110 7.8",
         GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", Seen()),
    case("keep-alive on 1.0", "9112 9.3", OLD + b"Connection: keep-alive\r\n\r\n", SEEN_OLD),
    case("keep-alive on 1.0 in another case", "9112 9.3", OLD + b"connection: Keep-Alive\r\n\r\n", SEEN_OLD),
    case("keep-alive on 1.0 in a list", "9112 9.3", OLD + b"Connection: a, keep-alive\r\n\r\n", SEEN_OLD),
    case("1.0 closes", "9112 9.3", OLD + b"\r\n", SEEN_OLD, closes=True),
    case("1.0 with another option closes", "9112 9.3", OLD + b"Connection: a\r\n\r\n", SEEN_OLD, closes=True),
    case("close on 1.0", "9112 9.3", OLD + b"Connection: close\r\n\r\n", SEEN_OLD, closes=True),
    case("close after a body", "9112 9.6", POST + b"Connection: close\r\n" + LENGTH + b"\r\nhello", HELLO, closes=True),
)

PIPELINES: tuple[Case, ...] = (
    case("two", "9112 9.3.2", ONE + TWO, SEEN_ONE, SEEN_TWO),
    case("five", "9112 9.3.2", ONE + TWO + ONE + TWO + ONE, SEEN_ONE, SEEN_TWO, SEEN_ONE, SEEN_TWO, SEEN_ONE),
    case("a body between", "9112 9.3.2", ONE + FIVE + TWO, SEEN_ONE, SEEN_FIVE, SEEN_TWO),
    case("chunks between", "9112 9.3.2", ONE + CHUNKS + TWO, SEEN_ONE, SEEN_CHUNKS, SEEN_TWO),
    case("bodies in a row", "9112 9.3.2", FIVE + CHUNKS + FIVE + CHUNKS,
         SEEN_FIVE, SEEN_CHUNKS, SEEN_FIVE, SEEN_CHUNKS),
    case("trailers between", "9112 9.3.2", CHUNKS[:-2] + b"A: b\r\n\r\n" + TWO,
         SEEN_CHUNKS._replace(trailers={"a": ["b"]}), SEEN_TWO),
    case("HEAD between", "9112 6.3", ONE + b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + TWO,
         SEEN_ONE, Seen("HEAD"), SEEN_TWO),
    case("an empty line between", "9112 2.2", FIVE + b"\r\n" + TWO, SEEN_FIVE, SEEN_TWO),
    case("an empty line after", "9112 2.2", ONE + b"\r\n", SEEN_ONE),
    case("1.0 that stays open between", "9112 9.3", OLD + b"Connection: keep-alive\r\n\r\n" + TWO, SEEN_OLD, SEEN_TWO),
    case("nothing is read past close", "9112 9.6", GET + b"Connection: close\r\n\r\n" + TWO, Seen(), closes=True),
    case("nothing is read past 1.0", "9112 9.3", OLD + b"\r\n" + TWO, SEEN_OLD, closes=True),
    case("a bad one second", "9112 9.3.2", ONE + b"GET /2\r\n\r\n" + TWO, SEEN_ONE, BAD),
    case("a bad one first", "9112 9.3.2", b"GET /2\r\n\r\n" + ONE, BAD),
    case("a bad one third", "9112 9.3.2", ONE + TWO + b"GET / HTTP/1.1\r\n\r\n" + ONE, SEEN_ONE, SEEN_TWO, BAD),
    case("another version second", "9112 9.3.2", ONE + b"GET / HTTP/2.0\r\n\r\n" + TWO, SEEN_ONE, Refused((505,))),
    case("bad chunks between", "9112 7.1", ONE + CHUNKS.replace(b"3\r\n", b"x\r\n") + TWO, SEEN_ONE, BAD),
    case("a length too small leaves rubbish", "9112 6.3", FIVE.replace(b": 5", b": 3") + b"\r\n" + TWO,
         Seen("POST", "/5", body=b"hel"), BAD),
    case("a body nobody declared", "9112 6.3", POST + b"\r\nhello\r\n" + TWO, Seen("POST"), BAD),
    case("a request inside chunks stays there", "9112 7.1",
         CHUNKED + b"%x\r\n" % len(TWO) + TWO + b"\r\n0\r\n\r\n" + ONE, Seen("PUT", "/c", body=TWO), SEEN_ONE),
    case("different fields in a row", "9112 9.3.2", GET + b"A: 1\r\n\r\n" + GET + b"A: 2\r\n\r\n" + GET + b"\r\n",
         Seen(fields={"host": ["a.example"], "a": ["1"]}), Seen(fields={"host": ["a.example"], "a": ["2"]}),
         Seen(fields={"host": ["a.example"]})),
    case("the same fields, once with a bad end", "9112 2.2",
         GET + b"A: 1\r\n\r\n" + GET + b"A: 1\r\n\r\n" + GET + b"A: 1\n\r\n", Seen(), Seen(), BAD),
    case("the same fields, once as 1.0", "9112 9.3",
         GET + b"A: 1\r\n\r\n" + GET.replace(b"1.1", b"1.0") + b"A: 1\r\n\r\n" + TWO, Seen(), SEEN_OLD, closes=True),
    case("the same length, other bodies", "9112 9.3.2", FIVE + FIVE.replace(b"hello", b"world"),
         SEEN_FIVE, SEEN_FIVE._replace(body=b"world")),
    case("the same fields, once with a body", "9112 9.3.2",
         CHUNKS.replace(b"PUT /c", b"GET /c") + CHUNKS, SEEN_CHUNKS._replace(method="GET"), SEEN_CHUNKS),
)

DEPARTURES: tuple[Case, ...] = (
    case("nothing at all", "9112 8", b"", Ignored()),
    case("a letter", "9112 8", b"G", Ignored()),
    case("half a request line", "9112 8", b"GET / HT", Ignored()),
    case("a request line without its end", "9112 8", b"GET / HTTP/1.1", Ignored()),
    case("a request line with half its end", "9112 8", b"GET / HTTP/1.1\r", Ignored()),
    case("a request line alone", "9112 8", b"GET / HTTP/1.1\r\n", Ignored()),
    case("half a field", "9112 8", b"GET / HTTP/1.1\r\nHost: a.ex", Ignored()),
    case("fields without an empty line", "9112 8", GET, Ignored()),
    case("fields and half an empty line", "9112 8", GET + b"\r", Ignored()),
    case("an empty line alone", "9112 8", b"\r\n", Ignored()),
    case("half an empty line", "9112 8", b"\r", Ignored()),
    case("one request and half of the next", "9112 8", ONE + b"GET /2 HT", SEEN_ONE, Ignored()),
    case("a body that never began", "9112 8", POST + b"Content-Length: 5\r\n\r\n", Cut()),
    case("half a body", "9112 8", POST + b"Content-Length: 5\r\n\r\nhel", Cut()),
    case("a body without its last byte", "9112 8", POST + b"Content-Length: 5\r\n\r\nhell", Cut()),
    case("chunks that never began", "9112 8", CHUNKED, Cut()),
    case("half a chunk size", "9112 8", CHUNKED + b"2", Cut()),
    case("half a chunk", "9112 8", CHUNKED + b"2\r\nh", Cut()),
    case("a chunk without its end", "9112 8", CHUNKED + b"2\r\nhe", Cut()),
    case("chunks without the last", "9112 8", CHUNKS[:-5], Cut()),
    case("a last chunk without its end", "9112 8", CHUNKS[:-2], Cut()),
    case("a last chunk and half an end", "9112 8", CHUNKS[:-1], Cut()),
    case("half a trailer", "9112 8", CHUNKS[:-2] + b"A: ", Cut()),
    case("a trailer without an empty line", "9112 8", CHUNKS[:-2] + b"A: b\r\n", Cut()),
)
