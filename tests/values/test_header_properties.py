"""The typed properties of HttpHeaders, which read and write the fields' texts."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from blockingio.errors import HttpException
from blockingio.values.header_value import ContentType, HeaderValue
from blockingio.values.headers import HttpHeaders

DATE = datetime(1994, 11, 6, 8, 49, 37, tzinfo=timezone.utc)
TEXT = "Sun, 06 Nov 1994 08:49:37 GMT"


def headers_for(version: str, *fields: tuple[str, str]) -> HttpHeaders:
    return HttpHeaders.from_fields(list(fields), version).copy()


# ---------------------------------------------------------------- dates

@pytest.mark.parametrize("attribute", ["date", "expires", "if_modified_since"])
def test_dates(attribute: str) -> None:
    name = attribute.replace("_", "-")
    headers = HttpHeaders()
    assert getattr(headers, attribute) is None
    setattr(headers, attribute, DATE.astimezone(timezone(timedelta(hours=3))))
    assert headers[name] == TEXT and getattr(headers, attribute) == DATE
    for text, date in (("Sunday, 06-Nov-94 08:49:37 GMT", DATE), ("0", None), ("", None)):
        headers.set(name, text)
        assert getattr(headers, attribute) == date
        assert headers[name] == text
    headers.set(name, DATE)
    assert headers[name] == TEXT
    setattr(headers, attribute, None)
    assert name not in headers
    with pytest.raises(ValueError, match="naive"):
        setattr(headers, attribute, datetime(1994, 11, 6))
    with pytest.raises(TypeError, match="expected a datetime, not str"):
        setattr(headers, attribute, TEXT)
    assert name not in headers


# ---------------------------------------------------------------- host and port

@pytest.mark.parametrize("text, host, port", [
    ("www.example.com", "www.example.com", 80),
    ("www.example.com:4567", "www.example.com", 4567),
    ("www.example.com:80", "www.example.com", 80),
    ("www.example.com:0", "www.example.com", 0),
    ("www.example.com:", "www.example.com", 80),
    ("www.example.com:xxx", "www.example.com", None),
    ("www.example.com:123456", "www.example.com", None),
    ("www.example.com:\u0661", "www.example.com", None),
    ("127.0.0.1:8080", "127.0.0.1", 8080),
    ("[::1]", "[::1]", 80),
    ("[::1]:8080", "[::1]", 8080),
    ("[::1", "[::1", None),
    ("a:b:c", "a", None),
    (":8080", "", 8080),
    ("", "", 80),
])
def test_host_text_is_read(text: str, host: str, port: int | None) -> None:
    headers = HttpHeaders.from_fields([("Host", text)])
    assert (headers.host, headers.port) == (host, port)


def test_host_and_port_keep_the_text_in_step() -> None:
    headers = HttpHeaders()
    assert headers.host is None and headers.port is None
    headers.host = "www.example.com"
    assert headers["host"] == "www.example.com"
    headers.port = 1234
    assert headers["host"] == "www.example.com:1234"
    headers.host = "other.example"
    assert headers["host"] == "other.example:1234"
    headers.port = 80
    assert headers["host"] == "other.example" and headers.port == 80
    headers.port = 0
    assert headers["host"] == "other.example:0"
    headers.port = None
    assert headers["host"] == "other.example"
    headers.host = "::1"
    assert headers["host"] == "[::1]" and headers.host == "[::1]"
    headers.port = 8080
    assert headers["host"] == "[::1]:8080"
    headers.host = None
    assert "host" not in headers and headers.host is None and headers.port is None


def test_a_port_waits_for_its_host() -> None:
    headers = HttpHeaders()
    headers.port = 8080
    assert headers.port == 8080 and "host" not in headers
    assert headers.copy().port == 8080
    headers.host = "h"
    assert headers["host"] == "h:8080"
    headers.clear()
    assert headers.port is None


@pytest.mark.parametrize("host", [
    "a b", "a/b", "a?b", "a#b", "u@h", "a\r\nb", "a\x00", "\u00fc", "a,b", "a\\b", "[::1]:80",
    "[x y]", "a]", "h:x/y"])
def test_bad_hosts(host: str) -> None:
    headers = headers_for("1.1", ("host", "before"))
    with pytest.raises(ValueError, match="expected a host name or address"):
        headers.host = host
    assert headers["host"] == "before"


@pytest.mark.parametrize("attribute, value, error", [
    ("host", 5, TypeError), ("host", b"h", TypeError), ("port", "80", TypeError), ("port", 1.5, TypeError),
    ("port", -1, ValueError), ("port", 65536, ValueError)])
def test_bad_hosts_and_ports(attribute: str, value: Any, error: type[Exception]) -> None:
    headers = headers_for("1.1", ("host", "before"))
    with pytest.raises(error, match="expected a"):
        setattr(headers, attribute, value)
    assert headers["host"] == "before"


# ---------------------------------------------------------------- content type

def test_content_type() -> None:
    headers = HttpHeaders()
    assert headers.content_type is None
    headers.content_type = ContentType.HTML
    assert headers["content-type"] == "text/html; charset=utf-8"
    headers.set("Content-Type", "Application/JSON")
    assert headers.content_type == ContentType("application", "json")
    assert headers["content-type"] == "Application/JSON"
    headers.set("content-type", 'text/html; charset="')
    assert headers.content_type is None
    headers.content_type = None
    assert "content-type" not in headers
    wrong: Any
    for wrong in ("text/html", HeaderValue("text/html")):
        with pytest.raises(TypeError, match="expected a ContentType or None"):
            headers.content_type = wrong
    for smuggled in ("a\r\nx: y", "\u20ac"):
        with pytest.raises(ValueError):
            headers.content_type = ContentType("text", "plain", parameters={"a": smuggled})
    assert "content-type" not in headers


# ---------------------------------------------------------------- content length and transfer encoding

def test_content_length() -> None:
    headers = HttpHeaders()
    assert headers.content_length == -1
    headers.content_length = 5
    assert headers["content-length"] == "5" and headers.content_length == 5
    headers.set("Content-Length", 7)
    assert headers.content_length == 7
    headers.add("content-length", "008")
    assert headers["content-length"] == "8" and headers.get_all("content-length") == ["8"]
    headers.content_length = True
    assert headers["content-length"] == "1"
    headers.content_length = 0
    assert headers["content-length"] == "0" and headers.content_length == 0
    headers.content_length = -1
    assert "content-length" not in headers
    headers.content_length = 10 ** 17
    assert headers.content_length == 10 ** 17
    headers.remove("content-length", 10 ** 17)
    assert headers.content_length == -1


@pytest.mark.parametrize("value", [
    "", "-1", "+1", "1_0", "0x10", "1.0", "five", "1, 1", "\u0661", "1 0", -1, 1.5, "9" * 19, "9" * 5000])
def test_bad_content_lengths(value: object) -> None:
    headers = headers_for("1.1", ("content-length", "3"))
    for change in (headers.set, headers.add):
        with pytest.raises(ValueError, match="Content-Length is 1 to 18 digits|latin-1"):
            change("content-length", value)
    assert headers["content-length"] == "3"


@pytest.mark.parametrize("value, error", [
    (-2, ValueError), (10 ** 18, ValueError), ("5", TypeError), (None, TypeError), (1.0, TypeError)])
def test_bad_content_length_property(value: Any, error: type[Exception]) -> None:
    headers = headers_for("1.1", ("content-length", "3"))
    with pytest.raises(error):
        headers.content_length = value
    assert headers.content_length == 3


@pytest.mark.parametrize("text", ["", "x", "-1", "5, 5", "9" * 19])
def test_a_peers_odd_content_length_reads_as_none(text: str) -> None:
    assert HttpHeaders.from_fields([("content-length", text)]).content_length == -1


def test_content_length_and_chunked_exclude_each_other() -> None:
    headers = HttpHeaders()
    headers.content_length = 5
    headers.chunked_transfer_encoding = True
    assert headers == {"transfer-encoding": "chunked"} and headers.content_length == -1
    headers.content_length = 5
    assert headers == {"content-length": "5"} and not headers.chunked_transfer_encoding
    headers.set("transfer-encoding", "chunked")
    assert headers == {"transfer-encoding": "chunked"} and headers.chunked_transfer_encoding
    headers.set("content-length", "5")
    assert headers == {"content-length": "5"}


@pytest.mark.parametrize("values, chunked", [
    ([], False), (["chunked"], True), (["Chunked"], True), (["gzip"], False), (["gzip, chunked"], True),
    (["gzip", "chunked"], True), (["chunked, gzip"], False), (["chunked", "gzip"], False),
    ([" chunked ,"], True)])
def test_chunked_is_read(values: list[str], chunked: bool) -> None:
    headers = HttpHeaders.from_fields([("transfer-encoding", value) for value in values])
    assert headers.chunked_transfer_encoding is chunked


def test_chunked_goes_last_and_only_once() -> None:
    headers = headers_for("1.1", ("transfer-encoding", "chunked, gzip"))
    headers.chunked_transfer_encoding = True
    assert headers["transfer-encoding"] == "gzip, chunked"
    headers.chunked_transfer_encoding = True
    assert headers["transfer-encoding"] == "gzip, chunked"
    headers.chunked_transfer_encoding = False
    assert headers["transfer-encoding"] == "gzip"
    headers.chunked_transfer_encoding = False
    assert headers["transfer-encoding"] == "gzip"
    headers.set("transfer-encoding", "chunked")
    headers.chunked_transfer_encoding = False
    assert "transfer-encoding" not in headers


def test_there_is_no_transfer_encoding_in_1_0() -> None:
    headers = headers_for("1.0")
    with pytest.raises(HttpException, match="HTTP/1.0 knows no Transfer-Encoding"):
        headers.chunked_transfer_encoding = True
    with pytest.raises(HttpException, match="HTTP/1.0 knows no Transfer-Encoding"):
        headers.set("transfer-encoding", "chunked")
    headers.chunked_transfer_encoding = False
    assert len(headers) == 0


# ---------------------------------------------------------------- connection

@pytest.mark.parametrize("version, values, persistent", [
    ("1.1", [], True), ("1.1", ["close"], False), ("1.1", ["Close"], False), ("1.1", ["keep-alive"], True),
    ("1.1", ["upgrade"], True), ("1.1", ["upgrade, close"], False), ("1.1", ["upgrade", "close"], False),
    ("1.1", ["keep-alive, close"], False), ("1.1", ["closed"], True), ("1.1", [""], True),
    ("1.0", [], False), ("1.0", ["keep-alive"], True), ("1.0", ["Keep-Alive"], True),
    ("1.0", ["close"], False),
    ("1.0", ["keep-alive, close"], False), ("1.0", ["upgrade"], False), ("1.0", ["te ,keep-alive"], True),
])
def test_persistent_connection_is_read(version: str, values: list[str], persistent: bool) -> None:
    headers = HttpHeaders.from_fields([("connection", value) for value in values], version)
    assert headers.persistent_connection is persistent


@pytest.mark.parametrize("version, before, persistent, after", [
    ("1.1", [], True, []), ("1.1", [], False, ["close"]), ("1.1", ["close"], True, []),
    ("1.1", ["keep-alive"], False, ["close"]), ("1.1", ["upgrade"], False, ["upgrade", "close"]),
    ("1.1", ["Upgrade, close"], True, ["Upgrade"]), ("1.1", ["close"], False, ["close"]),
    ("1.1", ["keep-alive, close"], True, ["keep-alive"]),
    ("1.0", [], False, []), ("1.0", [], True, ["keep-alive"]), ("1.0", ["keep-alive"], False, []),
    ("1.0", ["te, Keep-Alive"], False, ["te"]), ("1.0", ["close"], True, ["keep-alive"]),
    ("1.0", ["te"], True, ["te", "keep-alive"]), ("1.0", ["keep-alive"], True, ["keep-alive"]),
    ("1.0", ["keep-alive", "close"], True, ["keep-alive"]),
])
def test_persistent_connection_is_written(version: str, before: list[str], persistent: bool,
                                          after: list[str]) -> None:
    headers = headers_for(version, *[("connection", value) for value in before])
    headers.persistent_connection = persistent
    assert headers.get_all("connection") == after
    assert headers.persistent_connection is persistent
