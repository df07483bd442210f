"""Results that are kept by what they were made of, for any thread, and within bounds."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

_Key = TypeVar("_Key")
_Result = TypeVar("_Result")


def keep(known: dict[_Key, _Result], key: _Key, result: _Result, most: int) -> None:
    """Put it in; all others are forgotten where there would be more than ``most``.

    From any thread: each step is one of the dict's own, also without the GIL, and what two find out at once is equal.
    """
    if len(known) >= most:
        known.clear()
    known[key] = result


def kept(count: int, longest: int) -> Callable[[Callable[[str], _Result]], Callable[[str], _Result]]:
    """A decorator for a function of one text that a peer may have sent: functools.lru_cache, with a bound of size.

    Results for the last ``count`` texts are kept.  For a text of more than ``longest`` characters none is: else a peer
    could fill the memory with long ones.
    """
    def decorate(function: Callable[[str], _Result]) -> Callable[[str], _Result]:
        known = lru_cache(maxsize=count)(function)

        def find(text: str) -> _Result:
            return known(text) if len(text) <= longest else function(text)

        find.__doc__ = function.__doc__
        return find

    return decorate
