"""Which proxy a URL goes through: find_proxy's answer in its PAC form, and the environment's variables.

Takes the text a find_proxy function gives, or a mapping of environment variables; gives Proxy values, None for a direct
connection.  Raises HttpException for an answer that makes no sense.  It opens no socket and resolves no name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from blockingio.client.auth import user_authorization
from blockingio.client.target import host_key
from blockingio.errors import HttpException
from blockingio.net.address import InternetAddress, unmapped
from blockingio.values.grammar import UNRESERVED
from blockingio.values.percent import escape
from blockingio.values.uri import Uri

_VARIABLES = {"http": ("http_proxy", "HTTP_PROXY"), "https": ("https_proxy", "HTTPS_PROXY")}

# The port of a proxy whose variable names none, as dart:io has it.
_ENVIRONMENT_PORT = 1080

# A name, or an IPv6 address in its brackets.
_HOST = r"(\[[0-9A-Fa-f:.]+\]|[^:@/\[\]\s\x00-\x1f\x7f]+)"
# "PROXY" [ userinfo "@" ] ( host / "[" IPv6 "]" ) ":" port, one entry of a PAC answer.
_PAC_PROXY = re.compile(rf"(?i:PROXY|HTTP)[ \t]+(?:(.*)@)?{_HOST}:([0-9]{{1,5}})", re.DOTALL)
# [ scheme "://" ] [ userinfo "@" ] host [ ":" port ] [ "/" anything ], the value of http_proxy.  People write
# passwords as they are: what stands before the last "@" is user information.
_VARIABLE = re.compile(
    rf"(?:([A-Za-z][A-Za-z0-9+.\-]*+)://)?(?:(.*)@)?{_HOST}(?::([0-9]{{1,5}}))?(?:/[^@]*)?", re.DOTALL
)
# host [ ":" port ] of a no_proxy entry; an IPv6 address with a port has brackets.
_NO_PROXY_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*):([0-9]{1,5})")


class Proxy(NamedTuple):
    """A proxy to connect to; ``authorization`` is Basic, from the name and password in its URL."""

    host: str
    port: int
    authorization: str | None = None

    def __repr__(self) -> str:
        return f"<Proxy {self.host}:{self.port}>"  # never the secret


def parse_proxies(answer: str) -> list[Proxy | None]:
    """The proxies of "PROXY a:1; PROXY b:2; DIRECT", in the order in which to try them; None is DIRECT.

    A name and a password may stand before the host, percent-encoded: "PROXY user:password@a:1".
    """
    if not isinstance(answer, str):
        found_instead = "None" if answer is None else type(answer).__name__  # bytes may have a password in them
        raise HttpException(f"find_proxy answered {found_instead}, expected the like of 'PROXY host:port; DIRECT'")
    proxies: list[Proxy | None] = []
    for entry in answer.split(";"):
        entry = entry.strip()
        if not entry:
            continue
        if entry.upper() == "DIRECT":
            proxies.append(None)
            continue
        found = _PAC_PROXY.fullmatch(entry)
        port = int(found[3]) if found else 0
        if found is None or not 0 < port < 65536:
            # Before an "@" there may be a password, and one with a ";" is cut into several entries.
            shown = repr(entry) if "@" not in answer else "what is not shown, for it may have a password in it"
            raise HttpException(f"a proxy is given as {shown}, expected 'DIRECT' or 'PROXY host:port'")
        proxies.append(Proxy(found[2].strip("[]"), port, _authorization(found[1])))
    if not proxies:
        raise HttpException(f"find_proxy answered {answer!r}, which names no proxy and not DIRECT")
    return proxies


def find_proxy_from_environment(url: Uri, *, environment: Mapping[str, str] | None = None) -> str:
    """What http_proxy, https_proxy and no_proxy say of a URL: "PROXY host:port" or "DIRECT".

    ``environment`` None: this process's.  Lower case goes before upper case; without a port it is 1080; no_proxy lists
    names (with all below them), addresses, networks and "*", each perhaps with a port.  HTTP_PROXY counts for nothing
    in a CGI program, where it holds what a client sent as a Proxy field.  A name and a password come percent-encoded.
    HttpException for a variable that names a proxy by another scheme than http, https too, or that is none.
    """
    if environment is None:
        environment = os.environ
    scheme = url.scheme
    names = _VARIABLES.get(scheme)
    if names is None:
        return "DIRECT"
    name, upper = names
    # This is asked for each request, and os.environ is slow to look into, slowest for what is not there: two calls of
    # Python each with ``in`` and ``get``, one like this.
    try:
        text = environment[name]
    except KeyError:
        try:
            text = environment[upper]
        except KeyError:
            return "DIRECT"
        if scheme == "http" and "REQUEST_METHOD" in environment:
            return "DIRECT"
        name = upper
    text = text.strip()
    if not text:
        return "DIRECT"
    no_proxy = environment.get("no_proxy")
    if _is_excepted(url, environment.get("NO_PROXY", "") if no_proxy is None else no_proxy):
        return "DIRECT"
    try:
        return _from_variable(text)
    except ValueError as error:
        raise HttpException(f"the environment variable {name} {error}", url) from None


def _from_variable(text: str) -> str:
    """The PAC form of a variable's value; ValueError for one that is no plain HTTP proxy's."""
    found = _VARIABLE.fullmatch(text)
    kind, user_info, host, port = found.groups() if found else (None, None, None, None)
    if kind is not None and kind.lower() != "http":
        # Among them https: this client does not speak TLS with proxies, and a password is not for plain text.
        raise ValueError(f"names a proxy by {kind}://, expected http://host:port")
    if host is None or not 0 < int(port or _ENVIRONMENT_PORT) < 65536:
        shown = repr(text) if "@" not in text else "not shown, for it may have a password in it"
        raise ValueError(f"is {shown}, expected the like of http://host:port")
    if user_info:
        user, colon, password = (escape(part, UNRESERVED) for part in user_info.partition(":"))
        user_info = f"{user}{':' if colon else ''}{password}@"
    return f"PROXY {user_info or ''}{host}:{port or _ENVIRONMENT_PORT}"


def _is_excepted(url: Uri, no_proxy: str) -> bool:
    """Whether an entry of no_proxy fits: a name and all below it, an address, a network, or "*".

    Entries are separated by commas or blanks; ":port" limits one to that port, and a leading dot or
    "*." changes nothing.
    """
    host = host_key(url.host)
    address = _address(host)
    for entry in no_proxy.replace(",", " ").lower().split():
        if entry == "*":
            return True
        found = _NO_PROXY_PORT.fullmatch(entry)
        if found:
            if int(found[2]) != url.port:
                continue
            entry = found[1]
        if address is not None:
            if _is_within(address, entry.strip("[]")):
                return True
            continue
        name = host_key(entry.removeprefix("*").strip("."))
        if name and (host == name or host.endswith("." + name)):
            return True
    return False


def _is_within(address: bytes, entry: str) -> bool:
    """Whether the address is the entry's, or in its network (as 10.0.0.0/8)."""
    network, slash, length = entry.partition("/")
    raw = _address(network)
    if raw is None or len(raw) != len(address):
        return False
    bits = len(raw) * 8
    if slash:
        if not (length.isascii() and length.isdigit() and len(length) <= 3 and int(length) <= bits):
            return False
        bits -= int(length)
    else:
        bits = 0
    return int.from_bytes(raw) >> bits == int.from_bytes(address) >> bits


def _address(host: str) -> bytes | None:
    """The bytes of an IP address, those of IPv4 where it is mapped into IPv6; None for a name."""
    address = InternetAddress.try_parse(host)
    return None if address is None else unmapped(address)


def _authorization(user_info: str | None) -> str | None:
    try:
        return user_authorization(user_info or "")
    except ValueError as error:
        raise HttpException(f"the name and password for a proxy cannot be sent: {error}") from None
