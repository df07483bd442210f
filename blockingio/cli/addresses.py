"""The URLs that a listening server can be reached at.

A server bound to "any address" is reached at each of this machine's.  No portable call lists
them, so several are asked: the interfaces where the system shows them (Linux), the resolver for
this machine's own name, and the routing table for the address that leads outward.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import sys
from array import array
from collections.abc import Iterator

from blockingio.net.address import HttpConnectionInfo, InternetAddress, InternetAddressType

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Linux: all interfaces with an IPv4 address (netdevice(7)), as an array of struct ifreq: a name of
# 16 bytes, then a sockaddr, in which the address stands behind family and port.
_SIOCGIFCONF = 0x8912
_IFREQ_SIZE = 40 if struct.calcsize("P") == 8 else 32
_ADDRESS_OFFSET = 20
_MAX_INTERFACES = 256

# Linux: a line for each IPv6 address, which begins with its 32 hexadecimal digits.
_IPV6_TABLE = "/proc/net/if_inet6"

# Documentation addresses (RFC 5737, RFC 3849): nothing is sent to them, only a route looked up.
_OUTWARD = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def server_urls(scheme: str, name: str, address: InternetAddress, port: int) -> list[str]:
    """The URLs of a server on this address, the nearest first; ``name`` is what it was bound as."""
    hosts = [name] if InternetAddress.try_parse(name) is None else []
    if address == InternetAddress.ANY_IP_V4:
        hosts += _reachable(own_addresses(), InternetAddressType.IPV4)
    elif address == InternetAddress.ANY_IP_V6:
        # As people find them easier to type.
        hosts += _reachable(own_addresses(), InternetAddressType.IPV4, InternetAddressType.IPV6)
    else:
        hosts.append(address.address)
    return [_url(scheme, host, port) for host in hosts]


def url_towards(client: HttpConnectionInfo | None, scheme: str) -> str:
    """The URL at which a client reaches this machine without a name; "" where there is none.

    No packet is sent: the routing table is asked for our address on the way to the client's.
    """
    if client is None or client.remote_address.type is InternetAddressType.UNIX:
        return ""
    family = socket.AF_INET if client.remote_address.type is InternetAddressType.IPV4 else socket.AF_INET6
    address = _source_address(family, client.remote_address.address)
    return "" if not address or "%" in address else _url(scheme, address, client.local_port)


def own_addresses() -> list[InternetAddress]:
    """This machine's addresses, those of loopback first."""
    found = [InternetAddress.LOOPBACK_IP_V4]
    outward = [_source_address(family, target) for family, target in _OUTWARD]
    for text in (*_interfaces_v4(), *_interfaces_v6(), *outward, *_resolved()):
        address = InternetAddress.try_parse(text)
        if address is not None and address not in found:
            found.append(address)
    return sorted(found, key=lambda address: not address.is_loopback)


def _reachable(addresses: list[InternetAddress], *kinds: InternetAddressType) -> list[str]:
    # A link-local address needs the name of an interface behind it, which no browser takes.
    found = [address for address in addresses if address.type in kinds and not address.is_link_local]
    return [address.address for address in sorted(
        found, key=lambda address: (not address.is_loopback, kinds.index(address.type)))]


def _url(scheme: str, host: str, port: int) -> str:
    if ":" in host:
        host = f"[{host}]"
    default = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}/" if port == default else f"{scheme}://{host}:{port}/"


def _interfaces_v4() -> Iterator[str]:
    if fcntl is None or not sys.platform.startswith("linux"):
        return
    room = array("B", bytes(_IFREQ_SIZE * _MAX_INTERFACES))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("iP", len(room), room.buffer_info()[0])
        answer = fcntl.ioctl(probe.fileno(), _SIOCGIFCONF, request)
    table = room.tobytes()[:struct.unpack("iP", answer)[0]]
    for at in range(0, len(table), _IFREQ_SIZE):
        yield socket.inet_ntoa(table[at + _ADDRESS_OFFSET:at + _ADDRESS_OFFSET + 4])


def _interfaces_v6() -> Iterator[str]:
    if not os.path.exists(_IPV6_TABLE):
        return
    with open(_IPV6_TABLE, encoding="ascii") as table:
        for line in table:
            if match := re.match("([0-9a-f]{4})" * 8, line):
                yield ":".join(match.groups())


def _source_address(family: int, target: str) -> str:
    """What a packet to ``target`` would come from; "" where there is no route, or no such family."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def _resolved() -> Iterator[str]:
    try:
        for *_, address in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM):
            yield str(address[0])
    except OSError:
        return  # a machine need not know its own name
