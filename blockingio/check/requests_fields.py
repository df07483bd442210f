"""Header fields: names, blanks, values and their bytes, line folding, limits, and Host."""

from __future__ import annotations

from blockingio.check.cases import MAX_HEADER_COUNT, MAX_HEADER_SIZE, Case, Refused, Seen, case

BAD = Refused((400,))
BIG = Refused((431,))
TOP = b"GET / HTTP/1.1\r\nHost: a.example\r\n"


def _seen(name: str, *values: str) -> Seen:
    """With this field beside Host."""
    return Seen(fields={"host": ["a.example"], name: [*values]})


FIELDS: tuple[Case, ...] = (
    case("one field", "9112 5", TOP + b"A: b\r\n\r\n", _seen("a", "b")),
    case("no blank after the colon", "9112 5.1", TOP + b"A:b\r\n\r\n", _seen("a", "b")),
    case("blanks around a value", "9112 5.1", TOP + b"A: \t b c \t \r\n\r\n", _seen("a", "b c")),
    case("an empty value", "9110 5.5", TOP + b"A:\r\n\r\n", _seen("a", "")),
    case("a value of blanks", "9110 5.5", TOP + b"A: \t \r\n\r\n", _seen("a", "")),
    case("a tab in a value", "9110 5.5", TOP + b"A: b\tc\r\n\r\n", _seen("a", "b\tc")),
    case("a colon in a value", "9110 5.5", TOP + b"A: b:c\r\n\r\n", _seen("a", "b:c")),
    case("a colon first in a value", "9110 5.5", TOP + b"A::\r\n\r\n", _seen("a", ":")),
    case("every visible character in a value", "9110 5.5", TOP + b"A: " + bytes(range(0x21, 0x7f)) + b"\r\n\r\n",
         _seen("a", bytes(range(0x21, 0x7f)).decode())),
    case("bytes above ASCII in a value", "9110 5.5", TOP + b"A: caf\xe9\r\n\r\n", _seen("a", "caf\xe9")),
    case("the bytes of C1 in a value are obs-text", "9110 5.5", TOP + b"A: x\x80\x85\xa0\xffy\r\n\r\n",
         _seen("a", "x\x80\x85\xa0\xffy")),
    case("only blank and tab are cut from a value's ends", "9110 5.6.3", TOP + b"A: \xa0b\x85\r\n\r\n",
         _seen("a", "\xa0b\x85")),
    case("names compare without case", "9110 5.1", TOP + b"aBc: d\r\n\r\n", _seen("abc", "d")),
    case("a name repeated keeps its order", "9110 5.3", TOP + b"A: 1\r\nB: 2\r\na: 3\r\n\r\n",
         Seen(fields={"host": ["a.example"], "a": ["1", "3"], "b": ["2"]})),
    case("a name of every token mark", "9110 5.6.2", TOP + b"a!#$%&'*+-.^_`|~0: b\r\n\r\n",
         _seen("a!#$%&'*+-.^_`|~0", "b")),
    case("a name of digits", "9110 5.1", TOP + b"007: b\r\n\r\n", _seen("007", "b")),
    case("a blank before the colon", "9112 5.1", TOP + b"A : b\r\n\r\n", BAD),
    case("a tab before the colon", "9112 5.1", TOP + b"A\t: b\r\n\r\n", BAD),
    case("a blank in a name", "9110 5.1", TOP + b"A b: c\r\n\r\n", BAD),
    case("no name", "9110 5.1", TOP + b": b\r\n\r\n", BAD),
    case("no colon", "9112 5", TOP + b"A\r\n\r\n", BAD),
    case("no colon but a blank", "9112 5", TOP + b"A b\r\n\r\n", BAD),
    case("a slash in a name", "9110 5.6.2", TOP + b"a/b: c\r\n\r\n", BAD),
    case("an at in a name", "9110 5.6.2", TOP + b"a@b: c\r\n\r\n", BAD),
    case("a quote in a name", "9110 5.6.2", TOP + b'"a": c\r\n\r\n', BAD),
    case("a bracket in a name", "9110 5.6.2", TOP + b"[a]: c\r\n\r\n", BAD),
    case("a semicolon in a name", "9110 5.6.2", TOP + b"a;b: c\r\n\r\n", BAD),
    case("a NUL in a name", "9110 5.1", TOP + b"a\x00: c\r\n\r\n", BAD),
    case("a control in a name", "9110 5.1", TOP + b"a\x1f: c\r\n\r\n", BAD),
    case("latin-1 in a name", "9110 5.1", TOP + b"\xe9: c\r\n\r\n", BAD),
    case("the long s, which lower-cases to s", "9110 5.1", TOP + b"\xc5\xbfa: c\r\n\r\n", BAD),
    case("a NUL in a value", "9110 5.5", TOP + b"A: b\x00c\r\n\r\n", BAD),
    case("a BEL in a value", "9110 5.5", TOP + b"A: b\x07c\r\n\r\n", BAD),
    case("an ESC in a value", "9110 5.5", TOP + b"A: \x1b[31m\r\n\r\n", BAD),
    case("a vertical tab in a value", "9110 5.5", TOP + b"A: b\x0bc\r\n\r\n", BAD),
    case("a form feed at a value's end", "9110 5.5", TOP + b"A: b\x0c\r\n\r\n", BAD),
    case("a DEL in a value", "9110 5.5", TOP + b"A: b\x7fc\r\n\r\n", BAD),
    case("a bare CR in a value", "9112 2.2", TOP + b"A: b\rc\r\n\r\n", BAD),
    case("a bare CR at a value's end", "9112 2.2", TOP + b"A: b\r\r\n\r\n", BAD),
    case("a bare CR that would begin a field", "9112 2.2", TOP + b"A: b\rContent-Length: 5\r\n\r\n", BAD),
    case("a bare LF in a value", "9112 2.2", TOP + b"A: b\nc: d\r\n\r\n", BAD),
    case("a bare LF after a field", "9112 2.2", TOP + b"A: b\n\r\n", BAD),
    case("a head ended by LF", "9112 2.2", TOP + b"A: b\r\n\n\r\n\r\n", BAD),
    case("a head ended by CR CR LF", "9112 2.2", TOP + b"A: b\r\n\r\r\n\r\n", BAD),
    case("a folded value", "9112 5.2", TOP + b"A: b\r\n c\r\n\r\n", BAD),
    case("a value folded by a tab", "9112 5.2", TOP + b"A: b\r\n\tc\r\n\r\n", BAD),
    case("a value folded to nothing", "9112 5.2", TOP + b"A:\r\n \r\n\r\n", BAD),
    case("a blank line of a blank", "9112 2.2", TOP + b" \r\n\r\n", BAD),
    case("a blank before the first field", "9112 2.2", b"GET / HTTP/1.1\r\n Host: a.example\r\n\r\n", BAD),
    case("a tab before the first field", "9112 2.2", b"GET / HTTP/1.1\r\n\tHost: a.example\r\n\r\n", BAD),
    case("a second request line among the fields", "9112 5", TOP + b"GET /x HTTP/1.1\r\n\r\n", BAD),
    case("fields up to the limit", "9110 5.4", TOP + b"A: b\r\n" * (MAX_HEADER_COUNT - 1) + b"\r\n",
         _seen("a", *["b"] * (MAX_HEADER_COUNT - 1))),
    case("one field more than the limit", "6585 5", TOP + b"A: b\r\n" * MAX_HEADER_COUNT + b"\r\n", BIG),
    case("many more fields than the limit", "6585 5", TOP + b"A: b\r\n" * (MAX_HEADER_COUNT * 4) + b"\r\n", BIG),
    case("a value near the limit", "9110 5.4", TOP + b"A: " + b"b" * (MAX_HEADER_SIZE - 100) + b"\r\n\r\n",
         _seen("a", "b" * (MAX_HEADER_SIZE - 100))),
    case("a value past the limit", "6585 5", TOP + b"A: " + b"b" * MAX_HEADER_SIZE + b"\r\n\r\n", BIG),
    case("a name past the limit", "6585 5", TOP + b"b" * MAX_HEADER_SIZE + b": b\r\n\r\n", BIG),
    case("a head without an end", "6585 5", TOP + b"A: " + b"b" * (MAX_HEADER_SIZE * 2), BIG),
    case("fields without an end", "6585 5", TOP + b"A: b\r\n" * 600, BIG),
)

GET = b"GET / HTTP/1.1\r\n"


def _seen_host(host: str) -> Seen:
    return Seen(fields={"host": [host]})


HOSTS: tuple[Case, ...] = (
    case("a host with a port", "9110 7.2", GET + b"Host: a.example:8080\r\n\r\n", _seen_host("a.example:8080")),
    case("a host with an empty port", "9110 7.2", GET + b"Host: a.example:\r\n\r\n", Refused((400,), or_seen=Seen())),
    case("an IPv4 host", "9110 7.2", GET + b"Host: 192.0.2.1\r\n\r\n", _seen_host("192.0.2.1")),
    case("an IPv6 host", "9110 7.2", GET + b"Host: [2001:db8::1]\r\n\r\n", _seen_host("[2001:db8::1]")),
    case("an IPv6 host with a port", "9110 7.2", GET + b"Host: [::1]:8080\r\n\r\n", _seen_host("[::1]:8080")),
    case("an underscore in the host", "3986 3.2.2", GET + b"Host: a_b.example\r\n\r\n", _seen_host("a_b.example")),
    case("a host in capitals", "9110 4.2.3", GET + b"HOST: A.EXAMPLE\r\n\r\n", Seen()),
    case("a host in blanks", "9112 5.1", GET + b"Host: \t a.example \t\r\n\r\n", _seen_host("a.example")),
    case("an empty host", "9112 3.2", GET + b"Host:\r\n\r\n", Refused((400,), or_seen=Seen())),
    case("a port too high", "9110 7.2", GET + b"Host: a.example:65536\r\n\r\n", Refused((400,), or_seen=Seen())),
    case("no host on 1.1", "9112 3.2", GET + b"\r\n", BAD),
    case("no host on 1.1, other fields", "9112 3.2", GET + b"A: b\r\n\r\n", BAD),
    case("no host on 1.0", "9112 3.2", b"GET / HTTP/1.0\r\n\r\n", Seen(version="1.0"), closes=True),
    case("a host on 1.0", "9112 3.2", b"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n",
         Seen(version="1.0", fields={"host": ["a.example"]}), closes=True),
    case("two hosts", "9112 3.2", TOP + b"Host: b.example\r\n\r\n", BAD),
    case("a host twice", "9112 3.2", TOP + b"Host: a.example\r\n\r\n", BAD),
    case("two hosts in other cases", "9112 3.2", TOP + b"hOsT: b.example\r\n\r\n", BAD),
    case("two hosts on 1.0", "9112 3.2", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", BAD),
    case("two hosts in one line", "9110 7.2", GET + b"Host: a.example, b.example\r\n\r\n", BAD),
    case("a blank in the host", "9110 7.2", GET + b"Host: a b\r\n\r\n", BAD),
    case("a tab in the host", "9110 7.2", GET + b"Host: a\tb\r\n\r\n", BAD),
    case("a path in the host", "9110 7.2", GET + b"Host: a.example/x\r\n\r\n", BAD),
    case("a query in the host", "9110 7.2", GET + b"Host: a.example?x\r\n\r\n", BAD),
    case("a fragment in the host", "9110 7.2", GET + b"Host: a.example#x\r\n\r\n", BAD),
    case("a user in the host", "9110 7.2", GET + b"Host: u@a.example\r\n\r\n", BAD),
    case("a scheme in the host", "9110 7.2", GET + b"Host: http://a.example\r\n\r\n", BAD),
    case("a backslash in the host", "9110 7.2", GET + b"Host: a\\b\r\n\r\n", BAD),
    case("angles in the host", "9110 7.2", GET + b"Host: <a>\r\n\r\n", BAD),
    case("a port of letters", "9110 7.2", GET + b"Host: a.example:b\r\n\r\n", BAD),
    case("a port with a sign", "9110 7.2", GET + b"Host: a.example:+80\r\n\r\n", BAD),
    case("two ports", "9110 7.2", GET + b"Host: a.example:80:80\r\n\r\n", BAD),
    case("an IPv6 host without brackets", "9110 7.2", GET + b"Host: ::1\r\n\r\n", BAD),
    case("an open bracket", "9110 7.2", GET + b"Host: [::1\r\n\r\n", BAD),
    case("a bracket and more", "9110 7.2", GET + b"Host: [::1]a\r\n\r\n", BAD),
    case("no address in the brackets", "3986 3.2.2", GET + b"Host: [a.example]\r\n\r\n", BAD),
    case("two gaps in an IPv6 host", "3986 3.2.2", GET + b"Host: [1::2::3]\r\n\r\n", BAD),
    case("an IPv6 host of colons", "3986 3.2.2", GET + b"Host: [:::::]\r\n\r\n", BAD),
    case("an IPv6 host with a long group", "3986 3.2.2", GET + b"Host: [12345::]\r\n\r\n", BAD),
    case("an IPv6 host with an IPv4 end", "3986 3.2.2", GET + b"Host: [::ffff:192.0.2.1]\r\n\r\n", Seen()),
    case("empty brackets", "3986 3.2.2", GET + b"Host: []\r\n\r\n", BAD),
    case("bad percent-encoding in the host", "3986 2.1", GET + b"Host: a%zz\r\n\r\n", BAD),
    case("latin-1 in the host", "9110 7.2", GET + b"Host: b\xfccher.example\r\n\r\n", BAD),
    case("a bad host on 1.0", "9112 3.2", b"GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", BAD),
)
