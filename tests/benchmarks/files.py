"""Static files beside nginx and http.server: 64 MiB with the processor time it takes, and a small one."""
from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.contender import Contender, run_client, started
from tests.benchmarks.load import Load, drive, generate
from tests.benchmarks.report import Options, Score, in_turn, median, print_table, ratio

SCRIPTS = ["files.nginx", "files.http_server", "files.blockingio"]
GIBIBYTE = 1 << 30
MEBIBYTE = 1 << 20
# Seconds: what a contender does once, at its first requests, is not measured.
WARM_UP = 0.2
# File name to size in bytes.
FILES = {"large.bin": 64 << 20, "medium.bin": 1 << 20, "small.html": 1 << 10}
CONNECTIONS = 8


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
            loads = in_turn("small file", {
                contender.label: partial(generate, contender.port, CONNECTIONS, options.seconds,
                                         target="/small.html") for contender in contenders
            }, options.rounds)
    _print_transfers(transfers, options)
    small = FILES["small.html"] >> 10
    print_loads(f"a file of {small} KiB, keep-alive, {CONNECTIONS} connections ({options})", loads,
                ["http.server", "nginx"], "at least 5.00 times http.server")


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
