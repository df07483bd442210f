"""What a forked child does before it goes on: it has one thread, and copies of locks and sockets that are its parent's.

Where the system cannot fork there is no such child, and nothing is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


def after_fork_in_child(function: Callable[[], object]) -> None:
    """Call it in each child that is forked from now on."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


# By object: what is to be done about the locks that will never be released in a forked child, and about sockets that
# are the parent's.  Changed by any thread, in single steps of the dict below it, also without the GIL; read by the
# child's one thread.
_inheritors: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def begin_anew_in_child(inheritor: T, begin_anew: Callable[[T], None]) -> None:
    """Call ``begin_anew(inheritor)`` in each child that is forked from now on, for as long as the object lives.

    It is called by the only thread that there is, before that one goes on; not in the parent, nor before exec().
    """
    _inheritors[inheritor] = begin_anew


def _begin_all_anew() -> None:
    for inheritor, begin_anew in list(_inheritors.items()):
        begin_anew(inheritor)


after_fork_in_child(_begin_all_anew)
