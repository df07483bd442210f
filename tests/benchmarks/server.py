"""Servers of the same 13 bytes: the ceiling, http.server, blockingio, and what else is installed."""
from __future__ import annotations

from functools import partial

from tests.benchmarks.contender import started
from tests.benchmarks.load import WRK, Load, drive, generate
from tests.benchmarks.report import Options, in_turn, median, print_table, ratio

SCRIPTS = ["hello.ceiling", "hello.http_server", "hello.blockingio",
           "hello.waitress", "hello.cheroot", "hello.gunicorn", "hello.uvicorn", "hello.aiohttp"]
# Title, connections, whether each request gets a new one, and what blockingio is to reach.
LOADS = [
    ("keep-alive GET, 8 connections", 8, False, "at least 0.50 of the ceiling and 3.00 times http.server"),
    ("keep-alive GET, 64 connections", 64, False, ""),
    ("a new connection for each GET, 8 at a time", 8, True, "at least 2.00 times http.server"),
]
# Seconds: what a contender does once, at its first requests, is not measured.
WARM_UP = 0.2


def run(options: Options) -> None:
    scripts = SCRIPTS
    for title, connections, close, aim in LOADS:
        with started(scripts, *(["close"] if close else [])) as contenders:
            scripts = [contender.script for contender in contenders]
            for contender in contenders:
                drive(contender.port, "/", 1, WARM_UP, close)
            results = in_turn(title, {
                contender.label: partial(generate, contender.port, connections, options.seconds, close=close)
                for contender in contenders
            }, options.rounds)
        print_loads(f"{title} (nine fields; {'wrk' if WRK else 'own generator'}, {options})", results,
                    ["ceiling", "http.server"], aim)


def print_loads(title: str, results: dict[str, list[Load]], bases: list[str], aim: str) -> None:
    """A row for each contender: medians, and how many times the rate of each base that is."""
    rates = {label: median(load.rate for load in loads) for label, loads in results.items()}
    rows = [[label, f"{rates[label]:,.0f}", f"{median(load.p99 for load in loads) * 1e3:.2f}",
             *(ratio(rates[label], rates.get(base)) for base in bases),
             f"{sum(load.errors for load in loads):,}"] for label, loads in results.items()]
    columns = ["requests/s", "p99 ms", *(f"x {base}" for base in bases), "errors"]
    print_table(title, columns, rows, *([f"blockingio is to reach {aim}"] if aim else []))
