"""Has an exception left a ``for`` over requests?

Its client is to have an answer then, at once: the exception, and with it the request, may be kept for any time.  A
loop that is left by ``break`` or ``return`` is another thing: its last request is the caller's still.

An iterator is not told why it is let go of, so this looks at the frame that does it.  An exception on its way out of
a frame lets go of the iterators of the loops that it leaves while the frame still stands at the instruction that
raised, and a traceback already names the frame.  ``break`` and ``return`` have an instruction for it.
"""

from __future__ import annotations

import gc
from opcode import opmap
from types import CodeType, FrameType, TracebackType
from typing import TYPE_CHECKING, Any
from weakref import ref

from blockingio.server.dropped import Given, instruction_of, looping_frame, users_frame
from blockingio.wire.sink import BUFFERING, OPEN

if TYPE_CHECKING:
    from collections.abc import Callable

# At these a loop lets go of its iterator without an exception: 3.14 has one of its own.  And at these it is not known
# what has happened to the user's own generator that the loop is in: its reader may just be done.
_NO_EXCEPTION = frozenset(opmap[name] for name in ("POP_TOP", "POP_ITER", "YIELD_VALUE", "RESUME", "SEND")
                          if name in opmap)


def asking_loop() -> CodeType | None:
    """The code of ``looping_frame``."""
    frame = looping_frame()
    return None if frame is None else frame.f_code


def answer_if_left_by_exception(given: ref[Any] | None, loop: CodeType | None,
                                answer: Callable[[Any, int], None]) -> None:
    """For the thread that lets go of an iterator: 500 to its last request, where nothing was sent of an answer.

    ``loop``: what ``asking_loop`` said.  Should the request have been handed to another thread, that one finds its
    response closed: the loop that ended has no use for the answer any more.
    """
    request: Given | None = None if given is None or loop is None else given()
    if request is None or not OPEN <= request.response.phase <= BUFFERING:
        return
    frame = users_frame()
    if (frame is not None and frame.f_code is loop and instruction_of(frame) not in _NO_EXCEPTION
            and _is_in_a_traceback(frame)):
        answer(request, 500)


def _is_in_a_traceback(frame: FrameType) -> bool:
    return any(type(holder) is TracebackType for holder in gc.get_referrers(frame))
