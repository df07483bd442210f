"""The suite's own tools: the guard sees what is left, the raw client reads what was sent and no more."""
from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator

import pytest

from tests.conftest import Leftovers
from tests.peers import RawClient, TlsContexts, eventually


@pytest.fixture
def pair() -> Iterator[tuple[RawClient, socket.socket]]:
    ours, theirs = socket.socketpair()
    with RawClient.on(ours, seconds=0.5) as client, theirs:
        yield client, theirs


@pytest.mark.parametrize("method, sent, body, trailers", [
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", []),
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"", []),
    ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b"", []),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b"", []),
    ("GET", b"HTTP/1.1 100 Continue\r\n\r\n", b"", []),
    ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nA: b\r\n\r\n", b"hello", [("a", "b")]),
])
def test_a_response_is_read_and_no_more(pair: tuple[RawClient, socket.socket], method: str, sent: bytes,
                                        body: bytes, trailers: list[tuple[str, str]]) -> None:
    client, peer = pair
    peer.sendall(sent + b"next")
    response = client.read_response(method)
    assert (response.body, response.trailers) == (body, trailers)
    assert client.read_exactly(4) == b"next"


def test_a_response_without_framing_goes_on_to_the_end(pair: tuple[RawClient, socket.socket]) -> None:
    client, peer = pair
    peer.sendall(b"HTTP/1.0 404 Gone away\r\nX-A: 1\r\nx-a:2\r\n\r\nall of it")
    peer.close()
    response = client.read_response()
    assert (response.version, response.status, response.reason) == ("1.0", 404, "Gone away")
    assert response.get_all("X-A") == ["1", "2"] and response.header("host") is None
    assert response.body == b"all of it" and client.is_ended()


@pytest.mark.parametrize("sent, error", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", EOFError),
    (b"HTTP/1.1 200 OK\r\nConte", EOFError),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhell\r\n0\r\n\r\n", AssertionError),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", AssertionError),
    (b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", AssertionError),
    (b"HTTP/1.1 OK\r\n\r\n", AssertionError),
])
def test_a_broken_response_is_no_response(pair: tuple[RawClient, socket.socket], sent: bytes,
                                          error: type[Exception]) -> None:
    client, peer = pair
    peer.sendall(sent)
    peer.close()
    with pytest.raises(error):
        client.read_response()


def test_what_does_not_come_is_a_timeout(pair: tuple[RawClient, socket.socket]) -> None:
    client, peer = pair
    client.seconds = 0.05
    with pytest.raises(TimeoutError, match="HTTP/1.1 2"):
        peer.sendall(b"HTTP/1.1 2")
        client.read_response()
    with pytest.raises(AssertionError, match=r"not within 0\.01 s"):
        eventually(lambda: False, seconds=0.01)


def test_a_reset_is_an_end(pair: tuple[RawClient, socket.socket]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with RawClient(listener.getsockname()[1]) as client:
            peer = RawClient.on(listener.accept()[0])
            peer.reset()
            assert client.is_ended()


def test_the_guard_sees_threads_and_sockets_and_files() -> None:
    leftovers = Leftovers()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="forgotten")
    thread.start()
    with socket.socket(), tempfile.TemporaryFile():
        left = leftovers.after(0.01)
    stop.set()
    assert "forgotten" in left[0]
    if len(left) > 1:  # where the system lists descriptors
        assert len(left) == 3 and any("socket:" in text for text in left)
    assert not leftovers.after(5)


def test_the_contexts_trust_each_other(tls_contexts: TlsContexts) -> None:
    tls_contexts.server.verify_mode = tls_contexts.client.verify_mode
    with socket.create_server(("127.0.0.1", 0)) as listener:
        subjects = []

        def accept() -> None:
            with tls_contexts.server.wrap_socket(listener.accept()[0], server_side=True) as sock:
                subjects.append((sock.getpeercert() or {})["subject"])

        thread = threading.Thread(target=accept)
        thread.start()
        with RawClient(listener.getsockname()[1], context=tls_contexts.client_with_certificate) as client:
            assert client.read_until_eof() == b""
        thread.join()
    assert "a client" in str(subjects)
