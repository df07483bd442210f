"""Turns: how many compute at once, and which is next."""
from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from blockingio.net.turns import FEW, Turns
from tests.peers import PATIENCE, eventually

#: Seconds: never, as these tests go.
LONG = 1000.0


class Thread(threading.Thread):
    """It notes its number once it has its turn, which it keeps until ``leaves`` is set."""

    def __init__(self, turns: Turns, number: int, order: list[int]) -> None:
        super().__init__()
        self.leaves = threading.Event()
        self._turns, self._number, self._order = turns, number, order

    def run(self) -> None:
        with self._turns:
            self._order.append(self._number)
            assert self.leaves.wait(PATIENCE * 3)


@contextmanager
def threads(turns: Turns, count: int, order: list[int]) -> Iterator[list[Thread]]:
    """So many that wait for their turns, in the order of their numbers."""
    started: list[Thread] = []
    try:
        for number in range(count):
            started.append(Thread(turns, number, order))
            started[-1].start()
            eventually(lambda: f" {number + 1} waiting" in repr(turns))
        yield started
    finally:
        for thread in started:
            thread.leaves.set()
        for thread in started:
            thread.join(PATIENCE)


def enter(turns: Turns, times: int = 1) -> None:
    for _ in range(times):
        turns.__enter__()


def leave(turns: Turns, times: int = 1) -> None:
    for _ in range(times):
        turns.__exit__()


def test_a_few_need_no_turns() -> None:
    turns = Turns(1, LONG)
    assert [turns.arrive() for _ in range(FEW + 1)] == [False] * FEW + [True]
    turns.depart()
    turns.depart()
    assert not turns.arrive()
    assert turns.arrive()


def test_one_after_the_other_in_the_order_in_which_they_came() -> None:
    turns, order = Turns(1, LONG), []
    enter(turns)
    with threads(turns, 5, order) as waiting:
        assert repr(turns) == "<Turns 1 inside, 5 waiting>"
        leave(turns)
        for number, thread in enumerate(waiting):
            eventually(lambda: len(order) > number)
            assert repr(turns) == f"<Turns 1 inside, {4 - number} waiting>"
            thread.leaves.set()
    assert order == list(range(5))
    assert repr(turns) == "<Turns 0 inside, 0 waiting>"


def test_so_many_at_once_where_others_wait() -> None:
    turns, order = Turns(2, LONG), []
    enter(turns, 2)
    with threads(turns, 5, order) as waiting:
        leave(turns, 2)
        eventually(lambda: len(order) == 2)
        assert repr(turns) == "<Turns 2 inside, 3 waiting>"
        waiting[1].leaves.set()
        eventually(lambda: len(order) == 3)
        assert repr(turns) == "<Turns 2 inside, 2 waiting>"


def test_none_comes_in_before_those_that_wait() -> None:
    turns, order = Turns(1, LONG), []
    enter(turns)
    with threads(turns, 2, order) as waiting:
        leave(turns)
        eventually(lambda: order == [0])
        late = Thread(turns, 2, order)
        late.start()
        eventually(lambda: " 2 waiting" in repr(turns))
        for thread in (*waiting, late):
            thread.leaves.set()
        late.join(PATIENCE)
    assert order == [0, 1, 2]


def test_a_turn_is_given_back_by_one_that_fails() -> None:
    turns = Turns(1, LONG)
    with pytest.raises(OSError), turns:
        raise OSError
    assert repr(turns) == "<Turns 0 inside, 0 waiting>"


def test_none_waits_without_end() -> None:
    """Turns that last are not waited for, and count when they end."""
    turns = Turns(1, 0.01)
    enter(turns, 3)
    assert repr(turns) == "<Turns 3 inside, 0 waiting>"
    leave(turns, 3)
    assert repr(turns) == "<Turns 0 inside, 0 waiting>"


@pytest.mark.parametrize("waiting", [[False], [True, False], [True, True, False]])
def test_those_that_are_past_it_pass_first(waiting: list[bool]) -> None:
    looks = iter(waiting)
    Turns(1, LONG, LONG).let_pass(lambda: next(looks))
    assert not list(looks)


def test_those_that_do_not_pass_are_not_waited_for() -> None:
    Turns(1, LONG).let_pass(lambda: True)


@pytest.mark.needs("os.fork")
def test_in_a_forked_child_all_are_free() -> None:
    turns, order = Turns(1, LONG), []
    enter(turns)
    with threads(turns, 1, order), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 3.12 warns of every fork beside threads
        child = os.fork()
        if not child:
            try:
                os._exit(0 if repr(turns) == "<Turns 0 inside, 0 waiting>" else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        leave(turns)
