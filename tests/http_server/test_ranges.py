"""ranges.py: what a Range field asks of so many bytes (RFC 9110 14)."""
from __future__ import annotations

import time

import pytest

from blockingio.http_server.ranges import MAX_RANGES, RangeNotSatisfiable, parse_range

# Field, length, ranges as first and last byte; None: the field is ignored.
CASES = [
    # The examples of 14.1.2, for 10,000 bytes.
    ("bytes=0-499", 10000, [(0, 499)]),
    ("bytes=500-999", 10000, [(500, 999)]),
    ("bytes=-500", 10000, [(9500, 9999)]),
    ("bytes=9500-", 10000, [(9500, 9999)]),
    ("bytes=0-0,-1", 10000, [(0, 0), (9999, 9999)]),
    ("bytes=0-0, 500-999, -1", 10000, [(0, 0), (500, 999), (9999, 9999)]),
    ("bytes= 0-999, 4500-5499, -1000", 10000, [(0, 999), (4500, 5499), (9000, 9999)]),
    # The unit has no case (14.1), a list may have empty elements (5.6.1.2), blanks are for commas only.
    ("BYTES=0-4", 10, [(0, 4)]),
    ("bytes=,0-4,,\t6-7,", 10, [(0, 4), (6, 7)]),
    ("bytes=0 -4", 10, None),
    ("bytes =0-4", 10, None),
    # Past the end (14.1.2).
    ("bytes=5-99999", 10, [(5, 9)]),
    ("bytes=0-" + "9" * 5000, 10, None),  # longer than any list of numbers has to be
    ("bytes=0-" + "9" * 1500, 10, [(0, 9)]),
    ("bytes=-" + "9" * 1500, 10, [(0, 9)]),
    ("bytes=" + "0" * 100 + "3-4", 10, [(3, 4)]),
    ("bytes=-20", 10, [(0, 9)]),
    ("bytes=10-,0-1", 10, [(0, 1)]),
    # In the order asked for; ranges that touch do not overlap.
    ("bytes=8-9,0-1", 10, [(8, 9), (0, 1)]),
    ("bytes=0-4,5-9", 10, [(0, 4), (5, 9)]),
    # Not bytes, or broken.
    ("lines=0-4", 10, None),
    ("bytes", 10, None),
    ("bytes=", 10, None),
    ("bytes=,", 10, None),
    ("bytes=-", 10, None),
    ("bytes=4", 10, None),
    ("bytes=4-3", 10, None),
    ("bytes=0-1,4-3", 10, None),
    ("bytes=a-b", 10, None),
    ("bytes=0x0-4", 10, None),
    ("bytes=+0-4", 10, None),
    ("bytes=--4", 10, None),
    ("bytes=0-4-5", 10, None),
    ("bytes=0-4;5-6", 10, None),
    ("bytes=0_1-2", 10, None),
    ("bytes=٣-٤", 10, None),
    # Silly: the whole file costs less.
    ("bytes=0-4,4-9", 10, None),
    ("bytes=0-,0-", 10, None),
    ("bytes=5-,-6", 10, None),
    ("bytes=" + ",".join(f"{n}-{n}" for n in range(MAX_RANGES)), 99, [(n, n) for n in range(MAX_RANGES)]),
    ("bytes=" + ",".join(f"{n}-{n}" for n in range(MAX_RANGES + 1)), 99, None),
    # The last bytes of nothing are nothing, which no Content-Range can say.
    ("bytes=-5", 0, None),
]


@pytest.mark.parametrize(("field", "length", "ranges"), CASES, ids=lambda value: str(value)[:40])
def test_what_is_asked_for(field: str, length: int, ranges: list[tuple[int, int]] | None) -> None:
    assert parse_range(field, length) == ranges


@pytest.mark.parametrize(("field", "length"), [
    ("bytes=10-", 10), ("bytes=10-20,30-40", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=0-0", 0),
    ("bytes=" + "9" * 100 + "-", 10),
])
def test_nothing_of_it_is_there(field: str, length: int) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(field, length)


def test_a_hostile_field_is_refused_cheaply() -> None:
    began = time.process_time()
    for text in ("0-," * 20000, "-" * 60000, "1" * 60000, " " * 60000):
        assert parse_range(f"bytes={text}", 10) is None
    assert time.process_time() - began < 1
