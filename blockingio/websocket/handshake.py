"""What both ends of a handshake need: its values, and how the fields are read (RFC 6455 4, 9.1; RFC 7692 7.1).

Raises ValueError for a field that is malformed.
"""

from __future__ import annotations

import re
import socket
from base64 import b64encode
from hashlib import sha1
from typing import NamedTuple

from blockingio.values.grammar import QUOTED_STRING, TOKEN, TOKEN_RE
from blockingio.values.headers import HttpHeaders
from blockingio.websocket.compression import DEFLATE, MAX_BITS, MIN_BITS, MIN_OWN_BITS, Agreement, CompressionOptions

VERSION = "13"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# extension-param = token [ "=" (token | quoted-string) ]                 RFC 6455 9.1
_PARAMETER = re.compile(rf"[ \t]*+({TOKEN})[ \t]*+(?:=[ \t]*+(?:({TOKEN})|{QUOTED_STRING})[ \t]*+)?+")
_BITS = re.compile("[89]|1[0-5]")

# What an agreement may name, and whether the name has a value.
_FLAGS = ("client_no_context_takeover", "server_no_context_takeover")
_WINDOWS = ("client_max_window_bits", "server_max_window_bits")


class Shaken(NamedTuple):
    """What a handshake came to: a WebSocket can be made of it."""

    socket: socket.socket
    protocol: str | None
    agreement: Agreement | None


class Extension(NamedTuple):
    name: str
    parameters: list[tuple[str, str | None]]


def accept_of(key: str) -> str:
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 4.2.2)."""
    return b64encode(sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()).decode("ascii")


def items(headers: HttpHeaders, name: str) -> list[str]:
    """The members of a list, which several fields may bring; empty ones count for nothing (RFC 9110 5.6.1)."""
    found = [item.strip(" \t") for value in headers.get_all(name) for item in value.split(",")]
    return [item for item in found if item]


def has_item(headers: HttpHeaders, name: str, item: str) -> bool:
    """Whether a list has this member; case does not count."""
    return item in (found.lower() for found in items(headers, name))


def check_protocols(protocols: tuple[str, ...] | list[str]) -> None:
    """Raises ValueError unless they are tokens, each once (RFC 6455 4.1), TypeError unless they are str."""
    for protocol in protocols:
        if not isinstance(protocol, str):
            raise TypeError(f"a protocol is {protocol!r}, expected a str")
        if not TOKEN_RE.fullmatch(protocol):
            raise ValueError(f"a protocol is {protocol!r}, expected a token")
    if len(set(protocols)) != len(protocols):
        raise ValueError(f"the protocols are {', '.join(protocols)}, expected each once")


def parse_extensions(headers: HttpHeaders) -> list[Extension]:
    """All that Sec-WebSocket-Extensions names, in order."""
    return [extension for value in headers.get_all("sec-websocket-extensions") for extension in _parse(value)]


def _parse(text: str) -> list[Extension]:
    found: list[Extension] = []
    at = 0
    in_parameters = False
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None or not in_parameters and (match[2] is not None or match[3] is not None):
            raise ValueError(f"Sec-WebSocket-Extensions is {text[:100]!r}, expected names with parameters")
        name, token, quoted = match.groups()
        value = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if value is not None and not TOKEN_RE.fullmatch(value):
            raise ValueError(f"Sec-WebSocket-Extensions has the value {value[:100]!r}, expected a token")
        if in_parameters:
            found[-1].parameters.append((name, value))
        else:
            found.append(Extension(name, []))
        at = match.end()
        if at < len(text):
            if text[at] not in ";,":
                raise ValueError(f"Sec-WebSocket-Extensions has {text[at]!r} behind {name!r}, expected ; or ,")
            in_parameters = text[at] == ";"
            at += 1
            if at == len(text):
                raise ValueError(f"Sec-WebSocket-Extensions is {text[:100]!r}, expected more at its end")
    return found


def accept_offer(offers: list[Extension], options: CompressionOptions) -> Agreement | None:
    """A server's choice among what a client offers (RFC 7692 5.1, 7.1); None: no compression."""
    own_bits = options.server_max_window_bits
    if not options.enabled or own_bits is not None and own_bits < MIN_OWN_BITS:
        return None
    agreements = (_accept(offer, options) for offer in offers if offer.name == DEFLATE)
    return next((agreement for agreement in agreements if agreement is not None), None)


def _accept(offer: Extension, options: CompressionOptions) -> Agreement | None:
    try:
        asked = _values(offer, is_offer=True)
    except ValueError:
        return None  # to be declined, and no reason to refuse the rest (7)
    server_bits = _least(asked.get("server_max_window_bits"), options.server_max_window_bits)
    if server_bits is not None and server_bits < MIN_OWN_BITS:
        return None
    client_bits = None
    if "client_max_window_bits" in asked:  # else the client would not understand it
        hint = asked["client_max_window_bits"]
        client_bits = _least(None if hint is True else hint, options.client_max_window_bits)
    return Agreement(
        bool(asked.get("client_no_context_takeover")) or options.client_no_context_takeover,
        bool(asked.get("server_no_context_takeover")) or options.server_no_context_takeover,
        client_bits, server_bits)


def make_offer(options: CompressionOptions) -> str:
    """What a client offers; "" for nothing."""
    own_bits = options.client_max_window_bits
    if not options.enabled or own_bits is not None and own_bits < MIN_OWN_BITS:
        return ""
    offer = str(Agreement(options.client_no_context_takeover, options.server_no_context_takeover, own_bits,
                          options.server_max_window_bits))
    # Without a value: the server may name any.
    return offer if own_bits is not None else f"{offer}; client_max_window_bits"


def check_answer(answers: list[Extension], options: CompressionOptions) -> Agreement | None:
    """What a server has chosen.  ValueError where that is not what was offered (RFC 6455 4.1; RFC 7692 7.1)."""
    if not answers:
        return None
    offered = make_offer(options)
    if len(answers) > 1 or answers[0].name != DEFLATE or not offered:
        names = ", ".join(answer.name for answer in answers)
        raise ValueError(f"the server chose the extensions {names[:100]}, expected {offered or 'none'}")
    chosen = _values(answers[0], is_offer=False)
    if options.server_no_context_takeover and "server_no_context_takeover" not in chosen:
        raise ValueError("the server did not agree to server_no_context_takeover")
    most = options.server_max_window_bits
    if most is not None and chosen.get("server_max_window_bits", MAX_BITS) > most:
        raise ValueError(f"the server did not agree to server_max_window_bits={most}")
    own = chosen.get("client_max_window_bits", MAX_BITS)
    if not MIN_OWN_BITS <= own:
        raise ValueError(f"the server wants a window of {own} bits, expected at least {MIN_OWN_BITS}")
    if own > (options.client_max_window_bits or MAX_BITS) and "client_max_window_bits" in chosen:
        raise ValueError(f"the server chose a window of {own} bits, expected {options.client_max_window_bits} at most")
    return Agreement(
        "client_no_context_takeover" in chosen or options.client_no_context_takeover,
        "server_no_context_takeover" in chosen,
        _least(chosen.get("client_max_window_bits"), options.client_max_window_bits),
        chosen.get("server_max_window_bits"))


def _values(extension: Extension, *, is_offer: bool) -> dict[str, int]:
    """Parameters that are what RFC 7692 7.1 has, each once; True for those without a value.  Raises ValueError."""
    values: dict[str, int] = {}
    for name, value in extension.parameters:
        may_lack = is_offer and name == "client_max_window_bits"
        if name in values:
            raise ValueError(f"{DEFLATE} has the parameter {name} twice")
        if value is None and (name in _FLAGS or may_lack):
            values[name] = True
        elif value is not None and name in _WINDOWS and _BITS.fullmatch(value):
            values[name] = int(value)
        else:
            raise ValueError(f"{DEFLATE} has the parameter {name}={value}, expected one of RFC 7692 7.1, with bits of "
                             f"{MIN_BITS} to {MAX_BITS}")
    return values


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
