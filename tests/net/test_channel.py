"""Channel: what the server's and the client's tests do not reach."""
from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from blockingio.net.channel import Channel
from tests.peers import eventually


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


@pytest.mark.skipif(not hasattr(socket, "TCP_CORK"), reason="this system does not have that option")
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
