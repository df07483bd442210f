"""Channel: what the server's and the client's tests do not reach."""
from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from blockingio.net import system
from blockingio.net.channel import Channel, NonBlockingChannel
from blockingio.net.tls_channel import DuplexTlsChannel
from tests.peers import PATIENCE, TlsContexts, eventually


def test_has_input() -> None:
    """Bytes, the end and a broken connection are input; silence is none.  Nothing is taken."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(ours)
        assert not channel.has_input()
        theirs.send(b"x")
        eventually(channel.has_input)
        assert channel.has_input() and channel.receive(10) == b"x"
        assert not channel.has_input()
        theirs.close()
        assert channel.has_input() and channel.receive(10) == b""
    assert channel.has_input()


@pytest.mark.needs("socket.TCP_CORK")
def test_a_file_that_is_not_sent_does_not_hold_up_what_comes_next(tmp_path: Path) -> None:
    """Only full segments are sent while a file is: not any more when that has failed."""
    (tmp_path / "file").write_bytes(b"x" * (1 << 24))
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as ours:
        theirs = listening.accept()[0]
        with theirs, open(tmp_path / "file", "rb") as file:
            with pytest.raises(TimeoutError):
                Channel(ours).send_file(file.fileno(), 0, os.fstat(file.fileno()).st_size, 0.05)
            assert not ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK)


def test_abort_lets_nobody_see_an_orderly_end() -> None:
    """Who receives notices at once; the peer with close(), that something is missing, whatever came in between."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as theirs:
        channel = Channel(server.accept()[0])
        received: list[bytes] = []
        thread = threading.Thread(target=lambda: received.append(channel.receive(10)))
        thread.start()
        channel.send_all(b"part", None)
        channel.abort()
        thread.join(5)
        assert received == [b""]
        channel.cut()
        theirs.settimeout(0.05)
        assert theirs.recv(10) == b"part"
        with pytest.raises(TimeoutError):
            theirs.recv(10)
        channel.close()
        with pytest.raises(ConnectionResetError):
            theirs.recv(10)
        channel.abort()  # harmless


@pytest.mark.parametrize("kind", [Channel, NonBlockingChannel])
def test_a_file_where_the_system_does_not_send_it_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                            kind: type[Channel]) -> None:
    """Each way is there by itself: no sendfile, but perhaps MSG_DONTWAIT."""
    data = os.urandom(1 << 20)
    (tmp_path / "file").write_bytes(data)
    monkeypatch.setattr(system, "send_file", None)
    ours, theirs = socket.socketpair()
    with ours, theirs, open(tmp_path / "file", "rb") as file:
        received: list[bytes] = []
        reading = threading.Thread(target=lambda: received.append(theirs.recv(len(data) - 5, socket.MSG_WAITALL)))
        reading.start()
        noted: list[int] = []
        sent = kind(ours).send_file(file.fileno(), 5, 1 << 30, 5, noted.append)
        reading.join(5)
    assert sent == sum(noted) == len(data) - 5 and received == [data[5:]]


def test_a_channel_that_never_blocks_keeps_to_its_limits() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = NonBlockingChannel(ours)
        channel.set_receive_timeout(0.05)
        with pytest.raises(TimeoutError):
            channel.receive(1)
        with pytest.raises(TimeoutError):
            channel.send_all(bytes(1 << 24), 0.05)
        assert not channel.has_input()
        assert channel.detach() is ours and ours.gettimeout() is None


def test_tls_says_what_it_has_sent(tls_contexts: TlsContexts) -> None:
    """To a peer that reads slowly: bytes of a large piece that have gone count, and a shorter piece may follow."""
    size = 1 << 24
    data = memoryview(os.urandom(4096) * (size // 4096))
    received = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as theirs:
        with tls_contexts.server.wrap_socket(server.accept()[0], server_side=True,
                                             do_handshake_on_connect=False) as ours:
            go_on = threading.Event()

            def read() -> None:
                with tls_contexts.client.wrap_socket(theirs, server_hostname="localhost") as peer:
                    assert go_on.wait(PATIENCE)
                    while len(received) < size:
                        received.extend(peer.recv(65536))

            thread = threading.Thread(target=read)
            thread.start()
            channel = DuplexTlsChannel(ours)
            channel.handshake(PATIENCE)
            sent = channel.send_now(data)
            go_on.set()
            assert 0 < sent < size
            for at in range(sent, size, 256 * 1024):
                channel.send_all(data[at : at + 256 * 1024], PATIENCE)
            thread.join(PATIENCE)
            assert received == data
