"""What an idle connection costs: 1,000 that have had one answer and are kept alive, in resident memory."""
from __future__ import annotations

import resource
import socket
from contextlib import ExitStack

from tests.benchmarks.contender import Contender, started
from tests.benchmarks.load import drive, request
from tests.benchmarks.report import Options, Score, print_table, say

SCRIPTS = ["apps.ceiling", "apps.http_server", "apps.blockingio"]
CONNECTIONS = 1000
# Descriptors beside the connections: the interpreter's, the pipes.
SPARE = 50


def run(options: Options, score: Score) -> None:
    count = raise_limit(CONNECTIONS)
    rows = []
    with started(SCRIPTS) as contenders:
        for contender in contenders:
            cost = _cost_of_idle(contender, count)
            if cost is None:
                say("memory: not measured, for there is no /proc here")
                return
            say(f"memory: {contender.label} {cost / 1024:.1f} KiB")
            rows.append([contender.label, f"{cost / 1024:.1f}"])
    print_table(f"resident memory for an idle connection, of {count:,}", ["KiB"], rows,
                "blockingio is to reach at most 32 KiB")


def raise_limit(count: int) -> int:
    """Allow that many connections here and in the children; what was possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + SPARE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            say(f"memory: the limit of open files ({hard}) leaves {soft - SPARE} connections of {count}")
            return soft - SPARE
    return count


def _cost_of_idle(contender: Contender, count: int) -> float | None:
    drive(contender.port, "/", 8, 0.3, False)
    before = contender.resident_bytes()
    if before is None:
        return None
    message = request("/", False)
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", contender.port), 5))
            connection.sendall(message)
            assert connection.recv(65536)
        after = contender.resident_bytes()
    assert after is not None
    return (after - before) / count
