"""The whole suite under coverage, as ``make test`` runs it: several processes at a time, because most tests wait.

With arguments they are pytest's, for one process: ``python -m tests -k uri``.  Exits 0 where all passed.
"""
from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

# Processes at a time.  A process waits for about half of its time, for deadlines and for its clients.
AT_ONCE = 4

# Modules in one process: more, and the last process works alone for long; fewer, and each one's start costs.
MODULES = 14

# What takes longest is begun first; the folders that are not named come after it.
LONGEST = ["tests", "websocket", "cli", "server", "client", "conformance", "http_server"]

PYTEST = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "-p", "no:cacheprovider"]


def main() -> int:
    if sys.argv[1:]:
        return subprocess.call([*PYTEST, *sys.argv[1:]])
    waiting, status = parts(), 0
    running: list[Part] = []
    try:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                running.append(Part(waiting.pop(0)))
            status = max(status, *(part.end() for part in running if part.has_ended()), 0)
            running = [part for part in running if part.is_running]
            time.sleep(0.1)
    finally:
        for part in running:
            part.kill()
    return status


def parts() -> list[list[str]]:
    """Each module of the tests once, those of a folder side by side."""
    root = Path(__file__).parent
    folders = sorted({module.parent for module in root.rglob("test_*.py")},
                     key=lambda folder: (LONGEST + [folder.name]).index(folder.name))
    found = []
    for folder in folders:
        modules = sorted(map(str, folder.glob("test_*.py")))
        count = -(-len(modules) // MODULES)
        found += [modules[start::count] for start in range(count)]
    return found


class Part:
    """Some modules in a process of their own; what it prints is shown at its end."""

    def __init__(self, modules: list[str]) -> None:
        self._output: IO[bytes] = tempfile.TemporaryFile()
        self._process = subprocess.Popen([*PYTEST, *modules], stdout=self._output, stderr=subprocess.STDOUT)
        self.is_running = True

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> int:
        """Its status; what it has printed goes out in one piece."""
        self.is_running = False
        self._output.seek(0)
        sys.stdout.flush()
        sys.stdout.buffer.write(self._output.read())
        sys.stdout.buffer.flush()
        self._output.close()
        status: int = self._process.returncode
        return abs(status)

    def kill(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._output.close()


if __name__ == "__main__":
    sys.exit(main())
