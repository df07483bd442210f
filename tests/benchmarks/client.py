"""Clients: GETs by keep-alive one after the other, and downloads with the memory they take."""
from __future__ import annotations

from functools import partial
from typing import Any

from tests.benchmarks.contender import Contender, Unavailable, label, run_client
from tests.benchmarks.report import Options, Score, in_turn, median, print_table, ratio, say

GETS = ["get.http_client", "get.requests", "get.blockingio"]
DOWNLOADS = ["download.recv", "download.http_client", "download.blockingio"]
# Bytes: what is read before memory is first looked at, and what is measured.
SMALL = 4 << 20
LARGE = 64 << 20
MEBIBYTE = 1 << 20


def run(options: Options, score: Score) -> None:
    with Contender("apps.ceiling") as server:
        results = _measure("client GET", GETS, server.port, options.rounds, f"{options.seconds}",
                           unit="requests/s")
    rates = _medians(results, "rate")
    rows = [[name, f"{rate:,.0f}", f"{median(run['p99'] for run in results[name]) * 1e3:.2f}",
             ratio(rate, rates.get("http.client")), ratio(rate, rates.get("requests"))]
            for name, rate in rates.items()]
    print_table(f"client: keep-alive GET ({options})",
                ["requests/s", "p99 ms", "x http.client", "x requests"], rows,
                "blockingio is to reach 1.00 times http.client and 4.00 times requests")

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
