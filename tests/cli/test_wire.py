"""--wire: what goes over the wire, on stderr."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.peers import RawClient


@pytest.mark.parametrize("more", [(), pytest.param(("--processes", "2"), marks=pytest.mark.needs("os.fork"))],
                         ids=["one process", "two"])
def test_what_goes_over_the_wire(more: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_bytes(b"content\n")
    with Command(tmp_path, "--port", "0", "--quiet", "--wire", *more) as command:
        url = command.start(tmp_path)
        with RawClient(int(url.rstrip("/").rpartition(":")[2])) as client:
            assert client.get("/file.txt", "Cookie: a=5e6cre7").body == b"content\n"
        status, printed, errors = command.interrupt()
    assert (status, printed) == (0, "")
    lines = errors.splitlines()
    assert re.fullmatch(r"#1 -- +\d+\.\d{4} \* open: 127\.0\.0\.1:\d+", lines[0]) and lines[-1].endswith("* close")
    assert any(line.endswith(r"| GET /file.txt HTTP/1.1\r\n") for line in lines)
    assert any(line.endswith(r"| content\n") for line in lines)
    assert "5e6cre7" not in errors and "\x1b" not in errors
