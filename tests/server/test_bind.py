"""Where a server listens: names, families, ports, sharing, backlog, sockets of one's own."""
from __future__ import annotations

import errno
import gc
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import blockingio
from blockingio import HttpRequest, HttpServer, InternetAddress, InternetAddressType
from tests.peers import PATIENCE, RawClient, TlsContexts, has_ipv6, serving
from tests.server.visits import GET, answering, get, in_background, is_free, running

ROOT = Path(blockingio.__file__).parent.parent


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="the system has no IPv6")


# ------------------------------------------------------------------ addresses

@pytest.mark.parametrize("address, host, listens_on", [
    ("127.0.0.1", "127.0.0.1", InternetAddress.LOOPBACK_IP_V4),
    (InternetAddress("127.0.0.1"), "127.0.0.1", InternetAddress.LOOPBACK_IP_V4),
    (InternetAddress.LOOPBACK_IP_V4, "127.0.0.1", InternetAddress.LOOPBACK_IP_V4),
    (InternetAddress.ANY_IP_V4, "127.0.0.1", InternetAddress.ANY_IP_V4),
    pytest.param("::1", "::1", InternetAddress.LOOPBACK_IP_V6, marks=needs_ipv6),
    pytest.param("0:0:0:0:0:0:0:1", "::1", InternetAddress.LOOPBACK_IP_V6, marks=needs_ipv6),
    pytest.param(InternetAddress.LOOPBACK_IP_V6, "::1", InternetAddress.LOOPBACK_IP_V6, marks=needs_ipv6),
    pytest.param(InternetAddress.ANY_IP_V6, "::1", InternetAddress.ANY_IP_V6, marks=needs_ipv6),
], ids=str)
def test_an_address(address: str | InternetAddress, host: str, listens_on: InternetAddress) -> None:
    with running(HttpServer.bind(address, 0)) as server:
        assert server.address == listens_on
        assert 0 < server.port < 65536
        with RawClient(server.port, host) as client:
            assert client.get("/here").body == b"/here"
    assert server.address == listens_on and server.port > 0, "both stay known after close()"


def test_a_host_name() -> None:
    with running(HttpServer.bind("localhost", 0)) as server:
        assert server.address == InternetAddress.lookup("localhost")[0]
        assert server.address.host == "localhost"
        with RawClient(server.port, server.address.address) as client:
            assert client.get("/here").body == b"/here"


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(host: Any, *args: Any, **named: Any) -> list[Any]:
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_a_host_name_takes_the_first_address_that_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch, "127.0.0.1", "192.0.2.1")
    with HttpServer.bind("two.example", 0) as server:
        assert (server.address.address, server.address.host) == ("127.0.0.1", "two.example")


def test_a_host_name_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch)
    with pytest.raises(OSError, match="no.example"):
        HttpServer.bind("no.example", 0)


@needs_ipv6
def test_any_ipv6_takes_ipv4_too() -> None:
    seen: list[HttpRequest] = []
    with serving(answering("x", seen), host="::") as server:
        for host in ("127.0.0.1", "::1"):
            with RawClient(server.port, host) as client:
                assert client.get().status == 200
    infos = [request.connection_info for request in seen]
    assert [info and info.remote_address.address for info in infos] == ["::ffff:127.0.0.1", "::1"]


def ipv6_only() -> HttpServer:
    """On a port that is free for IPv4, where another process may have the same one."""
    for _ in range(20):
        server = HttpServer.bind(InternetAddress.ANY_IP_V6, 0, v6_only=True)
        try:
            HttpServer.bind(InternetAddress.ANY_IP_V4, server.port).close()
            return server
        except OSError:
            server.close()
    raise AssertionError("no IPv6 port is free for IPv4")


@needs_ipv6
def test_any_ipv6_only() -> None:
    with running(ipv6_only()) as server:
        with RawClient(server.port, "::1") as client:
            assert client.get("/6").body == b"/6"
        with pytest.raises(ConnectionRefusedError):
            RawClient(server.port, "127.0.0.1")


@pytest.mark.parametrize("address", ["127.0.0.1", InternetAddress.ANY_IP_V4, "four.example",
                                     InternetAddress("/nowhere/server", InternetAddressType.UNIX)], ids=str)
def test_only_an_ipv6_address_can_be_v6_only(address: str | InternetAddress, tls_contexts: TlsContexts,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    if address == "four.example":
        resolves_to(monkeypatch, "127.0.0.1")
    ways: list[Callable[..., HttpServer]] = [
        HttpServer.bind, partial(HttpServer.bind_secure, context=tls_contexts.server)]
    for bind in ways:
        with pytest.raises(ValueError, match="v6_only is for an IPv6 address, got "):
            bind(address, 0, v6_only=True)


@needs_ipv6
def test_a_secure_server_takes_the_same_addresses(tls_contexts: TlsContexts) -> None:
    server = HttpServer.bind_secure(InternetAddress.ANY_IP_V6, 0, tls_contexts.server, v6_only=True)
    with running(server):
        with RawClient(server.port, "::1", context=tls_contexts.client) as client:
            assert client.get("/6").body == b"/6"
        with pytest.raises(ConnectionRefusedError):
            RawClient(server.port, "127.0.0.1")


# ---------------------------------------------------------- Unix-domain sockets

def unix_client(path: str) -> RawClient:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    try:
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return RawClient.on(sock)


@pytest.mark.needs("socket.AF_UNIX")
def test_a_unix_domain_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "server")
    address = InternetAddress(path, InternetAddressType.UNIX)
    seen: list[HttpRequest] = []
    server = HttpServer.bind(address, 0)
    with running(server, answering("x", seen)):
        assert (server.address, server.port) == (address, 0)
        assert path in repr(server)
        with unix_client(path) as client:
            assert client.get("/a").body == b"x"
            assert client.send(b"GET /b HTTP/1.0\r\n\r\n").read_response().body == b"x"
    assert [request.connection_info for request in seen] == [None, None]
    assert str(seen[1].requested_uri) == "http://localhost/b"
    assert not Path(path).exists()
    assert (server.address, server.port) == (address, 0)
    with HttpServer.bind(address, 0):
        assert Path(path).is_socket()


@pytest.mark.needs("socket.AF_UNIX")
def test_a_unix_domain_socket_that_is_taken(tmp_path: Path) -> None:
    address = InternetAddress(str(tmp_path / "server"), InternetAddressType.UNIX)
    with running(HttpServer.bind(address, 0)):
        with pytest.raises(OSError, match="server") as caught:
            HttpServer.bind(address, 0)
        assert caught.value.errno == errno.EADDRINUSE
        with unix_client(address.address) as client:
            assert client.get("/still").body == b"/still"


def killed_server(path: Path) -> None:
    """What a server leaves that had no time to clean up."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()


@pytest.mark.needs("socket.AF_UNIX")
def test_the_file_of_a_server_that_was_killed_is_taken_over(tmp_path: Path, tls_contexts: TlsContexts) -> None:
    path = tmp_path / "server"
    address = InternetAddress(str(path), InternetAddressType.UNIX)
    ways: list[Callable[[], HttpServer]] = [
        lambda: HttpServer.bind(address, 0), lambda: HttpServer.bind_secure(address, 0, tls_contexts.server)]
    for bind in ways:
        killed_server(path)
        with bind() as server, pytest.raises(OSError, match="server") as caught:
            HttpServer.bind(address, 0)
        assert caught.value.errno == errno.EADDRINUSE and server.address == address
        assert not path.exists()
    killed_server(path)
    with running(HttpServer.bind(address, 0)), unix_client(str(path)) as client:
        assert client.get("/new").body == b"/new"


@pytest.mark.needs("socket.AF_UNIX")
def test_a_server_whose_backlog_is_full_is_alive(tmp_path: Path) -> None:
    """And so is one that nobody reads from yet: a look at it does not wait for it."""
    path = tmp_path / "server"
    with socket.socket(socket.AF_UNIX) as busy, ExitStack() as waiting:
        busy.bind(str(path))
        busy.listen(0)
        while True:
            sock = waiting.enter_context(socket.socket(socket.AF_UNIX))
            sock.setblocking(False)
            try:
                sock.connect(str(path))
            except BlockingIOError:
                break
        with pytest.raises(OSError, match="server") as caught:
            HttpServer.bind(InternetAddress(str(path), InternetAddressType.UNIX), 0)
        assert caught.value.errno == errno.EADDRINUSE and path.is_socket()


@pytest.mark.needs("socket.AF_UNIX")
@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to(path.parent / "gone")],
                         ids=["a file", "a directory", "a link"])
def test_what_is_no_servers_file_stays(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "server"
    make(path)
    with pytest.raises(OSError, match="server") as caught:
        HttpServer.bind(InternetAddress(str(path), InternetAddressType.UNIX), 0)
    assert caught.value.errno == errno.EADDRINUSE and path.lstat()


@pytest.mark.needs("socket.AF_UNIX")
def test_the_file_of_another_kind_of_socket_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "server")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        with pytest.raises(OSError, match="server") as caught:
            HttpServer.bind(InternetAddress(path, InternetAddressType.UNIX), 0)
        assert caught.value.errno == errno.EADDRINUSE and Path(path).is_socket()


@pytest.mark.needs("socket.AF_UNIX")
def test_a_unix_domain_socket_with_a_path_that_is_too_long() -> None:
    with pytest.raises(OSError, match="xxx: .*too long"):
        HttpServer.bind(InternetAddress("/tmp/" + "x" * 200, InternetAddressType.UNIX), 0)


@pytest.mark.needs("socket.AF_UNIX")
def test_the_name_of_a_unix_domain_socket_may_go_before_it(tmp_path: Path) -> None:
    path = tmp_path / "server"
    with HttpServer.bind(InternetAddress(str(path), InternetAddressType.UNIX), 0):
        path.unlink()


@pytest.mark.needs("socket.AF_UNIX")
def test_the_name_of_a_unix_domain_socket_may_be_a_successors(tmp_path: Path) -> None:
    """close() takes away what the server has put there, and nothing else."""
    path = tmp_path / "server"
    address = InternetAddress(str(path), InternetAddressType.UNIX)
    old = HttpServer.bind(address, 0)
    path.unlink()
    with running(HttpServer.bind(address, 0)):
        old.close()
        old.close()
        with unix_client(str(path)) as client:
            assert client.get("/new").body == b"/new"
    assert not path.exists()


@pytest.mark.needs("socket.AF_UNIX")
def test_a_unix_domain_socket_is_where_it_was_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the process has gone to another directory meanwhile, as a daemon does."""
    monkeypatch.chdir(tmp_path)
    with HttpServer.bind(InternetAddress("server", InternetAddressType.UNIX), 0):
        assert (tmp_path / "server").is_socket()
        monkeypatch.chdir("/")
    assert not (tmp_path / "server").exists()


@pytest.mark.needs("socket.AF_UNIX")
@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
def test_an_abstract_unix_domain_name() -> None:
    name = f"\0blockingio test {id(object())}"
    with running(HttpServer.bind(InternetAddress(name, InternetAddressType.UNIX), 0)):
        with unix_client(name) as client:
            assert client.get("/abstract").body == b"/abstract"


# ---------------------------------------------------------------------- ports

def test_port_0_is_any_free_one() -> None:
    with HttpServer.bind("127.0.0.1", 0) as one, HttpServer.bind("127.0.0.1", 0) as two:
        assert one.port and two.port and one.port != two.port


@pytest.mark.parametrize("port", [-1, 65536, 1 << 40])
def test_a_port_that_is_none(port: int) -> None:
    with pytest.raises(ValueError, match=str(port)):
        HttpServer.bind("127.0.0.1", port)


@pytest.mark.parametrize("address, port", [(None, 0), (b"127.0.0.1", 0), ("127.0.0.1", "80"),
                                           ("127.0.0.1", None), (80, "127.0.0.1")])
def test_the_wrong_type(address: Any, port: Any) -> None:
    with pytest.raises(TypeError):
        HttpServer.bind(address, port)


@pytest.mark.parametrize("address, shown", [
    ("127.0.0.1", r"127\.0\.0\.1:{port}"),
    pytest.param("::1", r"\[::1\]:{port}", marks=needs_ipv6),
])
def test_a_second_bind_names_address_and_port(address: str, shown: str, tls_contexts: TlsContexts) -> None:
    with running(HttpServer.bind(address, 0)) as server:
        message = shown.format(port=server.port)
        with pytest.raises(OSError, match=message) as caught:
            HttpServer.bind(address, server.port)
        assert caught.value.errno == errno.EADDRINUSE
        with pytest.raises(OSError, match=message):
            HttpServer.bind_secure(address, server.port, tls_contexts.server)
        with RawClient(server.port, address) as client:
            assert client.get("/still").body == b"/still"


def test_an_address_of_another_machine() -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.1:8080") as caught:
        HttpServer.bind("192.0.2.1", 8080)
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_a_port_that_is_not_ours_to_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own class of error stays, so that it can be told from the others."""

    def refuse(sock: socket.socket, address: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse, raising=False)
    with pytest.raises(PermissionError, match=r"127\.0\.0\.1:80.*Permission denied"):
        HttpServer.bind("127.0.0.1", 80)


def test_a_port_is_free_at_once_after_close() -> None:
    """Also where the server closed connections first, which leaves them in TIME_WAIT."""
    server = HttpServer.bind("127.0.0.1", 0)
    port = server.port
    for _ in range(3):
        with running(server):
            with RawClient(port) as client:
                client.send(get("/", "Connection: close"))
                assert client.read_response().status == 200 and client.is_ended()
            with RawClient(port) as idle:
                assert idle.get().status == 200
                server.close()
                assert is_free(port)
                server = HttpServer.bind("127.0.0.1", port)
                assert idle.is_ended()
    server.close()


@contextmanager
def forked_child() -> Iterator[None]:
    """A child process that has all of our descriptors, and does nothing, until the block ends."""
    ours, theirs = socket.socketpair()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 3.12 warns of every fork beside threads
        child = os.fork()
    if not child:
        try:
            ours.close()
            theirs.recv(1)
        finally:
            os._exit(0)
    theirs.close()
    try:
        yield
    finally:
        ours.close()
        os.waitpid(child, 0)


@pytest.mark.needs("os.fork")
@pytest.mark.parametrize("is_read", [False, True], ids=["never read", "read"])
@pytest.mark.parametrize("force", [False, True], ids=["", "by force"])
@pytest.mark.parametrize("secure", [False, True], ids=["", "secure"])
def test_a_port_is_free_after_close_though_a_child_has_the_socket(
        is_read: bool, force: bool, secure: bool, tls_contexts: TlsContexts) -> None:
    server = (HttpServer.bind_secure("127.0.0.1", 0, tls_contexts.server) if secure
              else HttpServer.bind("127.0.0.1", 0))
    port = server.port
    with ExitStack() as stack:
        if is_read:
            stack.enter_context(running(server))
        stack.enter_context(forked_child())
        server.close(force=force)
        assert is_free(port)
        with pytest.raises(ConnectionRefusedError):
            RawClient(port)
        with running(HttpServer.bind("127.0.0.1", port)), RawClient(port) as client:
            assert client.get("/new").body == b"/new"


@pytest.mark.needs("os.fork")
@pytest.mark.needs("socket.AF_UNIX")
def test_a_unix_domain_socket_is_closed_though_a_child_has_it(tmp_path: Path) -> None:
    path = tmp_path / "server"
    server = HttpServer.bind(InternetAddress(str(path), InternetAddressType.UNIX), 0)
    path.rename(tmp_path / "renamed")
    with forked_child():
        server.close()
        with pytest.raises(ConnectionRefusedError):
            unix_client(str(tmp_path / "renamed"))


@pytest.mark.needs("os.fork")
@pytest.mark.needs("socket.SO_REUSEPORT")
@pytest.mark.parametrize("made", ["listen_on", "shared"])
def test_a_socket_that_others_may_have_is_left_to_them(made: str) -> None:
    """With listen_on it is its owner's; with shared a child may go on serving from it."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        server = HttpServer.listen_on(sock) if made == "listen_on" else HttpServer.bind("127.0.0.1", 0, shared=True)
        with forked_child():
            server.close()
            RawClient(server.port).close()  # into the backlog of the process that has the socket


@pytest.mark.needs("socket.SO_REUSEPORT")
def test_two_processes_share_a_port() -> None:
    script = """if True:
        import sys
        from blockingio import HttpServer
        server = HttpServer.bind("127.0.0.1", int(sys.argv[1]), shared=True)
        print("ready", flush=True)
        for request in server:
            request.response.write("theirs")
            request.response.close()
        """
    with HttpServer.bind("127.0.0.1", 0, shared=True) as server:
        command = [sys.executable, "-c", script, str(server.port)]
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        try:
            assert child.stdout and child.stdout.readline() == b"ready\n"
            with running(server, answering("ours")):
                answers: list[bytes] = []
                while len(answers) < 200 and len(set(answers)) < 2:
                    with RawClient(server.port) as client:
                        answers.append(client.get("/", "Connection: close").body)
                assert set(answers) == {b"ours", b"theirs"}
        finally:
            child.kill()
            child.communicate()


# -------------------------------------------------------------------- backlog

def test_connections_wait_until_somebody_iterates() -> None:
    """As many as the system lets, where no number is given."""
    with HttpServer.bind("127.0.0.1", 0) as server:
        clients = [RawClient(server.port).send(get(f"/{number}")) for number in range(200)]
        try:
            with running(server):
                for number, client in enumerate(clients):
                    assert client.read_response().body == b"/%d" % number
        finally:
            for client in clients:
                client.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count differently")
def test_a_backlog_of_one() -> None:
    with HttpServer.bind("127.0.0.1", 0, backlog=1) as server:
        clients = []
        with pytest.raises(TimeoutError):
            for _ in range(4):
                clients.append(RawClient(server.port, seconds=0.2))
        assert 1 <= len(clients) < 4
        for client in clients:
            client.close()


# ------------------------------------------------------- a socket of one's own

def test_listen_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(12.5)
        for _ in range(2):  # one server after another
            server = HttpServer.listen_on(sock)
            assert (server.address.address, server.port) == sock.getsockname()
            with running(server), RawClient(server.port) as client:
                assert client.get("/own").body == b"/own"
            assert sock.fileno() >= 0 and sock.gettimeout() == 12.5
        with socket.create_connection(sock.getsockname(), PATIENCE) as ours:  # it listens on
            theirs, peer = sock.accept()
            theirs.close()
            assert peer == ours.getsockname()


def test_listen_on_a_socket_without_a_timeout_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        with running(HttpServer.listen_on(sock)) as server, RawClient(server.port) as client:
            assert client.get("/own").body == b"/own"
        assert sock.gettimeout() is None and sock.getblocking()


def test_listen_on_a_socket_that_its_owner_closes(caplog: pytest.LogCaptureFixture) -> None:
    """That is the owner's end of the server: it must not hang, and close() must not fail."""
    sock = socket.create_server(("127.0.0.1", 0))
    with running(HttpServer.listen_on(sock)) as server:
        with RawClient(server.port) as client:
            assert client.get("/own").body == b"/own"
        sock.close()
        server.close()
    assert not caplog.records


def test_listen_on_and_never_used() -> None:
    """Nothing was begun, so there is nothing to warn of."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        HttpServer.listen_on(sock)
        gc.collect()
        assert sock.fileno() >= 0


@pytest.mark.needs("socket.AF_UNIX")
def test_listen_on_a_unix_domain_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "own")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        with running(HttpServer.listen_on(sock)) as server:
            assert server.address == InternetAddress(path, InternetAddressType.UNIX) and server.port == 0
            with unix_client(path) as client:
                assert client.get("/own").body == b"/own"
        assert Path(path).is_socket(), "close() leaves the socket as it was"


@needs_ipv6
def test_listen_on_ipv6() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as sock:
        with running(HttpServer.listen_on(sock)) as server, RawClient(server.port, "::1") as client:
            assert server.address == InternetAddress.LOOPBACK_IP_V6
            assert client.get("/own").body == b"/own"


def test_a_server_that_never_served_closes_without_a_word() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    with RawClient(server.port) as client:
        client.send(GET)
        server.close()
        assert client.is_ended()
    assert is_free(server.port)
    with in_background(server.drain):
        pass


def test_repr_says_where_and_what() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    with running(server), RawClient(server.port) as client:
        assert client.get().status == 200
        assert repr(server) == f"<HttpServer 127.0.0.1:{server.port} connections=1>"
    assert repr(server).endswith(" closed>")
