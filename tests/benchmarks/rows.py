"""What is measured of servers, row by row: processor time for a request, and requests a second.

Each row's contenders take turns, a round at a time.  "x best" is the processor time of the best other server
divided by ours: above 1 we lead.  The ceiling, which is a socket loop and no HTTP server, does not count as one.
"""
from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from tests.benchmarks.contender import Contender, Unavailable, label
from tests.benchmarks.contenders import trusting
from tests.benchmarks.load import WRK, Load, generate_messages
from tests.benchmarks.message import Message
from tests.benchmarks.report import Options, Score, in_turn, median, print_table, ratio, say

OTHERS = ("ceiling", "http_server", "uvicorn", "granian", "aiohttp", "waitress", "gunicorn")
OURS = "blockingio"
# Those that serve no WSGI application, or are no servers for Python.
NO_WSGI = ("ceiling", "http_server", "uvicorn", "aiohttp")
# Seconds: what a contender does once, at its first requests, is not measured.
WARM_UP = 1


class Row(NamedTuple):
    """One kind of request; ``route`` is what the contenders answer it with."""

    title: str
    route: str = "plain"
    message: Message = Message()
    connections: int = 8
    tls: bool = False
    ours: tuple[str, ...] = (OURS,)  # the first one is compared with the others
    without: tuple[str, ...] = ()  # contenders that cannot do it
    needs_several: bool = False  # processors, for the contenders


GROUPS: dict[str, list[Row]] = {
    "get": [
        *(Row(f"GET, {count} connections", connections=count) for count in (1, 8, 64, 256)),
        Row("GET, 8 workers", ours=("blockingio", "blockingio_workers")),
        Row("GET, a new connection each", message=Message(close=True)),
        Row("GET, 16 pipelined", message=Message(times=16), without=("uvicorn",)),
    ],
    "answers": [
        Row("an HTML page", "html"),
        Row("one header more", "header"),
        Row("a 404", "missing", Message(status=404)),
        Row("a 302", "moved", Message(status=302)),
        Row("a cookie", "cookie"),
        Row("JSON, query and headers read", "json", Message("/?name=J%C3%BCrgen+M&page=2")),
    ],
    "sizes": [
        Row("10 KiB in one piece", "10k"),
        Row("1 MiB in one piece", "1m"),
        Row("10 pieces of 1 KiB, each sent", "pieces"),
        Row("11 KiB of text, gzipped", "gzip"),
    ],
    "post": [
        Row("POST of 1 KiB", "read", Message(body=1024)),
        Row("POST of 1 KiB, chunked", "read", Message(body=1024, chunked=True), without=("http_server",)),
        Row("POST of 64 KiB", "read", Message(body=65536)),
        Row("POST of 64 KiB, chunked", "read", Message(body=65536, chunked=True), without=("http_server",)),
    ],
    "tls": [
        Row("TLS: GET", tls=True, without=("aiohttp", "waitress", "gunicorn")),
        Row("TLS: handshake and GET", message=Message(close=True), tls=True,
            without=("aiohttp", "waitress", "gunicorn")),
    ],
    "workers": [
        Row("2 ms of computing, by two workers and by one", "compute",
            ours=("blockingio_two_workers", "blockingio_one_worker"), without=OTHERS, needs_several=True),
        Row("GET, by two workers and by one",
            ours=("blockingio_two_workers", "blockingio_one_worker"), without=OTHERS, needs_several=True),
    ],
    "wsgi": [
        Row("WSGI: hello", ours=("blockingio_wsgi",), without=NO_WSGI),
        Row("WSGI: Flask hello", "flask", ours=("blockingio_wsgi",), without=NO_WSGI),
        Row("WSGI: 1 ms of computing, in one process and in two", "compute",
            ours=("blockingio_wsgi_two", "blockingio_wsgi_one"), without=OTHERS, needs_several=True),
    ],
}


class Measured(NamedTuple):
    load: Load
    cpu: float | None  # microseconds of the server's processor time for a request

    def __str__(self) -> str:
        return str(self.load) + (f", {self.cpu:.1f} us" if self.cpu else "")


def run(group: str, options: Options, score: Score) -> None:
    for row in GROUPS[group]:
        with ExitStack() as stack:
            compare(row, start(row, stack), options, score)


def start(row: Row, stack: ExitStack) -> list[Contender]:
    """Those that can run here and answer this row's request rightly; the others are named, with the reason."""
    contenders = []
    words = [row.route, *(["tls"] if row.tls else []), *(["close"] if row.message.close else [])]
    for script in (*OTHERS, *row.ours):
        if script in row.without:
            continue
        try:
            contender = stack.enter_context(Contender(f"apps.{script}", *words, needs_several=row.needs_several))
        except Unavailable as error:
            say(f"without {label(script)}: {error}")
            continue
        if wrong := row.message.try_once(contender.port, trusting() if row.tls else None):
            say(f"without {label(script)}: {wrong}")
            continue
        contenders.append(contender)
    return contenders


def compare(row: Row, contenders: list[Contender], options: Options, score: Score) -> None:
    """Measure them in turn, and print a line for each; the first of ``row.ours`` counts for the score."""
    for contender in contenders:
        generate_messages(contender.port, row.message, row.connections, WARM_UP, tls=row.tls)
    results = in_turn(row.title, {
        contender.label: partial(_measure, contender, row, options.seconds) for contender in contenders
    }, options.rounds)
    _print(row, results, options, score)


def _measure(contender: Contender, row: Row, seconds: int) -> Measured:
    before = contender.cpu_seconds()
    load = generate_messages(contender.port, row.message, row.connections, seconds, tls=row.tls)
    after = contender.cpu_seconds()
    if before is None or after is None or not load.requests:
        return Measured(load, None)
    return Measured(load, (after - before) * 1e6 / load.requests)


def _print(row: Row, results: dict[str, list[Measured]], options: Options, score: Score) -> None:
    costs = {name: median(cpus) for name, runs in results.items()
             if (cpus := [run.cpu for run in runs if run.cpu is not None])}
    rates = {name: median(run.load.rate for run in runs) for name, runs in results.items()}
    our_names = set(map(label, row.ours))
    others = [cost for name, cost in costs.items() if name not in our_names and name != "ceiling"]
    best = min(others, default=None)
    rows = []
    for name, runs in results.items():
        cost = costs.get(name)
        ours = name in our_names
        rows.append([name, f"{cost:.1f}" if cost else "-", f"{rates[name]:,.0f}",
                     f"{median(run.load.p99 for run in runs) * 1e3:.2f}",
                     f"{sum(run.load.errors for run in runs):,}",
                     f"{best / cost:.2f}" if ours and best and cost else ""])
    print_table(f"{row.title} ({'wrk' if WRK else 'own generator'}, {options})",
                ["CPU us", "requests/s", "p99 ms", "errors", "x best"], rows)
    name = label(row.ours[0])
    if best is not None and name in costs:
        score.count(row.title, costs[name] <= best)
    if "http.server" in rates and OURS in rates:
        ours_p99 = median(run.load.p99 for run in results[OURS])
        theirs = median(run.load.p99 for run in results["http.server"])
        if row.connections >= 64 and ours_p99 > theirs:
            say(f"{row.title}: p99 is {ratio(ours_p99, theirs)} of http.server's")
