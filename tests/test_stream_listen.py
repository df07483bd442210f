"""listen and StreamSubscription: the callbacks, steering it, what becomes of events then, and of the thread."""
from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from blockingio.stream import Stream, StreamSubscription
from tests.feed import Event, Feed, PuttingBack, QueueStream, Waiting, in_thread, new_threads, references
from tests.peers import PATIENCE, eventually


class Log:
    """The callbacks, in the order of their calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def data(self, event: Any) -> None:
        self.calls.append(event)

    def error(self, error: Exception) -> None:
        self.calls.append(repr(error))

    def done(self) -> None:
        self.calls.append("done")

    def listen(self, stream: Stream[Any], **options: Any) -> StreamSubscription[Any]:
        return stream.listen(self.data, on_error=self.error, on_done=self.done, **options)


def failing() -> Iterator[int]:
    yield 1
    raise ValueError("bad")


def no_threads(before: set[threading.Thread]) -> None:
    eventually(lambda: not new_threads(before))


# ---------------------------------------------------------------- callbacks


def test_events_come_in_order_on_one_daemon_thread_and_then_the_end() -> None:
    before = set(threading.enumerate())
    threads = set()
    log = Log()

    def data(event: int) -> None:
        threads.add(threading.current_thread())
        log.data(event)

    subscription = Stream.from_iterable(iter(range(50))).listen(data, on_done=log.done)
    assert subscription.as_future().result(PATIENCE) is None
    assert log.calls == [*range(50), "done"]
    assert len(threads) == 1
    assert threads.isdisjoint(before)
    assert all(thread.daemon for thread in threads)
    no_threads(before)


def test_listening_to_nothing_in_particular() -> None:
    done = threading.Event()
    feed = Feed(1, 2)
    feed.end()
    Stream.from_iterable(feed).listen(None, on_done=done.set)
    assert done.wait(PATIENCE)
    assert feed.taken == 3


def test_an_error_of_a_generator_is_followed_by_its_end() -> None:
    log = Log()
    log.listen(Stream.from_iterable(failing()))
    eventually(lambda: log.calls == [1, "ValueError('bad')", "done"])


def test_behind_an_error_come_the_next_events() -> None:
    log = Log()
    log.listen(Stream.from_iterable(["1", "x", "3"]).map(int))
    eventually(lambda: len(log.calls) == 4)
    assert log.calls[0::2] == [1, 3]
    assert log.calls[1].startswith("ValueError")
    assert log.calls[3] == "done"


def test_cancel_on_error_ends_it_there() -> None:
    before = set(threading.enumerate())
    log = Log()
    source = Stream.from_iterable(["1", "x", "3"]).map(int)
    subscription = log.listen(source, cancel_on_error=True)
    no_threads(before)
    assert log.calls[0] == 1
    assert len(log.calls) == 2
    assert "cancelled" in repr(subscription)
    assert source.to_list() == [3]


def test_an_error_that_nobody_hears_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    Stream.from_iterable(failing()).listen(None, on_done=done.set)
    assert done.wait(PATIENCE)
    assert [(record.name, record.levelname) for record in caplog.records] == [("blockingio", "ERROR")]
    assert "ValueError: bad" in caplog.text
    assert "in failing" in caplog.text


def test_an_error_of_on_data_goes_to_on_error_and_the_next_event_follows() -> None:
    log = Log()

    def data(event: int) -> None:
        if event == 2:
            raise ValueError("two")
        log.data(event)

    Stream.from_iterable([1, 2, 3]).listen(data, on_error=log.error, on_done=log.done)
    eventually(lambda: log.calls == [1, "ValueError('two')", 3, "done"])


def test_an_error_of_on_data_that_nobody_hears_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    events: list[int] = []

    def data(event: int) -> None:
        events.append(event)
        raise ValueError(event)

    Stream.from_iterable([1, 2]).listen(data, on_done=done.set)
    assert done.wait(PATIENCE)
    assert events == [1, 2]
    assert [record.getMessage() for record in caplog.records] == [
        "on_data of a stream failed: 1", "on_data of a stream failed: 2"]  # fmt: skip


def test_a_callback_that_fails_is_logged_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    log = Log()

    def fail(*arguments: object) -> None:
        raise KeyError("callback")

    subscription = Stream.from_iterable(failing()).listen(log.data, on_error=fail, on_done=fail)
    with pytest.raises(ValueError, match="bad"):
        subscription.as_future().result(PATIENCE)
    eventually(lambda: caplog.records)
    assert caplog.records[0].levelno == logging.ERROR
    assert "KeyError: 'callback'" in caplog.text


def test_exit_from_on_data_ends_it(recwarn: pytest.WarningsRecorder) -> None:
    before = set(threading.enumerate())
    source = Stream.from_iterable([1, 2])
    release = threading.Event()

    def data(event: int) -> None:
        release.wait(PATIENCE)
        raise SystemExit

    subscription = source.listen(data)
    future = subscription.as_future()
    release.set()
    with pytest.raises(SystemExit):
        future.result(PATIENCE)
    no_threads(before)
    assert source.to_list() == [2]
    assert "cancelled" in repr(subscription)


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
], ids=["periodic", "timeout", "async_map"])  # fmt: skip
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

        def __iter__(self) -> Iterator[int]:
            for event in super().__iter__():
                raise ValueError(event)
            yield 0

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


# ---------------------------------------------------------------- as_future


def test_a_future_of_the_end() -> None:
    feed = Feed()
    log = Log()
    subscription = log.listen(Stream.from_iterable(feed))
    early, other = subscription.as_future("value"), subscription.as_future()
    feed.give(1)
    assert not early.done()
    feed.end()
    assert early.result(PATIENCE) == "value"
    assert other.result(PATIENCE) is None
    assert log.calls == [1, "done"]  # on_done has returned by then
    assert subscription.as_future(2).result(0) == 2


def test_a_future_fails_with_the_first_error_and_that_cancels() -> None:
    feed = Feed(1)
    source = Stream.from_iterable(feed)
    log = Log()
    future = log.listen(source).as_future()
    feed.fail(ValueError("first"))
    with pytest.raises(ValueError, match="first"):
        future.result(PATIENCE)
    feed.give(2)
    assert source.first() == 2
    assert log.calls == [1, "ValueError('first')"]
    feed.end()


def test_a_future_fails_with_an_error_that_came_before_it_was_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    subscription = Stream.from_iterable(failing()).listen(None, on_done=done.set)
    assert done.wait(PATIENCE)
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            subscription.as_future().result(PATIENCE)


def test_a_late_future_cancels_what_has_failed_and_goes_on() -> None:
    feed = Feed()
    feed.fail(ValueError("first"))
    source = Stream.from_iterable(feed)
    log = Log()
    subscription = log.listen(source)
    feed.await_asked(2)
    with pytest.raises(ValueError, match="first"):
        subscription.as_future().result(0)
    feed.give(2)
    assert source.first() == 2
    assert log.calls == ["ValueError('first')"]


def test_a_future_fails_with_an_error_of_on_data() -> None:
    release = threading.Event()

    def data(event: int) -> None:
        release.wait(PATIENCE)
        raise ValueError("in on_data")

    future = Stream.from_iterable([1]).listen(data).as_future()
    release.set()
    with pytest.raises(ValueError, match="in on_data"):
        future.result(PATIENCE)


def test_cancel_cancels_the_futures() -> None:
    feed = Feed()
    subscription = Stream.from_iterable(feed).listen(None)
    future = subscription.as_future()
    subscription.cancel()
    with pytest.raises(CancelledError):
        future.result(PATIENCE)
    with pytest.raises(CancelledError):
        subscription.as_future().result(PATIENCE)
    feed.end()


def test_a_future_that_its_owner_cancels_takes_no_part(caplog: pytest.LogCaptureFixture) -> None:
    feed = Feed()
    done = threading.Event()
    subscription = Stream.from_iterable(feed).listen(None, on_done=done.set)
    assert subscription.as_future().cancel()
    feed.fail(ValueError("unheard"))
    feed.end()
    assert done.wait(PATIENCE)
    assert "unheard" in caplog.text
    other_feed = Feed()
    other = Stream.from_iterable(other_feed).listen(None, on_done=done.clear)
    assert other.as_future().cancel()
    other_feed.end()
    eventually(lambda: not done.is_set())


# ---------------------------------------------------------------- what is held


def test_no_event_is_held_while_the_next_is_awaited() -> None:
    feed = Feed()
    with references(2) as (events, references_):
        while events:
            feed.give(events.pop())
        subscription = Stream.from_iterable(feed).map(lambda e: e).listen(lambda e: None)
        feed.await_asked(3)
        eventually(lambda: [reference() for reference in references_] == [None, None])
        assert subscription.as_future() is not None
        feed.end()


def refuse(event: Event) -> Event:
    try:
        raise KeyError("first")
    except KeyError:
        raise ValueError("refused")


@pytest.mark.parametrize("listen", [
    lambda stream: stream.map(refuse).listen(None, on_error=lambda error: None),
    lambda stream: stream.listen(refuse, on_error=lambda error: None),
    lambda stream: stream.map(refuse).listen(None),
    lambda stream: stream.listen(refuse),
], ids=["view", "on_data", "view unheard", "on_data unheard"])  # fmt: skip
def test_no_event_is_held_by_an_error(listen: Callable[[Stream[Event]], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is remembered, and its traceback has the frames that it came through."""
    monkeypatch.setattr(logging.getLogger("blockingio"), "disabled", True)  # pytest keeps records, and they the error
    feed = Feed()
    with references(1) as (events, references_):
        feed.give(events.pop())
        subscription = listen(Stream.from_iterable(feed))
        feed.await_asked(2)
        eventually(lambda: references_[0]() is None)
        feed.end()
        assert subscription is not None
    gc.collect()
