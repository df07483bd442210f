"""The loops that drain a server's queue of requests: the plain one, and one that can wait with a limit.

Any number of threads may each have one: a request goes to one of them.  A loop holds the request that
it gave last, to see when it asks for the next one whether somebody can still close the response.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from math import inf
from opcode import opmap
from queue import Empty
from sys import getrefcount
from time import monotonic
from types import FrameType, SimpleNamespace
from typing import TYPE_CHECKING

from blockingio.server.core import Signal, nap_time
from blockingio.wire.sink import CLOSED, OPEN

if TYPE_CHECKING:
    from blockingio.server.request import HttpRequest
    from blockingio.server.server import HttpServer


def iterate(server: HttpServer) -> Iterator[HttpRequest]:
    """``for request in server``: a generator, which is the quickest of all iterators, and for one thread."""
    requests = server._begin_iteration()
    try:
        nap = nap_time()
        get = requests.get
        while True:
            try:
                request = get(True, nap)
            except Empty:
                continue
            if isinstance(request, Signal):
                if server._ends(request):
                    return
                continue
            response = request.response
            response._phase = OPEN
            yield request
            if response._phase != CLOSED and _is_dropped(_references(request, response), request):
                response._close_forgotten()
            del request, response  # hold nothing while waiting
    finally:
        server._end_iteration(requests)


class TimedRequests:
    """The same for a thread that waits with a limit, or may yet."""

    __slots__ = ("_server", "_requests", "_last", "_nap")

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._last: HttpRequest | None = None
        self._nap = nap_time() or threading.TIMEOUT_MAX
        self._requests = server._begin_iteration()

    def __iter__(self) -> Iterator[HttpRequest]:
        return self

    def __next__(self) -> HttpRequest:
        return self.within(inf)

    def within(self, seconds: float) -> HttpRequest:
        """``next``, but TimeoutError where none comes in that time."""
        if self._last is not None:
            request, self._last = self._last, None
            response = request.response
            if response._phase != CLOSED and _is_dropped(_references(request, response), request):
                response._close_forgotten()
            del request, response
        end = monotonic() + seconds
        while True:
            left = end - monotonic()
            try:
                got = self._requests.get(timeout=min(max(left, 0), self._nap))
            except Empty:
                if left > self._nap:
                    continue
                raise TimeoutError(f"no request came within {seconds:g} seconds") from None
            if not isinstance(got, Signal):
                self._last = got
                got.response._phase = OPEN
                return got
            if self._server._ends(got):
                raise StopIteration

    def put_back(self, event: HttpRequest) -> bool:
        """What was given last is somebody else's after all."""
        self._last = None
        self._server._take_back(event)
        return True

    def __del__(self) -> None:
        if hasattr(self, "_requests") and not sys.is_finalizing():
            self._server._end_iteration(self._requests)


def _references(request: object, response: object) -> tuple[int, int]:
    return getrefcount(request), getrefcount(response)


def _is_dropped(references: tuple[int, int], request: HttpRequest) -> bool:
    """Whether nobody can close the response any more: whoever asks for the next request has let go of this one.

    The variable of a ``for`` still holds it then, and counts for nothing.  A variable that something else was
    put into, as in ``first, second = next(requests), next(requests)``, counts, and so does a queue or a thread.
    """
    of_request, of_response = _LOOP_ONLY
    if references[1] > of_response or references[0] > of_request:
        return False
    return references[0] < of_request or _is_variable_of_a_loop(request)


def _is_variable_of_a_loop(request: HttpRequest) -> bool:
    """Whether the next request is asked for by a ``for`` in somebody's code with this one in a variable there."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        frame = frame.f_back
    if frame is None or frame.f_code.co_code[frame.f_lasti] != _FOR_ITER:
        return False
    variables = frame.f_locals
    found = any(value is request for value in list(variables.values()))
    if frame.f_code.co_flags & _CO_OPTIMIZED and isinstance(variables, dict):
        variables.clear()  # a copy that the frame would keep, and all that is in it
    return found


def _references_of_a_loop() -> tuple[int, int]:
    """What ``_references`` says, in this interpreter, of a request that only a loop's variable and its iterator
    hold, and of its response: they differ with how an interpreter counts its own."""
    counts = []

    def iterate() -> Iterator[SimpleNamespace]:
        request = SimpleNamespace(response=SimpleNamespace())
        response = request.response
        yield request
        counts.append(_references(request, response))

    for _ in iterate():
        pass
    return counts[0]


_LOOP_ONLY = _references_of_a_loop()
_FOR_ITER = opmap["FOR_ITER"]
_CO_OPTIMIZED = 1  # inspect's, which takes long to load
_PACKAGE = __name__.partition(".")[0] + "."
