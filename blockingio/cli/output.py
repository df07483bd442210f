"""What the commands have in common: how they begin and end, and their standard output and error.

A service may be started with either of them closed, into a pipe whose reader ends first, or onto a disk that is full:
where they cannot be written any more, serving goes on.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from typing import NoReturn


def run_program(main: Callable[[], int]) -> NoReturn:
    """Call ``main``, which takes the command line's arguments, and end the process with the status that it gives.

    Raises KeyboardInterrupt for SIGTERM as well as for Ctrl-C: see program.py.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the interpreter found it closed
            setattr(sys, name, open(os.open(os.devnull, os.O_WRONLY), "w", closefd=False))
        stream = getattr(sys, name)
        if stream.errors == "strict":  # a path that the terminal's encoding has no characters for is no reason to end
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())


def on_one_line(text: object) -> str:
    """What a user has named, for a line on a terminal: control characters are escaped, as a path may have them."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], str(text))


def reason_of(error: Exception) -> str:
    """What went wrong, for a line on a terminal: without the number that an OSError has."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{os.fsdecode(error.filename)}: {error.strerror}"


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
