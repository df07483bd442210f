"""Standard output and error of the commands: where they cannot be written any more, serving goes on.

A service may be started with either of them closed, into a pipe whose reader ends first, or onto a disk that is full.
"""

from __future__ import annotations

import os
import sys


def ensure_streams() -> None:
    """Give the process a stdout and a stderr where the interpreter found none open; at its start."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, os.O_WRONLY), "w", closefd=False))


def say(text: str, name: str = "stdout") -> None:
    """Print a line at once.  Where that fails, what goes to this stream from now on is lost, in silence."""
    stream = getattr(sys, name)
    try:
        print(text, file=stream, flush=True)
    except OSError:
        # Not the stream, but the file below: what the stream still holds is written at the interpreter's end, and an
        # error then would be the exit status.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
