"""as_broadcast_stream: who sees what, when the source is read, and that readers who are gone cost nothing."""
from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from blockingio.stream.stream import Stream, StreamSubscription
from tests.stream.feed import Event, Feed, in_thread, new_threads, references, same
from tests.peers import PATIENCE, eventually


def first_of_two(reader: Iterator[int]) -> int:
    first = next(reader)
    next(reader)
    return first


def test_each_reader_sees_every_event_from_its_iter_on() -> None:
    feed = Feed(1, 2, 3, 4)
    feed.end()
    broadcast = Stream.from_iterable(feed).as_broadcast_stream()
    assert broadcast.is_broadcast
    first = iter(broadcast)
    assert [next(first), next(first)] == [1, 2]
    second = iter(broadcast)
    assert next(first) == 3
    third = iter(broadcast)
    assert list(second) == [3, 4]
    assert list(third) == [4]
    assert list(first) == [4]
    assert list(broadcast) == []
    assert list(first) == []


def test_nothing_is_read_before_a_reader_needs_it() -> None:
    feed = Feed(1, 2)
    broadcast = Stream.from_iterable(feed).as_broadcast_stream()
    readers = [iter(broadcast) for _ in range(3)]
    assert feed.asked == 0
    assert [next(reader) for reader in readers] == [1, 1, 1]
    assert feed.asked == 1


def test_without_other_readers_a_second_iteration_goes_on() -> None:
    broadcast = Stream.from_iterable(range(4)).as_broadcast_stream()
    assert broadcast.first() == 0
    assert broadcast.first() == 1
    assert broadcast.to_list() == [2, 3]


def test_threads_that_read_one_broadcast_all_see_everything() -> None:
    before = set(threading.enumerate())
    broadcast = Stream.from_iterable(number for number in range(500)).as_broadcast_stream()
    readers = [iter(broadcast) for _ in range(5)]
    readings: list[Future[list[int]]] = [in_thread(list, reader) for reader in readers]
    for reading in readings:
        assert reading.result(PATIENCE) == list(range(500))
    eventually(lambda: not new_threads(before))  # no thread of its own


def test_a_fast_reader_does_not_keep_a_slow_one_from_what_has_come() -> None:
    feed = Feed()
    broadcast = Stream.from_iterable(feed).as_broadcast_stream()
    readers = [iter(broadcast), iter(broadcast)]
    readings = [in_thread(first_of_two, reader) for reader in readers]
    feed.await_asked(1)
    fast = in_thread(broadcast.drain)  # waits in the source, again and again
    feed.give(1, 2, 3)
    assert [reading.result(PATIENCE) for reading in readings] == [1, 1]
    feed.end()
    fast.result(PATIENCE)


def test_listeners() -> None:
    feed = Feed()
    broadcast = Stream.from_iterable(feed).as_broadcast_stream()
    seen: list[list[int]] = [[], []]
    futures = [broadcast.listen(events.append).as_future() for events in seen]
    feed.give(1, 2)
    feed.end()
    for future in futures:
        future.result(PATIENCE)
    assert seen == [[1, 2], [1, 2]]


def test_a_listener_that_waits_its_turn_is_cancelled_at_once() -> None:
    feed = Feed()
    broadcast = Stream.from_iterable(feed).as_broadcast_stream()
    before = set(threading.enumerate())
    pulling = broadcast.listen(None)
    feed.await_asked(1)
    waiting = [broadcast.listen(None) for _ in range(3)]
    for subscription in waiting:
        subscription.cancel()
    eventually(lambda: len(new_threads(before)) == 1)
    pulling.cancel()
    feed.give(1)
    assert broadcast.first() == 1
    feed.end()


def test_a_timeout_of_one_reader_is_nothing_to_the_others() -> None:
    feed = Feed()
    broadcast = Stream.from_iterable(feed).as_broadcast_stream()
    reading: Future[list[int]] = in_thread(list, iter(broadcast))
    feed.await_asked(1)
    limited = iter(broadcast.timeout(0.02))
    with pytest.raises(TimeoutError):
        next(limited)
    feed.give(1)
    assert next(limited) == 1
    feed.end()
    assert reading.result(PATIENCE) == [1]


@pytest.mark.parametrize("view, expected", [
    (lambda s: s.map(str), ["0", "1", "2", "3"]),
    (lambda s: s.take(2), [0, 1]),
    (lambda s: s.skip(1).where(lambda n: n < 3), [1, 2]),
    (lambda s: s.timeout(PATIENCE), [0, 1, 2, 3]),
])
def test_a_view_of_one_is_one_too(view: Callable[[Stream[int]], Stream[Any]], expected: object) -> None:
    viewed = view(Stream.from_iterable(range(4)).as_broadcast_stream())
    assert viewed.is_broadcast
    readers = [iter(viewed), iter(viewed)]
    assert [list(reader) for reader in readers] == [expected, expected]


def test_a_broadcast_of_a_broadcast_listens_from_its_first_reader_on() -> None:
    inner = Stream.from_iterable([1, 2, 3]).as_broadcast_stream()
    outer = inner.map(same).as_broadcast_stream()
    reader = iter(outer)
    assert inner.first() == 1
    assert list(reader) == [1, 2, 3]


def test_other_streams_are_none() -> None:
    assert not Stream.is_broadcast
    assert not Stream.from_iterable([1]).is_broadcast
    assert not Stream.from_iterable([1]).map(same).is_broadcast


def test_an_error_goes_to_every_reader_and_the_next_event_follows() -> None:
    broadcast = Stream.from_iterable(["1", "x", "3"]).map(int).as_broadcast_stream()
    readers = [iter(broadcast), iter(broadcast)]
    for reader in readers:
        assert next(reader) == 1
        with pytest.raises(ValueError):
            next(reader)
        assert list(reader) == [3]


def test_what_interrupts_one_reader_is_its_own() -> None:
    feed = Feed()
    feed.fail(KeyboardInterrupt())
    feed.give(1)
    broadcast = Stream.from_iterable(feed).as_broadcast_stream()
    readers = [iter(broadcast), iter(broadcast)]
    with pytest.raises(KeyboardInterrupt):
        next(readers[0])
    assert [next(reader) for reader in readers] == [1, 1]


# ---------------------------------------------------------------- coming and going


class Log:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.subscriptions: set[StreamSubscription[Any]] = set()

    def listen(self, subscription: StreamSubscription[Any]) -> None:
        self.calls.append("listen")
        self.subscriptions.add(subscription)

    def cancel(self, subscription: StreamSubscription[Any]) -> None:
        self.calls.append("cancel")
        self.subscriptions.add(subscription)

    def broadcast(self, stream: Stream[Any]) -> Stream[Any]:
        return stream.as_broadcast_stream(on_listen=self.listen, on_cancel=self.cancel)


def test_on_listen_and_on_cancel_at_the_first_and_the_last() -> None:
    log = Log()
    broadcast = log.broadcast(Stream.from_iterable(range(9)))
    assert log.calls == []
    first = iter(broadcast)
    assert log.calls == ["listen"]
    second = iter(broadcast)
    del first
    assert log.calls == ["listen"]
    del second
    assert log.calls == ["listen", "cancel"]
    assert broadcast.first() == 0
    assert log.calls == ["listen", "cancel"] * 2
    for _ in broadcast:
        break
    assert log.calls == ["listen", "cancel"] * 3
    reader = iter(broadcast)
    assert len(list(reader)) == 7
    assert log.calls == ["listen", "cancel"] * 4  # at the end, though the reader is still there
    assert list(reader) == []
    assert log.calls == ["listen", "cancel"] * 4
    assert len(log.subscriptions) == 1
    assert isinstance(log.subscriptions.pop(), StreamSubscription)


def test_a_reader_that_was_closed_gets_no_more() -> None:
    log = Log()
    feed = Feed(1, 2, 3)
    broadcast = log.broadcast(Stream.from_iterable(feed))
    closed, other = iter(broadcast), iter(broadcast)
    assert next(other) == 1
    closed.close()  # type: ignore[attr-defined]
    assert next(other) == 2
    assert list(closed) == [1]
    assert list(closed) == []
    assert feed.asked == 2
    assert log.calls == ["listen"]
    other.close()  # type: ignore[attr-defined]
    other.close()  # type: ignore[attr-defined]
    assert log.calls == ["listen", "cancel"]


def test_what_a_slow_reader_has_not_seen_is_kept_until_it_is_gone() -> None:
    feed = Feed()
    broadcast = Stream.from_iterable(feed).as_broadcast_stream()
    slow, viewing, fast = iter(broadcast), iter(broadcast.map(same)), iter(broadcast)
    with references(2) as (events, references_):
        while events:
            feed.give(events.pop())
            next(fast)
        assert None not in [reference() for reference in references_]
        assert isinstance(next(slow), Event)
        del slow
        assert None not in [reference() for reference in references_]
        del viewing
        assert [reference() for reference in references_] == [None, None]


def test_a_reader_in_a_cycle_goes_with_the_collector() -> None:
    log = Log()
    broadcast = log.broadcast(Stream.from_iterable(range(3)))

    def read() -> Iterator[int]:
        yield from reader

    reader = iter(broadcast)
    cycle: list[Any] = [reader, read()]
    cycle.append(cycle)
    del reader, cycle
    gc.collect()
    assert log.calls == ["listen", "cancel"]


def test_a_paused_subscription_holds_all_readers_up() -> None:
    log = Log()
    feed = Feed(1, 2)
    broadcast = log.broadcast(Stream.from_iterable(feed))
    readers = [iter(broadcast), iter(broadcast)]
    (subscription,) = log.subscriptions
    subscription.pause()
    with pytest.raises(TimeoutError):
        broadcast.timeout(0.02).first()
    readings = [in_thread(next, reader) for reader in readers]
    assert feed.asked == 0
    subscription.resume()
    assert [reading.result(PATIENCE) for reading in readings] == [1, 1]


def test_a_cancelled_subscription_is_the_end_for_all_readers() -> None:
    log = Log()
    source = Stream.from_iterable([1, 2, 3])
    broadcast = log.broadcast(source)
    first, second = iter(broadcast), iter(broadcast)
    assert next(first) == 1
    (subscription,) = log.subscriptions
    subscription.cancel()
    assert list(first) == []
    assert list(second) == [1]  # which had come before
    assert list(broadcast) == []
    assert source.first() == 2


def test_the_subscriptions_future_is_the_end_of_the_source() -> None:
    log = Log()
    broadcast = log.broadcast(Stream.from_iterable([1]))
    reader = iter(broadcast)
    (subscription,) = log.subscriptions
    future = subscription.as_future("end")
    assert next(reader) == 1
    assert not future.done()
    assert list(reader) == []
    assert future.result(0) == "end"


def test_an_on_listen_that_fails_leaves_no_reader_behind() -> None:
    def fail(subscription: object) -> None:
        raise ValueError("on_listen")

    log = Log()
    feed = Feed(1)
    broadcast = Stream.from_iterable(feed).as_broadcast_stream(on_listen=fail, on_cancel=log.cancel)
    with pytest.raises(ValueError, match="on_listen"):
        iter(broadcast)
    gc.collect()
    assert log.calls == ["cancel"]
