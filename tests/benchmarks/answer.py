"""The handler's side of an answer: microseconds from its first word to the end of close(), with nothing sent.

The channel of the connection is one that takes everything.
"""
from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable
from typing import Any, cast

from blockingio import ContentType, Cookie, HttpResponse
from blockingio.server.connection import Connection
from blockingio.server.response import UnfinishedResponse
from blockingio.server.state import ServerState
from blockingio.wire.head import RequestHead, parse_fields
from blockingio.wire.limits import DEFAULT_LIMITS
from blockingio.wire.sink import OPEN
from tests.benchmarks.report import Options, Score, print_table

# Answers that are timed at once, and how often for each round.  The best counts: all else that the machine does adds.
ANSWERS = 500
TIMES = 100


class _Taking:
    """A channel that takes everything."""

    is_tls = False

    def send_now(self, data: bytes) -> int:
        return len(data)


def untouched(response: HttpResponse) -> None:
    response.write("Hello, world!")
    response.close()


def html(response: HttpResponse) -> None:
    response.headers.content_type = ContentType.HTML
    response.add(b"<p>Hello, world!</p>")
    response.close()


def missing(response: HttpResponse) -> None:
    response.status_code = 404
    response.write("Hello, world!")
    response.close()


def one_header(response: HttpResponse) -> None:
    response.headers.set("x-request-id", "4711")
    response.write("Hello, world!")
    response.close()


def cookie(response: HttpResponse) -> None:
    response.cookies.append(Cookie("theme", "dark"))
    response.write("Hello, world!")
    response.close()


def redirect(response: HttpResponse) -> None:
    response.redirect("/elsewhere")


# With what each is to cost at most, in microseconds; None: as little as it can.
HANDLERS: list[tuple[Callable[[HttpResponse], None], float | None]] = [
    (untouched, 1.8), (html, 5.0), (missing, 2.0), (one_header, 5.0), (cookie, 6.0), (redirect, None)]


def run(options: Options, score: Score) -> None:
    del score  # others have no such side
    state = ServerState("127.0.0.1:80", 80, None, lambda request, status: None)
    near, far = socket.socketpair()
    with near, far:
        connection = Connection(state, near, ("127.0.0.1", 1))
        connection.channel = cast(Any, _Taking())
        best = {handler.__name__: float("inf") for handler, _ in HANDLERS}
        gc.disable()  # its pauses are not the handler's
        try:
            for _ in range(options.rounds * TIMES):
                for handler, _ in HANDLERS:
                    best[handler.__name__] = min(best[handler.__name__], _time(handler, connection))
        finally:
            gc.enable()
    rows = [[name.replace("_", " "), f"{best[name]:.2f}", "" if aim is None else f"{aim:.1f}"]
            for handler, aim in HANDLERS for name in [handler.__name__]]
    print_table("the handler's side of an answer, nothing sent", ["us", "aim"], rows)


def _time(handler: Callable[[HttpResponse], None], connection: Connection) -> float:
    """Microseconds for one answer."""
    head = RequestHead("GET", "/", "1.1", parse_fields(b"Host: localhost", "1.1", DEFAULT_LIMITS, of_request=True))
    responses = [UnfinishedResponse(connection, head, None) for _ in range(ANSWERS)]
    for response in responses:
        response.phase = OPEN
    begin = time.perf_counter()
    for response in responses:
        connection.writing.acquire()
        handler(response)
    return (time.perf_counter() - begin) * 1e6 / ANSWERS
