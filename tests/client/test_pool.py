"""The pool by itself, with connections that are only names."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from blockingio.client.lease import Lease
from blockingio.client.pool import Pool
from blockingio.errors import HttpException, StateError
from tests.peers import PATIENCE, eventually


class Wire:
    """A connection that remembers what was done to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.idle_until = 0.0
        self.is_dead = False
        self.is_closed = False
        self.reason: str | None = None

    def is_alive(self) -> bool:
        return not self.is_dead

    def close(self) -> None:
        self.is_closed = True

    def leave(self, reason: str) -> None:
        self.reason = reason

    def cut(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return self.name


@pytest.fixture
def pool() -> Iterator[Pool[Wire]]:
    pool: Pool[Wire] = Pool()
    yield pool
    pool.close(is_forced=True)


def connected(pool: Pool[Wire], name: str, key: str = "k") -> Lease[Wire]:
    lease = pool.acquire(key)
    if lease.connection is None:
        lease.attach(Wire(name))
    return lease


class Queued:
    """Threads that wait for a place, one behind the other; ``got``: in the order of their turns."""

    def __init__(self, pool: Pool[Wire], count: int, key: str = "k", is_fresh: bool = False) -> None:
        self.got: list[tuple[int, Any]] = []
        self.leases: list[Lease[Wire]] = []
        self._threads = []
        for number in range(count):
            thread = threading.Thread(target=self._wait, args=(pool, number, key, is_fresh))
            self._threads.append(thread)
            thread.start()
            eventually(lambda: f"{number + 1} waiting" in repr(pool))

    def _wait(self, pool: Pool[Wire], number: int, key: str, is_fresh: bool) -> None:
        try:
            lease = pool.acquire(key, is_fresh=is_fresh)
        except HttpException as error:
            self.got.append((number, error.message))
            return
        self.leases.append(lease)
        self.got.append((number, lease.connection))

    def wait_for(self, count: int) -> None:
        eventually(lambda: len(self.got) == count)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_the_connection_used_last_is_taken_first(pool: Pool[Wire]) -> None:
    first, second = connected(pool, "a"), connected(pool, "b")
    assert not first.is_reused
    first.release()
    second.release()
    assert repr(pool) == "0 active, 2 idle, 0 waiting"
    again = pool.acquire("k")
    assert again.is_reused and repr(again.connection) == "b"
    again.release()


def test_keys_share_nothing(pool: Pool[Wire]) -> None:
    connected(pool, "a", "k1").release()
    lease = pool.acquire("k2")
    assert lease.connection is None
    lease.discard()


def test_a_fresh_one_on_demand(pool: Pool[Wire]) -> None:
    connected(pool, "a").release()
    lease = pool.acquire("k", is_fresh=True)
    assert lease.connection is None and not lease.is_reused
    lease.discard()


def test_a_fresh_one_where_there_may_be_no_more_takes_the_place_of_an_idle_one(pool: Pool[Wire]) -> None:
    pool.max_per_host = 1
    lease = connected(pool, "a")
    old = lease.connection
    lease.release()
    fresh = pool.acquire("k", is_fresh=True)
    assert fresh.connection is None
    assert old is not None and old.is_closed
    fresh.discard()


def test_a_dead_one_is_never_handed_out(pool: Pool[Wire]) -> None:
    leases = [connected(pool, name) for name in "abc"]
    wires = [lease.connection for lease in leases]
    for each in leases:
        each.release()
    for wire in wires[1:]:
        assert wire is not None
        wire.is_dead = True
    lease = pool.acquire("k")
    assert lease.connection is wires[0]
    assert [wire and wire.is_closed for wire in wires] == [False, True, True]
    assert wires[0] is not None
    wires[0].is_dead = True
    lease.release()
    assert pool.acquire("k").connection is None
    assert wires[0].is_closed


def test_a_lease_is_settled_once(pool: Pool[Wire]) -> None:
    lease = connected(pool, "a")
    lease.release()
    lease.discard()
    lease.release()
    assert lease.connection is not None and not lease.connection.is_closed
    assert repr(pool) == "0 active, 1 idle, 0 waiting"


def test_what_is_taken_out_is_no_more_the_pools(pool: Pool[Wire]) -> None:
    pool.max_per_host = 1
    lease = connected(pool, "a")
    lease.take_out()
    assert lease.connection is not None and not lease.connection.is_closed
    assert repr(pool) == "0 active, 0 idle, 0 waiting"
    pool.acquire("k").discard()


def test_who_waits_is_served_in_order(pool: Pool[Wire]) -> None:
    pool.max_per_host = 2
    first, second = connected(pool, "a"), connected(pool, "b")
    queued = Queued(pool, 4)
    first.release()
    queued.wait_for(1)
    second.discard()
    queued.wait_for(2)
    assert [(number, repr(wire)) for number, wire in queued.got] == [(0, "a"), (1, "None")]
    assert repr(pool) == "1 active, 0 idle, 2 waiting"
    queued.leases[0].release()
    queued.wait_for(3)
    queued.leases[1].discard()
    queued.join()
    assert [number for number, _ in queued.got] == [0, 1, 2, 3]
    for lease in queued.leases:
        lease.discard()
    assert repr(pool) == "0 active, 0 idle, 0 waiting"


def test_who_waits_for_a_fresh_one_gets_the_place_of_a_used_one(pool: Pool[Wire]) -> None:
    pool.max_per_host = 1
    lease = connected(pool, "a")
    queued = Queued(pool, 1, is_fresh=True)
    lease.release()
    queued.join()
    assert queued.got == [(0, None)]
    assert lease.connection is not None and lease.connection.is_closed
    queued.leases[0].discard()


def test_a_higher_limit_lets_those_in_who_wait(pool: Pool[Wire]) -> None:
    pool.max_per_host = 1
    lease = connected(pool, "a")
    queued = Queued(pool, 2)
    pool.max_per_host = 2
    queued.wait_for(1)
    pool.max_per_host = None
    queued.join()
    for lease in [lease, *queued.leases]:
        lease.discard()


def test_a_lower_limit_holds_for_what_comes_back(pool: Pool[Wire]) -> None:
    leases = [connected(pool, name) for name in "ab"]
    pool.max_per_host = 1
    for lease in leases:
        lease.release()
    assert repr(pool) == "0 active, 1 idle, 0 waiting"


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_nobody_in(pool: Pool[Wire], limit: int) -> None:
    with pytest.raises(ValueError, match="max_connections_per_host cannot be .*, expected a whole number above zero, or None"):
        pool.max_per_host = limit
    assert pool.max_per_host is None


def test_a_dropped_lease_frees_its_place(pool: Pool[Wire]) -> None:
    pool.max_per_host = 1
    lease = connected(pool, "a")
    wire = lease.connection
    queued = Queued(pool, 1)
    del lease
    queued.join()
    assert wire is not None and wire.is_closed
    queued.leases.clear()
    assert repr(pool) == "0 active, 0 idle, 0 waiting"


@pytest.mark.parametrize("is_usable", [True, False])
def test_a_lease_that_is_dropped_while_the_lock_is_held_waits_for_nobody(
    pool: Pool[Wire], is_usable: bool
) -> None:
    """As the garbage collector may do it, in the very thread that has the lock."""
    pool.max_per_host = 1
    lease = connected(pool, "a")
    with pool._lock:
        lease.drop(is_usable=is_usable)
    again = pool.acquire("k")  # does not wait
    assert again.is_reused is is_usable
    again.discard()


def test_a_cycle_is_noticed_by_the_collector(pool: Pool[Wire]) -> None:
    cycle: list[Any] = [connected(pool, "a")]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert repr(pool) == "0 active, 0 idle, 0 waiting"


def test_idle_ones_expire(pool: Pool[Wire]) -> None:
    pool.idle_timeout = 0.05
    lease = connected(pool, "a")
    wire = lease.connection
    assert wire is not None
    lease.release()
    eventually(lambda: wire.is_closed)
    assert repr(pool) == "0 active, 0 idle, 0 waiting"
    eventually(lambda: pool._reaper is None)  # its thread does not outlive the connections


def test_each_expires_in_its_own_time(pool: Pool[Wire]) -> None:
    long, short = connected(pool, "long"), connected(pool, "short")
    pool.idle_timeout = 30
    long.release()
    pool.idle_timeout = 0.05
    short.release()
    assert short.connection is not None and long.connection is not None
    eventually(lambda: short.connection and short.connection.is_closed)
    assert not long.connection.is_closed


def test_an_expired_one_is_not_handed_out_even_if_nobody_closed_it_yet(pool: Pool[Wire]) -> None:
    lease = connected(pool, "a")
    lease.release()
    assert lease.connection is not None
    lease.connection.idle_until = 0.0
    assert pool.acquire("k").connection is None
    assert lease.connection.is_closed


def test_idle_timeout_zero_keeps_nothing(pool: Pool[Wire]) -> None:
    pool.idle_timeout = 0
    lease = connected(pool, "a")
    lease.release()
    assert lease.connection is not None and lease.connection.is_closed


def test_idle_timeout_none_keeps_for_ever_and_needs_no_thread(pool: Pool[Wire]) -> None:
    pool.idle_timeout = None
    lease = connected(pool, "a")
    lease.release()
    assert lease.connection is not None and lease.connection.idle_until == float("inf")
    assert pool._reaper is None


def test_no_thread_to_be_had(pool: Pool[Wire], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    lease = connected(pool, "a")
    assert pool._reaper is None
    lease.release()
    assert repr(pool) == "0 active, 1 idle, 0 waiting"


def test_close_lets_the_active_finish(pool: Pool[Wire]) -> None:
    pool.max_per_host = 2
    active, idle = connected(pool, "a"), connected(pool, "b")
    idle.release()
    pool.close(is_forced=False)
    assert idle.connection is not None and idle.connection.is_closed
    assert (
        active.connection is not None and not active.connection.is_closed and active.connection.reason is None
    )
    with pytest.raises(StateError):
        pool.check_open()
    active.release()
    assert active.connection.is_closed
    assert repr(pool) == "0 active, 0 idle, 0 waiting, closed"


def test_close_lets_those_have_their_turn_who_wait(pool: Pool[Wire]) -> None:
    pool.max_per_host = 1
    lease = connected(pool, "a")
    queued = Queued(pool, 2)
    pool.close(is_forced=False)
    lease.release()
    queued.wait_for(1)
    queued.leases[0].discard()
    queued.join()
    assert [(number, repr(wire)) for number, wire in queued.got] == [(0, "a"), (1, "None")]
    queued.leases[1].discard()


def test_close_with_force_cuts_all(pool: Pool[Wire]) -> None:
    pool.max_per_host = 1
    lease = connected(pool, "a")
    queued = Queued(pool, 2)
    pool.close(is_forced=True)
    queued.join()
    assert sorted(queued.got) == [
        (0, "the client was closed with force"),
        (1, "the client was closed with force"),
    ]
    assert lease.connection is not None and lease.connection.reason == "the client was closed with force"
    with pytest.raises(HttpException, match="closed with force"):
        pool.acquire("k")
    lease.discard()


def test_a_connection_being_made_when_it_is_cut(pool: Pool[Wire]) -> None:
    lease = pool.acquire("k")
    pool.close(is_forced=True)
    with pytest.raises(HttpException, match="closed with force"):
        lease.attach(Wire("a"))
    lease.discard()


def test_an_abandoned_pool_closes_what_is_idle(pool: Pool[Wire]) -> None:
    lease = connected(pool, "a")
    lease.release()
    pool.abandon()
    assert lease.connection is not None and lease.connection.is_closed
    eventually(lambda: pool._reaper is None)


@pytest.mark.parametrize("comes_back", [True, False])
def test_an_interrupted_wait_leaves_the_queue(
    pool: Pool[Wire], monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    """Ctrl-C in acquire(): before it is served, and just as it is."""
    pool.max_per_host = 1
    lease = connected(pool, "a")

    class Gate:
        def __init__(self) -> None:
            self.calls: list[Callable[[], object]] = [lambda: None, interrupt]

        def acquire(self) -> None:
            self.calls.pop(0)()

        def release(self) -> None:
            pass

    def interrupt() -> None:
        if comes_back:
            lease.release()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("blockingio.client.pool.Lock", Gate)
        with pytest.raises(KeyboardInterrupt):
            pool.acquire("k")
    if not comes_back:
        lease.release()
    assert repr(pool) == "0 active, 1 idle, 0 waiting"


def test_many_threads(pool: Pool[Wire]) -> None:
    """No connection is two threads' at once, there are never more than allowed, and none is lost."""
    pool.max_per_host = 3
    in_use: set[Wire | None] = set()
    most = 0
    mistakes = []

    def work(number: int) -> None:
        nonlocal most
        for turn in range(100):
            lease = connected(pool, f"{number}-{turn}")
            if lease.connection in in_use:
                mistakes.append(lease.connection)
            in_use.add(lease.connection)
            most = max(most, len(in_use))
            in_use.remove(lease.connection)
            if (number + turn) % 3 == 0:
                lease.discard()
            elif (number + turn) % 3 == 1:
                lease.release()
            else:
                del lease

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not mistakes and most <= 3
    assert repr(pool).startswith("0 active") and repr(pool).endswith("0 waiting")
