"""A tutorial's program in a process of its own, as a reader of the tutorials would run it."""
from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.peers import PATIENCE, eventually, is_asleep
from tests.scripts import PYTHON_PATH

PROJECT = Path(__file__).parents[2]
TUTORIALS = PROJECT / "tutorials"
_LAUNCH = Path(__file__).with_name("launch.py")


def _start(name: str, port: int, real_port: int, directory: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "default", str(_LAUNCH), str(TUTORIALS / name), str(port), str(real_port), *arguments],
        cwd=directory, env=os.environ | {"PYTHONPATH": PYTHON_PATH, "PYTHONUNBUFFERED": ""}, bufsize=0,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(name: str, port: int, real_port: int, directory: Path) -> tuple[int, str, str]:
    """The status, the output and the errors of a program that ends by itself, as where its port is taken."""
    process = _start(name, port, real_port, directory)
    try:
        printed, errors = process.communicate(timeout=PATIENCE * 2)
    finally:
        process.kill()
        process.communicate()
    return process.returncode, printed.decode(), errors.decode()


class Program:
    """tutorials/NAME, running in `directory`; `port` is the one in its text, `url` where it really listens.

    A context manager: leaving it kills what is still running.
    """

    def __init__(self, name: str, port: int, directory: Path, scheme: str = "http", *arguments: str) -> None:
        self._unread = b""
        self._process = _start(name, port, 0, directory, *arguments)
        try:
            line = self.line()
            start, _, real_port = line.removesuffix("/").rpartition(":")
            assert start == f"Listening on {scheme}://127.0.0.1", line
            assert line.endswith("/"), line
        except BaseException:
            self.kill()
            raise
        self.port = int(real_port)
        self.url = f"{scheme}://127.0.0.1:{real_port}"

    def line(self) -> str:
        """The next line that it prints."""
        assert self._process.stdout
        deadline = time.monotonic() + PATIENCE * 2  # a process has to start first
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(deadline - time.monotonic()):
                    raise TimeoutError(f"no line came after {self._unread!r}")
                data = self._process.stdout.read(65536)
                if not data:
                    raise EOFError(f"it ended: {self._process.communicate()[1].decode()}")
                self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def interrupt(self) -> tuple[int, str, str]:
        """Ctrl-C: its exit status, what it had printed besides the lines asked for, and its errors."""
        eventually(lambda: is_asleep(self._process.pid))
        self._process.send_signal(signal.SIGINT)
        printed, errors = self._process.communicate(timeout=PATIENCE)
        return self._process.returncode, (self._unread + printed).decode(), errors.decode()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()


# What interrupt() gives for a program that ends as it should.
QUIETLY = (0, "", "")
