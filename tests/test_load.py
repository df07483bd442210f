"""What the load test waits by, which itself is not run here."""
from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from tests.load import process
from tests.load.process import falls_to


class Clock:
    """Stands for the module time in tests/load/process.py: a second passes with each look at a count."""

    def __init__(self, counts: Iterable[int]) -> None:
        self.seconds = 0.0
        self._counts: Iterator[int] = iter(counts)

    def count(self) -> int:
        self.seconds += 1
        return next(self._counts)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        pass


@pytest.mark.parametrize(("counts", "is_down", "seconds"), [
    ([3], True, 1),
    ([9000, 3], True, 2),
    (range(9000, 2, -1), True, 8998),  # slowly, but on and on
    ([9, 9, 8, 8, 8, 7, 7, 7, 3], True, 9),
    ([9] * 100, False, 5),  # one that never ends
    ([9, 8, 7, 4, 4, 4, 4, 4, 3], False, 8),
    ([9, 8, 9, 8, 9, 8, 9, 8, 9, 8], False, 6),  # up and down is no end
])
def test_thousands_that_end_slowly_are_no_leak(monkeypatch: pytest.MonkeyPatch, counts: Iterable[int], is_down: bool,
                                               seconds: float) -> None:
    clock = Clock(counts)
    monkeypatch.setattr(process, "time", clock)
    monkeypatch.setattr(process, "time_left", lambda: 1.0)
    assert falls_to(3, clock.count, patience=3) is is_down
    assert clock.seconds == seconds


def test_the_load_test_as_a_whole_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(range(100, 0, -1))
    monkeypatch.setattr(process, "time", clock)
    monkeypatch.setattr(process, "time_left", lambda: max(5 - clock.seconds, 0.0))
    assert not falls_to(3, clock.count, patience=3) and clock.seconds == 5
