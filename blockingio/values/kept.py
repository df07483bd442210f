"""Results that are kept by the text that they were made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

_Result = TypeVar("_Result")


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
