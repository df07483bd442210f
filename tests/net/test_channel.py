"""Channel: what the server's and the client's tests do not reach."""
from __future__ import annotations

import socket

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
