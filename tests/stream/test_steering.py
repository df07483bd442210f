"""StreamSubscription: pause, resume and cancel; what becomes of the events then, and of the thread."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from blockingio.stream.stream import Stream, StreamSubscription
from tests.stream.feed import Feed, Log, PuttingBack, QueueStream, Waiting, in_thread, new_threads, no_threads
from tests.peers import PATIENCE, eventually


# ---------------------------------------------------------------- pause and resume


def test_a_pause_leaves_what_comes_to_others() -> None:
    feed = Feed()
    source = Stream.from_iterable(feed)
    log = Log()
    subscription = log.listen(source)
    feed.await_asked(1)
    assert not subscription.is_paused
    subscription.pause()
    assert subscription.is_paused
    feed.give(1, 2, 3)
    assert source.take(2).to_list() == [1, 2]  # what it was waiting for included
    subscription.resume()
    assert not subscription.is_paused
    feed.end()
    eventually(lambda: log.calls == [3, "done"])
    assert "done" in repr(subscription)


def test_a_pause_that_is_over_before_the_event_comes() -> None:
    feed = Feed()
    log = Log()
    subscription = log.listen(Stream.from_iterable(feed))
    feed.await_asked(1)
    subscription.pause()
    subscription.resume()
    feed.give(1)
    feed.end()
    eventually(lambda: log.calls == [1, "done"])
    assert feed.asked == 2


def test_a_pause_that_kept_nothing_leaves_a_users_stream_as_it_was() -> None:
    stream = QueueStream()
    log = Log()
    subscription = log.listen(stream)
    eventually(lambda: stream.opened)
    subscription.pause()
    subscription.resume()
    stream.queue.put(1)
    eventually(lambda: log.calls == [1])
    reading = in_thread(stream.first)  # by an iterator of its own
    eventually(lambda: stream.opened == 2)
    while not reading.done():  # the two share what comes
        stream.queue.put(2)
        time.sleep(0.001)
    assert reading.result() == 2
    stream.queue.put(None)


def test_each_pause_needs_its_resume() -> None:
    feed = Feed()
    log = Log()
    subscription = log.listen(Stream.from_iterable(feed))
    subscription.resume()  # none to take back
    subscription.pause()
    subscription.pause()
    feed.give(1)
    subscription.resume()
    assert subscription.is_paused
    assert "paused" in repr(subscription)
    assert log.calls == []
    subscription.resume()
    assert not subscription.is_paused
    eventually(lambda: log.calls == [1])
    assert "listening" in repr(subscription)
    feed.end()


def test_a_pause_by_on_data() -> None:
    subscriptions: list[StreamSubscription[int]] = []
    began = threading.Event()
    log = Log()

    def data(event: int) -> None:
        began.wait(PATIENCE)
        log.data(event)
        subscriptions[0].pause()

    subscriptions.append(Stream.from_iterable([1, 2]).listen(data, on_done=log.done))
    began.set()
    for calls in ([1], [1, 2]):
        eventually(lambda: subscriptions[0].is_paused)
        assert log.calls == calls
        subscriptions[0].resume()
    eventually(lambda: log.calls == [1, 2, "done"])
    subscriptions[0].pause()  # nothing to pause any more
    assert not subscriptions[0].is_paused


def test_pausing_and_resuming_at_any_moment_loses_and_repeats_nothing() -> None:
    log = Log()
    subscription = log.listen(Stream.from_iterable(iter(range(5000))).map(lambda number: number))
    done = subscription.as_future()
    while not done.done():
        subscription.pause()
        subscription.resume()
    assert log.calls == [*range(5000), "done"]


# ---------------------------------------------------------------- cancel


def test_a_cancelled_one_leaves_the_event_that_it_was_waiting_for() -> None:
    before = set(threading.enumerate())
    feed = Feed()
    source = Stream.from_iterable(feed)
    log = Log()
    subscription = log.listen(source.map(str))
    feed.await_asked(1)
    subscription.cancel()
    subscription.cancel()
    feed.give(1, 2)
    assert source.take(2).to_list() == [1, 2]
    no_threads(before)
    assert log.calls == []


@pytest.mark.parametrize("late", [ValueError("late"), StopIteration()], ids=repr)
def test_a_cancelled_one_leaves_an_error_and_the_end_too(late: Exception) -> None:
    feed = Feed()
    source = Stream.from_iterable(feed)
    log = Log()
    subscription = log.listen(source)
    feed.await_asked(1)
    subscription.cancel()
    feed.fail(late)
    feed.end()
    if isinstance(late, ValueError):
        with pytest.raises(ValueError, match="late"):
            source.first()
    assert source.is_empty()
    assert log.calls == []


def test_cancel_by_on_data_stops_it_there() -> None:
    before = set(threading.enumerate())
    source = Stream.from_iterable(iter(range(10)))
    subscriptions: list[StreamSubscription[int]] = []
    began = threading.Event()
    log = Log()

    def data(event: int) -> None:
        began.wait(PATIENCE)
        log.data(event)
        if event == 2:
            subscriptions[0].cancel()

    subscriptions.append(source.listen(data, on_error=log.error, on_done=log.done))
    began.set()
    no_threads(before)
    assert log.calls == [0, 1, 2]
    assert source.first() == 3


def test_what_a_cancelled_on_data_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    subscriptions: list[StreamSubscription[int]] = []
    began = threading.Event()
    log = Log()

    def data(event: int) -> None:
        began.wait(PATIENCE)
        subscriptions[0].cancel()
        raise ValueError("after cancel")

    subscriptions.append(Stream.from_iterable([1]).listen(data, on_error=log.error))
    began.set()
    no_threads(before)
    assert log.calls == []
    assert "after cancel" in caplog.text


@pytest.mark.parametrize("view", [
    lambda feed: Stream.periodic(1000, str),
    lambda feed: Stream.from_iterable(feed).timeout(1000),
    lambda feed: Stream.from_iterable([1]).async_map(lambda event: Future()),
], ids=["periodic", "timeout", "async_map"])
def test_cancel_wakes_a_thread_that_is_not_inside_the_source(view: Callable[[Feed], Stream[Any]]) -> None:
    before = set(threading.enumerate())
    for step in range(10):  # from before it waits to after
        feed = Feed()
        subscription = view(feed).listen(None)
        time.sleep(step / 2000)
        subscription.cancel()
        eventually(lambda: "blockingio listen" not in new_threads(before))
        feed.end()


def test_cancelling_a_wait_for_the_next_period_computes_nothing() -> None:
    before = set(threading.enumerate())
    computed: list[int] = []
    subscription = Stream.periodic(1000, computed.append).listen(None)
    time.sleep(0.002)  # most likely it sleeps by then
    subscription.cancel()
    no_threads(before)
    assert computed == []


def test_cancel_ends_one_whose_thread_waits_for_resume() -> None:
    before = set(threading.enumerate())
    subscriptions: list[StreamSubscription[int]] = []
    began = threading.Event()

    def data(event: int) -> None:
        began.wait(PATIENCE)
        subscriptions[0].pause()

    subscriptions.append(Stream.from_iterable([1, 2]).listen(data))
    began.set()
    eventually(lambda: subscriptions[0]._resumed._waiting)
    subscriptions[0].cancel()
    no_threads(before)


def test_cancel_ends_a_paused_one() -> None:
    before = set(threading.enumerate())
    feed = Feed(1)
    source = Stream.from_iterable(feed)
    log = Log()
    subscription = log.listen(source.take(2))
    eventually(lambda: log.calls == [1])
    subscription.pause()
    subscription.cancel()
    assert not subscription.is_paused
    feed.give(2)
    assert source.first() == 2
    no_threads(before)


def test_a_cancelled_one_of_a_users_stream_leaves_the_event_too() -> None:
    stream = QueueStream()
    log = Log()
    subscription = log.listen(stream)
    eventually(lambda: stream.opened)
    subscription.cancel()
    reading = in_thread(lambda: list(stream))  # its own iterator would be second in line
    stream.queue.put(1)
    stream.queue.put(2)
    stream.queue.put(None)
    assert reading.result(PATIENCE) == [1, 2]
    assert log.calls == []


@pytest.mark.parametrize("view", [lambda s: s, lambda s: s.map(str).where(bool)], ids=["stream", "views"])
def test_a_cancelled_one_of_a_stream_that_waits_by_itself_puts_the_event_back(
    view: Callable[[Stream[Any]], Stream[Any]]
) -> None:
    before = set(threading.enumerate())
    stream = PuttingBack()
    log = Log()
    subscription = log.listen(view(stream))
    eventually(lambda: stream.opened)
    subscription.cancel()
    reading = in_thread(lambda: next(iter(stream)))
    eventually(lambda: stream.opened == 2)  # second in line
    stream.queue.put(1)
    assert reading.result(PATIENCE) == 1
    assert log.calls == []
    stream.queue.put(None)
    no_threads(before)


def test_where_there_is_no_putting_back_it_is_kept_for_the_next_reader() -> None:
    before = set(threading.enumerate())
    stream = Waiting()
    log = Log()
    subscription = log.listen(stream)
    eventually(lambda: stream.opened)
    subscription.cancel()
    stream.queue.put(1)
    no_threads(before)
    stream.queue.put(2)
    stream.queue.put(None)
    assert stream.timeout(PATIENCE).to_list() == [1, 2]
    assert log.calls == []


def test_an_error_in_a_cancelled_wait_of_such_a_stream_is_kept_too() -> None:
    class Failing(Waiting):
        __slots__ = ()

        def receive(self, seconds: float) -> Any:
            raise ValueError(super().receive(seconds))

    before = set(threading.enumerate())
    stream = Failing()
    log = Log()
    subscription = log.listen(stream)
    eventually(lambda: stream.opened)
    subscription.cancel()
    stream.queue.put("late")
    no_threads(before)
    with pytest.raises(ValueError, match="late"):
        stream.first()
    assert log.calls == []
