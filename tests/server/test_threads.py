"""Threads that are used again, and calls that are due later."""
from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from blockingio import HttpRequest, HttpServer
from blockingio.server import thread_pool as threads_module
from blockingio.server.thread_pool import ThreadPool
from blockingio.server.timer import TimerThread
from tests.peers import PATIENCE, RawClient, eventually, serving
from tests.server.visits import get, tell


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("test pool")]


class Tasks:
    """Tasks that say which thread they ran on, and wait until they are told to end."""

    def __init__(self) -> None:
        self.ran_on: list[int] = []
        self.go_on = threading.Event()

    def quick(self) -> None:
        self.ran_on.append(threading.get_ident())

    def slow(self) -> None:
        self.quick()
        self.go_on.wait(PATIENCE)


# ----------------------------------------------------------------------- Threads

def policies(start: str) -> set[int]:
    """The scheduling policies of all threads whose names begin so."""
    return {os.sched_getscheduler(thread.native_id or 0) for thread in threading.enumerate()
            if thread.name.startswith(start)}


@pytest.mark.needs("os.SCHED_BATCH")
def test_connections_give_way_to_handlers() -> None:
    """Their threads do not push a handler aside when they wake up; nobody else is touched."""
    seen: list[int] = []

    def look(request: HttpRequest) -> None:
        seen.append(os.sched_getscheduler(0))
        seen.extend(policies("blockingio worker"))
        seen.append(int(subprocess.check_output([sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"])))
        tell(request)

    with serving(look, workers=2) as server, RawClient(server.port) as client:
        assert client.get("/1").body == b"/1"
        assert policies(f"blockingio 127.0.0.1:{server.port}") == {os.SCHED_BATCH}
    assert set(seen) == {os.SCHED_OTHER}


@pytest.mark.needs("os.SCHED_IDLE")
def test_a_policy_that_was_chosen_for_all_stays() -> None:
    seen: list[set[int]] = []

    def serve() -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # for this thread, and those that it starts
        with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
            client.send(get())
            tell(server.first())
            assert client.read_response().status == 200
            seen.append(policies(f"blockingio 127.0.0.1:{server.port}"))

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join(PATIENCE)
    assert seen == [{os.SCHED_IDLE}]


def test_a_sandbox_that_lets_nobody_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(os, "sched_setscheduler", refuse, raising=False)
    with serving(tell) as server, RawClient(server.port) as client:
        assert client.get("/1").body == b"/1"


def test_a_thread_is_used_again() -> None:
    pool, tasks = ThreadPool("test pool"), Tasks()
    for number in range(5):
        pool.run(tasks.quick)
        eventually(lambda: len(tasks.ran_on) == number + 1 and pool._idle)
    assert len(set(tasks.ran_on)) == 1 and names() == ["test pool"]
    pool.close()
    eventually(lambda: not names())


def test_tasks_at_once_have_a_thread_each() -> None:
    pool, tasks = ThreadPool("test pool"), Tasks()
    for _ in range(5):
        pool.run(tasks.slow)
    eventually(lambda: len(set(tasks.ran_on)) == 5)
    tasks.go_on.set()
    eventually(lambda: len(pool._idle) == 5)
    for _ in range(5):
        pool.run(tasks.quick)
    eventually(lambda: len(tasks.ran_on) == 10)
    assert len(set(tasks.ran_on)) == 5
    pool.close()
    eventually(lambda: not names())


def test_a_thread_without_work_ends_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "_IDLE_TIME", 0.02)
    pool, tasks = ThreadPool("test pool"), Tasks()
    pool.run(tasks.quick)
    eventually(lambda: tasks.ran_on and not names())
    assert pool._idle == []
    pool.run(tasks.quick)
    eventually(lambda: len(tasks.ran_on) == 2 and not names())


def test_work_that_comes_as_a_thread_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that takes it out of the list decides: here run() is quicker, and its task is done."""
    monkeypatch.setattr(threads_module, "_IDLE_TIME", 0.02)
    pool, tasks = ThreadPool("test pool"), Tasks()

    class Slippery(list[Any]):
        slips = True

        def remove(self, worker: Any) -> None:
            super().remove(worker)
            if self.slips:
                self.slips = False
                worker.task = tasks.quick
                threading.Timer(0.02, worker.wake.release).start()
                raise ValueError("somebody has taken it")

    pool._idle = Slippery()
    pool.run(tasks.quick)
    eventually(lambda: len(tasks.ran_on) == 2 and not names())
    assert len(set(tasks.ran_on)) == 1


def test_close_lets_the_busy_ones_finish() -> None:
    pool, tasks = ThreadPool("test pool"), Tasks()
    pool.run(tasks.slow)
    eventually(lambda: tasks.ran_on)
    pool.close()
    assert names()
    pool.run(tasks.quick)  # still works
    eventually(lambda: len(tasks.ran_on) == 2)
    tasks.go_on.set()
    eventually(lambda: not names())


def test_close_beside_a_task_that_ends() -> None:
    """The thread puts itself among the idle ones as close() comes."""
    pool = ThreadPool("test pool")

    class Closing(list[Any]):
        def append(self, worker: Any) -> None:
            super().append(worker)
            pool._closed = True

    pool._idle = Closing()
    pool.run(lambda: None)
    eventually(lambda: not names())
    assert pool._idle == []


def test_close_beside_a_run() -> None:
    """Both want the last idle thread."""
    pool = ThreadPool("test pool")

    class Emptied(list[Any]):
        def __bool__(self) -> bool:
            return True

        def __len__(self) -> int:
            return 1

    pool._idle = Emptied()
    pool.close()


def test_too_many_idle_ones_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "_MOST_IDLE", 2)
    pool, tasks = ThreadPool("test pool"), Tasks()
    for _ in range(5):
        pool.run(tasks.slow)
    eventually(lambda: len(tasks.ran_on) == 5)
    tasks.go_on.set()
    eventually(lambda: len(names()) <= 3)
    assert len(pool._idle) <= 3
    pool.close()
    eventually(lambda: not names())


def test_connections_one_after_another_need_no_new_threads() -> None:
    seen: list[int] = []
    with serving(tell) as server:
        for _ in range(10):
            with RawClient(server.port) as client:
                assert client.get("/", "Connection: close").status == 200
                assert client.is_ended()
            eventually(lambda: not server.connections_info().total)
            seen.append(threading.active_count())
    assert max(seen) - min(seen) <= 1


# -------------------------------------------------------------------- TimerThread

@pytest.fixture
def timer_thread() -> TimerThread:
    return TimerThread("test pool timer")


@contextmanager
def kept_busy(timer_thread: TimerThread) -> Iterator[None]:
    """Nothing else is called until the end of the block, however long that takes."""
    go_on = threading.Event()
    timer_thread.schedule(0, lambda: go_on.wait(PATIENCE))
    eventually(lambda: timer_thread._due == [])
    try:
        yield
    finally:
        go_on.set()


def test_calls_come_in_the_order_of_their_time(timer_thread: TimerThread) -> None:
    called: list[int] = []
    with kept_busy(timer_thread):
        for number in (3, 1, 2):  # all are due when the thread comes to them
            timer_thread.schedule(10 * (number - 4), lambda number=number: called.append(number))  # type: ignore[misc]
    eventually(lambda: len(called) == 3)
    assert called == [1, 2, 3]
    eventually(lambda: not names())


def test_none_comes_early(timer_thread: TimerThread) -> None:
    began, called = time.monotonic(), []
    timer_thread.schedule(0.05, lambda: called.append(time.monotonic()))
    eventually(lambda: called)
    assert called[0] - began >= 0.05


def test_one_that_is_due_sooner_is_not_kept_waiting(timer_thread: TimerThread) -> None:
    called: list[str] = []
    late = timer_thread.schedule(100, lambda: called.append("late"))
    timer_thread.schedule(0, lambda: called.append("soon"))
    eventually(lambda: called == ["soon"])
    late.cancel()
    timer_thread.prune()
    eventually(lambda: not names())


def test_a_cancelled_call_does_not_come(timer_thread: TimerThread) -> None:
    called: list[str] = []
    with kept_busy(timer_thread):
        first = timer_thread.schedule(0, lambda: called.append("cancelled"))
        first.cancel()
        timer_thread.schedule(0, lambda: called.append("kept"))
    eventually(lambda: called)
    assert called == ["kept"]
    first.cancel()


def test_a_call_that_fails_is_logged_and_the_next_comes(timer_thread: TimerThread,
                                                        caplog: pytest.LogCaptureFixture) -> None:
    called: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError

    timer_thread.schedule(0, fail)
    timer_thread.schedule(0.01, lambda: called.append("next"))
    eventually(lambda: called)
    assert [record.name for record in caplog.records] == ["blockingio"]


def test_a_call_may_make_another(timer_thread: TimerThread) -> None:
    called: list[str] = []
    timer_thread.schedule(0, lambda: timer_thread.schedule(0, lambda: called.append("second")))
    eventually(lambda: called)


@pytest.mark.parametrize("seconds", [1e10, 1e12, float("inf")])
def test_a_very_long_time(timer_thread: TimerThread, seconds: float) -> None:
    called: list[str] = []
    timer = timer_thread.schedule(seconds, lambda: called.append("never"))
    timer_thread.schedule(0.01, lambda: called.append("soon"))
    eventually(lambda: called)
    timer.cancel()
    timer_thread.prune()
    eventually(lambda: not names())
    assert called == ["soon"]


def test_cancelled_calls_do_not_pile_up(timer_thread: TimerThread) -> None:
    """Never more than half of what is kept is cancelled, in whatever order that was; the others come in theirs."""
    called: list[int] = []
    with kept_busy(timer_thread):
        kept = [timer_thread.schedule(10 * (number - 4),
                                      lambda number=number: called.append(number))  # type: ignore[misc]
                for number in (3, 1, 2)]
        for cancelled in range(1, 2001):
            timer_thread.schedule(3600 - cancelled % 7, lambda: called.append(-1)).cancel()
            assert len(timer_thread._due) <= 2 * len(kept) + 1
        many = [timer_thread.schedule(3600 + number % 11, lambda: called.append(-1)) for number in range(1000)]
        for number in (*range(0, 1000, 2), *range(999, 0, -2)):
            many[number].cancel()
            many[number].cancel()
            assert len(timer_thread._due) <= 2 * len(timer_thread._entries)
    eventually(lambda: len(called) == 3)
    assert called == [1, 2, 3]
    kept[0].cancel()
    eventually(lambda: not names())


def test_calls_that_are_cancelled_at_once_wake_nobody(timer_thread: TimerThread) -> None:
    """A handler that sets a deadline must not cost a switch to the timer's thread and back."""
    keeper = timer_thread.schedule(3600, lambda: None)
    eventually(lambda: timer_thread._wakes_at > time.monotonic())
    wakes = timer_thread._wakes_at
    for _ in range(100):
        timer_thread.schedule(7200, lambda: None).cancel()
        assert timer_thread._wakes_at == wakes
    keeper.cancel()
    timer_thread.prune()
    eventually(lambda: not names())


def test_deadlines_of_answers_that_are_done_are_not_kept() -> None:
    def handler(request: HttpRequest) -> None:
        request.response.deadline = 3600
        tell(request)

    with serving(handler) as server, RawClient(server.port) as client:
        for _ in range(200):
            assert client.get("/x").body == b"/x"
        eventually(lambda: len(server.state.timer_thread._due) <= 1)


def test_there_is_no_thread_where_nothing_is_due() -> None:
    before = threading.active_count()
    TimerThread("test pool timer")
    ThreadPool("test pool")
    assert threading.active_count() == before


def test_a_thread_that_the_system_did_not_have(timer_thread: TimerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is due then, and the next call gets one."""
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    called: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            timer_thread.schedule(0, lambda: called.append("first"))
    timer_thread.schedule(0.01, lambda: called.append("second"))
    eventually(lambda: called)
    assert called == ["second"]
    eventually(lambda: not names())


def test_a_last_answer_where_the_system_has_no_thread_for_the_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is not waited for then, and the server goes on."""
    def refuse(*arguments: Any) -> None:
        raise RuntimeError("can't start new thread")

    def handler(request: HttpRequest) -> None:
        request.response.persistent_connection = request.uri.path != "/last"
        tell(request)

    with serving(handler) as server:
        monkeypatch.setattr(server.state.timer_thread, "_start", refuse)
        with RawClient(server.port) as client:
            assert client.get("/last").body == b"/last" and client.is_ended()
            eventually(lambda: not server.connections_info().total)
        with RawClient(server.port) as client:
            assert client.get("/next").body == b"/next"


@pytest.mark.parametrize("what", ["session", "deadline"])
def test_an_answer_that_outlasts_close_leaves_no_timer(what: str) -> None:
    """Neither for a session that it makes nor for a deadline that it keeps."""
    closed, began = threading.Event(), threading.Event()

    def handler(request: HttpRequest) -> None:
        began.set()
        assert closed.wait(PATIENCE)
        if what == "session":
            request.session["a"] = 1
            assert request.session["a"] == 1
        else:
            request.response.deadline = 1000
        tell(request)

    with serving(handler) as server:
        with RawClient(server.port) as client:
            client.send(get("/x"))
            assert began.wait(PATIENCE)
            server.close()
            closed.set()
            assert client.read_response().body == b"/x"
        eventually(lambda: not any(thread.name.startswith("blockingio timer") for thread in threading.enumerate()))
