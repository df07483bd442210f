"""Valid responses, and damage to them: as ``mutator`` for requests, and with its tools."""
from __future__ import annotations

import random
from typing import NamedTuple

from tests.conformance.mutator import Token, chunked, damage, field, segments

_STATUS = ((b"200", b"OK"), (b"404", b"Not Found"), (b"500", b"Oh no"), (b"204", b"No Content"),
           (b"304", b""))
_FIELDS = ((b"Server", b"x/1"), (b"X-A", b""), (b"Set-Cookie", b"a=b; Path=/"), (b"ETag", b'"1"'),
           (b"x-b", b"caf\xe9"))


class FuzzedResponse(NamedTuple):
    """One input for a client: the method it asks with, the bytes, and their segments."""

    method: str
    data: bytes
    segments: list[bytes]
    damages: int


def make(seed: int, number: int) -> FuzzedResponse:
    """The input of a seed with this number, the same on every run."""
    rng = random.Random(f"{seed}/response/{number}")
    method = rng.choice(("GET", "GET", "GET", "HEAD"))
    tokens = _response(rng, method)
    damages = rng.choice((0, 1, 1, 1, 2, 3))
    for _ in range(damages):
        damage(rng, tokens)
    data = b"".join(token for _, token in tokens)
    if rng.random() < 0.1:
        data = data[:len(data) - min(rng.randrange(60), rng.randrange(len(data) + 1))]
        damages += 1
    return FuzzedResponse(method, data, segments(rng, data), damages)


def _response(rng: random.Random, method: str) -> list[Token]:
    status, reason = rng.choice(_STATUS[:1] * 5 + _STATUS)
    tokens: list[Token] = []
    for _ in range(rng.choice((0, 0, 0, 0, 1, 2))):
        tokens += [*_line(rng.choice((b"100", b"103")), b"Wait"), ("end", b"\r\n")]
    tokens += _line(status, reason)
    fields = [field(name, "value", value) for name, value in rng.sample(_FIELDS, rng.randrange(3))]
    body: list[Token] = []
    content = rng.choice((b"hello", b"x" * rng.randrange(1, 200), b"HTTP/1.1 200 OK\r\n\r\nforged"))
    framing = rng.choice(("length", "length", "chunked", "chunked", "close"))
    if framing == "length":
        fields.append(field(b"Content-Length", "length", b"%d" % len(content)))
        body = [("data", content)]
    elif framing == "chunked":
        fields.append(field(b"Transfer-Encoding", "coding", b"chunked"))
        body = chunked(rng, content)
    else:
        body = [("data", content)]
    rng.shuffle(fields)
    tokens += [*(token for line in fields for token in line), ("end", b"\r\n")]
    return tokens + (body if method != "HEAD" and status not in (b"204", b"304") else [])


def _line(status: bytes, reason: bytes) -> list[Token]:
    return [("version", b"HTTP/1.1"), ("blank", b" "), ("status", status), ("blank", b" "),
            ("reason", reason), ("end", b"\r\n")]
