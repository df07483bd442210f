"""A server that answers while the request is still being sent (RFC 9112 9.5)."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from blockingio import HttpClientDigestCredentials, HttpClientRequest, HttpException
from tests.client.servers import OK, Peer, Site, answering, ended
from tests.peers import PATIENCE

BLOCK = 64 * 1024
ENOUGH = 1000 * BLOCK  # far more than the systems' buffers hold

REFUSED = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nno!"
CLOSING = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nno!"
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nno!"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n"


def in_blocks(request: HttpClientRequest) -> None:
    for _ in range(ENOUGH // BLOCK):
        request.add(bytes(BLOCK))


def at_once(request: HttpClientRequest) -> None:
    request.add(bytes(ENOUGH))


def counted(request: HttpClientRequest) -> None:
    request.content_length = ENOUGH
    in_blocks(request)


@pytest.mark.parametrize("fill", [in_blocks, at_once, counted])
@pytest.mark.parametrize("answer", [REFUSED, CLOSING])
def test_an_answer_that_stops_an_upload(
    site: Site, answer: bytes, fill: Callable[[HttpClientRequest], None]
) -> None:
    """The server reads no more, and does not end the connection: neither write() nor close() waits for it."""
    is_read = threading.Event()

    def script(peer: Peer) -> None:
        peer._through(b"\r\n\r\n")
        peer.send(answer)
        assert is_read.wait(PATIENCE)
        ended(peer)

    with site.serve(script) as server:
        request = site.post(server)
        fill(request)
        response = request.close()
        assert (response.status_code, response.read()) == (int(answer[9:12]), b"no!")
        is_read.set()
        assert repr(site.client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


@pytest.mark.parametrize("answer", [WHOLE, CHUNKED])
def test_a_whole_answer_and_nothing_is_read_any_more(site: Site, answer: bytes) -> None:
    """It does not stop the upload, but the server does; then the answer counts."""
    is_read = threading.Event()

    def script(peer: Peer) -> None:
        peer._through(b"\r\n\r\n")
        peer.send(answer)
        assert is_read.wait(2 * PATIENCE)
        ended(peer)

    with site.serve(script) as server:
        request = site.post(server)
        in_blocks(request)
        response = request.close()
        assert (response.status_code, response.read()) == (200, b"no!")
        is_read.set()
        assert repr(site.client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_a_refusal_that_comes_in_pieces(site: Site) -> None:
    is_read = threading.Event()

    def script(peer: Peer) -> None:
        peer._through(b"\r\n\r\n")
        for at in range(0, len(REFUSED), 10):
            if at:
                peer.exactly(4 * BLOCK)  # reads on in between
            peer.send(REFUSED[at : at + 10])
        assert is_read.wait(PATIENCE)
        ended(peer)

    with site.serve(script) as server:
        request = site.post(server)
        in_blocks(request)
        response = request.close()
        assert (response.status_code, response.read()) == (413, b"no!")
        is_read.set()


@pytest.mark.parametrize("interim", [100, 102, 103])
def test_an_interim_answer_stops_nothing(site: Site, interim: int) -> None:
    got: list[bytes] = []

    def script(peer: Peer) -> None:
        for _ in range(3):
            peer.send(b"HTTP/1.1 %d X\r\n\r\n" % interim)
        got.append(peer.demand().body)
        peer.send(OK)
        assert peer.is_ended()

    with site.serve(script) as server:
        request = site.post(server)
        data = b"".join(b"%07d\n" % number for number in range(500_000))
        for at in range(0, len(data), BLOCK):
            request.add(data[at : at + BLOCK])
        assert request.close().read() == b"ok"
        assert repr(site.client) == "<HttpClient 0 active, 1 idle, 0 waiting>"
        site.client.close()
    assert got == [data]


@pytest.mark.parametrize("blocks", [40, 500])
def test_an_echo_goes_on(site: Site, blocks: int) -> None:
    """The server sends back what it reads: it reads no more while nobody takes that."""
    def script(peer: Peer) -> None:
        peer._through(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (blocks * BLOCK))
        for _ in range(blocks):
            peer.send(peer.exactly(BLOCK))
        ended(peer)

    with site.serve(script) as server:
        request = site.post(server)
        request.content_length = blocks * BLOCK
        for number in range(blocks):
            request.add(b"%c" % (number % 251) * BLOCK)
        response = request.close()
        assert response.read() == b"".join(b"%c" % (number % 251) * BLOCK for number in range(blocks))
        site.client.close()


def test_an_early_success_takes_the_whole_upload_and_keeps_the_connection(site: Site) -> None:
    got: list[bytes] = []

    def script(peer: Peer) -> None:
        peer._through(b"\r\n\r\n")
        peer.send(OK)
        got.append(peer._chunked())
        peer.demand()
        peer.send(OK)
        assert peer.is_ended()

    with site.serve(script) as server:
        request = site.post(server)
        for _ in range(100):
            request.add(bytes(BLOCK))
        assert request.close().read() == b"ok"
        assert site.post(server).close().read() == b"ok"
        site.client.close()
    assert got == [bytes(100 * BLOCK)]


def test_an_early_challenge_is_answered_with_the_whole_body(site: Site) -> None:
    """What is written after it counts as well."""
    challenged = b'HTTP/1.1 401 X\r\nwww-authenticate: Digest realm="r", nonce="n"\r\ncontent-length: 0\r\n\r\n'
    is_challenged = threading.Event()

    def script(peer: Peer) -> None:
        peer._through(b"\r\n\r\n")
        peer.send(challenged)
        is_challenged.set()
        ended(peer)

    again = answering(OK)
    with site.serve(script, again) as server:
        again.server = server
        request = site.post(server)
        site.client.add_credentials(request.uri, "r", HttpClientDigestCredentials("u", "p"))
        request.buffer_output = False
        request.write("half ")
        assert is_challenged.wait(PATIENCE)
        for _ in range(1000):
            request.write("and half ")
        assert request.close().read() == b"ok"
        site.client.close()
    assert server.asked[0].body == b"half " + b"and half " * 1000


def test_a_broken_answer_is_told(site: Site) -> None:
    def script(peer: Peer) -> None:
        peer._through(b"\r\n\r\n")
        peer.send(b"nonsense\r\n\r\n")
        ended(peer)

    with site.serve(script) as server:
        request = site.post(server)
        with pytest.raises(HttpException, match="the response is broken: the status line is 'nonsense'"):
            in_blocks(request)
            request.close()
