"""The chapter on what goes over the wire: the programs with --wire, and a request that is typed by hand."""
from __future__ import annotations

import re
from pathlib import Path

from tests.peers import RawClient
from tests.tutorials.programs import Program
from tests.tutorials.test_client_tutorials import run
from tests.tutorials.test_readme import README


def passed(errors: str, arrow: str) -> list[str]:
    """What WireView shows in this direction, but for dates, versions and ports."""
    lines = re.findall(rf"^#\d {arrow} +\d+\.\d{{4}} (.*)$", errors, re.MULTILINE)
    return [re.sub(r"(date: ).*|(blockingio/)[0-9.]+|(localhost|127\.0\.0\.1):\d+", r"\1\2\3", line) for line in lines]


def test_both_sides_see_the_same(tmp_path: Path) -> None:
    with Program("number_thinker.py", 4041, tmp_path, "http", "--wire") as thinker:
        number = thinker.line()[-1]
        with RawClient(thinker.port) as client:
            for line in (f"GET /?q={number} HTTP/1.1\r\n", "Host: localhost\r\n", "\r\n"):
                client.send(line.encode())
            answer = client.read_response()
            assert answer.body == b"true\nI'm thinking of another number.\n"
            shown = f"    content-length: {len(answer.body)}\n\n    true\n    I'm thinking of another number.\n"
            assert shown in README
            refusal = client.send(b"GET /?q=7 HTTP/1.1\r\nHost : localhost\r\n\r\n").read_until_eof()
        status, printed, seen = run("number_guesser.py", 4041, thinker.port, "--wire")
        assert status == 0 and "Is it " in printed
        status, _, errors = thinker.interrupt()
    assert status == 0
    head, _, body = refusal.decode().partition("\r\n\r\n")
    for line in [*head.split("\r\n")[-2:], *body.splitlines()]:
        assert f"    {line}".rstrip() + "\n" in README
    by_hand, by_program = errors[: errors.index("#2 ")], errors[errors.index("#2 ") :]
    assert passed(by_hand, "<-")[:3] == [rf"| GET /?q={number} HTTP/1.1\r\n", r"| Host: localhost\r\n",
                                         r"| \r\n                                            * ends the head"]
    asked, answered = passed(by_program, "<-"), passed(by_program, "->")
    assert (asked, answered) == (passed(seen, "->"), passed(seen, "<-")) and len(asked) >= 5 and len(answered) >= 9
    for line in [*asked[2:5], answered[0]]:
        assert f" {line}" in re.sub(r"(blockingio/)[0-9.]+|(localhost):\d+", r"\1\2", README)


def test_what_is_written_goes_with_wire_too(tmp_path: Path) -> None:
    with Program("basic_writer_server.py", 4049, tmp_path, "http", "--wire") as writer:
        status, printed, seen = run("basic_writer_client.py", 4049, writer.port, "--wire")
        assert (status, printed) == (0, "Wrote data for Han Solo.\n")
        status, _, errors = writer.interrupt()
    assert status == 0 and passed(errors, "<-") == passed(seen, "->")
    assert any("reluctant hero" in line for line in passed(seen, "->"))
