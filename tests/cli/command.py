"""The command in a process of its own."""
from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.peers import PATIENCE, eventually, is_asleep
from tests.scripts import PYTHON_PATH, activated

PROJECT = Path(__file__).parents[2]


class Command:
    """The command in a process of its own; leaving the block kills what still runs."""

    def __init__(self, *arguments: str | Path, stdout: int = subprocess.PIPE, inherits: Sequence[socket.socket] = (),
                 module: str = "blockingio", cwd: Path | None = None, **environment: str) -> None:
        """``inherits``: the sockets of a service manager."""
        words = [sys.executable, "-W", "error", "-m", module, *map(str, arguments)]
        descriptors = [sock.fileno() for sock in inherits]
        self.process = subprocess.Popen(
            activated(words, descriptors) if inherits else words, bufsize=0, pass_fds=descriptors, cwd=cwd,
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": PYTHON_PATH} | environment)
        self._stdout = self.process.stdout.fileno() if self.process.stdout else -1
        self._unread = b""

    def line(self, descriptor: int | None = None) -> str:
        """The next line that it prints."""
        source = self._stdout if descriptor is None else descriptor
        deadline = time.monotonic() + PATIENCE * 2  # a process has to start first
        with selectors.DefaultSelector() as selector:
            selector.register(source, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                assert selector.select(deadline - time.monotonic()), f"no line came after {self._unread!r}"
                data = os.read(source, 65536)
                assert data, f"it ended: {self.process.communicate()}"
                self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode().rstrip("\r")

    def start(self, directory: Path) -> str:
        """Read the first lines of one that listens on one address; its URL."""
        assert self.line() == f"Serving {directory}"
        line = self.line()
        assert line.startswith("Listening on http")
        return line.removeprefix("Listening on ")

    def end(self) -> tuple[int, str, str]:
        """Wait for its end: its status, and what it had printed besides the lines asked for."""
        output, errors = self.process.communicate(timeout=PATIENCE * 2)
        return self.process.returncode, (self._unread + (output or b"")).decode(), errors.decode()

    def interrupt(self) -> tuple[int, str, str]:
        eventually(lambda: is_asleep(self.process.pid))
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def port_of(url: str) -> int:
    return int(url.rstrip("/").rpartition(":")[2])
