"""Has the loop let go of a request, and so of its response, without close()?

Reference counts tell it.  What hands a request out keeps a weak reference and nothing else, so that each strong
one belongs to code that can still close the response.  A ``for`` asks for the next request while its variable still has
the last one; that reference counts for nothing, for it is about to go.

The counts are taken of what calling the weak reference gives, which each supported interpreter holds exactly once for
the call: CPython 3.11 to 3.14, and 3.14 without the GIL, where a thread's own counts and those of others are added
up.  They are not taken of a local variable: 3.14 lends those without counting.

Without the GIL only the variable of a loop is found so.  The request was made by its connection's thread; when another
thread lets go of the last reference, the interpreter queues the object for the thread that made it, with a reference
of its own, which cannot be told from a list's.  That thread is in recv().  The object goes once it runs again, or the
garbage collector does.  On another implementation, where nothing is counted, nothing is found here; a response is then
closed when the garbage collector finds it, too.
"""

from __future__ import annotations

import sys
from opcode import opmap
from types import FrameType
from typing import Protocol
from weakref import ref

from blockingio.wire.sink import CLOSED


class Closable(Protocol):
    """A response."""

    phase: int

    def close_forgotten(self) -> None: ...


class Given(Protocol):
    """A request that was handed out."""

    @property
    def response(self) -> Closable: ...


_FOR_ITER = opmap["FOR_ITER"]
_CACHE = opmap["CACHE"]
_CO_OPTIMIZED = 1  # inspect's name for it; that module takes long to load
_PACKAGE = __name__.partition(".")[0] + "."

_count = getattr(sys, "getrefcount", None)


def close_if_dropped(given: ref[Given]) -> None:
    """Close the response of a request that was handed out, where no other code can any more.

    For the thread that it was handed out to, when it asks for the next one.
    """
    request = given()
    if request is None or request.response.phase == CLOSED or _count is None:
        return
    # One is ours, one the call's.
    holders = _count(given()) - 2
    # One is the request's, one the call's.
    if holders > 1 or _count(request.response) > 2:
        return
    if holders == 0 or _is_variable_of_a_loop(request):
        request.response.close_forgotten()


def users_frame() -> FrameType | None:
    """The innermost one of the calling thread that is not this package's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        frame = frame.f_back
    return frame


def looping_frame() -> FrameType | None:
    """The frame of the ``for`` that asks for a request just now; None where something else does."""
    frame = users_frame()
    return frame if frame is not None and instruction_of(frame) == _FOR_ITER else None


def instruction_of(frame: FrameType) -> int:
    """The opcode of the instruction that it is at."""
    code, at = frame.f_code.co_code, frame.f_lasti
    while code[at] == _CACHE:  # 3.12 stands on the last of an instruction's caches
        at -= 2
    return code[at]


def _is_variable_of_a_loop(request: Given) -> bool:
    """Whether the next request is asked for by a ``for`` with this one in a variable of the same frame.

    A variable that something else was put into, as in ``first, second = next(requests), next(requests)``, counts
    as a holder, and so do a queue and a thread.
    """
    frame = looping_frame()
    if frame is None:
        return False
    variables = frame.f_locals
    found = any(value is request for value in list(variables.values()))
    if frame.f_code.co_flags & _CO_OPTIMIZED and isinstance(variables, dict):
        variables.clear()  # before 3.13 a copy that the frame would keep, and all that is in it
    return found
