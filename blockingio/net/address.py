"""Internet addresses, and the two ends of a connection.

Takes the text of an IPv4 or IPv6 address or the path of a Unix-domain socket, or what the socket
module gives as an address; gives immutable values.  Raises ValueError for text that is no address,
and the system's OSError, with the host's name put into it, from name resolution.  It opens no socket.

``socket.inet_pton`` judges what an address is: it is the system's own judgement, thirty times
faster than the ipaddress module, and costs no import.
"""

from __future__ import annotations

import os
import re
import socket
from enum import Enum
from typing import Any, ClassVar

_MAPPED_PREFIX = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, RFC 4291 2.5.5.2
_RAW_LOOPBACK_IP_V6 = bytes(15) + b"\x01"


# What people write where a host belongs, and what they are told.  None of these marks is in a host or an address that
# a resolver knows; a zone, "fe80::1%eth0", may have any character behind its "%".
_NO_HOST = {
    re.compile(r"[^%]*://"): "that is a URL, expected the host alone",
    re.compile(r"[^%]*/"): "that is a path; a Unix-domain socket is InternetAddress(path, InternetAddressType.UNIX)",
    re.compile(r"\["): "an IPv6 address stands without brackets here, as ::1",
    re.compile(r"[^:%]*:\d*\Z"): "the port is given by itself, behind the host",
    re.compile(r"\*\Z"): "all addresses of this machine are 0.0.0.0, and :: with IPv6",
}


class InternetAddressType(Enum):
    """The kind of an address; ANY is only for asking ("either kind of IP"), no address is of that type.

    Follows dart:io's InternetAddressType.
    """

    ANY = "any"
    IPV4 = "IPv4"
    IPV6 = "IPv6"
    UNIX = "Unix"

    def __repr__(self) -> str:
        return f"InternetAddressType.{self.name}"


_FAMILIES = {
    InternetAddressType.ANY: socket.AF_UNSPEC,
    InternetAddressType.IPV4: socket.AF_INET,
    InternetAddressType.IPV6: socket.AF_INET6,
}


class InternetAddress:
    """An IP address, or the path of a Unix-domain socket: immutable, hashable, ``str()`` is its text.

    The text of an IP address is brought into the one form that RFC 5952 recommends ("0:0:0:0:0:0:0:1"
    becomes "::1"), so that equal addresses have equal text.  An IPv6 address may carry a zone
    (RFC 4007 11: "fe80::1%eth0"), and then differs from the same one in another zone.

    ``type`` None or ANY means an IP address of either kind; UNIX takes ``address`` for a path.
    ValueError where ``address`` is not an address of that type.  Follows dart:io's InternetAddress.
    """

    __slots__ = ("_address", "_host", "_type")

    LOOPBACK_IP_V4: ClassVar[InternetAddress]
    LOOPBACK_IP_V6: ClassVar[InternetAddress]
    ANY_IP_V4: ClassVar[InternetAddress]
    ANY_IP_V6: ClassVar[InternetAddress]

    def __init__(self, address: str, type: InternetAddressType | None = None) -> None:
        if not isinstance(address, str):
            raise TypeError(f"an address is a str, not {address.__class__.__name__}")
        text, kind = address, InternetAddressType.UNIX
        if type is kind:
            _check_path(address)
        else:
            text, kind = _canonical(address)
            if type not in (None, InternetAddressType.ANY, kind):
                raise ValueError(f"not an address of type {type.value}: {address!r}, which is {kind.value}")
        self._address = self._host = text
        self._type = kind

    @classmethod
    def _trusted(cls, address: str, type: InternetAddressType) -> InternetAddress:
        """An address whose canonical text comes from the system, without looking at it again."""
        self = cls.__new__(cls)
        self._address = self._host = address
        self._type = type
        return self

    @classmethod
    def from_socket_address(cls, family: int, address: Any) -> InternetAddress:
        """The address that ``accept``, ``getpeername`` and the like give for a socket of ``family``."""
        if family == socket.AF_INET:
            return cls._trusted(address[0], InternetAddressType.IPV4)
        if family == socket.AF_INET6:
            text: str = address[0]
            if address[3] and "%" not in text:
                text = f"{text}%{_zone_name(address[3])}"
            return cls._trusted(text, InternetAddressType.IPV6)
        # A Unix-domain peer that is bound to nothing has the empty path; an abstract name comes as bytes.
        return cls._trusted(os.fsdecode(address), InternetAddressType.UNIX)

    @property
    def address(self) -> str:
        """The address as text: dotted decimal, hexadecimal groups (perhaps with a zone), or the path."""
        return self._address

    @property
    def host(self) -> str:
        """The name that this address was found by (``lookup``, ``reverse``), else the same as ``address``."""
        return self._host

    @property
    def raw_address(self) -> bytes:
        """4 or 16 bytes in network order, without the zone; for UNIX the path as the system has it."""
        if self._type is InternetAddressType.UNIX:
            return os.fsencode(self._address)
        return socket.inet_pton(_FAMILIES[self._type], self._address.partition("%")[0])

    @property
    def type(self) -> InternetAddressType:
        """IPV4, IPV6 or UNIX."""
        return self._type

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine talking to itself: 127.0.0.0/8, ::1, and 127.0.0.0/8 mapped into IPv6.

        The mapped form counts because it is what a dual-stack server sees of an IPv4 client; so it
        does for the two properties below.  False for a Unix-domain socket, as in dart:io.
        """
        raw = unmapped(self)
        return raw[0] == 127 if len(raw) == 4 else raw == _RAW_LOOPBACK_IP_V6

    @property
    def is_link_local(self) -> bool:
        """Whether it holds on one link only: 169.254.0.0/16 (RFC 3927), fe80::/10 (RFC 4291 2.5.6)."""
        raw = unmapped(self)
        if len(raw) == 4:
            return raw[:2] == b"\xa9\xfe"
        return len(raw) == 16 and raw[0] == 0xFE and raw[1] & 0xC0 == 0x80

    @property
    def is_multicast(self) -> bool:
        """Whether it names a group: 224.0.0.0/4 (RFC 5771), ff00::/8 (RFC 4291 2.7)."""
        raw = unmapped(self)
        if len(raw) == 4:
            return raw[0] & 0xF0 == 0xE0
        return len(raw) == 16 and raw[0] == 0xFF

    def reverse(self) -> InternetAddress:
        """The same address with ``host`` set to the name that the system's resolver has for it.

        OSError where there is none; its text names the address.  A Unix-domain socket is given back as it is.
        """
        if self._type is InternetAddressType.UNIX:
            return self
        try:
            # getnameinfo wants the zone as a number in the tuple, which getaddrinfo makes of its name.
            numeric = socket.getaddrinfo(self._address, 0, socket.AF_UNSPEC, socket.SOCK_STREAM,
                                         flags=socket.AI_NUMERICHOST)
            name, _ = socket.getnameinfo(numeric[0][4], socket.NI_NAMEREQD)
        except OSError as error:
            raise _naming(error, f"no host name for {self._address}") from None
        return self._with_host(name)

    @staticmethod
    def lookup(host: str, type: InternetAddressType = InternetAddressType.ANY) -> list[InternetAddress]:
        """The addresses of ``host`` in the order that the system's resolver prefers, each once; never empty.

        Each has ``host`` as its host.  An international name is looked up by its IDNA form.  For UNIX
        it is the path itself.  OSError, naming the host, where it has no address of that type.
        """
        if type is InternetAddressType.UNIX:
            return [InternetAddress(host, type)]
        if not isinstance(host, str):
            raise TypeError(f"a host is a str, not {host.__class__.__name__}")
        try:
            found = socket.getaddrinfo(host_for_system(host), None, _FAMILIES[type], socket.SOCK_STREAM)
        except OSError as error:
            raise _naming(error, f"no address for host {host!r}") from None
        addresses = dict.fromkeys(InternetAddress.from_socket_address(family, address)
                                  for family, _, _, _, address in found)
        return [address._with_host(host) for address in addresses]

    @staticmethod
    def try_parse(address: str) -> InternetAddress | None:
        """The IP address that ``address`` is the text of, or None where it is none."""
        try:
            return InternetAddress(address)
        except ValueError:
            return None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, InternetAddress):
            return NotImplemented
        return self._address == other._address and self._type is other._type

    def __hash__(self) -> int:
        return hash(self._address)

    def __str__(self) -> str:
        return self._address

    def __repr__(self) -> str:
        kind = ", InternetAddressType.UNIX" if self._type is InternetAddressType.UNIX else ""
        return f"InternetAddress({self._address!r}{kind})"

    def _with_host(self, host: str) -> InternetAddress:
        named = self._trusted(self._address, self._type)
        named._host = host
        return named


class HttpConnectionInfo:
    """The two ends of a connection: ``remote_address`` (an InternetAddress), ``remote_port`` and ``local_port``.

    On a Unix-domain socket the ports are 0.  Follows dart:io's HttpConnectionInfo.
    """

    __slots__ = ("local_port", "remote_address", "remote_port")

    def __init__(self, remote_address: InternetAddress, remote_port: int, local_port: int) -> None:
        self.remote_address = remote_address
        self.remote_port = remote_port
        self.local_port = local_port

    @classmethod
    def from_socket_addresses(cls, family: int, remote: Any, local: Any) -> HttpConnectionInfo:
        """From what ``getpeername`` and ``getsockname`` give for a socket of ``family``."""
        address = InternetAddress.from_socket_address(family, remote)
        if address.type is InternetAddressType.UNIX:
            return cls(address, 0, 0)
        return cls(address, remote[1], local[1])

    def __repr__(self) -> str:
        return (f"<HttpConnectionInfo remote_address={self.remote_address!r}"
                f" remote_port={self.remote_port} local_port={self.local_port}>")


def shown_peer(address: Any) -> str:
    """The socket module's address as text, with its port; "-" on a Unix-domain socket."""
    if not isinstance(address, tuple):
        return "-"
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def unmapped(address: InternetAddress) -> bytes:
    """The raw address, of IPv4 that is mapped into IPv6 its four bytes; nothing for a Unix-domain socket."""
    if address.type is InternetAddressType.UNIX:
        return b""
    raw = address.raw_address
    return raw[12:] if raw.startswith(_MAPPED_PREFIX) else raw


def _canonical(text: str) -> tuple[str, InternetAddressType]:
    """The text of an IP address in its recommended form, and its type; ValueError."""
    number, percent, zone = text.partition("%")
    if text.isascii() and "\0" not in text:
        if ":" not in number and not percent:
            family, kind = socket.AF_INET, InternetAddressType.IPV4
        else:
            family, kind = socket.AF_INET6, InternetAddressType.IPV6
        try:
            canonical = socket.inet_ntop(family, socket.inet_pton(family, number))
        except OSError:
            pass  # it is no address: said below, in words of our own
        else:
            if not percent:
                return canonical, kind
            if zone and zone.isprintable() and not set(zone) & set(" %/[]"):
                return f"{canonical}%{zone}", kind
    raise ValueError(f"not an internet address: {text!r} (expected the like of '127.0.0.1' or '::1')")


def _check_path(path: str) -> None:
    # A leading NUL is Linux's mark of an abstract name, which is no file; elsewhere it would cut the path.
    if not path or "\0" in path[1:] or path == "\0":
        raise ValueError(f"not the path of a Unix-domain socket: {path!r}")


def host_for_system(host: str) -> bytes:
    """The host as the resolver takes it; a host that cannot exist is the resolver's own "not known"."""
    unknown = socket.gaierror(socket.EAI_NONAME, "not a host name")
    if not host or "\0" in host:
        raise unknown
    for mark, advice in _NO_HOST.items():
        if mark.match(host):
            raise socket.gaierror(socket.EAI_NONAME, f"not a host name: {advice}")
    try:
        return host.encode("ascii") if host.isascii() else host.encode("idna")
    except UnicodeError:
        raise unknown from None


def _zone_name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # the interface has gone meanwhile; its number is a zone too
        return str(index)


def _naming(error: OSError, what: str) -> OSError:
    """The system's error again, of its own class and number, with ``what`` failed in front of its text."""
    return error.__class__(error.errno, f"{what}: {error.strerror or error}")


InternetAddress.LOOPBACK_IP_V4 = InternetAddress("127.0.0.1")
InternetAddress.LOOPBACK_IP_V6 = InternetAddress("::1")
InternetAddress.ANY_IP_V4 = InternetAddress("0.0.0.0")
InternetAddress.ANY_IP_V6 = InternetAddress("::")
