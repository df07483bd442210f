"""What a fork leaves behind in the child: locks that will never be released, and sockets that are the parent's.

Code that has such things registers what is to be done about them; it is done in the child, by the only thread that
there is, before that one goes on.  Nothing happens in the parent, or before exec().
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from blockingio.net.system import after_fork_in_child

T = TypeVar("T")

# Changed by any thread, in single steps of the dict below it, also without the GIL; read by the child's one thread.
_inheritors: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def register(inheritor: T, begin_anew: Callable[[T], None]) -> None:
    """Call ``begin_anew(inheritor)`` after each fork from now on, for as long as the object lives."""
    _inheritors[inheritor] = begin_anew


def _after_fork() -> None:
    for inheritor, begin_anew in list(_inheritors.items()):
        begin_anew(inheritor)


after_fork_in_child(_after_fork)
