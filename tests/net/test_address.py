from __future__ import annotations

import copy
import os
import pickle
import socket
from pathlib import Path

import pytest

from blockingio.net.address import HttpConnectionInfo, InternetAddress, InternetAddressType
from tests.peers import PATIENCE, has_ipv6

UNIX = InternetAddressType.UNIX
IPV4 = InternetAddressType.IPV4
IPV6 = InternetAddressType.IPV6
ANY = InternetAddressType.ANY


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@pytest.mark.parametrize("text, type_, address, raw", [
    ("127.0.0.1", IPV4, "127.0.0.1", b"\x7f\0\0\1"),
    ("255.255.255.255", IPV4, "255.255.255.255", b"\xff" * 4),
    ("::1", IPV6, "::1", bytes(15) + b"\1"),
    ("0:0:0:0:0:0:0:1", IPV6, "::1", bytes(15) + b"\1"),
    ("2001:DB8::00A0", IPV6, "2001:db8::a0", b"\x20\x01\x0d\xb8" + bytes(11) + b"\xa0"),
    ("::ffff:10.0.0.1", IPV6, "::ffff:10.0.0.1", bytes(10) + b"\xff\xff\x0a\0\0\1"),
    ("fe80::1%eth0", IPV6, "fe80::1%eth0", b"\xfe\x80" + bytes(13) + b"\1"),
    ("FE80:0::1%12", IPV6, "fe80::1%12", b"\xfe\x80" + bytes(13) + b"\1"),
])
def test_the_text_of_an_ip_address(text: str, type_: InternetAddressType, address: str, raw: bytes) -> None:
    parsed = InternetAddress(text)
    assert (parsed.type, parsed.address, parsed.host, parsed.raw_address) == (type_, address, address, raw)
    assert InternetAddress.try_parse(text) == parsed
    assert InternetAddress(text, type_) == InternetAddress(text, ANY) == parsed
    assert InternetAddress(str(parsed)) == parsed
    assert repr(parsed) == f"InternetAddress({address!r})"


@pytest.mark.parametrize("text", [
    "", " ", "localhost", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "0x7f.0.0.1", "127.1", "1.2.3.4 ",
    " 1.2.3.4", "1.2.3.4:80", "[::1]", "::1::", ":", "12345::", "1:2:3:4:5:6:7:8:9", "::1\n", "1.2.3.4\0",
    "::1\0", "1.2.3.4%eth0", "::1%", "fe80::1%a b", "fe80::1%a%b", "fe80::1%a/b", "fe80::1%\n", "fe80::1%\0",
    "%eth0", "\u0661.2.3.4", "fe80::1%\xe9", "/run/socket", "\ud800",
])
def test_what_is_no_ip_address(text: str) -> None:
    with pytest.raises(ValueError, match="not an internet address") as raised:
        InternetAddress(text)
    assert repr(text) in str(raised.value)
    assert InternetAddress.try_parse(text) is None


@pytest.mark.parametrize("text, type_", [("::1", IPV4), ("127.0.0.1", IPV6), ("::ffff:127.0.0.1", IPV4)])
def test_an_address_of_another_type_than_asked_for(text: str, type_: InternetAddressType) -> None:
    with pytest.raises(ValueError, match=f"not an address of type {type_.value}: '{text}', which is"):
        InternetAddress(text, type_)


@pytest.mark.parametrize("value", [None, b"127.0.0.1", 1])
def test_an_address_is_a_str(value: object) -> None:
    with pytest.raises(TypeError):
        InternetAddress(value)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        InternetAddress(value, UNIX)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        InternetAddress.lookup(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [
    "/run/a.sock", "a.sock", "127.0.0.1", "\0abstract", "/tmp/\xfc", "/tmp/\udcff"])
def test_a_unix_domain_address_is_a_path(path: str) -> None:
    address = InternetAddress(path, UNIX)
    assert (address.address, address.host, address.type) == (path, path, UNIX)
    assert address.raw_address == os.fsencode(path)
    assert not (address.is_loopback or address.is_link_local or address.is_multicast)
    assert address.reverse() is address
    assert InternetAddress.lookup(path, UNIX) == [address]
    assert eval(repr(address)) == address


@pytest.mark.parametrize("path", ["", "\0", "/tmp/a\0b", "\0a\0b"])
def test_what_is_no_unix_domain_address(path: str) -> None:
    with pytest.raises(ValueError, match="not the path of a Unix-domain socket"):
        InternetAddress(path, UNIX)


def test_the_constants() -> None:
    constants = (InternetAddress.LOOPBACK_IP_V4, InternetAddress.LOOPBACK_IP_V6,
                 InternetAddress.ANY_IP_V4, InternetAddress.ANY_IP_V6)
    assert [address.address for address in constants] == ["127.0.0.1", "::1", "0.0.0.0", "::"]
    assert [address.type for address in constants] == [IPV4, IPV6, IPV4, IPV6]


@pytest.mark.parametrize("text, loopback, link_local, multicast", [
    ("127.0.0.1", True, False, False),
    ("127.255.255.254", True, False, False),
    ("126.255.255.255", False, False, False),
    ("128.0.0.1", False, False, False),
    ("0.0.0.0", False, False, False),
    ("169.254.0.1", False, True, False),
    ("169.253.0.1", False, False, False),
    ("223.255.255.255", False, False, False),
    ("224.0.0.1", False, False, True),
    ("239.255.255.255", False, False, True),
    ("240.0.0.1", False, False, False),
    ("::1", True, False, False),
    ("::1%lo", True, False, False),
    ("::2", False, False, False),
    ("::", False, False, False),
    ("fe80::1", False, True, False),
    ("febf::1%eth0", False, True, False),
    ("fec0::1", False, False, False),
    ("fe7f::1", False, False, False),
    ("ff02::1", False, False, True),
    ("::ffff:127.0.0.1", True, False, False),
    ("::ffff:169.254.1.1", False, True, False),
    ("::ffff:224.0.0.1", False, False, True),
    ("::ffff:10.0.0.1", False, False, False),
    ("::127.0.0.1", False, False, False),
])
def test_what_an_address_is_for(text: str, loopback: bool, link_local: bool, multicast: bool) -> None:
    address = InternetAddress(text)
    found = (address.is_loopback, address.is_link_local, address.is_multicast)
    assert found == (loopback, link_local, multicast)


def test_equal_addresses_are_one_key() -> None:
    assert InternetAddress("::1") == InternetAddress("0::1") == InternetAddress.LOOPBACK_IP_V6
    assert len({InternetAddress("::1"), InternetAddress("0::1"), InternetAddress("127.0.0.1")}) == 2
    assert InternetAddress("fe80::1%a") != InternetAddress("fe80::1%b")
    assert InternetAddress("127.0.0.1") != InternetAddress("127.0.0.1", UNIX)
    assert InternetAddress("::ffff:127.0.0.1") != InternetAddress("127.0.0.1")
    assert InternetAddress("127.0.0.1") != "127.0.0.1"


@pytest.mark.parametrize("name", ["address", "host", "raw_address", "type", "is_loopback", "other"])
def test_an_address_does_not_change(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(InternetAddress("127.0.0.1"), name, "127.0.0.2")


def test_an_address_can_be_copied_and_sent_to_another_process() -> None:
    address = InternetAddress("fe80::1%eth0")
    assert copy.copy(address) == copy.deepcopy(address) == pickle.loads(pickle.dumps(address)) == address


def test_lookup_keeps_the_name_and_gives_each_address_once() -> None:
    found = InternetAddress.lookup("localhost")
    assert found
    assert len(set(found)) == len(found)
    assert all(address.host == "localhost" and address.is_loopback for address in found)


def test_lookup_by_type() -> None:
    assert InternetAddress.lookup("127.0.0.1", IPV4) == [InternetAddress.LOOPBACK_IP_V4]
    assert all(address.type is IPV4 for address in InternetAddress.lookup("localhost", IPV4))


@needs_ipv6
def test_lookup_keeps_the_zone() -> None:
    _, interface = socket.if_nameindex()[0]
    text = f"fe80::1%{interface}"
    assert InternetAddress.lookup(text) == [InternetAddress(text)]


def test_lookup_of_an_international_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def getaddrinfo(host: object, *_: object) -> list[object]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))] * 2

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    address, = InternetAddress.lookup("b\xfccher.example")
    assert asked == [b"xn--bcher-kva.example"]
    assert (address.address, address.host) == ("192.0.2.1", "b\xfccher.example")


@pytest.mark.parametrize("host, type_", [
    ("", ANY), ("a\0b", ANY), ("127.0.0.1\0.example", ANY), ("\xe9" * 70, ANY), ("\xe9..example", ANY),
    ("\ud800", ANY), ("x" * 300, ANY), ("::1", IPV4), ("127.0.0.1", IPV6),
])
def test_lookup_of_what_has_no_address_names_the_host(host: str, type_: InternetAddressType) -> None:
    with pytest.raises(socket.gaierror) as raised:
        InternetAddress.lookup(host, type_)
    assert f"no address for host {host!r}: " in str(raised.value)
    assert isinstance(raised.value.errno, int)


def test_reverse_finds_the_name_and_keeps_the_address() -> None:
    found = InternetAddress.LOOPBACK_IP_V4.reverse()
    assert found == InternetAddress.LOOPBACK_IP_V4
    assert found.address == "127.0.0.1"
    assert found.host != "127.0.0.1"


def test_reverse_of_an_address_without_a_name_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    def getnameinfo(address: object, flags: int) -> None:
        assert flags & socket.NI_NAMEREQD
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getnameinfo", getnameinfo)
    with pytest.raises(socket.gaierror, match="no host name for 192.0.2.1: Name or service") as raised:
        InternetAddress("192.0.2.1").reverse()
    assert raised.value.errno == socket.EAI_NONAME


@needs_ipv6
def test_reverse_asks_in_the_zone_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    index, interface = socket.if_nameindex()[0]
    monkeypatch.setattr(socket, "getnameinfo", lambda address, flags: (f"zone {address[3]}", "0"))
    assert InternetAddress(f"fe80::1%{interface}").reverse().host == f"zone {index}"


@pytest.mark.parametrize("family, host", [
    pytest.param(socket.AF_INET, "127.0.0.1", id="IPv4"),
    pytest.param(socket.AF_INET6, "::1", id="IPv6", marks=needs_ipv6),
])
def test_the_two_ends_of_a_connection(family: int, host: str) -> None:
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection((host, port), PATIENCE) as client:
            accepted, peer = listener.accept()
            with accepted:
                local = accepted.getsockname()
            info = HttpConnectionInfo.from_socket_addresses(family, peer, local)
            assert info.remote_address == InternetAddress(host)
            assert (info.remote_port, info.local_port) == (client.getsockname()[1], port)
            assert repr(info) == (f"<HttpConnectionInfo remote_address=InternetAddress({host!r})"
                                  f" remote_port={info.remote_port} local_port={port}>")


@pytest.mark.needs("socket.AF_UNIX")
def test_the_two_ends_of_a_unix_domain_connection(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        client.connect(path)
        accepted, peer = listener.accept()
        with accepted:
            served = HttpConnectionInfo.from_socket_addresses(accepted.family, peer, accepted.getsockname())
        asked = HttpConnectionInfo.from_socket_addresses(client.family, path, client.getsockname())
    assert served.remote_address.type is UNIX
    assert served.remote_address.address == ""  # the client's socket has no path of its own
    assert asked.remote_address == InternetAddress(path, UNIX)
    assert (served.remote_port, served.local_port, asked.remote_port, asked.local_port) == (0, 0, 0, 0)


@pytest.mark.needs("socket.AF_UNIX")
def test_a_peer_with_an_abstract_name() -> None:
    address = InternetAddress.from_socket_address(socket.AF_UNIX, b"\0name")
    assert address == InternetAddress("\0name", UNIX)
    assert address.raw_address == b"\0name"


@needs_ipv6
def test_a_link_local_peer_has_its_zone() -> None:
    index, interface = socket.if_nameindex()[0]
    unknown = max(index for index, _ in socket.if_nameindex()) + 1000
    from_socket = InternetAddress.from_socket_address
    assert from_socket(socket.AF_INET6, ("fe80::1", 80, 0, index)) == InternetAddress(f"fe80::1%{interface}")
    assert from_socket(socket.AF_INET6, ("fe80::1", 80, 0, unknown)) == InternetAddress(f"fe80::1%{unknown}")


def test_the_types_are_shown_as_they_are_written() -> None:
    assert [repr(type_) for type_ in InternetAddressType] == [
        "InternetAddressType.ANY", "InternetAddressType.IPV4",
        "InternetAddressType.IPV6", "InternetAddressType.UNIX"]
