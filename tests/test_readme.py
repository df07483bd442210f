"""The programs in README.rst do what stands beside them."""
from __future__ import annotations

import ast
import re
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import blockingio
from blockingio import HttpServer
from tests.peers import PATIENCE, RawClient, eventually

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.rst").read_text(encoding="utf-8")


def block(title: str) -> str:
    """The program behind a paragraph that begins so."""
    text = README[README.index(title):]
    match = re.search(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    assert match
    return textwrap.dedent(match[1]).strip()


@contextmanager
def running(title: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[HttpServer, dict[str, Any]]]:
    """A program that serves, on a free port, with its names."""
    made: list[HttpServer] = []
    bind = HttpServer.bind

    def bind_anywhere(address: str, port: int) -> HttpServer:
        made.append(bind(address, 0))
        return made[-1]

    monkeypatch.setattr(HttpServer, "bind", bind_anywhere)
    names: dict[str, Any] = {}
    thread = threading.Thread(target=exec, args=(compile(block(title), "README.rst", "exec"), names))
    thread.start()
    try:
        eventually(lambda: made)
        yield made[0], names
    finally:
        made[0].close(force=True)
        thread.join(PATIENCE)
        eventually(lambda: not made[0].connections_info().total)  # what they print at their end is printed
    assert not thread.is_alive()


@pytest.mark.parametrize("title", ["Several requests at a time", "A response that closes itself",
                                   "A line for each answer", "How long each side waits for the other"])
def test_ten_lines_each(title: str) -> None:
    lines = [line for line in block(title).splitlines() if line]
    assert len(lines) <= 10 and max(map(len, lines)) <= 116


def test_several_requests_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with running("**Several requests at a time", monkeypatch) as (server, _), RawClient(server.port) as client:
        assert client.get("/a/b?c").body == b"You asked for /a/b\n"


def test_a_response_that_closes_itself(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with running("**A response that closes itself", monkeypatch) as (server, _), RawClient(server.port) as client:
        assert client.get("/?number=12").body == b"144\n"
        assert client.get("/?number=x").status == 500
        eventually(lambda: "invalid literal" in caplog.text)  # it goes on up when the client has its answer
        assert client.get("/?number=3").body == b"9\n"


def test_a_line_for_each_answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with running("**A line for each answer", monkeypatch) as (server, names), RawClient(server.port) as client:
        eventually(lambda: server.access_log is not None)
        assert client.get("/a").status == 200
        printed: list[str] = []

        def is_whole() -> bool:
            printed.append(capsys.readouterr().out)
            return "".join(printed).endswith("\n")

        eventually(is_whole)
    assert re.fullmatch(r"127\.0\.0\.1 GET /a 200 \d+\.\d ms\n", "".join(printed))


def test_what_goes_over_the_wire(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with running("What goes over the wire", monkeypatch) as (server, _), RawClient(server.port) as client:
        eventually(lambda: server.wire_log)
        assert client.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:4040\r\n\r\n").read_response().status == 200
    shown = re.sub(r"0\.\d{4}|:\d{5}", "", capsys.readouterr().err).splitlines()[:4]
    said = README[README.index("    #1 --") :].splitlines()[:4]
    assert shown == [re.sub(r"0\.\d{4}|:\d{5}", "", line.removeprefix("    ")) for line in said]


def test_how_long_is_waited_for_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    with running("**How long each side waits for the other", monkeypatch) as (server, names):
        eventually(lambda: "client" in names and names["client"].response_timeout)
        names["client"].close()
        assert (server.header_timeout, server.body_timeout, server.idle_timeout) == (10, 30, 60)
        assert (names["client"].connection_timeout, names["client"].response_timeout) == (5, 30)


def test_applications(monkeypatch: pytest.MonkeyPatch) -> None:
    with running("Applications\n-----", monkeypatch) as (server, _), RawClient(server.port) as client:
        assert client.get("/").body == b"Hello, world!"


def test_each_program_finds_what_it_imports() -> None:
    """So that it runs as it stands, copied into a file."""
    programs = re.findall(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", README, re.MULTILINE)
    assert len(programs) > 8
    for program in programs:
        for statement in ast.parse(textwrap.dedent(program)).body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                exec(ast.unparse(statement), {})


def test_the_changelog_knows_this_version() -> None:
    versions = re.findall(r"^(\d+\.\d+\.\d+)\n-+$", (ROOT / "CHANGES.rst").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == blockingio.__version__ and len(versions) > 1
