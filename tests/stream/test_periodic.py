"""Stream.periodic: when its events come, and which number they have."""
from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from blockingio.stream.stream import Stream
from tests.stream.feed import same


def test_periodic_waits_in_its_readers_thread() -> None:
    before = set(threading.enumerate())
    begin = time.monotonic()
    times = Stream.periodic(0.03, lambda number: (number, time.monotonic() - begin)).take(5).to_list()
    assert [number for number, _ in times] == [0, 1, 2, 3, 4]
    for number, at in times:
        assert at >= 0.03 * (number + 1) - 0.001
    assert set(threading.enumerate()) == before


class Clock:
    """In place of the system's; time passes only in `sleep`."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("blockingio.stream.views.monotonic", clock.monotonic)
    monkeypatch.setattr("blockingio.stream.views.sleep", clock.sleep)
    return clock


@pytest.mark.parametrize("work, expected", [
    ([], [8, 16, 24, 32, 40]),
    ([4, 7, 0, 6], [8, 16, 24, 32, 40]),  # what its reader does between is no delay
    ([10, 0, 0, 0], [8, 18, 24, 32, 40]),  # one that is late comes at once, the next in time
    ([30, 0, 0, 0], [8, 38, 40, 48, 56]),  # of several that were missed, one
    ([8, 8, 8, 8], [8, 16, 24, 32, 40]),
    ([12, 12, 12, 12], [8, 20, 32, 44, 56]),
])
def test_periodic_does_not_drift(clock: Clock, work: list[int], expected: list[int]) -> None:
    numbers: Iterator[tuple[int, float]] = iter(Stream.periodic(8, lambda number: (number, clock.now - 1000)))
    times = []
    for seconds in [*work, *[0] * 5][:5]:
        times.append(next(numbers))
        clock.sleep(seconds)
    assert times == list(enumerate(expected))


def test_periodic_computes_nothing_while_nobody_waits(clock: Clock) -> None:
    computed: list[int] = []
    numbers = Stream.periodic(8, computed.append)
    clock.sleep(100)
    numbers.first()
    assert clock.now == 1108
    clock.sleep(100)
    assert computed == [0]


def test_periodic_goes_on_behind_an_error_of_the_computation() -> None:
    def compute(number: int) -> int:
        if number == 1:
            raise ValueError("one")
        return number

    numbers = Stream.periodic(0, compute)
    assert numbers.first() == 0
    with pytest.raises(ValueError, match="one"):
        numbers.first()
    assert numbers.take(2).to_list() == [2, 3]


def test_a_negative_period_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a period of at least 0 seconds, found -1"):
        Stream.periodic(-1, same)
