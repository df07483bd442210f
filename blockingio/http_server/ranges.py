"""The Range field: text and a length to the stretches of a file that are asked for (RFC 9110 14).

Takes text and numbers, gives first and last positions; opens nothing.
"""

from __future__ import annotations

import re
from itertools import pairwise

# Ranges in one request; more only serve to make a server work (RFC 9110 17.15).
MAX_RANGES = 32

# Characters of a Range field that 32 ranges of 64-bit numbers can have.
_MAX_FIELD = 2048

# range-spec = int-range / suffix-range (RFC 9110 14.1.1, 14.1.2)
_RANGE_SPEC = re.compile(r"(?:([0-9]++)-([0-9]*+)|-([0-9]++))")

# Digits of a position that a file can have; a longer number is past any end.
_MAX_DIGITS = 19


class RangeNotSatisfiable(Exception):
    """None of the ranges overlaps the file: 416."""


def parse_range(field: str, length: int) -> list[tuple[int, int]] | None:
    """First and last byte of each range of a Range field, for ``length`` bytes in all.

    None where the field is to be ignored, so that the whole is sent: another unit, a broken field, and ranges that
    overlap, are more than MAX_RANGES, or ask for the end of what is empty.  Raises RangeNotSatisfiable.
    """
    unit, equals, text = field.partition("=")
    if not equals or unit.lower() != "bytes" or len(field) > _MAX_FIELD or text.count(",") >= MAX_RANGES:
        return None
    ranges = []
    specs = 0
    for spec in text.split(","):
        spec = spec.strip(" \t")
        if not spec:
            continue  # a list may have empty elements (RFC 9110 5.6.1.2)
        match = _RANGE_SPEC.fullmatch(spec)
        if match is None:
            return None
        specs += 1
        first, last, suffix = match.groups()
        if suffix is not None:
            count = _number(suffix)
            begin, end = max(length - count, 0), length - 1
            if not count:
                continue
        else:
            begin = _number(first)
            end = _number(last) if last else length - 1
            if last and end < begin:
                return None
            end = min(end, length - 1)
            if begin >= length:
                continue
        ranges.append((begin, end))
    if not specs:
        return None
    if not ranges:
        raise RangeNotSatisfiable
    overlap = any(begin <= end for (_, end), (begin, _) in pairwise(sorted(ranges)))
    return ranges if length and not overlap else None


def _number(digits: str) -> int:
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS
