"""A child process that is spoken to in lines of JSON, and its resources counted from the inside.

The parent's side is ``Child``; the child's is ``obey``, which calls a function for each command
and sends back what it returned.  Neither knows what the commands do.
"""
from __future__ import annotations

import json
import os
import resource
import select
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

#: Seconds that any one command may take, and all of them together.
PATIENCE, ALL = 40.0, 170.0
_END = time.monotonic() + ALL


def time_left() -> float:
    """Seconds until the load test as a whole has to be over."""
    return max(_END - time.monotonic(), 0.0)


def falls_to(least: int, count: Callable[[], int], patience: float) -> bool:
    """Wait until ``count()`` is ``least`` or below; False where it has not fallen for ``patience`` seconds.

    However long it takes altogether: how fast thousands of threads end is the machine's affair, that none stays is not.
    """
    lowest, since = count(), time.monotonic()
    while lowest > least:
        if time.monotonic() - since > patience or not time_left():
            return False
        time.sleep(0.05)
        now = count()
        if now < lowest:
            lowest, since = now, time.monotonic()
    return True


class Child:
    """``python -m module``; a command is sent with ``begin`` and its answer read with ``end``."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._name = module
        self._process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)

    def begin(self, command: str, **arguments: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps([command, arguments]) + "\n")
        self._process.stdin.flush()

    def end(self) -> Any:
        """What the command that was begun gave; RuntimeError where it raised or the process died."""
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], min(PATIENCE, time_left()))[0]:
            raise TimeoutError(f"no answer from {self._name}, and no more time")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} died with status {self._process.wait(PATIENCE)}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def ask(self, command: str, **arguments: Any) -> Any:
        self.begin(command, **arguments)
        return self.end()

    def close(self) -> int:
        """End the process by ending its input; its status.  One that goes on for too long is killed."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        try:
            return self._process.wait(min(PATIENCE, time_left() + 5))
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._process.stdout.close()


def obey(commands: Mapping[str, Callable[..., Any]]) -> None:
    """Do what comes on standard input until it ends."""
    for line in sys.stdin:
        command, arguments = json.loads(line)
        try:
            answer = {"value": commands[command](**arguments)}
        except Exception as error:
            answer = {"error": f"{command}: {type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def raise_file_limit() -> int:
    """Let this process open as many files as the system lets it; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard


def resources() -> dict[str, float]:
    """What this process has right now: threads, descriptors, sockets, CPU seconds, MiB resident.

    Looked at one by one, not in /proc: it has to work where no descriptor is left to open that with.
    """
    descriptors = sockets = 0
    for number in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        try:
            mode = os.fstat(number).st_mode
        except OSError:
            continue
        descriptors += 1
        sockets += stat.S_ISSOCK(mode)
    times = os.times()
    return {"threads": threading.active_count(), "descriptors": descriptors, "sockets": sockets,
            "cpu": times.user + times.system, "mib": _resident_mib(), "clock": time.monotonic()}


def _resident_mib() -> float:
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize() / 2 ** 20
    except OSError:
        return 0.0
