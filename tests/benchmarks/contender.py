"""A contender's process: it is started, says where it listens, and ends with its `with` block."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.processors import give_servers
from tests.benchmarks.report import say

_PACKAGE = "tests.benchmarks.contenders"

# Contenders that are another one's script, with a word more.
_WORDS = {"apps.blockingio_workers": ("apps.blockingio", "workers=8"),
          "apps.blockingio_one_worker": ("apps.blockingio", "workers=1"),
          "apps.blockingio_two_workers": ("apps.blockingio", "workers=2"),
          "apps.blockingio_wsgi_one": ("apps.blockingio_wsgi", "one"),
          "apps.blockingio_wsgi_two": ("apps.blockingio_wsgi", "two")}


class Unavailable(Exception):
    """A contender that cannot run here; the text says why."""


def label(script: str) -> str:
    """The contender's name: "http.server" for the script apps.http_server."""
    return script.rpartition(".")[2].replace("_", ".")


class Contender:
    """A server's process.  Its standard input is a pipe of ours, so that our death ends it too."""

    def __init__(self, script: str, *arguments: str, needs_several: bool = False) -> None:
        """``needs_several``: processors, as what is to compute on two at once does."""
        self.script, self.label = script, label(script)
        self._errors = tempfile.TemporaryFile()
        # A session of its own: Ctrl-C is for this process, which ends the others.
        self._process = subprocess.Popen(_command(script, *arguments), start_new_session=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors)
        give_servers(self._process, needs_several=needs_several)
        assert self._process.stdout
        line = self._process.stdout.readline().split()
        if len(line) != 2:
            self.close()
            raise Unavailable(self.complaint or "it did not say where it listens")
        self.port, self.pid = int(line[0]), int(line[1])

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        try:  # what is left of it: workers, or one that did not listen
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self.complaint = _last_line(self._errors)
        self._errors.close()

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def cpu_seconds(self) -> float | None:
        """The processor time that it and its workers have taken so far; None where the system does not tell."""
        ticks = 0
        for process in Path("/proc").glob("[0-9]*"):
            try:
                fields = (process / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
            if int(fields[2]) == self._process.pid:  # of the session that was made for it
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK") if ticks else None

    def resident_bytes(self) -> int | None:
        """The memory it has in use; None where the system does not tell."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except FileNotFoundError:
            return None


@contextmanager
def started(scripts: Iterable[str], *arguments: str) -> Iterator[list[Contender]]:
    """Those of these servers that can run here; the others are named, with the reason."""
    with ExitStack() as stack:
        contenders = []
        for script in scripts:
            try:
                contenders.append(stack.enter_context(Contender(script, *arguments)))
            except Unavailable as error:
                say(f"without {label(script)}: {error}")
        yield contenders


def run_client(script: str, port: int, *arguments: object) -> dict[str, Any]:
    """Run a client's script to its end; what it printed."""
    with tempfile.TemporaryFile() as errors:
        done = subprocess.run(_command(script, str(port), *map(str, arguments)), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=errors)
        if done.returncode:
            raise Unavailable(_last_line(errors) or f"it ended with status {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _command(script: str, *arguments: str) -> list[str]:
    script, *words = _WORDS.get(script, (script,))
    return [sys.executable, "-m", f"{_PACKAGE}.{script}", *arguments, *words]


def _last_line(file: Any) -> str:
    file.seek(0)
    lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
