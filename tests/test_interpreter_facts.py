"""The server and its interpreter: signals, forks and exits.

Each script is a process of its own, which says ``ready PORT`` once it listens, and whose output and status are judged.
"""
from __future__ import annotations

import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from blockingio import HttpRequest, HttpServer
from tests.peers import IS_FREED_BY_ITS_THREAD, PATIENCE, RawClient, eventually
from tests.scripts import PREFACE, Load, Script

LOOP = "for request in server: handle(request)"
LOOPS = {"loop": LOOP, "for_each": "server.for_each(handle)",
         "four workers": "server.for_each(handle, workers=4)"}
WORKERS = pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
FORKS = pytest.mark.needs("os.fork")

# ----------------------------------------------------------------------- one step

def none_or_one(items: list[int]) -> int | None:
    return items.pop() if items else None


class Key:
    pass


#: What comments call one step: on something that all share, what changes it, and what reads or changes it meanwhile.
ONE_STEP: dict[str, tuple[Any, Callable[[Any, int], object], Callable[[Any], object]]] = {
    "list() of a set": (set(range(100)), lambda one, number: (one.add(number), one.discard(number - 50)), list),
    "list() of a dict": (dict.fromkeys(range(100)),
                         lambda one, number: (one.setdefault(number), one.pop(number - 50, None)),
                         lambda one: (list(one), list(one.items()))),
    "a dict that is cleared": ({}, lambda one, number: (one.clear(), one.update({number: number})),
                               lambda one: one.get(0, 1)),
    "copy() of a deque": (deque(range(100), maxlen=100), lambda one, number: one.append(number), deque.copy),
    "a list of none or one": ([], lambda one, number: one.__setitem__(slice(None), (number,)), none_or_one),
    "a WeakKeyDictionary": (WeakKeyDictionary(), lambda one, number: one.__setitem__(Key(), number),
                            lambda one: one.__setitem__(Key(), 0)),
}


@pytest.mark.parametrize("shared, change, meanwhile", ONE_STEP.values(), ids=ONE_STEP)
def test_what_is_one_step_for_threads(shared: Any, change: Callable[[Any, int], object],
                                      meanwhile: Callable[[Any], object]) -> None:
    """With the GIL and without: no thread finds it half done."""
    end = time.monotonic() + 0.05
    errors: list[BaseException] = []

    def changing() -> None:
        try:
            for number in count(100):
                change(shared, number)
                if time.monotonic() > end:
                    return
        except Exception as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=changing)
    thread.start()
    try:
        while thread.is_alive():
            meanwhile(shared)
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    assert not errors


def test_each_thread_gets_something_else() -> None:
    """next() of a count; and pop() and remove() of a list that both append to."""
    numbers = count()
    items: list[int] = []
    taken: list[list[int]] = [[], []]

    def take(mine: list[int]) -> None:
        for _ in range(10_000):
            number = next(numbers)
            items.append(number)
            if number % 2:
                mine.append(items.pop())
            else:
                try:
                    items.remove(number)
                    mine.append(number)
                except ValueError:
                    pass  # the other one has popped it

    threads = [threading.Thread(target=take, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken[0] + taken[1] + items) == list(range(20_000))


# ----------------------------------------------------------------------- signals

# What was interrupted is dropped, and what is dropped is closed: the warning for it is of no interest.  Without the
# GIL it takes a collection until that is noticed.
CTRL_C = """
    warnings.simplefilter("ignore", ResourceWarning)
    request = None
    try:
        ready()
        {loop}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    del request
    server.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
        {collect}
    print(threading.active_count())
"""


def ctrl_c(loop: str) -> str:
    return CTRL_C.format(loop=loop, collect="gc.collect()" if IS_FREED_BY_ITS_THREAD else "")


@WORKERS
def test_ctrl_c_in_the_middle_of_load(loop: str) -> None:
    with Script(ctrl_c(loop)) as script:
        with Load(script.port) as load:
            assert script.interrupt() == "interrupted\n"
        assert script.end() == (0, "1\n", "")
    assert not load.cut


@WORKERS
def test_ctrl_c_while_nothing_comes(loop: str) -> None:
    with Script(ctrl_c(loop)) as script, RawClient(script.port) as idle:
        assert idle.get().body == b"hello"  # so the loop has begun, and waits now
        assert script.interrupt() == "interrupted\n"
        assert script.end() == (0, "1\n", "")


def test_ctrl_c_without_anybody_to_catch_it() -> None:
    """The traceback is Python's own, and the process ends though connections are open."""
    with Script(f"ready()\n{LOOP}") as script, RawClient(script.port) as client:
        assert client.get().body == b"hello"
        assert script.interrupt() == ""
        status, _, err = script.end()
    assert status in (-signal.SIGINT, 130) and err.rstrip().endswith("KeyboardInterrupt")


def test_sigterm_by_default_ends_the_process_at_once() -> None:
    with Script(f"ready()\n{LOOP}") as script:
        with Load(script.port):
            script.signal(signal.SIGTERM)
        status, _, err = script.end()
    assert (status, err) == (-signal.SIGTERM, "")


@pytest.mark.parametrize("force", [False, True], ids=["graceful", "by force"])
@WORKERS
def test_sigterm_that_closes_the_server(loop: str, force: bool) -> None:
    """A handler runs between two steps of the main thread, whatever that is in the middle of."""
    code = f"""
        signal.signal(signal.SIGTERM, lambda *_: server.close(force={force}))
        ready()
        {loop}
        print("ended")
    """
    for _ in range(3):
        with Script(code) as script:
            with Load(script.port) as load:
                script.signal(signal.SIGTERM)
            assert script.end() == (0, "ended\n", "")
        assert force or not load.cut


def test_sigterm_twice_that_closes_the_server() -> None:
    code = """
        heard = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: server.close())
        signal.signal(signal.SIGUSR1, lambda *_: (server.close(force=True), heard.set()))
        ready()
        for request in server:
            handle(request)
        # One that comes while the interpreter shuts down would meet no handler any more, on whatever thread.
        while not heard.wait(0.1):
            pass
        print("ended")
    """
    with Script(code) as script:
        with Load(script.port):
            script.signal(signal.SIGTERM)
            script.signal(signal.SIGUSR1)
        assert script.end() == (0, "ended\n", "")


# ------------------------------------------------------------------------- forks

PREFORK = """
    def work(server):
        for request in server:
            request.response.write(str(os.getpid()))
            request.response.close()
        os._exit(1)

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    children = []
    for _ in range(2):
        pid = os.fork()
        if not pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            {bind}
        children.append(pid)
    server.close()
    ready()
    signal.sigwait([signal.SIGTERM])
    for pid in children:
        os.kill(pid, signal.SIGTERM)
    print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children])
"""


@FORKS
@pytest.mark.parametrize("bind", [
    "work(server)",
    "own = HttpServer.bind('127.0.0.1', server.port, shared=True); server.close(); work(own)",
], ids=["one socket", "a socket each"])
def test_workers_by_fork_after_bind(bind: str) -> None:
    """Two processes share the connections of one port; the parent only watches over them."""
    preface = PREFACE.replace('bind("127.0.0.1", 0)', 'bind("127.0.0.1", 0, shared=True)')
    with Script(PREFORK.format(bind=bind), preface=preface) as script:
        answering: set[bytes] = set()

        def both_answered() -> bool:
            try:
                with RawClient(script.port) as client:
                    answering.add(client.get("/", "Connection: close").body)
            except ConnectionError:
                pass  # no child has bound its own yet
            return len(answering) == 2

        eventually(both_answered, PATIENCE * 2)
        script.signal(signal.SIGTERM)
        assert script.end() == (0, f"{[-signal.SIGTERM] * 2}\n", "")


@FORKS
@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)", "del server; gc.collect(); sys.exit(0)"],
                         ids=["_exit", "exit", "collected"])
def test_a_child_forked_beside_a_server_leaves_it_alone(end: str) -> None:
    """A child inherits the sockets, and closes its copies: what the parent serves goes on."""
    code = f"""
        # 3.12 warns of every fork beside threads, and a server that is dropped warns too.
        warnings.simplefilter("ignore")
        ready()
        for request in server:
            if request.uri.path == "/fork":
                pid = os.fork()
                if not pid:
                    {end}
                request.response.write(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
                request.response.close()
            else:
                handle(request)
    """
    with Script(code) as script, RawClient(script.port) as idle, RawClient(script.port) as client:
        assert idle.get().body == b"hello"
        assert client.get("/fork").body == b"0"
        assert client.get().body == idle.get().body == b"hello"
        with RawClient(script.port) as newcomer:
            assert newcomer.get().body == b"hello"


FORKING = """
    # 3.12 warns of every fork beside threads.
    warnings.simplefilter("ignore")
    parent = os.getpid()
    told, seen, forked = [], [], threading.Event()

    def act(request):
        seen.append(request.uri.path)
        if request.uri.path != "/fork":
            handle(request)
            return
        if threading.current_thread() is not threading.main_thread():
            forked.wait()  # so that the main thread gets the next one
            handle(request)
            return
        if request.uri.query:
            print("waits for another", flush=True)
            while server.connections_info().active < 2:
                time.sleep(0.001)
        pid = os.fork()
        if not pid:
            warnings.showwarning = lambda message, *rest: told.append(str(message))
            warnings.simplefilter("always", ResourceWarning)
            {in_child}
            return
        request.response.write(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
        forked.set()
        request.response.close()

    ready()
    {loop}
    if os.getpid() != parent:
        gc.collect()
        {then}
        os._exit(0)
    print(seen)
"""
ACTING = {name: loop.replace("handle", "act") for name, loop in LOOPS.items()}


@FORKS
@pytest.mark.parametrize("loop", [ACTING["loop"], ACTING["for_each"]], ids=["loop", "for_each"])
def test_a_handler_that_forks(loop: str) -> None:
    """In the child its loop is over, and what is queued is the parent's alone: no handler, no warning, no bytes."""
    then = 'print(seen, [text for text in told if "/fork" not in text], flush=True)'
    with Script(FORKING.format(loop=loop + "\n    if os.getpid() == parent: print('over')", in_child="pass",
                               then=then)) as script:
        with RawClient(script.port) as client, RawClient(script.port) as queued:
            client.send(b"GET /fork?queued HTTP/1.1\r\nHost: a\r\n\r\n")
            assert script.line() == "waits for another"
            queued.send(b"POST /queued HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            assert client.read_response().body == b"0"
            assert queued.read_response().body == b"hello"
            assert queued.get().body == b"hello"  # nothing came in between
        assert script.line() == "['/fork'] []"


def have_all_fork(port: int, workers: int) -> set[bytes]:
    """A request for each worker: the one on the main thread forks, and the others wait for it."""
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(port)) for _ in range(workers)]
        for client in clients:
            client.send(b"GET /fork HTTP/1.1\r\nHost: a\r\n\r\n")
        return {client.read_response().body for client in clients}


@FORKS
def test_a_worker_that_forks() -> None:
    """The other workers are not there in the child, and nothing is on the queue for them."""
    then = "print(not len(server.state.requests), flush=True)"
    with Script(FORKING.format(loop=ACTING["four workers"], in_child="pass", then=then)) as script:
        assert b"0" in have_all_fork(script.port, 4)
        assert script.line() == "True"


@FORKS
def test_a_worker_that_forks_while_another_thread_decides_who_waits() -> None:
    """The locks that other threads held at the fork are not waited for in the child."""
    loop = """
    fork = os.fork
    def fork_at_a_bad_time():
        standby, = server.state.requests._standbys
        is_held, may_go = threading.Event(), threading.Event()
        def hold():
            with standby._lock:
                is_held.set()
                may_go.wait()
        thread = threading.Thread(target=hold)
        thread.start()
        is_held.wait()
        pid = fork()
        if pid:
            may_go.set()
            thread.join()
        return pid
    os.fork = fork_at_a_bad_time
    """ + ACTING["four workers"]
    with Script(FORKING.format(loop=loop, in_child="pass", then="print('over', flush=True)")) as script:
        assert b"0" in have_all_fork(script.port, 4)
        assert script.line() == "over"


@FORKS
@pytest.mark.parametrize("inner", [
    ACTING["loop"], ACTING["for_each"], "for request in server.timeout(60): act(request)",
], ids=["loop", "for_each", "timeout"])
def test_a_handler_that_forks_in_a_loop_in_a_loop(inner: str) -> None:
    """In the child both are over, and a timed one stays so when it is asked again."""
    loop = f"""
    timed = server.timeout(60).where(lambda request: True)
    act(timed.first())
    for outer in server:
        act(outer)
        del outer
        {inner}
    for request in timed: act(request)
    """
    with Script(FORKING.format(loop=loop, in_child="pass", then="print(seen, flush=True)")) as script:
        with RawClient(script.port) as client:
            assert client.get("/timed").body == client.get("/outer").body == b"hello"
            assert client.get("/fork").body == b"0"
        assert script.line() == "['/timed', '/outer', '/fork']"


@FORKS
def test_the_end_of_an_inherited_loop_counts_for_nothing() -> None:
    """A child may begin to serve before it: that loop is the only one that it has."""
    in_child = """
            threading.Thread(target=list, args=(server,), daemon=True).start()
            while not server.state.requests.readers:
                time.sleep(0.001)
    """
    with Script(FORKING.format(loop=ACTING["for_each"], in_child=in_child,
                               then="print(server.state.requests.readers, flush=True)")) as script:
        with RawClient(script.port) as client, RawClient(script.port) as queued:
            client.send(b"GET /fork?queued HTTP/1.1\r\nHost: a\r\n\r\n")
            assert script.line() == "waits for another"
            queued.send(b"GET /queued HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.read_response().body == b"0"
        assert script.line() == "1"


@FORKS
def test_a_worker_by_fork_that_closes_leaves_the_others_alone() -> None:
    """They have one socket between them: what one does to it must not keep another from its own close()."""
    code = """
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGTERM, lambda *_: server.close())
            for request in server:
                request.response.write("child")
                request.response.close()
            os._exit(0)
        ready()
        for request in server:
            if request.uri.path == "/end the child":
                os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)
            request.response.write("parent")
            request.response.close()
            if request.uri.path == "/end":
                break
        server.close()
        print("closed")
    """.replace("/end the child", "/end-child")
    with Script(code) as script:
        answering: dict[bytes, RawClient] = {}

        def both_answered() -> bool:
            client = RawClient(script.port)
            clients.append(client)
            answering[client.get().body] = client
            return len(answering) == 2

        clients: list[RawClient] = []
        try:
            eventually(both_answered, PATIENCE * 2)
            assert answering[b"parent"].get("/end-child").body == b"parent"
            with RawClient(script.port) as newcomer:
                assert newcomer.get().body == b"parent"
            assert answering[b"parent"].get("/end").body == b"parent"
            assert script.end() == (0, "closed\n", "")
        finally:
            for client in clients:
                client.close()


@FORKS
def test_a_child_leaves_its_parents_unix_domain_socket_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "server")
    preface = PREFACE.replace('"127.0.0.1"', f"InternetAddress({path!r}, InternetAddressType.UNIX)")
    preface = preface.replace("import HttpServer", "import HttpServer, InternetAddress, InternetAddressType")
    code = f"""
        with server:
            pid = os.fork()
            if pid:
                os.waitpid(pid, 0)
                there = [os.path.exists({path!r})]
        if pid:
            there.append(os.path.exists({path!r}))
            ready()
            sys.exit(there != [True, False])
    """
    with Script(code, preface=preface) as script:
        assert script.end() == (0, "", "")


@FORKS
def test_a_server_that_was_closed_before_a_fork_stays_closed() -> None:
    code = """
        server.close()
        pid = os.fork()
        if not pid:
            signal.alarm(10)
            os._exit(len(list(server)))
        status = os.waitpid(pid, 0)[1]
        ready()
        sys.exit(status)
    """
    with Script(code) as script:
        assert script.end() == (0, "", "")


# ------------------------------------------------------------------------- exits

@WORKERS
def test_a_handler_that_raises_system_exit(loop: str) -> None:
    """It ends the program with its status, as anywhere; the client is not left waiting."""
    code = f"""
        def handle(request):
            if request.uri.path == "/exit":
                with request.response:
                    raise SystemExit(7)
            request.response.close()

        ready()
        {loop}
        print("went on")
    """
    with Script(code) as script, RawClient(script.port) as idle, RawClient(script.port) as client:
        assert idle.get().status == 200
        client.send(b"GET /exit HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            assert client.read_response().status == 500
        except (EOFError, ConnectionError):
            pass  # the process was quicker to end
        status, out, err = script.end()
    assert (status, out, err) == (7, "", "")


def test_a_worker_of_listen_that_raises_system_exit() -> None:
    """No thread but the main one can end a program: what becomes of it is the subscription's to tell."""
    seen: list[str] = []

    def handler(request: HttpRequest) -> None:
        seen.append(request.uri.path)
        with request.response:
            if request.uri.path == "/exit":
                raise SystemExit(7)

    with HttpServer.bind("127.0.0.1", 0) as server:
        subscription = server.listen(handler, workers=2)
        future = subscription.as_future()
        with RawClient(server.port) as client:
            assert client.get("/exit").status == 500
        with pytest.raises(SystemExit):
            future.result(PATIENCE)
        # The server is open: another reader goes on with it.
        thread = threading.Thread(target=server.for_each, args=(handler,))
        thread.start()
        with RawClient(server.port) as client:
            assert client.get("/after").status == 200
        server.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert seen == ["/exit", "/after"]


def test_a_program_ends_though_its_server_is_open() -> None:
    """Falling off the end of a script with clients connected and a listen() going on."""
    code = """
        warnings.simplefilter("ignore")
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        subscription = server.listen(handle, workers=2)
        ready()
        signal.sigwait([signal.SIGUSR1])
    """
    with Script(code) as script:
        with Load(script.port):
            script.signal(signal.SIGUSR1)
        status, out, err = script.end()
    assert (status, out, err) == (0, "", "")
