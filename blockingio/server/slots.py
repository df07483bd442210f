"""How many connections' threads work at once, where they do so themselves.

A thread that works has a slot.  It leaves it for as long as it waits for its client, so that a slow one keeps
no thread from working.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from blockingio.server.request import HttpRequest


class Slots:
    """So many at once; any thread may ask, and what it has entered it leaves."""

    __slots__ = ("enter", "leave")

    def __init__(self, count: int) -> None:
        # A token for each slot.  SimpleQueue's get and put are one step each, and wait in C.
        tokens: SimpleQueue[None] = SimpleQueue()
        self.enter = tokens.get  # waits for a slot that is free
        # Others may work now.
        self.leave: Callable[[], None] = partial(tokens.put, None)
        for _ in range(count):
            tokens.put(None)


@runtime_checkable
class ConnectionAction(Protocol):
    """An action of for_each that works on the connection's own thread, in a slot."""

    def work_on(self, request: HttpRequest, slots: Slots | None) -> object: ...
