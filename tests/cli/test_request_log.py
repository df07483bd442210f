"""cli/request_log.py and cli/log_file.py: lines that a thread of their own writes."""
from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path
from typing import TextIO

import pytest

from blockingio import AccessRecord, HttpHeaders
from blockingio.cli.log_file import LogFile
from blockingio.cli.request_log import RequestLog
from blockingio.values.terminal import wants_colour
from tests.peers import PATIENCE, eventually


@contextmanager
def log_to(stream: TextIO | LogFile, *, colour: bool = False, user: str | None = None) -> Iterator[RequestLog]:
    """A log of which all is written at the end of the block."""
    log = RequestLog(stream, colour=colour, user=user)
    try:
        yield log
    finally:
        log.close(PATIENCE)
    assert not log._thread.is_alive()


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
    with log_to(stream, colour=True) as log:
        log(record(status))
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
    with log_to(stream, user="me") as log:
        log(record(200, authorization="Basic x"))
        log(record(401, authorization="Basic x"))
        log(record(421, authorization="Basic x"))
        log(record(200))
    assert [line.split(" ")[2] for line in stream.getvalue().splitlines()] == ["me", "-", "-", "-"]


def test_who_sends_may_be_another_one() -> None:
    stream = io.StringIO()
    log = RequestLog(stream, user="reader", sender="writer")
    for method in ("GET", "POST"):
        one = record(200, authorization="Basic x")
        one.method = method
        log(one)
    log.close(PATIENCE)
    assert [line.split(" ")[2] for line in stream.getvalue().splitlines()] == ["reader", "writer"]


def test_a_log_that_nobody_reads_falls_silent() -> None:
    class Broken(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            raise BrokenPipeError

    stream = Broken()
    with log_to(stream) as log:
        log(record())
        eventually(lambda: stream.writes)
        eventually(lambda: not log._thread.is_alive())
        log(record())
        assert log._lines.empty()
    assert stream.writes == 1


def test_a_mark_for_what_was_cut() -> None:
    stream = io.StringIO()
    with log_to(stream) as log:
        for is_complete in (True, False):
            one = record()
            one.is_complete = is_complete
            log(one)
    whole, cut = stream.getvalue().splitlines()
    assert cut == whole + " cut"


class Pipe:
    """A log's stream that nobody reads until somebody does."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        self.stream = open(writing, "w", encoding="ascii")
        self.text = ""

    def read(self) -> str:
        """What has come so far."""
        try:
            self.text += os.read(self._reading, 1 << 20).decode()
        except BlockingIOError:
            pass
        return self.text

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stream.close()
        while data := os.read(self._reading, 1 << 20):
            self.text += data.decode()
        os.close(self._reading)


def test_a_reader_that_is_stuck_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines wait, those that find no room are counted, and the log says where they are missing."""
    monkeypatch.setattr("blockingio.cli.request_log.MOST_LINES", 50)
    line = record().common_log_line()
    with Pipe() as pipe, log_to(pipe.stream) as log:
        for _ in range(5000):  # far past what a pipe takes
            log(record())
        assert log._lines.qsize() <= 52  # a note among them
        eventually(lambda: "dropped" in pipe.read())
        eventually(lambda: pipe.read() and log._lines.empty())
        log(record())
    lines = pipe.text.splitlines()
    notes = [text for text in lines if text != line]
    dropped = [re.fullmatch(r"# (\d+) lines? dropped: the log was not read in time", note) for note in notes]
    assert sum(int(match[1]) for match in dropped if match) + len(lines) - len(notes) == 5001
    assert lines[-1] == line


def test_closing_does_not_wait_for_a_reader_that_is_stuck() -> None:
    with Pipe() as pipe:
        log = RequestLog(pipe.stream, colour=False)
        for _ in range(2000):
            log(record())
        log.close(0.01)
        assert log._thread.is_alive()
        log(record())
        eventually(lambda: pipe.read() and not log._thread.is_alive())
        assert pipe.read().count("\n") == 2000


# ------------------------------------------------------------ files


def test_a_file_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    with log_to(LogFile(path)) as log:
        log(record())
        eventually(lambda: path.read_text().count("\n") == 2)
        log(record(404))
    assert path.read_text().startswith("before\n") and [" 200 " in path.read_text(), " 404 " in path.read_text()]


def test_a_file_that_is_rotated_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with log_to(LogFile(path)) as log:
        for number in range(2):
            log(record())
            eventually(lambda: path.exists() and path.read_text())
            path.rename(tmp_path / f"log.{number}")
        log(record(404))
    assert [(tmp_path / name).read_text().split()[-3] for name in ("log.0", "log.1", "log")] == ["200", "200", "404"]


def test_a_line_of_which_a_part_was_written_stands_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk was full in the middle of it."""
    path = tmp_path / "log"
    file = LogFile(path)
    room, write = 8, os.write

    def write_what_has_room(descriptor: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        written = write(descriptor, data[:room])
        room -= written
        return written

    monkeypatch.setattr("os.write", write_what_has_room)
    file.write("first\nsecond\n")
    assert path.read_text() == "first\nse"
    file.write("third\n")
    room = 100
    file.write("fourth\n")
    file.write("fifth\n")
    assert path.read_text() == "first\nse\nfourth\nfifth\n"
    file.close()


def test_a_file_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And it goes on when it can."""
    directory = tmp_path / "logs"
    directory.mkdir()
    path = directory / "log"
    with log_to(LogFile(path)) as log:
        directory.rename(tmp_path / "elsewhere")
        for _ in range(2):
            log(record())
            eventually(lambda: log._lines.empty() and caplog.records)
        directory.mkdir()
        log(record(404))
        eventually(lambda: path.exists() and path.read_text())
    assert " 404 " in path.read_text()
    [message] = [one.getMessage() for one in caplog.records]
    assert message == f"lines are missing in the access log: {path} cannot be written: No such file or directory"


@pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="this system's pipes do not keep writes apart")
def test_several_processes_on_one_pipe_do_not_mix_their_lines() -> None:
    """What is written in one go is whole lines, and no more than a pipe takes in one go."""
    reading, writing = os.pipe2(os.O_DIRECT)
    packets: list[bytes] = []
    with open(writing, "w") as stream, open(reading, "rb", buffering=0) as reader:
        with log_to(stream) as log:
            for _ in range(200):  # more than fit, so that many are written in one go
                log(record())
            while sum(packet.count(b"\n") for packet in packets) < 200:
                packets.append(reader.read(65536))
    assert all(packet.endswith(b"\n") for packet in packets) and max(map(len, packets)) > 1000
