"""Workers that stand by: short requests do not wake them, and a handler that waits holds no request up."""
from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from blockingio import HttpRequest, HttpServer
from blockingio.server import standby
from blockingio.server.request_queue import RequestQueue, RequestReader
from blockingio.wire.sink import CLOSED, UNTAKEN
from tests.peers import PATIENCE, RawClient, eventually, serving
from tests.server.visits import asking, get, in_background, queued, running, tell

WORKERS = 4


class Held:
    """A handler that waits, where the path begins with /wait, until ``free`` is set; ``waiting`` has the paths of
    those that have begun to."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.waiting: list[str] = []

    def __call__(self, request: HttpRequest) -> None:
        if request.uri.path.startswith("/wait"):
            self.waiting.append(request.uri.path)
            assert self.free.wait(PATIENCE)
        tell(request)

    def has(self, number: int) -> bool:
        return len(self.waiting) == number


@pytest.fixture
def held() -> Held:
    return Held()


def workers_of(server: HttpServer) -> list[threading.Thread]:
    name = f"blockingio worker 127.0.0.1:{server.port}"
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_requests_one_after_the_other_stay_with_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one is woken only now and then, where a busy machine holds the first one up."""
    monkeypatch.setattr(standby, "_MANY", 10 ** 9)  # a busy machine is not taken for handlers that take long
    threads: list[int] = []

    def handler(request: HttpRequest) -> None:
        threads.append(threading.get_ident())
        tell(request)

    with serving(handler, workers=WORKERS) as server, RawClient(server.port) as client:
        for _ in range(400):
            assert client.get("/").status == 200
    changes = sum(one != other for one, other in zip(threads, threads[1:]))
    assert changes < len(threads) // 2


@pytest.mark.parametrize("before", [0, 50], ids=["the first request", "behind short ones"])
def test_a_handler_that_waits_holds_no_request_up(before: int, held: Held) -> None:
    """Also the last one that comes: nothing comes behind it that could have another worker woken."""
    with serving(held, workers=WORKERS) as server, RawClient(server.port) as other:
        for _ in range(before):
            assert other.get("/short").body == b"/short"
        with asking(server, *[f"/wait/{number}" for number in range(WORKERS - 1)]) as clients:
            eventually(lambda: held.has(WORKERS - 1))
            for _ in range(3):
                assert other.get("/short").body == b"/short"
            held.free.set()
            for client in clients:
                assert client.read_response().status == 200
        assert other.get("/short").body == b"/short"


@pytest.mark.parametrize("long", [0.0, 100.0], ids=["takes long", "is missed"])
def test_handlers_that_all_wait_run_together(long: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again: more rounds than it takes to notice that a handler takes long, and then that none does."""
    monkeypatch.setattr(standby, "_TRUST", 0.002)
    monkeypatch.setattr(standby, "_MANY", standby._FOR_LONG)
    monkeypatch.setattr(standby, "_LONG", long)
    together = threading.Barrier(WORKERS)

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/wait":
            together.wait(PATIENCE)
        tell(request)

    with serving(handler, workers=WORKERS) as server, ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.port)) for _ in range(WORKERS)]
        for number in range(60):
            for client in clients:
                client.send(get("/wait"))
            for client in clients:
                assert client.read_response().body == b"/wait"
            for _ in range(number % 20):
                assert clients[0].get("/short").body == b"/short"


def test_more_requests_than_workers(held: Held) -> None:
    """Those that no worker is left for are taken once one is."""
    with serving(held, workers=2) as server:
        with asking(server, *[f"/wait/{number}" for number in range(6)]) as clients:
            eventually(lambda: held.has(2))
            queued(server, 6)
            held.free.set()
            for number, client in enumerate(clients):
                assert client.read_response().body == f"/wait/{number}".encode()


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_those_that_stand_by_end_beside_a_handler_that_waits(end: str, held: Held) -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        subscription = server.listen(held, workers=WORKERS)
        with asking(server, "/wait") as [client]:
            eventually(lambda: held.has(1))
            assert len(workers_of(server)) == WORKERS
            server.close() if end == "close" else subscription.cancel()
            eventually(lambda: len(workers_of(server)) == 1)
            held.free.set()
            assert client.read_response().body == b"/wait"
        eventually(lambda: not workers_of(server))


def test_those_that_stand_by_end_without_a_request() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        subscription = server.listen(tell, workers=WORKERS)
        eventually(lambda: len(workers_of(server)) == WORKERS)
        subscription.cancel()
        eventually(lambda: not workers_of(server))


def test_a_pause_beside_a_handler_that_waits(held: Held) -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        subscription = server.listen(held, workers=WORKERS)
        with asking(server, "/wait") as [client], RawClient(server.port) as other:
            eventually(lambda: held.has(1))
            for _ in range(3):
                subscription.pause()
                other.send(get("/short"))
                queued(server, 2)
                subscription.resume()
                assert other.read_response().body == b"/short"
            held.free.set()
            assert client.read_response().body == b"/wait"


def test_a_worker_that_dies_while_others_stand_by(held: Held) -> None:
    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/die":
            raise SystemExit
        held(request)

    with HttpServer.bind("127.0.0.1", 0) as server:
        with pytest.raises(SystemExit), in_background(lambda: server.for_each(handler, workers=WORKERS)):
            with asking(server, "/wait") as [client], RawClient(server.port) as other:
                eventually(lambda: held.has(1))
                assert other.get("/die").status == 500
                eventually(lambda: len(workers_of(server)) <= 1)
                held.free.set()
                assert client.read_response().body == b"/wait"


class Item:
    """What a queue takes for a request."""

    def __init__(self) -> None:
        self.response = self
        self.phase = UNTAKEN


def test_a_put_alerts_one_that_sleeps_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A put costs a step more as long as one sleeps; the item behind one that is worked on is taken by the other."""
    monkeypatch.setattr(standby, "_GRACE", 1000.0)  # one that sleeps does not look by itself
    queue = RequestQueue(lambda item, status: None)
    group = queue.new_standby()
    plain = queue.hand_over
    held, taken = threading.Event(), []

    def begin() -> RequestQueue:
        queue.enter()
        return queue

    def work() -> None:
        reader = RequestReader(begin, group)
        try:
            for item in reader:
                taken.append(item)
                item.phase = CLOSED
                assert held.wait(PATIENCE)
                del item
        finally:
            reader.close()

    with in_background(work), in_background(work):
        try:
            eventually(lambda: not group.is_awake)
            assert queue.hand_over != plain
            for number in (1, 2):
                queue.hand_over(Item())
                eventually(lambda: len(taken) == number)
            assert queue.hand_over == plain
        finally:
            monkeypatch.undo()  # from here on one may have to come back soon
            held.set()
            queue.close()


def test_two_groups_of_workers_and_a_loop_share_a_server(held: Held) -> None:
    """Whichever of them takes the requests that wait, another answers the short ones; each group ends by itself."""
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as other:
        first = server.listen(held, workers=2)
        second = server.listen(held, workers=2)
        with asking(server, *[f"/wait/{number}" for number in range(3)]) as clients:
            eventually(lambda: held.has(3))
            assert other.get("/short").body == b"/short"
            held.free.set()
            for client in clients:
                assert client.read_response().status == 200
        first.cancel()
        assert other.get("/short").body == b"/short"
        second.cancel()
        eventually(lambda: not workers_of(server))
        with running(server):
            assert other.get("/short").body == b"/short"
