"""Objects whose settings are attributes: one that is misspelt is an AttributeError, and not taken without a word.

As ``__slots__`` have it, but the error names the attribute that was meant; and methods can be replaced, as tests do.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from typing import Any

from blockingio.values.checks import check, is_callable, is_flag


class KnownAttributes:
    """Base of classes that take no public attribute but those which their bodies name.

    A class that is derived from such a one takes any.  ValueError where one that is declared to be a bool, or a
    Callable or None, is set to something else.
    """

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        kind: type = type(self)
        if name[:1] != "_" and KnownAttributes in kind.__bases__ and name not in _names_of(kind):
            raise AttributeError(_complaint(kind, name))
        if name in (checks := _checks_of(kind)):
            check(name, value, checks[name])
        super().__setattr__(name, value)


@cache
def _checks_of(kind: type) -> dict[str, Callable[[Any], bool]]:
    """Of attributes that are no more than a value, by what their class declares them to be."""
    checks: dict[str, Callable[[Any], bool]] = {}
    for base in kind.__mro__:
        if KnownAttributes in base.__bases__:
            for name, declared in base.__annotations__.items():
                if declared == "bool":
                    checks[name] = is_flag
                elif declared.startswith("Callable[") and declared.endswith(" | None"):
                    checks[name] = is_callable
    return checks


@cache
def _names_of(kind: type) -> frozenset[str]:
    """Public ones, for few classes."""
    return frozenset(name for name in (*dir(kind), *kind.__annotations__) if name[:1] != "_")


def _complaint(kind: type, name: str) -> str:
    """What is wrong; dart:io's idleTimeout stands for idle_timeout."""
    plain = {known.replace("_", ""): known for known in _names_of(kind)}
    near = get_close_matches(name.replace("_", "").lower(), plain, n=1)
    hint = f"did you mean {plain[near[0]]!r}?" if near else "a class derived from it may have some of its own"
    return f"{kind.__name__} has no attribute {name!r} that can be set: {hint}"
