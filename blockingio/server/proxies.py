"""The proxies in front of a server that are believed: HttpServer.trusted_proxies.

A proxy adds the address that it was asked from to X-Forwarded-For, or to Forwarded (RFC 7239), behind what stood
there.  So the fields are read from the right: what a proxy of ours has added is true, and what stands left of that
was true only if it was added by another one of ours.  Whatever a field says, nothing here raises for it.

Takes text, gives text; knows neither the connection nor the request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from blockingio.net.address import InternetAddress, unmapped
from blockingio.values.grammar import OWS, QUOTED_STRING, TOKEN
from blockingio.values.header_store import first_member
from blockingio.values.headers import HttpHeaders
from blockingio.values.kept import keep, kept

# What stands for a peer on a Unix-domain socket in the list.
_UNIX = "unix"

# An address as proxies write it: IPv6 bare or in brackets, and in these or behind IPv4 a port; one that is
# hidden begins with "_" (RFC 7239 6.2).  Groups: in brackets, IPv4, IPv6.
_PORT = r"(?::(?:[0-9]{1,5}|_[0-9A-Za-z._\-]++))?+"
_NODE = (rf"\[([0-9A-Fa-f:.]++(?:%[0-9A-Za-z._~\-]++)?+)\]{_PORT}|([0-9.]++){_PORT}"
         r"|([0-9A-Fa-f:.]++(?:%[0-9A-Za-z._~\-]++)?+)")

# A member of Forwarded is pairs between semicolons, none twice; members stand between commas, which may
# be quoted too (RFC 7239 4).  Unquoted, as many write it, an IPv6 address is no token.
_PAIR = rf"({TOKEN})=(?:{QUOTED_STRING}|([^\s\",;]*+))"
_MEMBER = rf"(?:{_PAIR})?+(?:[ \t]*+;[ \t]*+(?:{_PAIR})?+)*+"
_MEMBERS = r'(?:[^",]|"(?:[^"\\]|\\.)*+")++'

# Most servers have no proxy in front: each is compiled when it is first asked for.
_compiled = lru_cache(maxsize=None)(re.compile)

# Addresses, and clients by their fields, that are kept at most; and characters of such an address or such fields.
_MOST_KEPT = 1024
_LONGEST_KEPT = 256


class _Client(NamedTuple):
    """What the fields say of a client."""

    address: str
    hops: int  # how many of these proxies stand in a row before this server
    is_told: bool  # the proxies say what client they ask for


class TrustedProxies:
    """Addresses and networks that are believed; immutable, so any thread may ask.

    ``given`` are IP addresses, networks as "10.0.0.0/8", or "unix" for every peer on a Unix-domain socket.
    An IPv4 address is the same one in its IPv6 form, "::ffff:10.0.0.1", which is what a server on both sees.
    ValueError for what can be none.
    """

    def __init__(self, given: Iterable[str]) -> None:
        if isinstance(given, str):
            raise ValueError(f"expected a list of addresses, found the one str {given!r}")
        if not hasattr(given, "__iter__"):
            raise TypeError(f"expected a list of addresses, found {given!r}")
        self.given = list(given) if isinstance(given, list) else tuple(given)
        self._unix = _UNIX in self.given
        # What was found out before, since the same few ask again and again.
        self._has_kept = kept(_MOST_KEPT, _LONGEST_KEPT)(self._has)  # of a peer; a zone has any length
        self._clients: dict[tuple[str, str | None, tuple[str, ...]], _Client] = {}
        # By kind and length of the prefix, so that many of one length cost one look.
        self._networks: dict[tuple[int, int], set[int]] = {}
        for text in self.given:
            if text != _UNIX:
                bits, prefix, number = _network(text)
                self._networks.setdefault((bits, bits - prefix), set()).add(number >> (bits - prefix))

    def has(self, peer: str) -> bool:
        """Whether this address is one of them; "" is a peer on a Unix-domain socket."""
        return self._has_kept(peer)

    def _has(self, peer: str) -> bool:
        if not peer:
            return self._unix
        address = InternetAddress.try_parse(peer)
        if address is None:
            return False
        bits, number = _number_of(address)
        return any(kind == bits and number >> shift in numbers for (kind, shift), numbers in self._networks.items())

    def client(self, peer: str, headers: HttpHeaders) -> str:
        """The client's address as these proxies have it.

        The rightmost address that is none of theirs; all are theirs: the leftmost; behind an entry that is no
        address it ends with what was known before it.  A peer that is none of them: itself.
        """
        return self._client(peer, headers).address if self.has(peer) else peer

    def _client(self, peer: str, headers: HttpHeaders) -> _Client:
        """That of a peer that is one of them."""
        x_forwarded_for = headers.get("x-forwarded-for")
        # Line by line: a mark that one leaves open does not reach into another's.
        forwarded = tuple(headers.get_all("forwarded")) if "forwarded" in headers else ()
        key = peer, x_forwarded_for, forwarded
        found = self._clients.get(key)
        if found is None:
            found = self._find_client(peer, headers)
            if len(x_forwarded_for or "") + sum(map(len, forwarded)) <= _LONGEST_KEPT:
                keep(self._clients, key, found, _MOST_KEPT)
        return found

    def _find_client(self, peer: str, headers: HttpHeaders) -> _Client:
        known, hops = peer, 1
        for node in _nodes(headers):
            address = _address(node)
            if address is None:
                break
            known = address
            if not self.has(address):
                break
            hops += 1
        return _Client(known, hops, any(_nodes(headers)))

    def member(self, peer: str, headers: HttpHeaders, name: str) -> str:
        """Which member of a list that each proxy adds to, or replaces, is to be believed; "" for none.

        It is that of the first proxy of ours: where the proxies say what client they ask for, there is one member for
        each hop, and what stands left of them the client has sent.  Else it is the first.
        """
        if name not in headers or not self.has(peer):
            return ""
        client = self._client(peer, headers)
        if not client.is_told:
            return first_member(headers, name)
        members = headers[name].split(",")
        return members[-min(client.hops, len(members))].strip(OWS)


def _network(text: str) -> tuple[int, int, int]:
    """Bits of an address, bits that are the network's, and the address as a number; ValueError."""
    if isinstance(text, str):
        name, slash, length = text.partition("/")
        address = InternetAddress.try_parse(name) if "%" not in name else None
        if address is not None and (not slash or re.fullmatch("0|[1-9][0-9]{0,2}", length)):
            bits, number = _number_of(address)
            before = 128 - bits if ":" in name else 0  # bits of IPv6 that stand before an IPv4 address
            prefix = int(length) - before if slash else bits
            if 0 <= prefix <= bits:
                if number & ((1 << (bits - prefix)) - 1):
                    raise ValueError(f"expected a network whose address ends with zeros behind its /{length}, "
                                     f"found {text!r}")
                return bits, prefix, number
    raise ValueError(f"expected the like of '127.0.0.1', '10.0.0.0/8', 'fd00::/8' or 'unix', found {text!r}")


def _number_of(address: InternetAddress) -> tuple[int, int]:
    """Bits of an address, and the number that they are; IPv4 is taken out of IPv6."""
    raw = unmapped(address)
    return len(raw) * 8, int.from_bytes(raw)


def _nodes(headers: HttpHeaders) -> Iterator[str]:
    """What the fields say of the clients, the last one first: X-Forwarded-For, where it says nothing Forwarded."""
    if "x-forwarded-for" in headers:
        nodes = _not_blank(headers["x-forwarded-for"].split(","))
        if nodes:
            yield from reversed(nodes)
            return
    # Line by line: a mark that one leaves open does not reach into another's.
    for line in reversed(headers.get_all("forwarded")):
        yield from reversed([_for(member) for member in _members(line)])


def _not_blank(members: Iterable[str]) -> list[str]:
    return [stripped for member in members if (stripped := member.strip(OWS))]


def _members(line: str) -> list[str]:
    """The members of a Forwarded line; one that can be none of them where a mark is left open."""
    members = _compiled(_MEMBERS).split(line)
    if any(between.strip(",") for between in members):
        return ['"']
    return _not_blank(_compiled(_MEMBERS).findall(line))


def _for(member: str) -> str:
    """What a member names as its client, "" where it does not, or breaks the grammar."""
    if not _compiled(_MEMBER).fullmatch(member):
        return ""
    found = [re.sub(r"\\(.)", r"\1", quoted) or token for name, quoted, token in _compiled(_PAIR).findall(member)
             if name.lower() == "for"]
    return found[0] if len(found) == 1 else ""


def _address(node: str) -> str | None:
    """The canonical address in an entry, without its port; None where it is none."""
    match = _compiled(_NODE).fullmatch(node)
    if match is None or match[1] and ":" not in match[1]:
        return None
    found = InternetAddress.try_parse(match[1] or match[2] or match[3])
    return None if found is None else found.address
