"""A client in a process that forks: the child has connections of its own, or none."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from tests.client.servers import Asked, Peer, always, scripted
from tests.peers import PATIENCE

pytestmark = pytest.mark.needs("os.fork")

ROOT = Path(__file__).parent.parent.parent

# A client with connections of all kinds, and a child that reports how it went by its exit status.
_PREFACE = """
    import os, sys, threading, warnings
    from blockingio import HttpClient, HttpClientBasicCredentials, HttpException, SecurityContext

    warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of every fork beside threads
    url, certificate = sys.argv[1:]
    trust = SecurityContext()
    if certificate:
        trust.set_trusted_certificates(certificate)
    client = HttpClient(context=trust)
    client.find_proxy = None

    def ask(name):
        response = client.get_url(f"{url}/{name}").close()
        found = response.read().decode()
        assert found == f"/{name}", (name, found)

    def fork(child):
        pid = os.fork()
        if pid:
            return pid
        try:
            child()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def ended(pid):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


def run(url: str, code: str, certificate: str = "") -> None:
    source = textwrap.dedent(_PREFACE) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-W", "error", "-c", source, url, certificate], cwd=ROOT,
                          capture_output=True, text=True, timeout=4 * PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")


def echo(asked: Asked) -> bytes:
    body = asked.target.encode()
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


BOTH_SIDES = """
    ask("first")

    def some(side):
        for number in range(20):
            ask(f"{side}-{number}")

    pid = fork(lambda: some("child"))
    some("parent")
    assert ended(pid)
    client.close()
"""


def test_every_answer_is_its_own_on_both_sides_of_a_fork() -> None:
    with scripted(always(echo)) as server:
        run(server.url(""), BOTH_SIDES)
        assert server.connections == 2  # one for each process


def test_every_answer_is_its_own_over_tls(certificates: object, tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_bytes(certificates.authority.cert_pem.bytes())  # type: ignore[attr-defined]
    context = certificates.server_context()  # type: ignore[attr-defined]
    with scripted(always(echo), context=context) as server:
        run(f"https://localhost:{server.port}", BOTH_SIDES, str(authority))
        assert server.connections == 2


def test_a_connection_in_use_stays_the_parents() -> None:
    """A response that the child has a copy of: reading it on would take bytes from the parent."""
    first, go = [True], threading.Event()

    def answer(peer: Peer) -> None:
        if first:
            first.pop()
            peer.demand()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc")
            assert go.wait(PATIENCE)
            peer.send(b"def")
            assert peer.is_ended()
            return
        asked = peer.demand()
        peer.send(echo(asked))
        assert peer.is_ended()
        go.set()

    with scripted(answer) as server:
        run(server.url(""), """
            client.max_connections_per_host = 1
            response = client.get_url(f"{url}/").close()
            assert response.read(3) == b"abc"

            def child():
                global response
                try:
                    response.read()
                except HttpException as error:
                    assert "the parent process's" in str(error), error
                else:
                    raise AssertionError("the child read the parent's response")
                del response
                ask("child")  # there is a place for it
                client.close()

            assert ended(fork(child))
            assert response.read() == b"def"
            client.close()
        """)
        assert server.connections == 2


def test_the_parents_connections_end_with_the_parents() -> None:
    """The child holds no copy of their sockets: the server notices when the parent closes them."""
    closed = threading.Event()

    def script(peer: Peer) -> None:
        assert peer.demand().target == "/first"
        peer.send(echo(Asked("GET /first HTTP/1.1", [], b"", b"")))
        assert peer.is_ended()
        closed.set()

    def until_closed(peer: Peer) -> None:
        peer.demand()
        assert closed.wait(PATIENCE)
        peer.send(echo(Asked("GET /child HTTP/1.1", [], b"", b"")))
        assert peer.is_ended()

    with scripted(script, until_closed) as server:
        run(server.url(""), """
            ask("first")
            pid = fork(lambda: (ask("child"), client.close()))
            client.close()
            assert ended(pid)
        """)


def test_locks_that_other_threads_of_the_parent_hold() -> None:
    """They are never released in the child; it has new ones."""
    with scripted(always(echo)) as server:
        run(server.url(""), """
            from blockingio.client import request

            client.add_credentials(url, "r", HttpClientBasicCredentials("u", "p"))
            ask("first")
            locks = [client._pool._lock, client.credentials._lock, client._connector._tls._lock, trust._lock,
                     request._ending]
            held, done = threading.Event(), threading.Event()

            def hold():
                for lock in locks:
                    lock.acquire()
                held.set()
                done.wait()
                for lock in locks:
                    lock.release()

            thread = threading.Thread(target=hold)
            thread.start()
            held.wait()

            def child():
                ask("child")
                client.close()
                assert str(trust)

            pid = fork(child)
            done.set()
            thread.join()
            assert ended(pid)
            client.close()
        """)
