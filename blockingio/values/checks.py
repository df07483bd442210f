"""What a setting may be: checked when it is set, so that the error names the line with the mistake.

Each function tells whether a value is right, and its docstring what was expected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blockingio.values.grammar import FIELD_VALUE_RE


def check(name: str, value: object, is_right: Callable[[Any], bool]) -> None:
    """ValueError, which says what was found and expected, unless ``is_right``."""
    if not is_right(value):
        raise ValueError(f"{name} cannot be {value!r}, expected {is_right.__doc__}")


def is_flag(value: Any) -> bool:
    """True or False"""
    # A number does as well, as for Python; "no" and "false" would be taken for True.
    return isinstance(value, int) and value in (0, 1)


def is_callable(value: Any) -> bool:
    """something to call, or None"""
    return value is None or callable(value)


def is_time(value: Any) -> bool:
    """seconds above zero"""
    return isinstance(value, (int, float)) and value > 0


def is_duration(value: Any) -> bool:
    """seconds above zero, or None"""
    return value is None or is_time(value)


def is_wait(value: Any) -> bool:
    """seconds from zero up, or None"""
    return value is None or (isinstance(value, (int, float)) and value >= 0)


def is_number(value: Any) -> bool:
    """a whole number above zero"""
    return isinstance(value, int) and value > 0


def is_count(value: Any) -> bool:
    """a whole number above zero, or None"""
    return value is None or is_number(value)


def is_size(value: Any) -> bool:
    """a whole number from zero up"""
    return isinstance(value, int) and value >= 0


def is_bound(value: Any) -> bool:
    """a whole number from zero up, or None"""
    return value is None or is_size(value)


def is_field_value(value: Any) -> bool:
    """one line of latin-1 text, or None"""
    return value is None or (isinstance(value, str) and FIELD_VALUE_RE.fullmatch(value) is not None)
