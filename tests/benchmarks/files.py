"""Static files beside nginx and http.server: 64 MiB with the processor time it takes, and what the command serves."""
from __future__ import annotations

import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.contender import Contender, run_client, started
from tests.benchmarks.load import Load, drive
from tests.benchmarks.message import Message
from tests.benchmarks.report import Options, Score, in_turn, median, print_table, ratio, say
from tests.benchmarks.rows import Row, compare

SCRIPTS = ["files.nginx", "files.http_server", "files.blockingio"]
GIBIBYTE = 1 << 30
MEBIBYTE = 1 << 20
# The command's, with a log.
COMMAND = ["files.nginx", "files.http_server", "files.logging_command"]
# Seconds: what a contender does once, at its first requests, is not measured.
WARM_UP = 0.2
# File name to size in bytes.
FILES = {"large.bin": 64 << 20, "medium.bin": 1 << 20, "small.html": 1 << 10}
CONNECTIONS = 8
MANY = 1000
SMALL = Row("a file of 1 KiB", message=Message("/small.html"))
ROWS = [
    Row("the command: a file of 1 KiB, log on", message=Message("/small.html"), ours=("logging_command",)),
    Row("the command: a 404", message=Message("/missing", status=404), ours=("logging_command",)),
    Row("the command: a range of 64 KiB", ours=("logging_command",),
        message=Message("/medium.bin", more="Range: bytes=65536-131071", status=206)),
    Row(f"the command: a listing of {MANY:,}", message=Message("/many/"), ours=("logging_command",)),
]


class Transfer(NamedTuple):
    """Bytes a second, and the server's processor seconds for a gibibyte (None: the system does not tell)."""

    rate: float
    cpu: float | None

    def __str__(self) -> str:
        return f"{self.rate / MEBIBYTE:,.0f} MiB/s"


def run(options: Options, score: Score) -> None:
    with tempfile.TemporaryDirectory() as root:
        for name, size in FILES.items():
            Path(root, name).write_bytes(os.urandom(1 << 10) * (size >> 10))
        with started(SCRIPTS, root) as contenders:
            for contender in contenders:
                drive(contender.port, "/small.html", 1, WARM_UP, False)
            transfers = in_turn("large file", {
                contender.label: partial(_transfer, contender, options.seconds) for contender in contenders
            }, options.rounds)
            _print_transfers(transfers, options)
            compare(SMALL, contenders, options, score)
        many = Path(root, "many")
        many.mkdir()
        for number in range(MANY):
            (many / f"file {number}.txt").touch()
        shutil.rmtree(Path(root, "nginx"), ignore_errors=True)
        with started(COMMAND, root, "log") as contenders:
            for row in ROWS:
                compare(row, [contender for contender in contenders if _is_able(contender, row)], options, score)


def _is_able(contender: Contender, row: Row) -> bool:
    """Whether it answers the row's request rightly; else it is named, with the reason."""
    wrong = row.message.try_once(contender.port, None)
    if wrong:
        say(f"without {contender.label}: {wrong}")
    return not wrong


def _transfer(contender: Contender, seconds: int) -> Transfer:
    before = contender.cpu_seconds()
    answer = run_client("download.recv", contender.port, "/medium.bin", "/large.bin", seconds, "new")
    after = contender.cpu_seconds()
    cpu = None if before is None or after is None else (after - before) * GIBIBYTE / answer["total"]
    return Transfer(answer["rate"], cpu)


def _print_transfers(transfers: dict[str, list[Transfer]], options: Options) -> None:
    rates = {name: median(run.rate for run in runs) for name, runs in transfers.items()}
    rows = []
    for name, runs in transfers.items():
        costs = [run.cpu for run in runs if run.cpu is not None]
        rows.append([name, f"{rates[name] / MEBIBYTE:,.0f}", ratio(rates[name], rates.get("nginx")),
                     ratio(rates[name], rates.get("http.server")), f"{median(costs):.2f}" if costs else "-"])
    print_table(f"a file of {FILES['large.bin'] // MEBIBYTE} MiB ({options})",
                ["MiB/s", "x nginx", "x http.server", "CPU s/GiB"], rows,
                "blockingio is to reach 0.90 of nginx, and no more CPU than http.server")


def print_loads(title: str, results: dict[str, list[Load]], bases: list[str], aim: str) -> None:
    """A row for each contender: medians, and how many times the rate of each base that is."""
    rates = {label: median(load.rate for load in loads) for label, loads in results.items()}
    rows = [[label, f"{rates[label]:,.0f}", f"{median(load.p99 for load in loads) * 1e3:.2f}",
             *(ratio(rates[label], rates.get(base)) for base in bases),
             f"{sum(load.errors for load in loads):,}"] for label, loads in results.items()]
    columns = ["requests/s", "p99 ms", *(f"x {base}" for base in bases), "errors"]
    print_table(title, columns, rows, *([f"blockingio is to reach {aim}"] if aim else []))
