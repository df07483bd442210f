"""How every command of the package begins: Ctrl-C ends it without a traceback, also while its modules are imported.

Imports next to nothing itself: before the first line of ``run_command`` Ctrl-C is the interpreter's own.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module


def run_command(module: str, interrupted: int) -> None:
    """Import the command's module and call its ``run``, which ends the process; with status ``interrupted`` on Ctrl-C.

    Call it in the main thread.
    """
    # No KeyboardInterrupt yet: one that is raised inside a callback of the import system is dropped by the interpreter.
    # Nothing is open so far, and nothing written, that an ordinary end would see to.
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(interrupted))
    run = import_module(module).run
    try:
        # Not as it was: a shell without job control starts what is in the background with Ctrl-C ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:
        sys.exit(interrupted)
