"""cli/log_format.py: what a line of an access log is made of."""
from __future__ import annotations

import json
import re
from typing import Any

import pytest

from blockingio import AccessRecord, HttpHeaders
from blockingio.cli.log_format import LOG_FORMATS

DATE = r"\[06/Nov/1994:\d\d:49:37 [+-]\d{4}\]"


def record(fields: dict[str, str] | None = None, **changes: Any) -> AccessRecord:
    headers = HttpHeaders()
    for name, value in (fields or {}).items():
        headers.set(name, value)
    one = AccessRecord("192.0.2.1", None, 784111777.25, "GET", "/a?b", "1.1", 200, 1234567, 0.0125, headers)
    for name, value in changes.items():
        setattr(one, name, value)
    return one


def line(name: str, one: AccessRecord, status: str = "") -> str:
    return LOG_FORMATS[name](one, status or str(one.status))


def test_common() -> None:
    one = record(user="me")
    assert re.fullmatch(rf'192\.0\.2\.1 - me {DATE} "GET /a\?b HTTP/1\.1" 200 1234567 0\.012500', line("common", one))
    assert line("common", one) == one.common_log_line()


def test_combined() -> None:
    """As log readers expect it: nothing behind the last quote."""
    browser = {"Referer": "http://a.example/", "User-Agent": 'Mozilla/5.0 "x"'}
    assert re.fullmatch(rf'192\.0\.2\.1 - - {DATE} "GET /a\?b HTTP/1\.1" 200 1234567 "http://a\.example/" '
                        r'"Mozilla/5\.0 \\"x\\""', line("combined", record(browser)))
    assert line("combined", record()).endswith(' 200 1234567 "-" "-"')


def test_json() -> None:
    assert json.loads(line("json", record({"Referer": "http://a/", "User-Agent": "me"}, user="you"))) == {
        "time": "1994-11-06T08:49:37.250Z", "remote": "192.0.2.1", "user": "you", "method": "GET", "target": "/a?b",
        "version": "1.1", "status": 200, "size": 1234567, "seconds": 0.0125, "complete": True, "referer": "http://a/",
        "user_agent": "me"}
    unread = json.loads(line("json", record(remote="-", method="-", target="-", version="-", status=400,
                                            is_complete=False)))
    assert [unread[name] for name in ("remote", "user", "method", "target", "version", "referer", "user_agent")] == (
        [None] * 7)
    assert (unread["status"], unread["complete"]) == (400, False)


@pytest.mark.parametrize(("seconds", "shown"), [(0.0004, "0.4 ms"), (0.25, "250.0 ms"), (62.04, "62.0 s")])
def test_short(seconds: float, shown: str) -> None:
    text = line("short", record(seconds=seconds))
    assert re.fullmatch(rf"\d\d:49:37 200 GET /a\?b 1,234,567 B {shown}", text)
    assert re.fullmatch(r"\d\d:49:37 200 - 0 B .*", line("short", record(method="-", body_size=0)))


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_nothing_that_a_client_sends_passes_for_something_else(name: str) -> None:
    hostile = 'x"\\\x1b[2J\x7f\x80\xff'
    text = line(name, record({"Referer": hostile.replace("\x7f", "").replace("\x1b", "")}, target=f"/{hostile}\n",
                             user=hostile))
    assert text.isascii() and text.isprintable()
    if name == "json":
        assert json.loads(text)["target"] == f"/{hostile}\n"
    elif name != "short":
        # No quote but those around a field stands without a backslash that is its own.
        assert len(re.findall(r'(?<!\\)(?:\\\\)*"', text)) == (2 if name == "common" else 6)


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_what_was_cut_and_colours(name: str) -> None:
    whole, cut = line(name, record()), line(name, record(is_complete=False))
    coloured = line(name, record(), "\x1b[32m200\x1b[0m")
    if name == "json":
        assert (json.loads(cut)["complete"], coloured) == (False, whole)
    else:
        assert cut == whole + " cut"
        assert coloured == whole.replace(" 200 ", " \x1b[32m200\x1b[0m ")
