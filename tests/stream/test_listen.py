"""listen: the callbacks, the future, and what is held meanwhile."""
from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest

from blockingio.stream.stream import Stream
from tests.stream.feed import Event, Feed, Log, no_threads, references
from tests.peers import PATIENCE, eventually, holds_in_child


def failing() -> Iterator[int]:
    yield 1
    raise ValueError("bad")


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
        "on_data of a stream failed: 1", "on_data of a stream failed: 2"]


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


def test_a_future_fails_with_an_error_that_came_before_it(caplog: pytest.LogCaptureFixture) -> None:
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
], ids=["view", "on_data", "view unheard", "on_data unheard"])
def test_no_event_is_held_by_an_error(
    listen: Callable[[Stream[Event]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is remembered, and its traceback has the frames that it came through."""
    # pytest keeps the records, and they the error.
    monkeypatch.setattr(logging.getLogger("blockingio"), "disabled", True)
    feed = Feed()
    with references(1) as (events, references_):
        feed.give(events.pop())
        subscription = listen(Stream.from_iterable(feed))
        feed.await_asked(2)
        eventually(lambda: references_[0]() is None)
        feed.end()
        assert subscription is not None
    gc.collect()


def test_what_is_no_exception_is_told_too() -> None:
    """on_error, then on_done: the listener learns that nothing feeds it any more."""
    class Outcome(BaseException):
        pass

    def data(event: int) -> None:
        raise Outcome

    told: list[object] = []
    done = threading.Event()
    Stream.from_iterable([1, 2]).listen(data, on_error=told.append, on_done=done.set)
    assert done.wait(PATIENCE)
    assert [type(error) for error in told] == [Outcome]


def test_a_listener_whose_thread_does_not_come_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """listen() returns, and tells."""
    def fail(thread: threading.Thread) -> None:
        raise MemoryError

    monkeypatch.setattr(threading.Thread, "_bootstrap", fail)
    told: list[object] = []
    done = threading.Event()
    subscription = Stream.from_iterable([1]).listen(told.append, on_error=told.append, on_done=done.set)
    assert done.wait(PATIENCE)
    assert "did not come up" in str(told) and "cancelled" in repr(subscription)


# ---------------------------------------------------------------- forks


@pytest.mark.needs("os.fork")
def test_in_a_forked_child_it_is_cancelled() -> None:
    """The thread that feeds it is the parent's, and goes on there."""
    feed, log = Feed(), Log()
    subscription = Stream.from_iterable(feed).listen(log.data, on_done=log.done)
    subscription.pause()

    def is_cancelled() -> bool:
        subscription.resume()
        subscription.cancel()
        return subscription.as_future().cancelled() and not subscription.is_paused and not log.calls

    assert holds_in_child(is_cancelled)
    subscription.resume()
    feed.give(1)
    feed.end()
    assert subscription.as_future("the end").result(PATIENCE) == "the end" and log.calls == [1, "done"]


@pytest.mark.needs("os.fork")
def test_in_a_forked_child_the_end_is_what_it_was() -> None:
    subscription = Stream.from_iterable([1]).listen(None)
    subscription.as_future().result(PATIENCE)
    assert holds_in_child(lambda: subscription.as_future(2).result(0) == 2)
