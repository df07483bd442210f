"""HttpServer.trusted_proxies: who is believed about where a request comes from, and what it was for."""
from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from blockingio import AccessRecord, HttpRequest, HttpServer, InternetAddress, InternetAddressType
from tests.peers import PATIENCE, RawClient, eventually, serving
from tests.server.visits import get, visit

LOCAL = ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"]


def tell(request: HttpRequest) -> None:
    request.response.write(f"{request.client_address} {request.requested_uri}")
    request.response.close()


def client(*fields: str, trusted: Any = LOCAL) -> str:
    return visit(tell, get("/", *fields), trusted_proxies=trusted).body.decode().partition(" ")[0]


def uri(*fields: str, trusted: Any = LOCAL) -> str:
    return visit(tell, get("/", *fields), trusted_proxies=trusted).body.decode().partition(" ")[2]


@pytest.mark.parametrize("value, address", [
    ("192.0.2.1", "192.0.2.1"),
    ("192.0.2.1:4711", "192.0.2.1"),
    ("2001:DB9:0:0::1", "2001:db9::1"),
    ("[2001:db9::1]", "2001:db9::1"),
    ("[2001:db9::1]:80", "2001:db9::1"),
    ("198.51.100.7, 192.0.2.1", "192.0.2.1"),
    ("6.6.6.6,192.0.2.1 , 10.1.2.3,\t10.9.9.9", "192.0.2.1"),
    ("192.0.2.1, 2001:db8::5", "192.0.2.1"),
    ("192.0.2.1, ::ffff:10.0.0.1", "192.0.2.1"),
    ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
    (", 192.0.2.1, ,", "192.0.2.1"),
    ("192.0.2.1, unknown", "127.0.0.1"),
    ("192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"),
    ("", "127.0.0.1"),
    (",,,", "127.0.0.1"),
    *((junk, "127.0.0.1") for junk in (
        "a.example", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4:", "1.2.3.4:123456", "1.2.3.4:x", "[::1",
        "::1]", "[1.2.3.4]", "[]", ":", "::1%", '::1%"x"', "1.2.3.4 5.6.7.8", "\xe4", "'", '"', "\\", "-1", "unix:",
        "1.2.3.4%eth0", ":::", "1" * 4000, "[" * 4000, '"' * 4000)),
])
def test_x_forwarded_for(value: str, address: str) -> None:
    assert client(f"X-Forwarded-For: {value}") == address


@pytest.mark.parametrize("value, address", [
    ("for=192.0.2.1", "192.0.2.1"),
    ("For=192.0.2.1;proto=http;by=203.0.113.43", "192.0.2.1"),
    ("proto=http; FOR=192.0.2.1 ; by=x;", "192.0.2.1"),
    ('for="192.0.2.1:4711"', "192.0.2.1"),
    ('for="[2001:db9:cafe::17]:4711"', "2001:db9:cafe::17"),
    ('for="[2001:db9:cafe::17]:_port"', "2001:db9:cafe::17"),
    ('for="\\[2001:db9::17\\]"', "2001:db9::17"),
    ("for=[2001:db9::17]", "2001:db9::17"),
    ("for=192.0.2.1:80", "192.0.2.1"),
    ('for=6.6.6.6, for=192.0.2.1, for="[2001:db8::1]", for=10.0.0.1', "192.0.2.1"),
    ('for=192.0.2.1;x="a,b;for=6.6.6.6"', "192.0.2.1"),
    ("for=10.0.0.9, for=10.0.0.1", "10.0.0.9"),
    ("for=_hidden, for=10.0.0.1", "10.0.0.1"),
    *((junk, "127.0.0.1") for junk in (
        "for=unknown", "for=_hidden", "by=192.0.2.1", "for", "for=", "=", ";", "for=192.0.2.1;for=192.0.2.2",
        'for="192.0.2.1', 'for="192.0.2.1"x', 'for="', '"for=192.0.2.1"', "for = 192.0.2.1", "192.0.2.1",
        'for=6.6.6.6;x=", for="[2001:db9::1]"', 'x="\\', '"' * 3999, "for=;" * 900, 'for="\\' * 900)),
])
def test_forwarded(value: str, address: str) -> None:
    assert client(f"Forwarded: {value}") == address


def test_x_forwarded_for_goes_before_forwarded() -> None:
    assert client("Forwarded: for=192.0.2.2", "X-Forwarded-For: 192.0.2.1") == "192.0.2.1"
    assert client("Forwarded: for=192.0.2.2", "X-Forwarded-For:") == "192.0.2.2"


@pytest.mark.parametrize("name, value", [("X-Forwarded-For", "{}"), ("Forwarded", "for={}")])
def test_several_lines_are_one_list(name: str, value: str) -> None:
    lines = [f"{name}: {value.format(address)}" for address in ("6.6.6.6", "192.0.2.1", "10.0.0.1")]
    assert client(*lines) == "192.0.2.1"


def test_a_line_that_leaves_a_mark_open_does_not_reach_into_the_next() -> None:
    assert client('Forwarded: for="6.6.6.6', "Forwarded: for=192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize("trusted", [None, [], ["10.0.0.0/8"], ["unix", "::1"]], ids=str)
def test_a_peer_that_is_not_named_is_not_believed(trusted: Any) -> None:
    assert client("X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", trusted=trusted) == "127.0.0.1"


@pytest.mark.parametrize("trusted", [["127.0.0.1"], ["127.0.0.0/8"], ["0.0.0.0/0"], ["::ffff:127.0.0.1"],
                                     ["::ffff:127.0.0.0/104"], ("192.0.2.9", "127.0.0.1/32")], ids=str)
def test_ways_to_name_a_peer(trusted: Any) -> None:
    assert client("X-Forwarded-For: 2001:db9::1", trusted=trusted) == "2001:db9::1"


def test_an_ipv4_peer_of_a_server_on_both() -> None:
    with serving(tell, host="::", trusted_proxies=["127.0.0.1"]) as server, RawClient(server.port) as peer:
        assert peer.get("/", "X-Forwarded-For: 192.0.2.1").body.startswith(b"192.0.2.1 ")


@pytest.mark.needs("socket.AF_UNIX")
def test_a_proxy_on_a_unix_domain_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    records: list[AccessRecord] = []
    with HttpServer.bind(InternetAddress(path, InternetAddressType.UNIX), 0) as server:
        server.access_log = records.append
        thread = threading.Thread(target=lambda: server.for_each(tell))
        thread.start()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            peer = RawClient.on(sock)
            assert peer.get("/", "X-Forwarded-For: 192.0.2.1").body.startswith(b" ")
            eventually(lambda: records)
            server.trusted_proxies = ["unix"]
            assert peer.get("/", "X-Forwarded-For: 192.0.2.1").body.startswith(b"192.0.2.1 ")
            assert peer.get("/").body.startswith(b" ")
        eventually(lambda: len(records) == 3)
        server.close()
        thread.join(PATIENCE)
    assert [record.remote for record in records] == ["-", "192.0.2.1", "-"]


def test_the_access_log_tells_the_client() -> None:
    records: list[AccessRecord] = []
    visit(tell, get("/", "X-Forwarded-For: 192.0.2.1"), trusted_proxies=LOCAL, access_log=records.append)
    eventually(lambda: records)
    assert records[0].remote == "192.0.2.1" and str(records[0]).startswith("192.0.2.1 - - [")


@pytest.mark.parametrize("fields, expected", [
    (["X-Forwarded-Proto: https", "X-Forwarded-Host: a.example"], "https://a.example/"),
    (["X-Forwarded-Proto: https, http"], "https://localhost/"),
    # The first member is the client's: one proxy has added the second.
    (["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https, http", "X-Forwarded-Host: evil.example, a.example"],
     "http://a.example/"),
    (["X-Forwarded-For: 192.0.2.1, 10.0.0.1", "X-Forwarded-Host: evil.example, a.example, inner.example"],
     "http://a.example/"),
    (["X-Forwarded-For: 192.0.2.1, 10.0.0.1", "X-Forwarded-Host: a.example"], "http://a.example/"),
    (["X-Forwarded-Proto: gopher", "X-Forwarded-Host: a b"], "http://localhost/"),
])
def test_requested_uri_behind_a_proxy(fields: list[str], expected: str) -> None:
    assert uri(*fields) == expected


@pytest.mark.parametrize("trusted, expected", [
    (None, "https://a.example/"), ([], "http://localhost/"), (["10.0.0.0/8"], "http://localhost/")], ids=str)
def test_whom_requested_uri_believes(trusted: Any, expected: str) -> None:
    assert uri("X-Forwarded-Proto: https", "X-Forwarded-Host: a.example", trusted=trusted) == expected


@pytest.mark.parametrize("value", ["127.0.0.1", ["localhost"], ["10.0.0.1/8"], ["10.0.0.0/33"], ["10.0.0.0/"],
                                   ["10.0.0.0/08"], ["::/129"], ["fe80::1%eth0"], ["::ffff:0:0/95"], ["unix:"], [""],
                                   [None], [1], 1, ["10.0.0.0/8/8"], ["10.0.0.0/\u0661"]], ids=repr)
def test_what_can_be_no_list_of_proxies(value: Any) -> None:
    """It is refused by name, and changes nothing."""
    with HttpServer.bind("127.0.0.1", 0) as server:
        server.trusted_proxies = LOCAL
        with pytest.raises(ValueError, match="^trusted_proxies cannot be "):
            server.trusted_proxies = value
        assert server.trusted_proxies == LOCAL
        server.trusted_proxies = None
        assert server.trusted_proxies is None


def test_what_one_client_is_known_as_is_no_others() -> None:
    """The server remembers what fields say, and each field may be what tells two clients apart."""
    with serving(tell, trusted_proxies=LOCAL) as server, RawClient(server.port) as peer:
        for _ in range(2):
            for fields, address in (
                    (["X-Forwarded-For: ,", "Forwarded: for=192.0.2.1"], "192.0.2.1"),
                    (["X-Forwarded-For: ,", "Forwarded: for=192.0.2.2"], "192.0.2.2"),
                    (["X-Forwarded-For: ,"], "127.0.0.1"), ([], "127.0.0.1"),
                    (["Forwarded: for=192.0.2.2", "Forwarded: for=10.0.0.1"], "192.0.2.2"),
                    (["Forwarded: for=192.0.2.2, for=10.0.0.1"], "192.0.2.2"),
                    (['Forwarded: for=192.0.2.2, for="10.0.0.1'], "127.0.0.1"),
                    (['Forwarded: for=192.0.2.2', 'Forwarded: for="10.0.0.1'], "127.0.0.1")):
                assert peer.get("/", *fields).body.decode().partition(" ")[0] == address, fields
        for number in range(1200):
            assert peer.get("/", f"X-Forwarded-For: 192.0.2.{number % 250}, 10.0.{number // 250}.1").body.startswith(
                b"192.0.2.%d " % (number % 250))
        server.trusted_proxies = []
        assert peer.get("/", "X-Forwarded-For: 192.0.2.1").body.startswith(b"127.0.0.1 ")
