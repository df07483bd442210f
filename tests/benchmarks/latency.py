"""Latency under load: the time within which 99 of 100 requests are answered, over 64 connections, beside http.server.

All rows of servers that http.server can answer, by a plain loop and by for_each with eight workers.
"""
from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from tests.benchmarks import rows
from tests.benchmarks.contender import Contender, label
from tests.benchmarks.load import Load, generate_messages
from tests.benchmarks.report import Options, Score, in_turn, median, print_table
from tests.benchmarks.rows import OTHERS, Row

CONNECTIONS = 64
BASE = "http_server"
OURS = ("blockingio", "blockingio_workers")

ROWS = [Row("GET"), *(row for group in ("answers", "sizes", "post", "tls") for row in rows.GROUPS[group])]


def run(options: Options, score: Score) -> None:
    """Prints one table; ``score`` is of processor time, and not changed."""
    table = [_line(row, options) for row in ROWS if BASE not in row.without]
    behind = [f"{title}: {name}" for title, *_, by_loop, by_workers in table
              for name, ratio in zip(map(label, OURS), (by_loop, by_workers)) if float(ratio) > 1]
    print_table(f"p99 in ms over {CONNECTIONS} connections ({options}), and against http.server's",
                [label(BASE), *map(label, OURS), *(f"{label(name)} x" for name in OURS)], table,
                f"behind http.server: {', '.join(behind) or 'nowhere'}")


def _line(row: Row, options: Options) -> list[str]:
    row = row._replace(ours=OURS, without=tuple(other for other in OTHERS if other != BASE))
    with ExitStack() as stack:
        contenders = rows.start(row, stack)
        for contender in contenders:
            _load(contender, row, rows.WARM_UP)
        results = in_turn(row.title, {
            contender.label: partial(_load, contender, row, options.seconds) for contender in contenders
        }, options.rounds, lambda load: f"{load.p99 * 1e3:.2f} ms")
    times = [median(load.p99 * 1e3 for load in results[label(name)]) for name in (BASE, *OURS)]
    return [row.title, *(f"{time:.2f}" for time in times), *(f"{time / times[0]:.2f}" for time in times[1:])]


def _load(contender: Contender, row: Row, seconds: int) -> Load:
    return generate_messages(contender.port, row.message, CONNECTIONS, seconds, tls=row.tls)
