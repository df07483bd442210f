"""Scripts in a process of their own, and a load for their servers.

For what a test cannot do to its own process: signals, forks, exits.
"""
from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.peers import PATIENCE, RawClient, eventually

ROOT = Path(__file__).parent.parent

#: PYTHONPATH for programs that are to import the project from anywhere, beside what there is on it already.
PYTHON_PATH = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])

#: What every script begins with: a server, a handler, and the word that it listens.
PREFACE = """
    import gc, os, signal, sys, threading, time, warnings
    from blockingio import HttpServer

    server = HttpServer.bind("127.0.0.1", 0)

    def handle(request):
        request.response.write("hello")
        request.response.close()

    def ready():
        print("ready", server.port, flush=True)
"""

#: Makes the descriptors that are its first words those of LISTEN_FDS, and itself the command behind "--".
_ACTIVATE = """
import os, sys
numbers, command = sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:]
for place, number in enumerate(numbers, 3):
    os.dup2(int(number), place)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(numbers)))
os.execv(command[0], command)
"""


def activated(command: list[str], descriptors: Iterable[int]) -> list[str]:
    """The command, as a service manager starts it that has opened these for it; they are above the last one's place."""
    return [sys.executable, "-I", "-S", "-c", _ACTIVATE, *map(str, descriptors), "--", *command]


class Script:
    """A Python script in a process of its own, which ends with the block at the latest."""

    def __init__(self, code: str, *, preface: str = PREFACE) -> None:
        source = textwrap.dedent(preface) + textwrap.dedent(code)
        # Not measured: a signal in the middle of coverage's own locks would leave them locked.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        self.process = subprocess.Popen([sys.executable, "-W", "error", "-c", source], cwd=ROOT, text=True,
                                        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        start_new_session=True)
        self.port = 0

    def __enter__(self) -> Script:
        line = self._read_line().split()
        if line[:1] != ["ready"]:
            raise AssertionError(f"the script did not begin: {line} {self.process.communicate()}")
        self.port = int(line[1]) if line[1:] else 0
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # it, and what it forked
        self.process.communicate()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def interrupt(self) -> str:
        """Press Ctrl-C, once: the line that the script says to it, "" where it ends without a word.

        A press may fall between the interpreter's last look at its signals and the wait that a
        signal would end; even then it must not take longer than this waits.
        """
        self.signal(signal.SIGINT)
        return self._next_line("Ctrl-C was not heard")

    def line(self) -> str:
        """The next line that it says, or what forked from it; "" where all have ended."""
        return self._next_line("the script has said nothing").rstrip("\n")

    def _next_line(self, complaint: str) -> str:
        assert self.process.stdout
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            raise AssertionError(f"{complaint} for {PATIENCE:g} s")
        return self._read_line()

    def _read_line(self) -> str:
        """No byte more than that: select() and end() would not see what a buffer of ours holds."""
        assert self.process.stdout
        line = b""
        while not line.endswith(b"\n") and (byte := os.read(self.process.stdout.fileno(), 1)):
            line += byte
        return line.decode()

    def end(self) -> tuple[int, str, str]:
        """Status, output and errors, once it has ended by itself; within the deadline, or it fails."""
        try:
            out, err = self.process.communicate(timeout=PATIENCE * 2)
        except subprocess.TimeoutExpired:
            raise AssertionError("the process goes on") from None
        return self.process.returncode, out, err


class Load:
    """Clients, each with a thread, that ask until the server ends them; every answer is whole or absent."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.answered = 0
        self.cut: list[str] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(port,)) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, port: int) -> None:
        try:
            with RawClient(port) as client:
                while True:
                    response = client.get()
                    with self._lock:
                        self.answered += 1
                        # 500: its handler was interrupted; 503: the loop that would have taken it was.
                        # An empty 200 was dropped before its handler wrote.
                        if response.body not in (b"hello", b"") and response.status not in (500, 503):
                            self.cut.append(repr(response))
        except EOFError as error:
            if not str(error).endswith("after b''"):
                self.cut.append(str(error))
        except TimeoutError as error:
            self.cut.append(f"neither answered nor ended: {error}")
        except OSError:
            pass  # reset, or refused

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE * 2)
            assert not thread.is_alive()

    def __enter__(self) -> Load:
        eventually(lambda: self.answered > 100)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.join()
