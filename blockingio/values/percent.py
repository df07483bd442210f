"""Percent-encoding (RFC 3986 2.1) and what is built on it: components and query strings.

Text is UTF-8 inside the octets.  Characters to keep are given as a class of grammar.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from blockingio.values.grammar import UNRESERVED

# What JavaScript's encodeURIComponent keeps, and dart's with it: RFC 2396's unreserved characters.
COMPONENT_CHARACTERS = UNRESERVED + "!*'()"

# Two hexadecimal digits, in either case of each -> the octet.
_OCTETS = {(one + other).encode(): bytes((int(one + other, 16),))
           for one in "0123456789abcdefABCDEF" for other in "0123456789abcdefABCDEF"}


def encode(text: str, characters: str) -> str:
    """``text`` with everything but these characters percent-encoded, "%" too."""
    return _all_but(characters).sub(_octets, text)


def escape(text: str, characters: str) -> str:
    """The same for text that is encoded already, in whole or in part: a "%" is kept where it
    stands before two hexadecimal digits."""
    return re.sub(f"%(?![0-9A-Fa-f]{{2}})|[^{characters}%]", _octets, text)


def encode_bytes(data: bytes, characters: str) -> str:
    """``data`` with every octet that is none of these characters percent-encoded."""
    return _all_but(characters).sub(lambda match: f"%{ord(match[0]):02X}", data.decode("latin-1"))


@cache
def _all_but(characters: str) -> re.Pattern[str]:
    return re.compile(f"[^{characters}]")


def _octets(match: re.Match[str]) -> str:
    return "".join([f"%{octet:02X}" for octet in match[0].encode()])


def decode_bytes(text: str) -> bytes:
    """The octets that the text stands for; a "%" without two hexadecimal digits is itself."""
    first, *others = text.encode().split(b"%")
    octets = [first]
    for part in others:
        octet = _OCTETS.get(part[:2])
        octets.append(b"%" + part if octet is None else octet + part[2:])
    return b"".join(octets)


def decode_lenient(text: str, encoding: str = "utf-8") -> str:
    """The text that was encoded, with U+FFFD for what is not of the encoding, a "%" without digits as it is."""
    if encoding == "utf-8" and "%" not in text:
        return text
    return decode_bytes(text).decode(encoding, "replace")


def decode_strict(text: str, encoding: str = "utf-8") -> str:
    """The text that was encoded; ValueError for a "%" without two hexadecimal digits, and for
    octets that are not of the encoding."""
    if match := re.search("%(?![0-9A-Fa-f]{2})", text):
        at = match.start()
        raise ValueError(f"expected two hexadecimal digits behind '%', found {text[at:at + 3]!r}")
    try:
        # Characters beyond ASCII are text already, whatever the encoding of the octets is.
        return re.sub("[\0-\x7f]++", lambda run: decode_bytes(run[0]).decode(encoding), text)
    except UnicodeDecodeError as error:
        raise ValueError(f"expected percent-encoded {encoding}, found {text[:80]!r}") from error


def query_pairs(query: str) -> list[tuple[str, str]]:
    """The names and values of a query, still encoded but for "+", which is a blank; empty pairs
    are left out, a name without "=" has the value ""."""
    parts = [pair.partition("=") for pair in query.replace("+", " ").split("&") if pair]
    return [(name, value) for name, _, value in parts]


def decode_query(query: str, encoding: str = "utf-8") -> dict[str, str]:
    """The names and values of a query or form in ASCII, decoded as ``decode_lenient`` does; the last
    value of a repeated name."""
    return {decode_lenient(name, encoding): decode_lenient(value, encoding)
            for name, value in query_pairs(query) if name}


def encode_query_component(text: str) -> str:
    """``text`` as application/x-www-form-urlencoded has it: a blank is "+"."""
    return encode(text, UNRESERVED + " ").replace(" ", "+")


def encode_query(parameters: Mapping[str, object]) -> str:
    """The query with these names and values; an Iterable that is no str stands for several, and
    None or "" for a name without "="."""
    pairs = []
    for name, value in parameters.items():
        if isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(f"a query parameter is a str or an Iterable of str, not {type(value).__name__}")
        values = value if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
        key = encode_query_component(name)
        for item in values:
            text = "" if item is None else encode_query_component(str(item))
            pairs.append(f"{key}={text}" if text else key)
    return "&".join(pairs)
