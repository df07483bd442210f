"""Valid requests, and damage to them: seeded, and aware of the grammar.

A request is a list of tokens, each of a kind (a method, a blank, a line end, a chunk's size ...).  Damage swaps a token
for something that has been misread by some server before, or takes one out, doubles it, moves it, or changes bytes.
Each request has a number of its own in its target, and some bodies hold a request that nobody may ever see as one.
"""
import random
from typing import NamedTuple

Token = tuple[str, bytes]

#: For each kind of token what to put in its place.
POOLS: dict[str, tuple[bytes, ...]] = {
    "status": (b"", b"20", b"2000", b"099", b"abc", b"204", b"304", b"100", b"101", b"199", b"404", b"500",
               b"999", b"+20", b"2 0", b"\xb22\xb2", b"200\x00"),
    "reason": (b"", b"\x00", b"a\rb", b"a\nb", b"\xe9", b" ", b"\t", b"\r\nContent-Length: 3", b"x" * 300,
               b"\x7f"),
    "method": (b"", b"get", b"GET ", b" GET", b"G ET", b"GET\t", b"G\x00T", b"HEAD", b"POST", b"CONNECT",
               b"OPTIONS", b"PRI", b"GE\xcfT", b"(GET)", b"A" * 30, b"\r\nGET", b"\nGET", b"\x16\x03\x01"),
    "blank": (b"", b"  ", b"\t", b"\x0b", b"\x0c", b"\xa0", b" \t", b"\r", b"\n", b"\r\n"),
    "target": (b"*", b"", b"/%", b"/%zz", b"/a#b", b"//x/", b"?", b"http://", b"http://a.example/",
               b"https://[::1]/", b"http://u@h/", b"a.example:443", b"/\x00", b"/\xe9", b"/" + b"a" * 600,
               b"/a?b=%", b"/a b", b"\\"),
    "version": (b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.10", b"http/1.1", b"HTTP/1,1",
                b"HTTP/1.", b"", b"HTTP/1.1 ", b"HTTP/1.1\x00", b"HTTP/1.1\r", b"HTTPS/1.1", b"HTTP/9.1"),
    "end": (b"\n", b"\r", b"\r\r\n", b"\n\r", b"", b"\r\n\r\n", b"\r\n ", b"\r\n\t", b"\x0b\r\n", b"\x00\r\n",
            b" \r\n", b"\x85", b"\r\n\n", b"\n\n", b"\r \n", b"\r\n\r"),
    "name": (b"", b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect",
             b"content-length", b"Content-Length ", b" Content-Length", b"Content_Length",
             b"Transfer-Encoding\t", b"X\x00", b"X y", b"X\xe9", b"Trailer", b"TE", b"Upgrade", b"Keep-Alive",
             b"Content-Encoding", b"\x00", b"x" * 300, b"X-\r\nHost"),
    "colon": (b"", b" :", b"::", b";", b"\t:", b"=", b": :", b":\r\n ", b":\x00", b":\x0b"),
    "value": (b"", b"0", b"5", b"chunked", b"close", b"keep-alive", b"100-continue", b"\x00", b"a\rb",
              b"a\nb", b"\x7f", b"\xff", b"identity", b"gzip, chunked", b"a, b", b"\r\n folded", b"b" * 1900,
              b"b" * 2500, b"\r\nHost: b", b"\r\nContent-Length: 3", b"\r\nTransfer-Encoding: chunked"),
    "host": (b"", b"a b", b"a/b", b"a@b", b"a:b", b"a:80:80", b"[::1", b"[::1]", b"a,b", b"a\x00", b"\xe9",
             b"a:65536", b"http://a", b"a%zz", b"a\r\nHost: b"),
    "length": (b"", b"0", b"1", b"+5", b"-1", b"0x5", b"5,5", b"5, 6", b"1_0", b"5.0", b"\xb2", b"\xd9\xa5",
               b"5 5", b"00005", b"4294967301", b"18446744073709551621", b"9" * 400, b"5;a", b"\x0b5",
               b"\xa05", b"5\r\nContent-Length: 6", b"5\r\nTransfer-Encoding: chunked", b"4097", b"4096"),
    "coding": (b"", b"Chunked", b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked",
               b"chunked,", b",chunked", b"xchunked", b"chunkedx", b"chunked;a=b", b'"chunked"',
               b"\x0bchunked", b"chunked\x00", b"chun ked", b"\xa0chunked", b"chunked\r\nContent-Length: 5",
               b"chunked\r\n x"),
    "size": (b"", b"0", b"00", b"+5", b"-1", b"0x5", b"5 ", b" 5", b"g", b"5_0", b"5g", b"ffffffffffffffff",
             b"10000000000000005", b"fffffff0", b"\xb2", b"5\x00", b"5.", b"1001", b"FF", b"000000000005",
             b"-0", b"f" * 300),
    "extension": (b";", b";a", b";a=b", b';a="b"', b';a="b', b" ; a = b", b";=b", b";\n", b";\r", b";\x00",
                  b";a\nb", b";a\rb", b";" + b"e" * 5000, b'; a="\n"', b" ", b";\nxx\r\n"),
    "data": (b"", b"0\r\n\r\n", b"\r\n", b"x", b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"),
}
_GENERIC = (*(bytes([value]) for value in (*range(33), 0x7f, 0x80, 0x85, 0xa0, 0xff)), b"\r\n", b"\r\n\r\n")

#: What the fields of a valid request are made of.
_NAMES = (b"Accept", b"X-A", b"Cookie", b"User-Agent", b"x-b")
_VALUES = (b"*/*", b"a=b; c=d", b"", b"text/html, */*;q=0.8", b"v" * 60, b"caf\xe9")


class Fuzz(NamedTuple):
    """One input: its bytes, the segments they go out in, and how often it was damaged."""

    data: bytes
    segments: list[bytes]
    damages: int
    departs: bool


class Mutator:
    """The inputs of one seed: each number's is the same on every run."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def make(self, number: int) -> Fuzz:
        """The input with this number: one to three requests, some damaged."""
        rng = random.Random(f"{self._seed}/{number}")
        requests = [_request(rng, f"{number}-{index}") for index in range(rng.choice((1, 1, 2, 2, 3)))]
        damages = rng.choice((0, 1, 1, 1, 1, 2, 2, 3))
        for _ in range(damages):
            damage(rng, rng.choice(requests))
        data = b"".join(token for request in requests for _, token in request)
        if damages and rng.random() < 0.12:
            data = data[:len(data) - min(rng.randrange(60), rng.randrange(len(data) + 1))]
        return Fuzz(data, segments(rng, data), damages, rng.random() < 0.03)


def _request(rng: random.Random, name: str) -> list[Token]:
    """A valid request with its name in the target."""
    method = rng.choice((b"GET", b"POST", b"PUT", b"DELETE", b"BREW"))
    framing = rng.choice(("none", "length", "length", "chunked", "chunked")) if method != b"GET" else "none"
    tokens: list[Token] = [
        ("method", method), ("blank", b" "), ("target", b"/f/%b?q=%d" % (name.encode(), rng.randrange(100))),
        ("blank", b" "), ("version", b"HTTP/1.1"), ("end", b"\r\n")]
    fields = [field(b"Host", "host", rng.choice((b"a.example", b"a.example:8080", b"127.0.0.1", b"[::1]")))]
    for _ in range(rng.randrange(4)):
        fields.append(field(rng.choice(_NAMES), "value", rng.choice(_VALUES)))
    body: list[Token] = []
    hidden = b"GET /hidden/%b HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode()
    content = rng.choice((b"hello", b"x" * rng.randrange(1, 200), hidden, b"\r\n" + hidden,
                          b"0\r\n\r\n" + hidden))
    if framing == "length":
        fields.append(field(b"Content-Length", "length", b"%d" % len(content)))
        body = [("data", content)]
    elif framing == "chunked":
        fields.append(field(b"Transfer-Encoding", "coding", rng.choice((b"chunked", b"Chunked"))))
        body = chunked(rng, content)
    if framing != "none" and rng.random() < 0.1:
        fields.append(field(b"Expect", "value", b"100-continue"))
    if rng.random() < 0.1:
        fields.append(field(b"Connection", "value", rng.choice((b"keep-alive", b"close", b"x"))))
    rng.shuffle(fields)
    return [*tokens, *(token for line in fields for token in line), ("end", b"\r\n"), *body]


def field(name: bytes, kind: str, value: bytes) -> list[Token]:
    """A field line; ``kind`` is that of its value."""
    return [("name", name), ("colon", b":"), ("blank", b" "), (kind, value), ("end", b"\r\n")]


def chunked(rng: random.Random, content: bytes) -> list[Token]:
    """The content in chunks of any size, now and then with extensions and a trailer."""
    tokens: list[Token] = []
    while content:
        size = rng.randrange(1, len(content) + 1)
        tokens += [("size", rng.choice((b"%x", b"%X", b"0%x")) % size),
                   ("extension", rng.choice((b"", b"", b";a=b"))),
                   ("end", b"\r\n"), ("data", content[:size]), ("end", b"\r\n")]
        content = content[size:]
    tokens += [("size", b"0"), ("extension", b""), ("end", b"\r\n")]
    if rng.random() < 0.3:
        tokens += field(b"X-Check", "value", b"abc")
    return [*tokens, ("end", b"\r\n")]


def damage(rng: random.Random, request: list[Token]) -> None:
    """Change one thing in a request that is left with at least one token."""
    at = rng.randrange(len(request))
    kind, old = request[at]
    way = rng.random()
    if way < 0.15:
        _soft_damage(rng, request)
    elif way < 0.55:
        request[at] = kind, rng.choice(POOLS[kind])
    elif way < 0.65:
        request[at] = kind, _bytes_damaged(rng, old)
    elif way < 0.72:
        request[at] = kind, old + rng.choice(_GENERIC)
    elif way < 0.78:
        del request[at]
        request.append(("data", b""))
    elif way < 0.84:
        request.insert(at, request[rng.randrange(len(request))])
    elif way < 0.90:
        start = _line_start(request, at)
        request[start:start] = field(rng.choice(POOLS["name"]), "value", rng.choice(POOLS["value"]))
    elif way < 0.96:
        start = _line_start(request, at)
        request[start:start] = rng.choice((
            field(b"Content-Length", "length", rng.choice(POOLS["length"])),
            field(b"Transfer-Encoding", "coding", rng.choice(POOLS["coding"])),
            field(b"Host", "host", rng.choice(POOLS["host"]))))
    else:
        other = rng.randrange(len(request))
        request[at], request[other] = request[other], request[at]


def _soft_damage(rng: random.Random, request: list[Token]) -> None:
    """A change that leaves the syntax good: of a length, a size, a blank or a name's case."""
    soft = [at for at, (kind, _) in enumerate(request) if kind in ("length", "size", "blank", "name", "data")]
    if not soft:
        return
    at = rng.choice([at for at in soft if request[at][0] in ("length", "size")] or soft)
    kind, old = request[at]
    shift = rng.choice((-7, -2, -1, 1, 2, 9))
    try:
        match kind:
            case "length":
                old = b"%d" % max(int(old) + shift, 0)
            case "size":
                old = b"%x" % max(int(old, 16) + shift, 0)
            case "blank" if at > 4:
                old = rng.choice((b"", b"\t", b" \t "))
            case "name":
                old = old.swapcase()
            case "data":
                old = old[:shift] if shift < 0 else old + b"d" * shift
    except ValueError:
        return  # damaged before: no number is left to change
    request[at] = kind, old


def _line_start(request: list[Token], at: int) -> int:
    """Where the line of token ``at`` begins, or the next one's if that is the request line."""
    while at and request[at - 1][0] != "end":
        at -= 1
    if at == 0:
        while at < len(request) and request[at][0] != "end":
            at += 1
        at = min(at + 1, len(request))
    return at


def _bytes_damaged(rng: random.Random, old: bytes) -> bytes:
    data = bytearray(old or b"x")
    at = rng.randrange(len(data))
    match rng.randrange(4):
        case 0:
            data[at] = rng.randrange(256)
        case 1:
            data[at] ^= 1 << rng.randrange(8)
        case 2:
            data[at:at] = rng.choice(_GENERIC)
        case _:
            del data[at]
    return bytes(data)


def segments(rng: random.Random, data: bytes) -> list[bytes]:
    """Mostly whole, now and then in pieces, seldom byte by byte."""
    way = rng.random()
    if way < 0.6 or len(data) < 2:
        return [data]
    if way < 0.97 or len(data) > 1000:
        cuts = sorted(rng.sample(range(1, len(data)), min(rng.randrange(1, 6), len(data) - 1)))
        return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return [data[at:at + 1] for at in range(len(data))]
