"""The server and its interpreter: signals, forks, exits, the garbage collector, and ends of every kind.

Where the process itself is what is tested it is a subprocess: ``Script`` runs one, which says
``ready PORT`` once it listens, and whose last lines and status are judged.
"""
from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blockingio import HttpRequest, HttpServer
from tests.peers import PATIENCE, RawClient, eventually, serving

ROOT = Path(__file__).parent.parent
#: Seconds that a process may take to begin, on a machine that is busy.
BEGINNING = 20.0
WORKERS = pytest.mark.parametrize("loop", ["for request in server: handle(request)", "server.for_each(handle)",
                                           "server.for_each(handle, workers=4)"],
                                  ids=["loop", "for_each", "four workers"])

PREFACE = """
    import gc, os, signal, sys, threading, time, warnings
    from blockingio import HttpServer

    server = HttpServer.bind("127.0.0.1", 0)

    def handle(request):
        request.response.write("hello")
        request.response.close()

    def ready():
        print("ready", server.port, flush=True)
"""


class Script:
    """A Python script in a process of its own, which ends with the block at the latest."""

    def __init__(self, code: str, *, preface: str = PREFACE) -> None:
        source = textwrap.dedent(preface) + textwrap.dedent(code)
        self.process = subprocess.Popen([sys.executable, "-W", "error", "-c", source], cwd=ROOT, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self.port = 0

    def __enter__(self) -> Script:
        assert self.process.stdout
        line = self.process.stdout.readline().split()
        if line[:1] != ["ready"]:
            raise AssertionError(f"the script did not begin: {line} {self.process.communicate()}")
        self.port = int(line[1])
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # it, and what it forked
        except ProcessLookupError:
            pass
        self.process.communicate()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        """Status, output and errors, once it has ended by itself; within the deadline, or it fails."""
        try:
            out, err = self.process.communicate(timeout=PATIENCE * 2)
        except subprocess.TimeoutExpired:
            raise AssertionError("the process goes on") from None
        return self.process.returncode, out, err


class Load:
    """Clients, each with a thread, that ask until the server ends them; every answer is whole or absent."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.answered = 0
        self.cut: list[str] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(port,)) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, port: int) -> None:
        try:
            with RawClient(port) as client:
                while True:
                    response = client.get()
                    with self._lock:
                        self.answered += 1
                        # 503: it came in time, but the loop that would have taken it has ended.
                        if (response.status, response.body) != (200, b"hello") and response.status != 503:
                            self.cut.append(repr(response))
        except EOFError as error:
            if not str(error).endswith("after b''"):
                self.cut.append(str(error))
        except OSError:
            pass  # reset, or refused

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def __enter__(self) -> Load:
        eventually(lambda: self.answered > 100)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.join()


# ----------------------------------------------------------------------- signals

CTRL_C = """
    try:
        ready()
        {loop}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    server.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    print(threading.active_count())
"""


@WORKERS
def test_ctrl_c_in_the_middle_of_load(loop: str) -> None:
    with Script(CTRL_C.format(loop=loop)) as script:
        with Load(script.port) as load:
            script.signal(signal.SIGINT)
        status, out, err = script.end()
    assert (status, err) == (0, "")
    assert out == "interrupted\n1\n"
    assert not load.cut


@WORKERS
def test_ctrl_c_while_nothing_comes(loop: str) -> None:
    with Script(CTRL_C.format(loop=loop)) as script, RawClient(script.port) as idle:
        assert idle.get().body == b"hello"  # so the loop has begun, and waits now
        began = time.monotonic()
        script.signal(signal.SIGINT)
        status, out, err = script.end()
    assert (status, out, err) == (0, "interrupted\n1\n", "")
    assert time.monotonic() - began < 2


def test_ctrl_c_without_anybody_to_catch_it() -> None:
    """The traceback is Python's own, and the process ends though connections are open."""
    with Script("ready()\nfor request in server: handle(request)") as script, RawClient(script.port) as client:
        assert client.get().body == b"hello"
        script.signal(signal.SIGINT)
        status, _, err = script.end()
    assert status in (-signal.SIGINT, 130) and err.rstrip().endswith("KeyboardInterrupt")


def test_sigterm_by_default_ends_the_process_at_once() -> None:
    with Script("ready()\nfor request in server: handle(request)") as script:
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
        signal.signal(signal.SIGTERM, lambda *_: server.close())
        signal.signal(signal.SIGUSR1, lambda *_: server.close(force=True))
        ready()
        for request in server: handle(request)
        print("ended")
    """
    with Script(code) as script:
        with Load(script.port):
            script.signal(signal.SIGTERM)
            script.signal(signal.SIGUSR1)
        assert script.end() == (0, "ended\n", "")


# ------------------------------------------------------------------------- forks

@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("bind", ["worker = server", "worker = HttpServer.bind('127.0.0.1', server.port, shared=True)"],
                         ids=["one socket", "a socket each"])
def test_workers_by_fork_after_bind(bind: str) -> None:
    """Two processes share the connections of one port; the parent only watches over them."""
    code = f"""
        children = []
        for _ in range(2):
            pid = os.fork()
            if not pid:
                {bind}
                if worker is not server:
                    server.close()
                for request in worker:
                    request.response.write(str(os.getpid()))
                    request.response.close()
                os._exit(1)
            children.append(pid)
        server.close()
        ready()
        sys.stdin.read()
    """
    preface = PREFACE.replace('bind("127.0.0.1", 0)', 'bind("127.0.0.1", 0, shared=True)')
    code = code.replace("sys.stdin.read()", """
        signal.sigwait([signal.SIGTERM])
        for pid in children:
            os.kill(pid, signal.SIGTERM)
        print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children])
    """.strip()).replace("children = []", "children = []; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])"
                         ).replace("if not pid:", "if not pid:\n                signal.pthread_sigmask("
                                                  "signal.SIG_UNBLOCK, [signal.SIGTERM])")
    with Script(code, preface=preface) as script:
        answering: set[bytes] = set()

        def both_answered() -> bool:
            try:
                with RawClient(script.port) as client:
                    answering.add(client.get("/", "Connection: close").body)
            except ConnectionError:
                pass  # the child has not bound its own yet
            return len(answering) == 2

        eventually(both_answered, PATIENCE * 2)
        script.signal(signal.SIGTERM)
        assert script.end() == (0, f"{[-signal.SIGTERM] * 2}\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)", "del server; gc.collect(); sys.exit(0)"],
                         ids=["_exit", "exit", "collected"])
def test_a_child_forked_beside_a_server_leaves_it_alone(end: str) -> None:
    """A child inherits the sockets, and closes its copies: what the parent serves goes on."""
    code = f"""
        warnings.simplefilter("ignore")  # 3.12 warns of every fork beside threads; a server that is dropped warns too
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
        with RawClient(server.port) as client, serving_more(server):
            assert client.get("/after").status == 200  # by the next reader: the server is open
    assert seen == ["/exit"]


class serving_more:
    """Another thread iterates a server until it is closed, which the end of the block does."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.for_each, args=(lambda request: request.response.close(),))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc_info: object) -> None:
        self._server.close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


def test_a_program_ends_though_its_server_is_open() -> None:
    """Falling off the end of a script with clients connected and a listen() going on."""
    code = """
        warnings.simplefilter("ignore")
        subscription = server.listen(handle, workers=2)
        ready()
        signal.sigwait([signal.SIGUSR1])
    """.replace("subscription =", "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n        subscription =")
    with Script(code) as script:
        with Load(script.port):
            script.signal(signal.SIGUSR1)
        status, out, err = script.end()
    assert (status, out, err) == (0, "", "")


# -------------------------------------------------------------- garbage collection

def is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
            sock.listen()
        except OSError:
            return False
    return True


def test_a_server_collected_before_its_first_request() -> None:
    server: HttpServer | None = HttpServer.bind("127.0.0.1", 0)
    assert server
    port = server.port
    with pytest.warns(ResourceWarning, match=str(port)):
        del server
        gc.collect()
    assert is_free(port)


def test_a_server_collected_after_requests() -> None:
    """The loop is left by break, and nobody keeps the server: port, threads and connections go with it."""
    server: HttpServer | None = HttpServer.bind("127.0.0.1", 0)
    assert server
    port = server.port
    with RawClient(port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for request in server:
            request.response.close()
            break
        assert client.read_response().status == 200
        gone = weakref.ref(server)
        with pytest.warns(ResourceWarning, match=str(port)):
            del request, server
            gc.collect()
        assert gone() is None
        assert client.is_ended()
    eventually(lambda: is_free(port))


def test_a_server_in_use_by_a_response_alone() -> None:
    """What was begun can still be answered."""
    server: HttpServer | None = HttpServer.bind("127.0.0.1", 0)
    assert server
    with RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = server.first().response
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del server
            gc.collect()
        response.write("late")
        response.close()
        assert client.read_response().body == b"late"
        assert client.is_ended()


# ------------------------------------------------------------------ ends of a server

def test_iteration_after_close() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    server.close()
    for _ in range(2):
        assert list(server) == []
        assert server.to_list() == []
    server.for_each(lambda request: pytest.fail("a request came"), workers=2)
    assert server.length() == 0


def test_iteration_after_close_with_requests_before() -> None:
    with serving(lambda request: request.response.close()) as server:
        with RawClient(server.port) as client:
            assert client.get().status == 200
        server.close()
        assert list(server) == []


@pytest.mark.parametrize("force", [False, True], ids=["graceful", "by force"])
def test_close_from_inside_the_loop(force: bool) -> None:
    """The loop ends by itself, and the response that was open is finished, unless by force."""
    server = HttpServer.bind("127.0.0.1", 0)
    with RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for request in server:
            server.close(force=force)
            assert is_free(server.port)
            request.response.write("last")
            request.response.close()
        if not force:
            response = client.read_response()
            assert (response.status, response.body, response.header("connection")) == (200, b"last", "close")
        assert client.is_ended()


@pytest.mark.parametrize("workers", [1, 4])
def test_close_from_a_worker(workers: int) -> None:
    server = HttpServer.bind("127.0.0.1", 0)

    def handler(request: HttpRequest) -> None:
        server.close()
        request.response.close()

    with RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server.for_each(handler, workers=workers)
        assert client.read_response().status == 200
        assert client.is_ended()


def test_close_twice() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    for force in (False, False, True, True, False):
        server.close(force=force)
    assert is_free(server.port)


def test_close_from_many_threads_at_once() -> None:
    with serving(lambda request: request.response.close(), workers=2) as server:
        with RawClient(server.port) as client:
            assert client.get().status == 200
            together = threading.Barrier(8)

            def close(force: bool) -> None:
                together.wait(PATIENCE)
                server.close(force=force)

            threads = [threading.Thread(target=close, args=(number % 2 == 0,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
                assert not thread.is_alive()
            assert client.is_ended()


# ----------------------------------------------------------------- two on one port

@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="the system has no SO_REUSEPORT")
def test_two_servers_on_one_port() -> None:
    def named(name: str) -> Callable[[HttpRequest], None]:
        def handler(request: HttpRequest) -> None:
            request.response.write(name)
            request.response.close()
        return handler

    def answers(port: int) -> set[bytes]:
        found = set()
        for _ in range(100):
            with RawClient(port) as client:
                found.add(client.get("/", "Connection: close").body)
        return found

    with HttpServer.bind("127.0.0.1", 0, shared=True) as one:
        with HttpServer.bind("127.0.0.1", one.port, shared=True) as two:
            with background(one, named("one")), background(two, named("two")):
                assert answers(one.port) == {b"one", b"two"}
                two.close()
                assert answers(one.port) == {b"one"}


class background:
    """Serve a server on a thread; the end of the block closes it."""

    def __init__(self, server: HttpServer, handler: Callable[[HttpRequest], Any]) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.for_each, args=(handler,))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc_info: object) -> None:
        self._server.close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("shared", [(False, False), (True, False), (False, True)])
def test_two_servers_on_one_port_that_do_not_share(shared: tuple[bool, bool]) -> None:
    with HttpServer.bind("127.0.0.1", 0, shared=shared[0]) as server:
        with pytest.raises(OSError, match=rf"127\.0\.0\.1.*{server.port}"):
            HttpServer.bind("127.0.0.1", server.port, shared=shared[1])


# --------------------------------------------------------------- minutes later

def test_a_response_closed_by_another_thread_much_later() -> None:
    """Later than every limit of the server; other clients are served meanwhile."""
    kept: list[HttpRequest] = []

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/kept":
            kept.append(request)
        else:
            request.response.close()

    limits = {"idle_timeout": 0.2, "header_timeout": 0.2, "body_timeout": 0.2}
    with serving(handler, workers=None, **limits) as server, RawClient(server.port) as client:
        client.send(b"GET /kept HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: kept)
        for _ in range(3):  # three times the idle limit, one after another
            with RawClient(server.port) as other:
                assert other.get().status == 200
                assert other.is_ended()
        gc.collect()

        def finish() -> None:
            kept[0].response.write("late")
            kept[0].response.close()

        thread = threading.Thread(target=finish)
        thread.start()
        assert client.read_response().body == b"late"
        thread.join(PATIENCE)
        assert client.get().status == 200  # and the connection is as good as before


def test_a_response_kept_past_the_servers_end() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    with RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = server.first().response
        server.close()
        assert is_free(server.port)
        response.write("late")
        response.close()
        assert client.read_response().body == b"late"
        assert client.is_ended()
