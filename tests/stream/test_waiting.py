"""timeout over all makes of streams: who gets what comes too late, and which threads it takes."""
from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from blockingio.errors import StateError
from blockingio.stream.reader import HookReader, Outcome
from blockingio.stream.stream import Stream
from tests.stream.feed import Feed, QueueStream, Waiting, close, in_thread, is_even, new_threads, references, same
from tests.peers import PATIENCE, eventually

# Seconds: a limit that is there to be passed, and one that what is there already meets on a busy machine too.
SOON, FAIR = 0.02, 0.25


class Always(Waiting):
    """Has one whenever it is asked."""

    __slots__ = ()

    def receive(self, seconds: float) -> Any:
        return 1


# ---------------------------------------------------------------- streams of other makes


def test_a_late_event_of_a_users_stream_is_the_next_iterations() -> None:
    stream = QueueStream()
    with pytest.raises(TimeoutError):
        stream.timeout(SOON).first()
    with pytest.raises(TimeoutError):
        stream.timeout(SOON).first()
    stream.queue.put(1)
    stream.queue.put(2)
    stream.queue.put(None)
    for event in stream:  # its own iterator would be behind the wait that was given up
        assert event == 1
        break
    assert list(stream) == [2]


def test_an_iteration_that_begins_before_the_late_event_comes_gets_it() -> None:
    stream = QueueStream()
    with pytest.raises(TimeoutError):
        stream.timeout(SOON).first()
    reading = in_thread(lambda: list(stream))
    stream.queue.put(1)
    stream.queue.put(2)
    stream.queue.put(None)
    assert reading.result(PATIENCE) == [1, 2]
    assert stream.opened == 1


def test_once_it_is_read_a_users_stream_is_as_it_was() -> None:
    stream = QueueStream()
    with pytest.raises(TimeoutError):
        stream.timeout(SOON).first()
    stream.queue.put(1)
    assert stream.first() == 1
    stream.queue.put(2)
    assert stream.first() == 2
    assert stream.opened == 2


def test_what_is_kept_the_moment_that_a_reader_opens_the_stream() -> None:
    class Unlucky(Waiting):
        __slots__ = ()

        def _timed_iterator(self) -> Any:
            reader._keep(Outcome(5))
            return super()._timed_iterator()

    stream = Unlucky()
    reader = HookReader[int](stream._timed_iterator, stream)
    assert reader.pull(None) == 5
    stream.queue.put(6)
    assert reader.pull(None) == 6


def test_each_of_several_waits_that_were_given_up_is_kept() -> None:
    stream = QueueStream()
    views = [stream.timeout(SOON), stream.timeout(SOON)]
    readers = [iter(view) for view in views]  # two iterators of the stream's own
    for reader in readers:
        with pytest.raises(TimeoutError):
            next(reader)
    stream.queue.put(1)
    stream.queue.put(2)
    stream.queue.put(None)
    assert sorted([stream.first(), stream.first()]) == [1, 2]
    assert stream.is_empty()


def test_a_stream_with_slots_keeps_what_is_late_in_the_view() -> None:
    class Slotted(Stream[int]):
        __slots__ = ("_feed",)

        def __init__(self, feed: Feed) -> None:
            self._feed = feed

        def __iter__(self) -> Iterator[int]:
            return iter(self._feed)

    feed = Feed()
    limited = Slotted(feed).timeout(FAIR)
    with pytest.raises(TimeoutError):
        limited.first()
    feed.give(1)
    assert limited.first() == 1
    feed.end()


def test_a_stream_that_waits_by_itself_needs_no_thread() -> None:
    stream = Waiting()
    before = set(threading.enumerate())
    limited = stream.where(is_even).map(same).take(2).timeout(FAIR)
    for number in (1, 2):
        stream.queue.put(number)
    assert limited.first() == 2
    with pytest.raises(TimeoutError):
        limited.first()
    assert new_threads(before) == []
    assert set(stream.threads) == {threading.current_thread()}
    stream.queue.put(4)
    assert limited.to_list() == [4]
    stream.queue.put(6)
    stream.queue.put(None)
    assert stream.timeout(FAIR).to_list() == [6]


@pytest.mark.parametrize("view", [
    lambda s: s.where(lambda e: False),
    lambda s: s.skip(10**9),
    lambda s: s.skip_while(lambda e: True),
    lambda s: s.distinct(lambda last, new: True),
    lambda s: s.expand(lambda e: ()),
    lambda s: s.async_expand(lambda e: None),
    lambda s: s.cast(str).handle_error(same),
], ids="where skip skip_while distinct expand async_expand handle_error".split())
@pytest.mark.parametrize("make", [
    lambda: Stream.from_iterable(range(10**9)),
    lambda: Stream.from_iterable(itertools.repeat(1)),
    lambda: Always(),
], ids=["container", "iterator", "stream"])
def test_events_that_are_left_out_do_not_begin_the_wait_anew(
    make: Callable[[], Stream[Any]], view: Callable[[Stream[Any]], Stream[Any]]
) -> None:
    events = iter(view(make()).timeout(SOON))
    waits = 0
    for _ in range(3):
        try:
            next(events)
        except TimeoutError:
            waits += 1
    assert waits >= 2  # the first one passes distinct


def test_on_timeout_of_a_stream_that_waits_by_itself() -> None:
    stream = Waiting()
    assert stream.timeout(SOON, close).to_list() == []


@pytest.mark.parametrize("make", [
    lambda: Stream.periodic(10, same),
    lambda: Stream.periodic(10, same).map(same).as_broadcast_stream(),
], ids=["periodic", "broadcast"])
def test_our_own_sources_need_no_thread(make: Callable[[], Stream[Any]]) -> None:
    before = set(threading.enumerate())
    limited = make().timeout(SOON)
    with pytest.raises(TimeoutError):
        limited.first()
    assert new_threads(before) == []


def test_containers_need_no_thread() -> None:
    threads: set[threading.Thread] = set()
    before = set(threading.enumerate())
    limited = Stream.from_iterable([1, 2]).expand(range).timeout(FAIR)
    limited.for_each(lambda _: threads.update(threading.enumerate()))
    assert threads == before


# ---------------------------------------------------------------- the helper's thread


def test_the_helper_is_one_daemon_thread_that_ends_with_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockingio.stream.reader.HELPER_LINGER", PATIENCE)  # it is asked in that time
    before = set(threading.enumerate())
    callers: set[threading.Thread] = set()

    def events() -> Iterator[int]:
        for number in range(50):
            callers.add(threading.current_thread())
            yield number

    assert Stream.from_iterable(events()).timeout(PATIENCE).to_list() == list(range(50))
    assert len(callers - before) == 1
    assert all(caller.daemon for caller in callers - before)
    eventually(lambda: not new_threads(before))


def test_the_helper_ends_when_nobody_waits_any_more() -> None:
    before = set(threading.enumerate())
    feed = Feed(1, 2)
    limited = Stream.from_iterable(feed).timeout(PATIENCE)
    assert limited.first() == 1
    eventually(lambda: not new_threads(before))
    assert limited.first() == 2  # by another one
    eventually(lambda: not new_threads(before))


def test_the_helper_ends_as_soon_as_an_abandoned_next_returns() -> None:
    before = set(threading.enumerate())
    feed = Feed()
    limited = Stream.from_iterable(feed).timeout(FAIR)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            limited.first()
    assert new_threads(before) == ["blockingio next"]
    feed.give(1)
    eventually(lambda: not new_threads(before))
    assert limited.first() == 1
    eventually(lambda: not new_threads(before))


def test_an_event_that_is_late_for_one_helper_is_in_time_for_many_readers() -> None:
    feed = Feed()
    limited = Stream.from_iterable(feed).timeout(FAIR)
    readings = [in_thread(lambda: next(limited._stream_reader())) for _ in range(5)]
    for reading in readings:
        with pytest.raises(TimeoutError):
            reading.result(PATIENCE)
    assert feed.asked == 1
    feed.give(1)
    assert limited.first() == 1
    feed.end()


def test_what_is_no_exception_comes_out_in_the_reader() -> None:
    feed = Feed()
    feed.fail(SystemExit(3))
    with pytest.raises(SystemExit):
        Stream.from_iterable(feed).timeout(PATIENCE).first()


@pytest.mark.parametrize("error", [StopIteration(), ValueError("bad")], ids=repr)
def test_no_cycle_is_left_behind(error: Exception) -> None:
    with references(1) as (events, references_):

        def source() -> Iterator[int]:
            held = events.pop()
            yield 1
            if isinstance(error, ValueError):
                raise ValueError("bad")
            assert held

        limited = Stream.from_iterable(source()).timeout(PATIENCE)
        assert limited.first() == 1
        try:
            limited.first()
        except (StateError, ValueError):
            pass
        del limited
        eventually(lambda: references_[0]() is None)


def test_without_a_thread_to_be_had_nothing_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    feed = Feed(1)
    limited = Stream.from_iterable(feed).timeout(PATIENCE)
    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        limited.first()
    monkeypatch.undo()
    assert limited.first() == 1


def test_events_in_time_and_too_late_all_arrive_in_order() -> None:
    """Limits about as long as the gaps: every race between an event and its reader's leaving."""
    def events() -> Iterator[int]:
        for number in range(200):
            time.sleep(0.001)
            yield number

    limited = Stream.from_iterable(events()).timeout(0.001)
    read: list[int] = []
    late = 0
    while len(read) < 200:
        try:
            for number in limited:
                read.append(number)
        except TimeoutError:
            late += 1
    assert read == list(range(200))
    assert late

    def is_over() -> bool:
        try:
            return limited.is_empty()
        except TimeoutError:  # the end has a limit, too
            return False

    eventually(is_over)
