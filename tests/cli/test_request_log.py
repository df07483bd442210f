"""cli/request_log.py and cli/addresses.py: what the command prints."""
from __future__ import annotations

import io
import re
import socket
from typing import Any

import pytest

from blockingio import AccessRecord, HttpHeaders, InternetAddress
from blockingio.cli.addresses import own_addresses, server_urls
from blockingio.cli.request_log import RequestLog, wants_colour


def record(status: int = 200, **fields: str) -> AccessRecord:
    headers = HttpHeaders()
    for name, value in fields.items():
        headers.set(name, value)
    return AccessRecord("192.0.2.1", None, 784111777.0, "GET", "/ 1 2 3", "1.1", status, 5, 0.25, headers)


@pytest.mark.parametrize(("status", "shown"), [
    (200, "\x1b[32m200\x1b[0m"), (304, "\x1b[36m304\x1b[0m"), (404, "\x1b[33m404\x1b[0m"),
    (500, "\x1b[1;31m500\x1b[0m"), (101, "101"), (999, "999"),
])
def test_colours(status: int, shown: str) -> None:
    stream = io.StringIO()
    RequestLog(stream, colour=True)(record(status))
    assert stream.getvalue().endswith(f'"GET / 1 2 3 HTTP/1.1" {shown} 5 0.250000\n')


@pytest.mark.parametrize(("is_terminal", "environment", "coloured"), [
    (True, {}, True), (True, {"NO_COLOR": ""}, True), (True, {"NO_COLOR": "1"}, False),
    (True, {"TERM": "dumb"}, False), (False, {}, False),
])
def test_who_wants_colours(is_terminal: bool, environment: dict[str, str], coloured: bool) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    assert wants_colour(Stream(), environment) == coloured


def test_the_log_names_the_user() -> None:
    stream = io.StringIO()
    log = RequestLog(stream, colour=False, user="me")
    log(record(200, authorization="Basic x"))
    log(record(401, authorization="Basic x"))
    log(record(421, authorization="Basic x"))
    log(record(200))
    assert [line.split(" ")[2] for line in stream.getvalue().splitlines()] == ["me", "-", "-", "-"]


def test_a_log_that_nobody_reads_falls_silent() -> None:
    class Broken(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            raise BrokenPipeError

    stream = Broken()
    log = RequestLog(stream, colour=False)
    log(record())
    log(record())
    assert stream.writes == 1


# ------------------------------------------------------------ addresses


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


def test_own_addresses_where_the_system_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise OSError("no")

    monkeypatch.setattr("blockingio.cli.addresses.fcntl", None)
    monkeypatch.setattr("blockingio.cli.addresses._IPV6_TABLE", "/nowhere")
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(socket.socket, "connect", fail)
    assert own_addresses() == [InternetAddress.LOOPBACK_IP_V4]
