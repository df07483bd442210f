"""Clients: requests by keep-alive one after the other, and downloads with the memory they take."""
from __future__ import annotations

from functools import partial
from typing import Any

from tests.benchmarks.contender import Contender, Unavailable, label, run_client
from tests.benchmarks.report import Options, Score, in_turn, median, print_table, ratio, say

CLIENTS = [f"request.{name}" for name in ("recv", "http_client", "urllib3", "requests", "httpx", "pycurl",
                                          "blockingio")]
OURS = "blockingio"
CEILING = "recv"
# Title, what the clients are told to send, and what the server of bare sockets is told to expect.
ROWS = [
    ("client: GET", "get", ["plain"]),
    ("client: POST of 1 KiB", "post", ["read"]),
    ("client: GET by TLS", "tls", ["plain", "tls"]),
]
DOWNLOADS = ["download.recv", "download.http_client", "download.blockingio"]
# Bytes: what is read before memory is first looked at, and what is measured.
SMALL = 4 << 20
LARGE = 64 << 20
MEBIBYTE = 1 << 20


def run(options: Options, score: Score) -> None:
    costs = [_compare(title, kind, words, options, score) for title, kind, words in ROWS]
    if costs[0] and costs[1]:
        say(f"client: POST costs {ratio(costs[1], costs[0])} of GET; it is to be 1.30 at most")

    with Contender("download.source") as server:
        results = _measure("download", DOWNLOADS, server.port, options.rounds, f"/{SMALL}", f"/{LARGE}",
                           f"{options.seconds}", unit="bytes/s")
    rates = _medians(results, "rate")
    growths = _medians(results, "growth")
    rows = [[name, f"{rate / MEBIBYTE:,.0f}", ratio(rate, rates.get("recv")),
             f"{growths[name] / MEBIBYTE:.1f}"] for name, rate in rates.items()]
    print_table(f"client: download of {LARGE // MEBIBYTE} MiB ({options})",
                ["MiB/s", "x recv", f"MiB grown from one of {SMALL // MEBIBYTE}"], rows,
                "blockingio is to reach 0.80 of recv, with memory that does not grow")


def _compare(title: str, kind: str, words: list[str], options: Options, score: Score) -> float | None:
    """A row for each client; the processor time of ours for a request, in microseconds."""
    with Contender("apps.ceiling", *words) as server:
        results = _measure(title, CLIENTS, server.port, options.rounds, kind, f"{options.seconds}", unit="requests/s")
    costs = {name: cost * 1e6 for name, cost in _medians(results, "cpu").items()}
    rates = _medians(results, "rate")
    best = min((cost for name, cost in costs.items() if name not in (OURS, CEILING)), default=None)
    ours = costs.get(OURS)
    rows = [[name, f"{costs[name]:.1f}", f"{rates[name]:,.0f}",
             f"{median(run['p99'] for run in results[name]) * 1e3:.2f}",
             ratio(best, ours) if name == OURS and best else ""] for name in results]
    print_table(f"{title} ({options})", ["CPU us", "requests/s", "p99 ms", "x best"], rows)
    if best and ours:
        score.count(title, ours <= best)
    return ours


def _measure(title: str, scripts: list[str], port: int, rounds: int, *arguments: str,
             unit: str) -> dict[str, list[dict[str, Any]]]:
    """Run those clients in turn that can run here; a short run of each tells which."""
    able = []
    for script in scripts:
        try:
            run_client(script, port, *arguments[:-1], "0.1")
            able.append(script)
        except Unavailable as error:
            say(f"without {label(script)}: {error}")
    measures = {label(script): partial(run_client, script, port, *arguments) for script in able}
    return in_turn(title, measures, rounds, lambda run: f"{run['rate']:,.0f} {unit}")


def _medians(results: dict[str, list[dict[str, Any]]], key: str) -> dict[str, float]:
    return {name: median(run[key] for run in runs) for name, runs in results.items()}
