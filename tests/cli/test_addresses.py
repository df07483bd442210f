"""cli/addresses.py: the URLs that the command prints."""
from __future__ import annotations

import re
import socket
from typing import Any

import pytest

from blockingio import HttpConnectionInfo, InternetAddress
from blockingio.cli.addresses import own_addresses, server_urls, url_towards
from blockingio.net.address import InternetAddressType


def test_urls() -> None:
    loopback = InternetAddress.LOOPBACK_IP_V4
    assert server_urls("http", "127.0.0.1", loopback, 8000) == ["http://127.0.0.1:8000/"]
    assert server_urls("http", "127.0.0.1", loopback, 80) == ["http://127.0.0.1/"]
    assert server_urls("https", "127.0.0.1", loopback, 443) == ["https://127.0.0.1/"]
    assert server_urls("https", "localhost", loopback, 80) == \
        ["https://localhost:80/", "https://127.0.0.1:80/"]
    assert server_urls("http", "::1", InternetAddress.LOOPBACK_IP_V6, 8000) == ["http://[::1]:8000/"]


@pytest.mark.parametrize(("text", "address"), [
    ("0.0.0.0", InternetAddress.ANY_IP_V4), ("::", InternetAddress.ANY_IP_V6)])
def test_all_addresses(text: str, address: InternetAddress) -> None:
    urls = server_urls("http", text, address, 8000)
    assert urls[0] == "http://127.0.0.1:8000/"
    assert len(set(urls)) == len(urls)
    assert all(re.fullmatch(r"http://([0-9.]+|\[[0-9a-f:]+\]):8000/", url) for url in urls)
    assert not any("fe80" in url or "0.0.0.0" in url or "[::]" in url for url in urls)
    assert text == "::" or not any("[" in url for url in urls)


def test_the_nearest_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """This computer's, then those of others; of each the ones that are easy to type."""
    found = ["fd00::2", "192.0.2.2", "fe80::1", "::1", "127.0.0.1"]
    monkeypatch.setattr("blockingio.cli.addresses.own_addresses", lambda: [InternetAddress(text) for text in found])
    assert server_urls("http", "::", InternetAddress.ANY_IP_V6, 80) == [
        "http://127.0.0.1/", "http://[::1]/", "http://192.0.2.2/", "http://[fd00::2]/"]
    assert server_urls("http", "0.0.0.0", InternetAddress.ANY_IP_V4, 80) == ["http://127.0.0.1/", "http://192.0.2.2/"]


def test_own_addresses_where_the_system_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise OSError("no")

    monkeypatch.setattr("blockingio.cli.addresses.fcntl", None)
    monkeypatch.setattr("blockingio.cli.addresses._IPV6_TABLE", "/nowhere")
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(socket.socket, "connect", fail)
    assert own_addresses() == [InternetAddress.LOOPBACK_IP_V4]


@pytest.mark.parametrize(("client", "url"), [
    (InternetAddress.LOOPBACK_IP_V4, "https://127.0.0.1:8000/"),
    (InternetAddress("127.0.0.7"), "https://127.0.0.1:8000/"),
    (InternetAddress("/tmp/socket", InternetAddressType.UNIX), ""), (None, "")])
def test_where_a_client_finds_this_machine(client: InternetAddress | None, url: str) -> None:
    assert url_towards(HttpConnectionInfo(client, 5000, 8000) if client else None, "https") == url


def test_a_client_to_which_no_way_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Any:
        raise OSError("no")

    monkeypatch.setattr(socket.socket, "connect", fail)
    assert url_towards(HttpConnectionInfo(InternetAddress("192.0.2.1"), 5000, 8000), "http") == ""
