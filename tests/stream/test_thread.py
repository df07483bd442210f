"""Threads whose start is not waited for: they run, fail to start, or are given up, and nobody hangs."""
from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from blockingio import HttpRequest, Stream
from blockingio.stream import thread as thread_module
from blockingio.stream.thread import Thread, give_up_overdue, in_one_go
from tests.peers import PATIENCE, RawClient, eventually, serving
from tests.server.visits import get, small_window, tell

NAME = "a test's thread"


def never_up(monkeypatch: pytest.MonkeyPatch, start: str, *, silently: bool = False) -> list[int]:
    """The next thread with such a name does not come up; gives the list that is empty then."""
    left = [1]

    def bootstrap(thread: Thread) -> None:
        if not (left and thread.name.startswith(start)):
            original(thread)
        elif left.pop() and not silently:
            raise MemoryError

    owner: Any = Thread if silently else threading.Thread
    original = owner._bootstrap
    monkeypatch.setattr(owner, "_bootstrap", bootstrap)
    return left


def test_it_is_a_thread_as_any_other() -> None:
    go_on = threading.Event()
    seen: list[object] = []

    def task() -> None:
        seen.append(threading.current_thread())
        go_on.wait(PATIENCE)

    thread = Thread(task, name=NAME)
    assert not thread.is_alive() and thread.daemon and thread.name == NAME
    thread.start()
    assert thread in threading.enumerate()
    eventually(lambda: seen)
    assert seen == [thread] and thread.is_alive() and thread.ident and "started" in repr(thread)
    thread.join(0.01)
    assert thread.is_alive()
    go_on.set()
    thread.join()
    assert not thread.is_alive() and thread not in threading.enumerate()
    assert not thread.give_up()
    thread.end()


def test_what_the_task_raises_goes_to_the_excepthook(monkeypatch: pytest.MonkeyPatch) -> None:
    def task() -> None:
        raise ZeroDivisionError

    seen: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append((args.exc_type, args.thread)))
    thread = Thread(task, name=NAME, lost=seen.append)
    thread.start()
    thread.join(PATIENCE)
    assert seen == [(ZeroDivisionError, thread)]


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()], ids=repr)
@pytest.mark.parametrize("name", ["_start_new_thread", "_start_joinable_thread"])
def test_a_system_without_threads(name: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who starts it is told, and nothing of it is left."""
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    told: list[object] = []
    with monkeypatch.context() as patch:
        for found in {"_start_new_thread", "_start_joinable_thread"} & set(dir(threading)):
            patch.setattr(threading, found, fail)
        thread = Thread(lambda: told.append("called"), name=NAME, lost=told.append)
        with pytest.raises(type(error)):
            thread.start()
    assert thread not in threading.enumerate() and not told
    assert in_one_go(None) is None


def test_one_that_fails_in_its_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells by itself, at once, and nothing of it is left: neither itself nor one that was made up for it."""
    told: list[Exception] = []
    before = set(threading.enumerate())
    never_up(monkeypatch, NAME)
    thread = Thread(lambda: None, name=NAME, lost=told.append)
    thread.start()
    eventually(lambda: told)
    assert NAME in str(told[0]) and isinstance(told[0].__cause__, MemoryError)
    eventually(lambda: set(threading.enumerate()) == before)
    thread.join()
    thread.end()
    assert len(told) == 1 and not thread.is_alive()


@pytest.mark.parametrize("notice", [give_up_overdue, lambda: in_one_go(None)])
def test_one_that_cannot_even_tell(notice: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Any thread that waits notices, once it is overdue."""
    told: list[Exception] = []
    never_up(monkeypatch, NAME, silently=True)
    monkeypatch.setattr(thread_module, "START_TIME", 0.5)
    thread = Thread(lambda: told.append(ZeroDivisionError()), name=NAME, lost=told.append)
    thread.start()
    assert in_one_go(None) == in_one_go(100) == 1.0 and in_one_go(0.5) == 0.5
    time.sleep(0.55)
    notice()
    assert len(told) == 1 and thread not in threading.enumerate()
    assert in_one_go(None) is None


def test_a_join_ends_where_it_never_comes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    never_up(monkeypatch, NAME, silently=True)
    monkeypatch.setattr(thread_module, "START_TIME", 0.5)
    thread = Thread(lambda: None, name=NAME)
    thread.start()
    thread.join(0.01)
    thread.join()
    assert not thread.is_alive()


def test_one_that_comes_up_when_nobody_waits_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does nothing then, without a word."""
    def bootstrap(thread: Thread) -> None:
        go_on.wait(PATIENCE)
        original(thread)
        over.set()

    go_on, over, told = threading.Event(), threading.Event(), list[object]()
    original = Thread._bootstrap
    monkeypatch.setattr(Thread, "_bootstrap", bootstrap)
    thread = Thread(lambda: told.append("called"), name=NAME, lost=told.append)
    thread.start()
    thread.end()
    assert len(told) == 1 and isinstance(told[0], RuntimeError)
    go_on.set()
    assert over.wait(PATIENCE) and len(told) == 1


# ------------------------------------------------------------------- all that start one

@pytest.mark.needs("os.fork")
def test_one_that_has_not_come_up_is_not_lost_in_a_forked_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the parent's, where it may still come up."""
    lost: list[Exception] = []
    never_up(monkeypatch, NAME, silently=True)
    thread = Thread(lambda: None, name=NAME, lost=lost.append)
    thread.start()
    pid = os.fork()
    if not pid:
        thread.end()
        os._exit(len(lost))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    thread.end()
    assert len(lost) == 1


def test_a_reader_with_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets the error; the next one gets the event."""
    limited = Stream.from_iterable(iter([1])).timeout(PATIENCE)
    never_up(monkeypatch, "blockingio next")
    with pytest.raises(RuntimeError, match="did not come up"):
        limited.first()
    assert limited.first() == 1


def test_a_reader_with_a_limit_whose_helper_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its limit counts, and the turn does not stay with what never comes."""
    limited = Stream.from_iterable(iter([1])).timeout(0.02)
    left = never_up(monkeypatch, "blockingio next", silently=True)
    monkeypatch.setattr(thread_module, "START_TIME", 0.2)
    with pytest.raises(TimeoutError):
        limited.first()
    assert not left

    def first() -> object:
        try:
            return limited.first()
        except (RuntimeError, TimeoutError):
            return None

    eventually(lambda: first() == 1)


@pytest.mark.parametrize("silently", [False, True])
def test_a_slow_readers_queue(silently: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sends the rest: the client sees that it has not got all, and the handler does not wait for ever."""
    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/large":
            left.append(never_up(monkeypatch, "blockingio 127", silently=silently))
            request.response.write(bytes(20_000_000))
            request.response.flush()
            request.response.close()
            done.set()
        else:
            tell(request)

    left: list[list[int]] = []
    done = threading.Event()
    monkeypatch.setattr(thread_module, "START_TIME", 0.5)
    with serving(handler, workers=2) as server, small_window(server.port) as client:
        client.send(get("/large"))
        assert done.wait(PATIENCE) and left == [[]]
        with RawClient(server.port) as other:
            assert other.get("/other").body == b"/other"


@pytest.mark.parametrize("silently", [False, True])
def test_a_deadline(silently: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread is started in place of the timer's that did not come up."""
    def handler(request: HttpRequest) -> None:
        request.response.deadline = 0.05
        kept.append(request)

    kept: list[HttpRequest] = []
    monkeypatch.setattr(thread_module, "START_TIME", 0.5)
    left = never_up(monkeypatch, "blockingio timer", silently=silently)
    with serving(handler) as server, RawClient(server.port) as client:
        assert client.send(get()).is_ended() and not left
        kept.pop().response.close()


@pytest.mark.parametrize("silently", [False, True])
def test_sessions(silently: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(request: HttpRequest) -> None:
        request.session.on_timeout = ended.set
        tell(request)

    ended = threading.Event()
    monkeypatch.setattr(thread_module, "START_TIME", 0.5)
    left = never_up(monkeypatch, "blockingio timer", silently=silently)
    with serving(handler, session_timeout=0.05) as server, RawClient(server.port) as client:
        assert client.get("/").body == b"/"
        assert ended.wait(PATIENCE) and not left


@pytest.mark.parametrize("silently", [False, True])
def test_a_detached_socket(silently: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of the threads that pass on does not come up: its owner and the client see an end."""
    def handler(request: HttpRequest) -> None:
        if request.uri.path != "/":
            tell(request)
            return
        left.append(never_up(monkeypatch, "blockingio 127", silently=silently))
        with request.response.detach_socket() as sock:
            sock.settimeout(PATIENCE)
            ends.append(sock.recv(1))

    left: list[list[int]] = []
    ends: list[bytes] = []
    monkeypatch.setattr(thread_module, "START_TIME", 0.5)
    with serving(handler) as server, RawClient(server.port) as client:
        client.send(get())
        assert b"200" in client.read_until_eof()
        eventually(lambda: ends == [b""])
        assert left == [[]]
        with RawClient(server.port) as other:
            assert other.get("/other").body == b"/other"
