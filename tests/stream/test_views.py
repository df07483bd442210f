"""The lazy views: what they give, that they read no more than they need, and hold nothing while they wait."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from blockingio.errors import StateError
from blockingio.stream.stream import Stream, StreamTransformer
from tests.stream.feed import Feed, in_thread, is_even, references, same
from tests.peers import PATIENCE, eventually


def stream(*events: Any) -> Stream[Any]:
    return Stream.from_iterable(iter(events))


def done(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


class Doubled(StreamTransformer[int, int]):
    def bind(self, stream: Stream[int]) -> Stream[int]:
        return stream.map(lambda number: number * 2)


def pairs(stream: Iterable[int]) -> Iterator[tuple[int, int]]:
    events = iter(stream)
    return zip(events, events)


@pytest.mark.parametrize("view, events, expected", [
    (lambda s: s.map(str), (1, 2), ["1", "2"]),
    (lambda s: s.where(is_even), (1, 2, 3, 4), [2, 4]),
    (lambda s: s.expand(range), (2, 0, 3), [0, 1, 0, 1, 2]),
    (lambda s: s.expand(lambda n: Stream.from_iterable(iter([n] * n))), (1, 2), [1, 2, 2]),
    (lambda s: s.async_map(lambda n: done(n + 1) if n < 2 else n), (0, 1, 2), [1, 2, 2]),
    (lambda s: s.async_expand(lambda n: None if n == 1 else [n, n]), (0, 1, 2), [0, 0, 2, 2]),
    (lambda s: s.async_expand(lambda n: done("ab"[:n])), (1, 2), ["a", "a", "b"]),
    (lambda s: s.cast(int), (1, True, 3), [1, True, 3]),
    (lambda s: s.distinct(), (1, 1, 2, 1, 1), [1, 2, 1]),
    (lambda s: s.distinct(), (None, None, 0), [None, 0]),
    (lambda s: s.distinct(lambda last, new: new < last + 2), (1, 2, 3, 4, 5), [1, 3, 5]),
    (lambda s: s.skip(0), (1, 2), [1, 2]),
    (lambda s: s.skip(2), (1, 2, 3, 4), [3, 4]),
    (lambda s: s.skip(3), (1, 2), []),
    (lambda s: s.skip_while(is_even), (2, 4, 5, 6), [5, 6]),
    (lambda s: s.take(0), (1, 2), []),
    (lambda s: s.take(1), (1, 2), [1]),
    (lambda s: s.take(3), (1, 2), [1, 2]),
    (lambda s: s.take_while(is_even), (2, 4, 5, 6), [2, 4]),
    (lambda s: s.handle_error(same), (1, 2), [1, 2]),
    (lambda s: s.timeout(PATIENCE), (1, 2), [1, 2]),
    (lambda s: s.as_broadcast_stream(), (1, 2), [1, 2]),
    (lambda s: s.transform(Doubled()), (1, 2), [2, 4]),
    (lambda s: s.transform(pairs), (1, 2, 3, 4), [(1, 2), (3, 4)]),
    (lambda s: s.transform(lambda t: t.map(str)), (1, 2), ["1", "2"]),
])
def test_what_a_view_gives_and_that_it_is_empty_then(view: Callable[[Stream[Any]], Stream[Any]],
                                                     events: tuple[Any, ...], expected: list[Any]) -> None:
    viewed = view(stream(*events))
    assert isinstance(viewed, Stream)
    assert viewed.to_list() == expected
    assert viewed.to_list() == []
    assert view(Stream.from_iterable([])).to_list() == []


@pytest.mark.parametrize("items", [
    [1, 2], (1, 2), range(1, 3), {1: "a", 2: "b"}, {1, 2}, frozenset((1, 2)), b"\1\2", bytearray(b"\1\2"),
    iter([1, 2]), (n for n in (1, 2)), Stream.from_iterable((1, 2)), {1: 0, 2: 0}.keys(),
], ids=lambda items: type(items).__name__)
def test_any_iterable_is_a_stream(items: Iterable[int]) -> None:
    numbers = Stream.from_iterable(items)
    assert numbers.first() == 1
    assert list(numbers) == [2]
    assert list(numbers) == []


def test_an_object_with_getitem_is_iterable_too() -> None:
    class Squares:
        def __getitem__(self, index: int) -> int:
            if index > 2:
                raise IndexError
            return index * index

    assert list(Stream.from_iterable(Squares())) == [0, 1, 4]  # type: ignore[arg-type]


def test_what_is_not_iterable_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="expected an iterable, found 5"):
        Stream.from_iterable(5)  # type: ignore[arg-type]


def test_a_subclass_without_iter_says_so() -> None:
    class Nothing(Stream[int]):
        pass

    with pytest.raises(NotImplementedError, match="Nothing does not supply __iter__"):
        Nothing().first()
    with pytest.raises(NotImplementedError, match="StreamTransformer does not supply bind"):
        stream(1).transform(StreamTransformer[int, int]())


def test_a_subclass_supplies_iter_and_gets_the_rest() -> None:
    class Countdown(Stream[int]):
        __slots__ = ("_left",)

        def __init__(self, start: int) -> None:
            self._left = start

        def __iter__(self) -> Iterator[int]:
            while self._left:
                self._left -= 1
                yield self._left

    countdown = Countdown(5)
    assert not hasattr(countdown, "__dict__")
    assert countdown.take(2).to_list() == [4, 3]
    assert countdown.map(str).to_list() == ["2", "1", "0"]
    assert countdown.is_empty()
    assert not Countdown.is_broadcast


# ---------------------------------------------------------------- single pass, nothing read ahead


def test_nothing_is_opened_or_read_before_it_is_iterated() -> None:
    class Iterable_:
        opened = 0

        def __iter__(self) -> Iterator[int]:
            self.opened += 1
            return iter((1, 2, 3))

    items = Iterable_()
    view = Stream.from_iterable(items).map(same).where(is_even).expand(range).take(2).timeout(1)
    assert items.opened == 0
    assert view.to_list() == [0, 1]
    assert items.opened == 1


def test_a_second_iteration_goes_on_where_the_first_broke_off() -> None:
    numbers = Stream.from_iterable(range(10)).map(same)
    for number in numbers:
        if number == 2:
            break
    for number in numbers:
        assert number == 3
        break
    assert numbers.first() == 4
    assert list(numbers) == [5, 6, 7, 8, 9]
    assert list(numbers) == []


@pytest.mark.parametrize("view, given, wanted, left", [
    (lambda s: s.take(3), 3, [1, 2, 3], 4),
    (lambda s: s.map(same), 1, [1], 2),
    (lambda s: s.where(is_even), 1, [2], 3),
    (lambda s: s.expand(lambda n: (n, n)), 2, [1, 1], 2),
    (lambda s: s.async_map(same), 1, [1], 2),
    (lambda s: s.async_expand(lambda n: (n, n)), 2, [1, 1], 2),
    (lambda s: s.cast(int), 1, [1], 2),
    (lambda s: s.distinct(), 1, [1], 2),
    (lambda s: s.skip(2), 1, [3], 4),
    (lambda s: s.skip_while(lambda n: n < 3), 1, [3], 4),
    (lambda s: s.take_while(lambda n: n < 3), 3, [1, 2], 4),  # the third is consumed, as in dart
    (lambda s: s.handle_error(same), 1, [1], 2),
    (lambda s: s.timeout(PATIENCE), 1, [1], 2),
    (lambda s: s.as_broadcast_stream(), 1, [1], 2),
])
def test_what_is_not_needed_is_left_for_the_next_reader(
    view: Callable[[Stream[int]], Stream[int]], given: int, wanted: list[int], left: int
) -> None:
    feed = Feed(1, 2, 3, 4, 5)  # an event too many asked for would be gone from it
    source = Stream.from_iterable(feed)
    events = iter(view(source))
    assert [event for _, event in zip(range(given), events)] == wanted
    assert source.first() == left


def test_events_may_be_made_of_those_behind_them() -> None:
    source = Stream.from_iterable(Feed(2, "a", "b", 0, 1, "c", 9))
    words = source.expand(lambda count: [source.take(count).join()])
    assert words.take(3).to_list() == ["ab", "", "c"]
    letters: Stream[Any] = Stream.from_iterable(iter([2, "a", "b", 1, "c"]))
    assert letters.expand(lambda count: letters.take(int(count))).to_list() == ["a", "b", "c"]


def test_it_shows_how_far_it_is() -> None:
    view = stream(1, 2).map(same)
    assert repr(view) == "<Stream unread>"
    view.first()
    assert repr(view) == "<Stream begun>"
    assert repr(view.as_broadcast_stream()) == "<Stream broadcast>"


def test_take_does_not_ask_for_one_more() -> None:
    feed = Feed(1, 2, 3)
    assert Stream.from_iterable(feed).take(3).to_list() == [1, 2, 3]  # nor waits for it
    assert feed.asked == 3


@pytest.mark.parametrize("name", ["take", "skip"])
def test_counts(name: str) -> None:
    with pytest.raises(ValueError, match="expected a number of at least 0, found -1"):
        getattr(stream(1), name)(-1)
    with pytest.raises(TypeError):
        getattr(stream(1), name)("1")


# ---------------------------------------------------------------- errors


def parse(text: str) -> int:
    return int(text)


@pytest.mark.parametrize("view, expected", [
    (lambda s: s, [1, 2, 3]),
    (lambda s: s.take(3), [1, 2, 3]),
    (lambda s: s.skip(1), [2, 3]),
    (lambda s: s.where(lambda n: True), [1, 2, 3]),
    (lambda s: s.expand(lambda n: (n,)), [1, 2, 3]),
    (lambda s: s.async_map(same), [1, 2, 3]),
    (lambda s: s.distinct(), [1, 2, 3]),
    (lambda s: s.skip_while(is_even), [1, 2, 3]),
    (lambda s: s.take_while(lambda n: True), [1, 2, 3]),
    (lambda s: s.timeout(PATIENCE), [1, 2, 3]),
    (lambda s: s.as_broadcast_stream(), [1, 2, 3]),
])
def test_iterating_goes_on_behind_an_error(
    view: Callable[[Stream[int]], Stream[int]], expected: list[int]
) -> None:
    viewed = view(Stream.from_iterable(["1", "x", "2", "y", "3"]).map(parse))
    events, errors = [], 0
    for _ in range(3):
        try:
            for event in viewed:
                events.append(event)
        except ValueError:
            errors += 1
    assert events == expected
    assert errors == 2


def test_cast_names_what_it_found_and_expected() -> None:
    numbers = stream(1, "two", 3).cast(int)
    assert numbers.first() == 1
    with pytest.raises(TypeError, match="expected an event of type int, found 'two'"):
        numbers.first()
    assert numbers.first() == 3


def test_handle_error_takes_those_that_pass_the_test() -> None:
    feed = Feed(1)
    feed.fail(ValueError("mine"))
    feed.give(2)
    feed.fail(KeyError("not mine"))
    feed.give(3)
    feed.end()
    handled: list[Exception] = []
    source = Stream.from_iterable(feed)
    numbers = source.handle_error(handled.append, lambda error: isinstance(error, ValueError))
    assert numbers.take(2).to_list() == [1, 2]
    with pytest.raises(KeyError):
        numbers.first()
    assert numbers.to_list() == [3]
    assert [str(error) for error in handled] == ["mine"]


def test_handle_error_ends_with_a_generator_that_failed() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    handled: list[Exception] = []
    assert Stream.from_iterable(failing()).handle_error(handled.append).to_list() == [1]
    assert [type(error) for error in handled] == [OSError]


def test_a_handler_of_errors_that_fails_itself() -> None:
    def fail(error: Exception) -> None:
        raise KeyError("from the handler") from error

    numbers = Stream.from_iterable(["1", "x", "2"]).map(parse).handle_error(fail)
    assert numbers.first() == 1
    with pytest.raises(KeyError, match="from the handler"):
        numbers.first()
    assert numbers.first() == 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_handle_error_leaves_alone_what_is_no_exception(stop: type[BaseException]) -> None:
    feed = Feed()
    feed.fail(stop())
    with pytest.raises(stop):
        Stream.from_iterable(feed).handle_error(same).first()


# ---------------------------------------------------------------- futures


def test_async_map_awaits_a_future_before_the_next_event() -> None:
    feed = Feed("a", "b")
    futures: dict[str, Future[str]] = {"a": Future(), "b": Future()}
    results = in_thread(Stream.from_iterable(feed).async_map(futures.__getitem__).take(2).to_list)
    feed.await_asked(1)
    futures["b"].set_result("B")
    assert feed.asked == 1
    futures["a"].set_result("A")
    assert results.result(PATIENCE) == ["A", "B"]


def test_async_map_raises_what_the_future_does_and_goes_on() -> None:
    failed: Future[int] = Future()
    failed.set_exception(ValueError("in the future"))
    cancelled: Future[int] = Future()
    cancelled.cancel()
    numbers = stream(failed, cancelled, 3).async_map(same)
    with pytest.raises(ValueError, match="in the future"):
        numbers.first()
    with pytest.raises(CancelledError):
        numbers.first()
    assert numbers.first() == 3


# ---------------------------------------------------------------- what is held while the next is awaited


HOLDS_NOTHING: dict[str, Callable[[Stream[Any]], Stream[Any]]] = {
    "map": lambda s: s.map(same),
    "where": lambda s: s.where(lambda e: True),
    "where_not": lambda s: s.where(lambda e: False),
    "expand": lambda s: s.expand(lambda e: [e]),
    "expand_by_generator": lambda s: s.expand(lambda e: (x for x in (e,))),
    "async_map": lambda s: s.async_map(same),
    "async_map_future": lambda s: s.async_map(done),
    "async_expand": lambda s: s.async_expand(lambda e: [e]),
    "async_expand_none": lambda s: s.async_expand(lambda e: None),
    "cast": lambda s: s.cast(object),
    "skip": lambda s: s.skip(1),
    "skip_while": lambda s: s.skip_while(lambda e: True),
    "skip_while_not": lambda s: s.skip_while(lambda e: False),
    "take": lambda s: s.take(9),
    "take_while": lambda s: s.take_while(lambda e: True),
    "handle_error": lambda s: s.handle_error(same),
    "timeout": lambda s: s.timeout(PATIENCE),
    "broadcast": lambda s: s.as_broadcast_stream(),
    "all": lambda s: s.map(same).where(lambda e: True).take(9).expand(lambda e: [e]).timeout(9).skip(1),
}


@pytest.mark.parametrize("view", HOLDS_NOTHING.values(), ids=HOLDS_NOTHING.keys())
def test_a_view_holds_no_event_while_it_waits(view: Callable[[Stream[Any]], Stream[Any]]) -> None:
    feed = Feed()
    viewed = view(Stream.from_iterable(feed))
    with references(2) as (events, references_):
        while events:
            feed.give(events.pop())
        reading = in_thread(viewed.drain)
        feed.await_asked(3)
        eventually(lambda: [reference() for reference in references_] == [None, None])
        feed.end()
        reading.result(PATIENCE)


def test_distinct_holds_the_one_that_it_compares_with() -> None:
    feed = Feed()
    with references(2) as (events, references_):
        while events:
            feed.give(events.pop())
        reading = in_thread(Stream.from_iterable(feed).distinct().drain)
        feed.await_asked(3)
        last, first = references_
        eventually(lambda: first() is None)
        assert last() is not None
        feed.end()
        reading.result(PATIENCE)
        eventually(lambda: last() is None)


# ---------------------------------------------------------------- several threads


@pytest.mark.parametrize("view", [
    lambda s: s,
    lambda s: s.map(same),
    lambda s: s.where(lambda e: True),
    lambda s: s.take(300),
    lambda s: s.skip(0),
    lambda s: s.expand(lambda e: [e]),
    lambda s: s.distinct(),
    lambda s: s.async_map(done),
    lambda s: s.take_while(lambda e: True),
    lambda s: s.skip_while(lambda e: False),
    lambda s: s.timeout(PATIENCE),
], ids="all map where take skip expand distinct async_map take_while skip_while timeout".split())
def test_each_event_goes_to_one_of_the_threads(view: Callable[[Stream[int]], Stream[int]]) -> None:
    viewed = view(Stream.from_iterable(number for number in range(300)))  # a generator stands one thread only
    readings = [in_thread(viewed.to_list) for _ in range(4)]
    read = [reading.result(PATIENCE) for reading in readings]
    assert sorted(sum(read, [])) == list(range(300))


def test_a_stream_that_reads_itself_is_told_so() -> None:
    def events() -> Iterator[int]:
        yield numbers.first()

    numbers: Stream[int] = Stream.from_iterable(events())
    with pytest.raises(StateError, match="awaited by this thread already"):
        numbers.first()
