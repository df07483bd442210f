"""Accepting connections when the system has something against it, and what fails in the server itself."""
from __future__ import annotations

import errno
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from blockingio import HttpRequest, HttpServer, InternetAddress
from blockingio.stream import thread as thread_module
from blockingio.net.channel import Channel
from blockingio.net.system import may_accept
from blockingio.server import thread_pool as threads_module
from blockingio.server.connection import Connection
from blockingio.server.connection_loop import ConnectionLoop
from blockingio.server.listener import Listener
from blockingio.server.thread_pool import ThreadPool
from blockingio.stream.thread import Thread
from tests.peers import PATIENCE, RawClient, TlsContexts, eventually, serving
from tests.server.visits import get, in_background, queued, running, tell, to_the_end


def accept_fails(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> list[int]:
    """accept() fails with these errors, one after another; gives the list of what is left of them."""
    left = list(numbers)
    original = Listener.get_request

    def get_request(listener: Listener) -> Any:
        if left and not listener._stopping:
            raise OSError(left.pop(0), "as the test wants it")
        return original(listener)

    monkeypatch.setattr(Listener, "get_request", get_request)
    return left


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM])
def test_a_client_that_has_gone_before_it_was_accepted(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left = accept_fails(monkeypatch, number, number)
    with serving(tell) as server, RawClient(server.port) as client:
        assert client.get("/x").body == b"/x"
    assert not left


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_no_room_for_one_more(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest idle connection makes room, or time does; nothing spins and nothing is lost."""
    left: list[int] = []
    with serving(tell) as server:
        with RawClient(server.port) as idle:
            assert idle.get().status == 200
            eventually(lambda: server.connections_info().idle)
            left = accept_fails(monkeypatch, number)
            with RawClient(server.port) as client:
                assert client.get("/x").body == b"/x"
            assert not left and idle.is_ended()
            left = accept_fails(monkeypatch, number)
        with RawClient(server.port) as client:
            assert client.get("/y").body == b"/y"


def plain_loop(server: HttpServer) -> None:
    for request in server:
        tell(request)


def timed_loop(server: HttpServer) -> None:
    for request in server.timeout(2 * PATIENCE):
        tell(request)


def background(server: HttpServer) -> None:
    """listen() with all that is told of an end: on_error, on_done, and a future."""
    told: list[object] = []
    done = threading.Event()
    subscription = server.listen(tell, on_error=told.append, on_done=done.set, workers=2)
    try:
        subscription.as_future().result(2 * PATIENCE)
    finally:
        assert done.wait(PATIENCE)
        assert [type(error) for error in told] == [OSError]


LOOPS = [plain_loop, timed_loop, lambda server: server.for_each(tell), lambda server: server.for_each(tell, workers=3),
         background, lambda server: server.map(tell).listen(None).as_future().result(2 * PATIENCE)]
every_loop = pytest.mark.parametrize("loop", LOOPS, ids=["for", "timeout", "for_each", "workers", "listen", "a view"])


def all_are_there(loop: Callable[[HttpServer], object], server: HttpServer) -> None:
    """A worker that comes up behind the end of the accept loop would begin anew, and nothing would end."""
    eventually(lambda: server.state.requests.readers >= (3 if loop in LOOPS[3:5] else 1))


@every_loop
def test_a_listening_socket_that_is_gone(loop: Callable[[HttpServer], object], monkeypatch: pytest.MonkeyPatch,
                                         caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and a loop is told instead of waiting for ever; one that comes then begins anew."""
    with HttpServer.bind("127.0.0.1", 0) as server:
        with in_background(lambda: raises_that_it_accepts_no_more(loop, server)):
            with RawClient(server.port) as client:
                assert client.get("/1").body == b"/1"
                all_are_there(loop, server)
                accept_fails(monkeypatch, errno.EBADF)
                with RawClient(server.port):
                    pass
        assert "cannot accept" in caplog.records[0].getMessage()
        with running(server), RawClient(server.port) as client:
            assert client.get("/2").body == b"/2"


def raises_that_it_accepts_no_more(loop: Callable[[HttpServer], object], server: HttpServer) -> None:
    with pytest.raises(OSError, match="cannot accept connections any more") as caught:
        loop(server)
    assert caught.value.errno == errno.EBADF


@every_loop
def test_a_listening_socket_that_its_owner_has_closed(loop: Callable[[HttpServer], object],
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    """That is nothing to log, also where accept() is the one to find it; each loop is told, now and later."""
    original = Listener.get_request

    def get_request(listener: Listener) -> Any:
        sock.close()
        return original(listener)

    sock = socket.create_server(("127.0.0.1", 0))
    with HttpServer.listen_on(sock) as server:
        with in_background(lambda: raises_that_it_accepts_no_more(loop, server)):
            with RawClient(server.port) as client:
                assert client.get("/1").body == b"/1"
                all_are_there(loop, server)
                monkeypatch.setattr(Listener, "get_request", get_request)
                with suppress(ConnectionError), RawClient(server.port):
                    pass
        with pytest.raises(OSError):
            next(iter(server))


# ---------------------------------------------------- what fails for one connection costs that one

class Bug(Exception):
    """Nothing that anybody expects."""


def fail_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException,
              which: Callable[..., object]) -> list[BaseException]:
    """The next call whose arguments are such raises this; gives the list that is empty then."""
    original, left = getattr(owner, name), [error]

    def fail(*args: Any, **kwargs: Any) -> Any:
        if left and which(*args, **kwargs):
            raise left.pop()
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, fail)
    return left


def is_connections(*args: Any, **kwargs: Any) -> bool:
    """Whether a call is for the thread of a connection: the thread's __init__, or a method of it."""
    return str(kwargs.get("name") or getattr(args[0], "_name", "")).startswith("blockingio 127")


STEPS: list[tuple[Any, str, Callable[..., object]]] = [
    (socket.socket, "__init__", lambda *args, **kwargs: kwargs.get("fileno") is not None),
    (Connection, "__init__", lambda *args: True),
    (Channel, "__init__", lambda *args: True),
    (ThreadPool, "run", lambda *args: True),
    (threading.Thread, "__init__", is_connections),
    (threading.Thread, "start", is_connections),
    # The first steps of the new thread.
    (threading.Thread, "_bootstrap", is_connections),
    (threading.Thread, "_bootstrap_inner", is_connections),
    (threading.Thread, "_set_ident", is_connections),
    (threads_module, "schedule_as_batch", lambda: True),
    (ConnectionLoop, "run", lambda *args: True),
    (ConnectionLoop, "_take_settings", lambda *args: True),
]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("as the test wants it"), Bug()], ids=repr)
@pytest.mark.parametrize("owner, name, which", STEPS, ids=[f"{owner.__name__}.{name}" for owner, name, _ in STEPS])
def test_what_fails_for_one_connection_costs_that_one(owner: Any, name: str, which: Callable[..., object],
                                                      error: BaseException, monkeypatch: pytest.MonkeyPatch,
                                                      caplog: pytest.LogCaptureFixture) -> None:
    """That client is let go of, all others are served, and close() returns."""
    with serving(tell) as server, RawClient(server.port) as early:
        assert early.get("/early").body == b"/early"
        with monkeypatch.context() as patch:
            left = fail_once(patch, owner, name, error, which)
            with RawClient(server.port) as unlucky:
                assert unlucky.is_ended() and not left
        with RawClient(server.port) as later:
            assert later.get("/later").body == b"/later"
        assert early.get("/early").body == b"/early"
        eventually(lambda: server.connections_info().total == 1)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("as the test wants it"), Bug()], ids=repr)
def test_an_accept_that_fails(error: Exception, monkeypatch: pytest.MonkeyPatch,
                              caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it is: the loop goes on, and does not spin."""
    with serving(tell) as server:
        with RawClient(server.port) as client:
            assert client.get("/1").body == b"/1"
            left = fail_once(monkeypatch, Listener, "get_request", error, lambda *args: True)
            with RawClient(server.port) as other:
                assert other.get("/2").body == b"/2" and not left
            assert client.get("/3").body == b"/3"


# ------------------------------------------------------------ threads that do not come up

def serve_in_threes(server: HttpServer) -> None:
    server.for_each(tell, workers=3)


def listen_in_twos(server: HttpServer) -> None:
    server.listen(tell, workers=2).as_future().result(2 * PATIENCE)


@pytest.mark.parametrize("silently", [False, True])
@pytest.mark.parametrize("serve", [serve_in_threes, listen_in_twos, plain_loop])
@pytest.mark.parametrize("name", ["blockingio accept", "blockingio 127", "blockingio worker"])
def test_a_thread_that_never_comes_up(name: str, serve: Callable[[HttpServer], object], silently: bool,
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    """At worst one client is let go of; nobody else waits, nor does close().

    Silently: as where there is no memory for its first frame, so that it cannot tell.
    """
    left = [MemoryError()]

    def bootstrap(thread: Thread) -> None:
        if not (left and thread.name.startswith(name)):
            original(thread)
        elif silently:
            left.pop()
        else:
            raise left.pop()

    patched: Any = Thread if silently else threading.Thread
    original = patched._bootstrap
    monkeypatch.setattr(patched, "_bootstrap", bootstrap)
    monkeypatch.setattr(thread_module, "START_TIME", 0.5)
    with HttpServer.bind("127.0.0.1", 0) as server, in_background(lambda: serve(server)):
        with RawClient(server.port) as client:
            if name == "blockingio 127":
                assert client.is_ended()
            else:
                assert client.get("/1").body == b"/1"
        with RawClient(server.port) as client:
            assert client.get("/2").body == b"/2"
        if (name, serve) != ("blockingio worker", plain_loop):  # which has none
            eventually(lambda: not left)  # a worker that has not come up yet at the close need not any more
        server.close()


@pytest.mark.parametrize("serve", [serve_in_threes, listen_in_twos, plain_loop])
def test_an_accept_thread_that_never_comes_up_whatever_is_tried(serve: Callable[[HttpServer], object],
                                                                monkeypatch: pytest.MonkeyPatch,
                                                                caplog: pytest.LogCaptureFixture) -> None:
    """Each loop is told."""
    original = threading.Thread._bootstrap  # type: ignore[attr-defined]

    def bootstrap(thread: Thread) -> None:
        if thread.name.startswith("blockingio accept"):
            raise MemoryError
        original(thread)

    with HttpServer.bind("127.0.0.1", 0) as server:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "_bootstrap", bootstrap)
            with pytest.raises(OSError, match="did not come up"):
                serve(server)
        with running(server), RawClient(server.port) as client:
            assert client.get("/now").body == b"/now"


def test_workers_of_whom_one_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised where it was asked for, and those that have been started end."""
    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("blockingio worker"):
            started.append(thread.name)
            if len(started) == 3:
                raise RuntimeError("can't start new thread")
        original(thread)

    original, started = threading.Thread.start, list[str]()
    with HttpServer.bind("127.0.0.1", 0) as server:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="new thread"):
                server.for_each(tell, workers=5)
            started.clear()
            with pytest.raises(RuntimeError, match="new thread"):
                server.listen(tell, workers=5)
        eventually(lambda: not [thread for thread in threading.enumerate() if "worker" in thread.name])
        with running(server), RawClient(server.port) as client:
            assert client.get("/now").body == b"/now"


def test_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newcomer is let go of, and the server lives on."""
    start = threading.Thread.start
    refused: list[str] = []

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("blockingio 127") and not refused:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with serving(tell) as server:
        with RawClient(server.port) as client:
            assert client.is_ended()
        with RawClient(server.port) as client:
            assert client.get("/x").body == b"/x"
    assert refused


def pair_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    error = OSError(errno.EMFILE, "as the test wants it")
    monkeypatch.setattr(socket, "socketpair", failing_once(socket.socketpair, error))


def thread_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    fail_once = failing_once(start, RuntimeError("can't start new thread"))

    def refuse(thread: threading.Thread) -> None:
        (fail_once if thread.name.startswith("blockingio accept") else start)(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.parametrize("fails", [pair_fails, thread_fails])
def test_a_first_iteration_that_cannot_begin(fails: Callable[[pytest.MonkeyPatch], None],
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it stays: the next one begins, and close() knows that nobody reads."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(12.5)
        server = HttpServer.listen_on(sock)
        fails(monkeypatch)
        with pytest.raises((OSError, RuntimeError), match="as the test wants it|new thread"):
            next(iter(server))
        assert sock.gettimeout() == 12.5
        with RawClient(server.port) as client:
            client.send(get("/1"))
            tell(server.first())
            assert client.read_response().body == b"/1"
            client.send(get("/2"))
            queued(server, 1)
            server.close()
            assert client.read_response().status == 503


def test_a_wake_up_for_nothing() -> None:
    with serving(tell) as server, RawClient(server.port) as client:
        assert client.get().status == 200
        listener = server._listener
        assert listener
        for _ in range(3):
            listener._wake()
            listener._forget_wakes()
        with RawClient(server.port) as other:
            assert other.get("/x").body == b"/x"
    listener._wake()  # after its end


def test_a_zone_is_part_of_the_address() -> None:
    index = next((number for number, name in socket.if_nameindex() if name.startswith("lo")), 0)
    for zone in (str(index), socket.if_indextoname(index)) if index else ():
        try:
            server = HttpServer.bind(InternetAddress(f"::1%{zone}"), 0)
        except OSError:
            pytest.skip("the system has no IPv6")
        with running(server), RawClient(server.port, "::1") as client:
            assert client.get("/x").body == b"/x"


# ------------------------------------------------------------ bugs of the server's own

def failing_once(original: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    left = [error]

    def make(*args: Any) -> Any:
        if left:
            raise left.pop()
        return original(*args)

    return make


def test_a_bug_of_ours_ends_one_connection(monkeypatch: pytest.MonkeyPatch,
                                           caplog: pytest.LogCaptureFixture) -> None:
    """It is logged as one, nobody waits for ever, and close() still works."""
    bug = failing_once(HttpRequest, ZeroDivisionError("a bug"))
    monkeypatch.setattr("blockingio.server.connection_loop.HttpRequest", bug)
    with serving(tell) as server:
        with RawClient(server.port) as client:
            to_the_end(client.send(get()))
        with RawClient(server.port) as client:
            assert client.get("/x").body == b"/x"
        eventually(lambda: not server.connections_info().total)
        server.close()
    assert len(caplog.records) == 1 and "report" in caplog.records[0].getMessage()


def test_a_client_certificate_that_we_cannot_read(monkeypatch: pytest.MonkeyPatch,
                                                  tls_contexts: TlsContexts) -> None:
    """Better no client than an unknown one."""

    def fail(der: bytes) -> Any:
        raise ValueError("as the test wants it")

    monkeypatch.setattr("blockingio.net.x509.X509Certificate.from_der", fail)
    server = HttpServer.bind_secure("127.0.0.1", 0, tls_contexts.server, request_client_certificate=True)
    with running(server):
        with pytest.raises((OSError, EOFError)):
            with RawClient(server.port, context=tls_contexts.client_with_certificate) as client:
                client.get("/x")
        with RawClient(server.port, context=tls_contexts.client) as client:
            assert client.get("/x").body == b"/x"


def test_an_error_answer_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(channel: Channel, data: bytes) -> int:
        raise BrokenPipeError(errno.EPIPE, "as the test wants it")

    with serving(tell) as server, RawClient(server.port) as client:
        monkeypatch.setattr(Channel, "send_now", refuse)
        assert client.send(b"nonsense\r\n\r\n").is_ended()
        eventually(lambda: not server.connections_info().total)


def test_connections_and_channels_say_what_they_are() -> None:
    with serving(tell) as server, RawClient(server.port) as client:
        assert client.get().status == 200
        [connection] = server.state.connections
        eventually(lambda: repr(connection) == "<Connection 127.0.0.1 idle>")
        assert repr(connection.channel) == f"<{type(connection.channel).__name__} {connection.channel.socket.fileno()}>"
        client.send(b"GET")
        eventually(lambda: repr(connection) == "<Connection 127.0.0.1 active>")
        client.close()
        eventually(lambda: repr(connection.channel).endswith(" closed>"))


def test_a_server_class_tells_its_settings() -> None:
    """As help() does."""
    for name in ("idle_timeout", "max_header_size", "access_log"):
        setting = getattr(HttpServer, name)
        assert isinstance(setting.__doc__, str) and setting.__doc__.endswith(".")


def test_the_main_thread_naps() -> None:
    """It looks up from the queue once a second, for a Ctrl-C in the wrong moment; nothing is lost by it."""
    with HttpServer.bind("127.0.0.1", 0) as server:
        assert threading.current_thread() is threading.main_thread()

        def ask() -> None:
            threading.Event().wait(1.1)
            with RawClient(server.port, seconds=PATIENCE) as client:
                bodies.append(client.get("/late").body)
            server.close()

        bodies: list[bytes] = []
        thread = threading.Thread(target=ask)
        thread.start()
        for request in server:
            tell(request)
        thread.join(PATIENCE)
        assert bodies == [b"/late"]


def test_whether_a_connection_waits_in_the_backlog() -> None:
    """On Linux it is known of TCP; elsewhere only accept() can tell."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        for _ in range(2):
            if sys.platform == "linux":
                assert not may_accept(listening)
            with socket.create_connection(listening.getsockname()):
                eventually(lambda: may_accept(listening))
                listening.accept()[0].close()
    assert may_accept(listening), "it is accept() that says what is wrong"


@pytest.mark.needs("socket.AF_UNIX")
def test_whether_a_connection_waits_in_the_backlog_of_a_unix_domain_socket() -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        assert may_accept(listening)
