"""Many clients that ask for much and read nothing: nobody waits for them, and what they cost is what is counted."""
from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from blockingio import HttpRequest, HttpResponse, HttpServer
from tests.peers import PATIENCE, RawClient, eventually
from tests.server.visits import get, running, small_window, tell, to_the_end

MIB = 1 << 20
SIZE = 5_000_000
SHARED = b"x" * SIZE
#: Where the bytes of answers come into being.
WHERE = [tracemalloc.Filter(True, name)
         for name in (__file__, "*/wire/sink.py", "*/server/piece.py", "*/server/response_writer.py")]
#: The budget that these tests give a server.
BUDGET = 32 * MIB


def in_one(response: HttpResponse) -> None:
    response.write(bytes(bytearray(SIZE)))


def in_pieces(response: HttpResponse) -> None:
    for number in range(80):
        response.write(b"%05d" % number * (SIZE // 80 // 5))


def shared(response: HttpResponse) -> None:
    response.write(SHARED)


Write = Callable[[HttpResponse], None]
WRITES = pytest.mark.parametrize("write", [in_one, in_pieces, shared])


@contextmanager
def plain_loop(write: Write, answers: list[HttpResponse]) -> Iterator[HttpServer]:
    """A server with one thread, which writes so to "/big"."""
    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/big":
            answers.append(request.response)
            write(request.response)
            request.response.close()
        else:
            tell(request)

    with HttpServer.bind("127.0.0.1", 0) as server, running(server, handler):
        yield server
        server.close(force=True)


@contextmanager
def never_reading(server: HttpServer, number: int, answers: list[HttpResponse]) -> Iterator[list[RawClient]]:
    """So many clients that have asked for much; all are answered, as far as the handler goes."""
    with ExitStack() as stack:
        clients: list[RawClient] = []
        for _ in range(number):  # one by one, so that answers are in the order of clients
            clients.append(stack.enter_context(small_window(server.port)).send(get("/big")))
            eventually(lambda: len(answers) == len(clients) and answers[-1].closed)
        yield clients


@WRITES
def test_nobody_waits_for_those_who_never_read(write: Write) -> None:
    answers: list[HttpResponse] = []
    with plain_loop(write, answers) as server, ExitStack() as stack:
        for _ in range(130):
            stack.enter_context(small_window(server.port)).send(get("/big"))
        for number in range(130):  # the time that is waited is that of one answer: they are some 650 MB
            eventually(lambda: len(answers) > number and answers[number].closed)
        good = stack.enter_context(RawClient(server.port))
        assert good.get("/good").body == b"/good"


@WRITES
def test_what_they_cost_is_what_is_counted(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockingio.server.budget.SEND_QUEUES_SIZE", BUDGET)
    answers: list[HttpResponse] = []
    tracemalloc.start()
    try:
        with plain_loop(write, answers) as server, never_reading(server, 40, answers), \
                RawClient(server.port) as good:
            eventually(lambda: _traced(good) < BUDGET + 2 * MIB)
            assert tracemalloc.get_traced_memory()[1] < 2 * BUDGET  # and never was much more
            counted = server.state.budget._used
            assert counted <= BUDGET and _traced(good) < counted + 4 * MIB
            if write is shared:
                assert counted < SIZE + MIB and all(answer.is_connected for answer in answers)
    finally:
        tracemalloc.stop()


def _traced(client: RawClient) -> int:
    """Bytes of memory that answers take, and not what their threads do.

    Without the GIL an object that several threads had is freed once the one that made it has something to do, or a
    collection comes.
    """
    assert client.get("/good").body == b"/good"
    gc.collect()
    snapshot = tracemalloc.take_snapshot().filter_traces(WHERE)
    return sum(statistic.size for statistic in snapshot.statistics("filename"))


def test_a_small_rest_does_not_pin_what_it_is_the_rest_of() -> None:
    """Clients that take nearly all: what is kept of it is no more than what is left."""
    answers: list[HttpResponse] = []
    left = MIB
    tracemalloc.start()
    try:
        with plain_loop(in_one, answers) as server, ExitStack() as stack:
            clients = [stack.enter_context(small_window(server.port)).send(get("/big")) for _ in range(10)]
            for client in clients:
                client.read_exactly(SIZE - left)
            with RawClient(server.port) as good:
                eventually(lambda: _traced(good) < 10 * left + 2 * MIB)
            assert server.state.budget._used < 10 * left + MIB
            for client in clients:
                assert len(client.read_exactly(left)) == left
            eventually(lambda: not server.state.budget._used)
    finally:
        tracemalloc.stop()


def test_who_has_waited_longest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """And sees that it has not got all; one that has read meanwhile stays, and so does the newcomer."""
    answers: list[HttpResponse] = []
    with plain_loop(in_pieces, answers) as server, never_reading(server, 4, answers) as clients:
        begun = clients[1].read_exactly(3_000_000)
        eventually(lambda: _is_still(server))
        monkeypatch.setattr("blockingio.server.budget.SEND_QUEUES_SIZE", server.state.budget._used + 100_000)
        with small_window(server.port) as newcomer:
            newcomer.send(get("/big"))
            gone = eventually(lambda: [number for number, answer in enumerate(answers) if not answer.is_connected])
            eventually(lambda: len(answers) == 5 and answers[4].closed)
            assert not {1, 4} & set(gone)
            assert len(to_the_end(clients[gone[0]])) < SIZE
            assert len(newcomer.read_response().body) == SIZE
            # After its large answer it gets another, so the first was whole.
            rest = clients[1].send(get("/good", "Connection: close")).read_until_eof()
            assert rest.endswith(b"/good") and len(begun + rest) > SIZE


def _is_still(server: HttpServer) -> bool:
    """Whether the system takes nothing more for those who do not read."""
    for _ in range(10):  # a busy machine may not come to it at once
        before = server.state.budget._used
        threading.Event().wait(0.05)
        if server.state.budget._used != before:
            return False
    return True


def test_a_writer_goes_at_the_pace_of_a_client_that_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer larger than all that may wait reaches a client that reads it."""
    monkeypatch.setattr("blockingio.server.budget.SEND_QUEUES_SIZE", BUDGET)
    answers: list[HttpResponse] = []

    def much(response: HttpResponse) -> None:
        response.content_length = 80 * MIB
        for number in range(80):
            response.write(bytes([number]) * MIB)

    with plain_loop(much, answers) as server, RawClient(server.port) as client:
        client.send(get("/big"))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.read_exactly(1)
        assert b"content-length: %d\r\n" % (80 * MIB) in head
        for number in range(80):  # each MiB by itself: what is waited for is the next one, not all of them
            assert client.read_exactly(MIB) == bytes([number]) * MIB


def test_a_writer_does_not_wait_for_a_client_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much it writes: the connection ends, long before body_timeout is up."""
    monkeypatch.setattr("blockingio.server.budget.SEND_QUEUES_SIZE", BUDGET)
    monkeypatch.setattr("blockingio.server.send_queue.STALL_TIME", 0.1)
    answers: list[HttpResponse] = []

    def much(response: HttpResponse) -> None:
        for _ in range(200):
            response.write(b"x" * MIB)
        assert not response.is_connected

    with plain_loop(much, answers) as server, never_reading(server, 3, answers):
        with RawClient(server.port, seconds=PATIENCE) as good:
            assert good.get("/good").body == b"/good"
        assert not any(answer.is_connected for answer in answers)


@WRITES
def test_a_budget_that_is_given_back(write: Write) -> None:
    """By those who read late, who leave, and who are cut."""
    answers: list[HttpResponse] = []
    with plain_loop(write, answers) as server, never_reading(server, 3, answers) as clients:
        assert server.state.budget._used > MIB
        clients[0].reset()
        assert len(clients[1].read_response().body) == SIZE
        server.close(force=True)
        eventually(lambda: not server.state.budget._used and not server.state.budget._holders_of)
