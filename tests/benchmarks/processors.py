"""Which processors the load runs on, and which a server: each has its own, as where clients are other machines.

A load generator on the server's processors puts the server's threads aside, and the kernel puts those that it wakes
beside it.  That costs a server with threads up to twice the processor time, moves its figures from round to round, and
is no doing of the server's.  ``make bench ARGS="--shared"`` measures it: all run on all processors.
"""
from __future__ import annotations

import os
import subprocess
from contextlib import suppress

# Set by keep_apart, once, before anything is measured: None leaves all to the kernel.
_for_servers: set[int] | None = None
_all: set[int] = set()


def keep_apart() -> str:
    """From now on this process, and the load that it makes, has the last processor; what was done, for people."""
    global _all, _for_servers
    if not hasattr(os, "sched_setaffinity"):
        return "load and servers share the processors: this system gives none to a process"
    _all = os.sched_getaffinity(0)
    if len(_all) < 2:
        return "load and servers share the one processor"
    load = max(_all)
    os.sched_setaffinity(0, {load})
    _for_servers = _all - {load}
    return f"the load on processor {load}, servers on {', '.join(map(str, sorted(_for_servers)))}"


def give_servers(process: subprocess.Popen[bytes], *, needs_several: bool = False) -> None:
    """Let what has just been started, and all that it starts, run on those of servers; ``needs_several``: on all."""
    if _for_servers is not None:
        with suppress(ProcessLookupError):  # it has ended, and says why
            os.sched_setaffinity(process.pid, _all if needs_several else _for_servers)
