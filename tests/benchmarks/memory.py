"""What idle connections cost, which have had one answer and are kept alive: 1,000 of them in resident memory, and 9,000
in what is left for 8 busy ones."""
from __future__ import annotations

import resource
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from tests.benchmarks.contender import Contender, started
from tests.benchmarks.load import Load, drive, generate_messages, request
from tests.benchmarks.message import Message
from tests.benchmarks.report import Options, Score, median, print_table, ratio, say

SCRIPTS = ["apps.ceiling", "apps.http_server", "apps.blockingio"]
CONNECTIONS = 1000
CROWD, BUSY = 9000, 8
# Descriptors beside the connections: the interpreter's, the pipes.
SPARE = 50


def run(options: Options, score: Score) -> None:
    count = raise_limit(CONNECTIONS)
    rows = []
    with started(SCRIPTS) as contenders:
        for contender in contenders:
            drive(contender.port, "/", 8, 0.3, False)
            cost = cost_of_idle(contender, count, _connect)
            if cost is None:
                say("memory: not measured, for there is no /proc here")
                return
            say(f"memory: {contender.label} {cost / 1024:.1f} KiB")
            rows.append([contender.label, f"{cost / 1024:.1f}"])
    print_table(f"resident memory for an idle connection, of {count:,}", ["KiB"], rows,
                "blockingio is to reach at most 32 KiB")
    _measure_crowd(options)


def _measure_crowd(options: Options) -> None:
    """8 busy connections with and without thousands of idle ones, in turn."""
    count = raise_limit(CROWD)
    with started(["apps.blockingio"]) as contenders:
        for contender in contenders:
            busy = partial(_busy, contender, options.seconds)
            _busy(contender, 1)
            alone = [busy() for _ in range(options.rounds)]
            before = contender.resident_bytes()
            with ExitStack() as stack:
                for _ in range(count):
                    stack.enter_context(_connect(contender.port))
                after = contender.resident_bytes()
                crowded = [busy() for _ in range(options.rounds)]
            rate, beside = (median(load.rate for load, _ in loads) for loads in (alone, crowded))
            cpu, cpu_beside = (median(cpu for _, cpu in loads) for loads in (alone, crowded))
            size = f"{(after - before) / count / 1024:.1f}" if before and after else "-"
            print_table(f"{BUSY} busy connections beside {count:,} idle ones ({options})",
                        ["requests/s", "CPU us", "requests/s alone", "CPU us alone", "x alone", "KiB for an idle one"],
                        [[contender.label, f"{beside:,.0f}", f"{cpu_beside:.1f}", f"{rate:,.0f}", f"{cpu:.1f}",
                          ratio(beside, rate), size]],
                        "blockingio is to reach 0.90 times its rate alone, with at most 30 KiB for each")


def _busy(contender: Contender, seconds: int) -> tuple[Load, float]:
    """The load, and the server's microseconds for a request; 0 where the system does not tell."""
    before = contender.cpu_seconds()
    load = generate_messages(contender.port, Message(), BUSY, seconds)
    after = contender.cpu_seconds()
    cpu = 0.0 if before is None or after is None or not load.requests else (after - before) * 1e6 / load.requests
    return load, cpu


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


def cost_of_idle(contender: Contender, count: int, connect: Callable[[int], socket.socket]) -> float | None:
    """Bytes of the server's memory for a connection, of so many; None where the system does not tell."""
    before = contender.resident_bytes()
    if before is None:
        return None
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(connect(contender.port))
        after = contender.resident_bytes()
    assert after is not None
    return (after - before) / count


def _connect(port: int) -> socket.socket:
    """A connection that has had an answer."""
    connection = socket.create_connection(("127.0.0.1", port), 5)
    connection.sendall(request("/", False))
    assert connection.recv(65536)
    return connection
