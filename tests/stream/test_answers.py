"""The answers: what they give, how far they read for it, and that they hold nothing meanwhile."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from blockingio.errors import StateError
from blockingio.stream.stream import Stream
from tests.stream.feed import Feed, in_thread, is_even, references
from tests.peers import PATIENCE, eventually

Answer = Callable[[Stream[Any]], Any]


def add(first: Any, second: Any) -> Any:
    return first + second


@pytest.mark.parametrize("answer, events, expected, left", [
    (lambda s: s.any(is_even), (1, 2, 3), True, [3]),
    (lambda s: s.any(is_even), (1, 3), False, []),
    (lambda s: s.any(is_even), (), False, []),
    (lambda s: s.every(is_even), (2, 3, 4), False, [4]),
    (lambda s: s.every(is_even), (2, 4), True, []),
    (lambda s: s.every(is_even), (), True, []),
    (lambda s: s.contains(2), (1, 2, 3), True, [3]),
    (lambda s: s.contains("2"), (1, 2, 3), False, []),
    (lambda s: s.first(), (1, 2), 1, [2]),
    (lambda s: s.first(), (None, 2), None, [2]),
    (lambda s: s.last(), (1, 2), 2, []),
    (lambda s: s.single(), (1,), 1, []),
    (lambda s: s.first_where(is_even), (1, 2, 3, 4), 2, [3, 4]),
    (lambda s: s.first_where(is_even, or_else=lambda: 0), (1, 3), 0, []),
    (lambda s: s.last_where(is_even), (1, 2, 3, 4, 5), 4, []),
    (lambda s: s.last_where(is_even, or_else=lambda: 0), (1, 3), 0, []),
    (lambda s: s.single_where(is_even), (1, 2, 3), 2, []),
    (lambda s: s.single_where(is_even, or_else=lambda: 0), (1, 3), 0, []),
    (lambda s: s.element_at(0), (1, 2), 1, [2]),
    (lambda s: s.element_at(1), (1, 2, 3), 2, [3]),
    (lambda s: s.is_empty(), (), True, []),
    (lambda s: s.is_empty(), (1, 2), False, [2]),  # as in dart the first is gone
    (lambda s: s.length(), (1, 2, 3), 3, []),
    (lambda s: s.length(), (), 0, []),
    (lambda s: s.fold("0", lambda text, number: text + str(number)), (1, 2), "012", []),
    (lambda s: s.fold(7, add), (), 7, []),
    (lambda s: s.reduce(add), (1, 2, 3), 6, []),
    (lambda s: s.reduce(add), (1,), 1, []),
    (lambda s: s.join(), (1, "b", None), "1bNone", []),
    (lambda s: s.join(", "), (1, 2), "1, 2", []),
    (lambda s: s.join(), (), "", []),
    (lambda s: s.to_list(), (1, 2, 2), [1, 2, 2], []),
    (lambda s: s.to_set(), (1, 2, 2), {1, 2}, []),
    (lambda s: s.drain(), (1, 2), None, []),
    (lambda s: s.drain("value"), (1, 2), "value", []),
    (lambda s: s.drain(future_value=0), (), 0, []),
])
def test_what_it_answers(answer: Answer, events: Iterable[Any], expected: Any, left: list[Any]) -> None:
    stream = Stream.from_iterable(iter(events))
    assert answer(stream) == expected
    assert list(stream) == left


@pytest.mark.parametrize("answer, events, error, message", [
    (lambda s: s.first(), (), StateError, "the stream is empty"),
    (lambda s: s.last(), (), StateError, "the stream is empty"),
    (lambda s: s.single(), (), StateError, "the stream is empty"),
    (lambda s: s.single(), (1, 2), StateError, "expected one element, found 1 and 2"),
    (lambda s: s.reduce(add), (), StateError, "the stream is empty"),
    (lambda s: s.first_where(is_even), (1, 3), StateError, "no element passes the test"),
    (lambda s: s.last_where(is_even), (1, 3), StateError, "no element passes the test"),
    (lambda s: s.single_where(is_even), (1, 3), StateError, "no element passes the test"),
    (lambda s: s.single_where(is_even), (2, 3, 4), StateError, "expected one element, found 2 and 4"),
    (lambda s: s.single_where(is_even, or_else=lambda: 0), (2, 4), StateError, "expected one element"),
    (lambda s: s.element_at(-1), (1, 2), ValueError, "expected a number of at least 0, found -1"),
    (lambda s: s.element_at(2), (1, 2), IndexError, "expected an event at index 2, found only 2"),
    (lambda s: s.element_at("0"), (1, 2), TypeError, "integer"),
])
def test_what_has_no_answer(answer: Answer, events: Iterable[Any], error: type[Exception],
                                 message: str) -> None:
    with pytest.raises(error, match=message):
        answer(Stream.from_iterable(events))


@pytest.mark.parametrize("answer", [
    lambda s: s.element_at(-1),
    lambda s: s.element_at("0"),
])
def test_a_wrong_index_reads_nothing(answer: Answer) -> None:
    stream = Stream.from_iterable([1])
    with pytest.raises((ValueError, TypeError)):
        answer(stream)
    assert stream.to_list() == [1]


def test_an_answer_takes_no_more_than_it_needs_to_know() -> None:
    feed = Feed(1, 2, 3, 4)
    stream = Stream.from_iterable(feed)
    assert stream.first() == 1
    assert stream.any(is_even)
    assert stream.contains(3)
    assert not stream.every(lambda number: number < 4)
    assert feed.asked == 4


def test_an_error_of_the_source_goes_up_and_the_rest_is_left() -> None:
    stream = Stream.from_iterable(["1", "x", "2"]).map(int)
    with pytest.raises(ValueError):
        stream.length()
    assert stream.to_list() == [2]


def test_for_each_runs_here_until_its_first_error() -> None:
    threads = []

    def action(number: int) -> None:
        threads.append(threading.current_thread())
        if number == 2:
            raise ValueError("two")

    stream = Stream.from_iterable([1, 2, 3])
    with pytest.raises(ValueError, match="two"):
        stream.for_each(action)
    assert threads == [threading.main_thread()] * 2
    stream.for_each(action)
    assert len(threads) == 3


class Consumer:
    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[Any] = []
        self._error = error

    def add_stream(self, stream: Stream[int]) -> None:
        self.calls.append(stream.to_list())
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.calls.append("closed")


def test_pipe_adds_the_stream_and_closes() -> None:
    consumer = Consumer()
    Stream.from_iterable([1, 2]).pipe(consumer)
    assert consumer.calls == [[1, 2], "closed"]


def test_pipe_does_not_close_what_failed() -> None:
    consumer = Consumer(OSError("full"))
    with pytest.raises(OSError, match="full"):
        Stream.from_iterable([1, 2]).pipe(consumer)
    assert consumer.calls == [[1, 2]]


@pytest.mark.parametrize("answer", [
    lambda s: s.for_each(lambda e: None),
    lambda s: s.fold(0, lambda number, e: number + 1),
    lambda s: s.length(),
    lambda s: s.drain(),
    lambda s: s.join(),
    lambda s: s.any(lambda e: False),
    lambda s: s.every(lambda e: True),
    lambda s: s.contains(None),
    lambda s: s.first_where(lambda e: False, or_else=lambda: None),
    lambda s: s.last_where(lambda e: False, or_else=lambda: None),
    lambda s: s.single_where(lambda e: False, or_else=lambda: None),
    lambda s: s.element_at(2),
], ids=("for_each fold length drain join any every contains "
        "first_where last_where single_where element_at").split())
def test_no_event_is_held_while_the_next_is_awaited(answer: Answer) -> None:
    feed = Feed()
    with references(2) as (events, references_):
        while events:
            feed.give(events.pop())
        reading = in_thread(answer, Stream.from_iterable(feed))
        feed.await_asked(3)
        eventually(lambda: [reference() for reference in references_] == [None, None])
        feed.give(0)
        feed.end()
        reading.result(PATIENCE)
