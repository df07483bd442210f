"""timeout: what it raises or calls, and that no event is lost to it."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from blockingio.errors import StateError
from blockingio.stream.waiting import Wait, WaitCancelled
from blockingio.stream.stream import EventSink, Stream
from tests.stream.feed import Feed, close, in_thread, same
from tests.peers import PATIENCE, eventually

# Seconds: a limit that is there to be passed, and long enough for what is there on a busy machine.
SOON = 0.4


# ---------------------------------------------------------------- without on_timeout


def test_without_on_timeout_it_raises_and_iterating_again_waits_again() -> None:
    feed = Feed()
    limited = Stream.from_iterable(feed).timeout(SOON)
    for _ in range(3):
        with pytest.raises(TimeoutError, match=r"no event came within 0\.4 seconds"):
            limited.first()
    assert feed.asked == 1  # the same wait all the time
    feed.give(1, 2)
    assert limited.first() == 1
    assert limited.first() == 2
    with pytest.raises(TimeoutError):
        limited.first()
    feed.end()
    assert limited.to_list() == []


def test_it_waits_as_long_as_it_says() -> None:
    feed = Feed()
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        Stream.from_iterable(feed).timeout(0.1).first()
    assert time.monotonic() - begin >= 0.1
    feed.end()


@pytest.mark.parametrize("limit", [float("inf"), 1e12, threading.TIMEOUT_MAX])
def test_a_limit_beyond_what_a_lock_can_wait(limit: float) -> None:
    feed = Feed()
    reading = in_thread(Stream.from_iterable(feed).timeout(limit).to_list)
    feed.await_asked(1)
    feed.give(1)
    feed.end()
    assert reading.result(PATIENCE) == [1]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_nothing_takes_what_is_there(limit: float) -> None:
    assert Stream.from_iterable([1, 2]).timeout(limit).to_list() == [1, 2]
    feed = Feed()
    with pytest.raises(TimeoutError):
        Stream.from_iterable(feed).timeout(limit).first()
    feed.end()


def test_a_limit_that_is_no_number_is_refused_at_once() -> None:
    with pytest.raises(TypeError):
        Stream.from_iterable([1]).timeout("1")  # type: ignore[arg-type]


@pytest.mark.parametrize("reader", [
    lambda source, limited: limited,
    lambda source, limited: source,
    lambda source, limited: source.map(same),
    lambda source, limited: source.timeout(PATIENCE),
    lambda source, limited: source.as_broadcast_stream(),
], ids=["the view", "the source", "a view of the source", "another timeout", "a broadcast"])
@pytest.mark.parametrize("make", [
    lambda feed: Stream.from_iterable(feed),
    lambda feed: Stream.from_iterable(feed).map(same).where(lambda e: True),
], ids=["iterable", "views"])
def test_what_comes_too_late_is_the_next_readers(
    make: Callable[[Feed], Stream[int]], reader: Callable[[Stream[int], Stream[int]], Stream[int]]
) -> None:
    feed = Feed()
    source = make(feed)
    limited = source.timeout(SOON)
    with pytest.raises(TimeoutError):
        limited.first()
    feed.give(1, 2)
    next_reader = reader(source, limited)
    assert next_reader.first() == 1
    assert next_reader.first() == 2
    assert feed.asked == 2
    feed.end()


def test_who_waits_already_when_the_late_event_comes_gets_it() -> None:
    feed = Feed()
    source = Stream.from_iterable(feed)
    with pytest.raises(TimeoutError):
        source.timeout(SOON).first()
    reading = in_thread(source.first)
    assert feed.asked == 1
    feed.give(1)
    assert reading.result(PATIENCE) == 1
    feed.end()


def test_a_late_error_and_a_late_end_are_kept_as_well() -> None:
    feed = Feed()
    source = Stream.from_iterable(feed)
    for outcome in (ValueError("late"), StopIteration()):
        with pytest.raises(TimeoutError):
            source.timeout(SOON).first()
        feed.fail(outcome)
        if isinstance(outcome, ValueError):
            with pytest.raises(ValueError, match="late"):
                source.first()
    assert source.is_empty()


def test_views_between_keep_their_state_when_a_wait_is_given_up() -> None:
    feed = Feed()
    view = Stream.from_iterable(feed).skip(1).expand(lambda n: (n, -n)).take(3).timeout(SOON)

    def read() -> list[int]:
        events = []
        with pytest.raises(TimeoutError):
            for event in view:
                events.append(event)
        return events

    assert read() == []
    feed.give(1)
    assert read() == []
    feed.give(2)
    assert read() == [2, -2]
    feed.give(3)
    assert view.to_list() == [3]
    assert feed.asked == 3


def test_a_future_that_is_not_ready_in_time_is_awaited_again() -> None:
    future: Future[int] = Future()
    calls: list[int] = []

    def convert(number: int) -> Future[int]:
        calls.append(number)
        return future

    limited = Stream.from_iterable([1]).async_map(convert).timeout(SOON)
    with pytest.raises(TimeoutError):
        limited.first()
    future.set_result(7)
    assert limited.to_list() == [7]
    assert calls == [1]


def test_the_shorter_of_two_limits_counts() -> None:
    feed = Feed()
    source = Stream.from_iterable(feed)
    outer_closes = source.timeout(PATIENCE).map(same).timeout(SOON, close)
    assert outer_closes.to_list() == []
    inner_raises = source.timeout(SOON).map(same).timeout(PATIENCE, close)
    with pytest.raises(TimeoutError):
        inner_raises.first()
    feed.end()


def test_a_timeout_error_of_the_source_is_its_own() -> None:
    feed = Feed()
    feed.fail(TimeoutError("of the source"))
    called: list[Any] = []
    limited = Stream.from_iterable(feed).timeout(PATIENCE, called.append)
    with pytest.raises(TimeoutError, match="of the source"):
        limited.first()
    assert called == []
    feed.end()
    assert limited.to_list() == []


def test_an_interrupted_wait_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed()
    source = Stream.from_iterable(feed)
    reading = iter(source.timeout(PATIENCE))
    wait = threading.Event.wait

    def interrupt(event: threading.Event, timeout: float | None = None) -> bool:
        if threading.current_thread() is threading.main_thread() and timeout is not None and timeout > 1:
            feed.await_asked(1)
            raise KeyboardInterrupt
        return wait(event, timeout)

    monkeypatch.setattr(threading.Event, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        next(reading)
    monkeypatch.undo()
    feed.give(1)
    assert source.first() == 1
    feed.end()


# ---------------------------------------------------------------- with on_timeout


def test_on_timeout_may_end_the_stream() -> None:
    feed = Feed(1)
    source = Stream.from_iterable(feed)
    limited = source.timeout(SOON, close)
    assert limited.to_list() == [1]
    assert limited.to_list() == []
    feed.give(2)
    assert limited.to_list() == []  # it stays ended,
    assert source.first() == 2  # and the event is the source's
    feed.end()


def test_on_timeout_may_add_and_is_called_once_between_events() -> None:
    feed = Feed(1)
    calls: list[EventSink[str | int]] = []

    def add(sink: EventSink[str | int]) -> None:
        calls.append(sink)
        sink.add("late")
        sink.add_error(ValueError("added"))
        sink.add("later")

    limited: Stream[str | int] = Stream.from_iterable(feed).timeout(SOON, add)
    assert limited.take(2).to_list() == [1, "late"]
    with pytest.raises(ValueError, match="added"):
        limited.first()
    assert limited.first() == "later"
    reading = in_thread(limited.first)  # without a limit now
    with pytest.raises(TimeoutError):
        reading.result(5 * SOON)
    assert len(calls) == 1
    feed.give(2)
    assert reading.result(PATIENCE) == 2
    assert limited.first() == "late"  # the event has begun a new one
    assert len(calls) == 2
    feed.end()


def test_an_error_of_the_source_begins_a_new_wait_too() -> None:
    feed = Feed()
    limited = Stream.from_iterable(feed).timeout(SOON, lambda sink: sink.add("late"))
    assert limited.first() == "late"
    feed.fail(ValueError("from the source"))
    with pytest.raises(ValueError, match="from the source"):
        limited.first()
    assert limited.first() == "late"
    feed.end()


def test_what_on_timeout_raises_comes_behind_what_it_added() -> None:
    feed = Feed()

    def fail(sink: EventSink[int]) -> None:
        sink.add(1)
        raise ValueError("from on_timeout")

    limited = Stream.from_iterable(feed).timeout(SOON, fail)
    assert limited.first() == 1
    with pytest.raises(ValueError, match="from on_timeout"):
        limited.first()
    feed.end()


def test_the_sink_is_good_until_it_is_closed_or_on_timeout_returns() -> None:
    feed = Feed()
    sinks: list[EventSink[int]] = []

    def keep(sink: EventSink[int]) -> None:
        sinks.append(sink)
        with pytest.raises(TypeError, match="expected an Exception, found 'oh'"):
            sink.add_error("oh")  # type: ignore[arg-type]
        if len(sinks) == 2:
            sink.add(2)
            sink.close()
            sink.close()
            with pytest.raises(StateError, match="the sink is closed"):
                sink.add(3)

    limited = Stream.from_iterable(feed).timeout(SOON, keep)
    reading = in_thread(limited.to_list)
    eventually(lambda: sinks)
    feed.give(1)
    assert reading.result(PATIENCE) == [1, 2]
    with pytest.raises(StateError, match="on_timeout has returned"):
        sinks[0].add(4)
    feed.end()


# ---------------------------------------------------------------- the wait itself


def test_a_reader_waits_with_a_limit() -> None:
    feed = Feed(1)
    reader = Stream.from_iterable(feed).map(same)._stream_reader()
    assert reader.pull(Wait(PATIENCE)) == 1
    with pytest.raises(WaitCancelled):
        reader.pull(Wait(SOON))
    feed.give(2)
    assert reader.pull(Wait(PATIENCE)) == 2
    feed.end()
    with pytest.raises(StopIteration):
        reader.pull(Wait(PATIENCE))
