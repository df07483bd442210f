"""What leaves, and in how many writes; and that a Pong goes with the next release of the lock, whose ever that is."""
from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable

import pytest

from blockingio import CompressionOptions, WebSocket
from blockingio.net.channel import Channel
from blockingio.websocket.frames import BINARY as OUR_BINARY
from blockingio.websocket.writer import Writer
from tests.peers import PATIENCE, TlsContexts, eventually
from tests.websocket.raw import (
    BINARY, CLOSE, FIN, OFF, PING, PONG, RSV1, TEXT, RawSocket, background, close_frame, frame, handling, upgraded)

MIB = 1024 * 1024
needs_records = pytest.mark.skipif(not hasattr(socket, "SOCK_SEQPACKET"), reason="needs sockets that keep writes apart")


@needs_records
@pytest.mark.parametrize("server_side", [True, False], ids=["server", "client"])
@pytest.mark.parametrize("compression", [OFF, CompressionOptions.COMPRESSION_DEFAULT], ids=["plain", "compressed"])
def test_a_message_is_one_write(server_side: bool, compression: CompressionOptions) -> None:
    """Head, mask and payload together; so is each Ping, Pong and Close."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.settimeout(PATIENCE)
    sock = WebSocket.from_upgraded_socket(ours, server_side=server_side, compression=compression)
    with theirs:
        def write() -> int:
            """The first byte of one write, which is one frame."""
            record = theirs.recv(1 << 20)
            size = record[1] & 0x7F
            head = {126: 4, 127: 10}.get(size, 2)
            size = size if head == 2 else int.from_bytes(record[2:head])
            assert len(record) == head + (0 if server_side else 4) + size
            return record[0]

        flag = RSV1 if compression.enabled else 0
        for message in ("x", "y" * 125, bytes(126), bytes(4000), bytes(65536)):
            sock.add(message)
            assert write() == FIN | flag | (TEXT if isinstance(message, str) else BINARY)
        theirs.send(frame(FIN | PING, b"p", masked=server_side))
        assert write() == FIN | PONG
        sock.ping_interval = 0.1
        assert write() == FIN | PING
        sock.ping_interval = None
        theirs.send(close_frame(1000, masked=server_side))
        while (first := write()) == FIN | PING:
            pass
        assert first == FIN | CLOSE
    assert sock.done.result(PATIENCE) is sock


class Interrupted(Channel):
    """A channel on which a Ping of the peer is answered while something else is being sent."""

    __slots__ = ("writer", "pongs")

    writer: Writer
    pongs: list[bytes]

    def send_now(self, data: bytes | memoryview) -> int:
        if self.pongs:
            self._from_another_thread(self.pongs.pop())
        return super().send_now(data)

    def _from_another_thread(self, payload: bytes) -> None:
        thread = threading.Thread(target=self.writer.pong, args=(payload,))
        thread.start()
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a Pong waits for the one that has the lock"


@pytest.mark.parametrize("send, opcode", [
    (lambda writer: writer.send(OUR_BINARY, b"x"), BINARY), (lambda writer: writer.ping(b"x"), PING),
    (lambda writer: writer.pong(b"x"), PONG)], ids=["message", "ping", "pong"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_pong_goes_with_the_next_release(send: Callable[[Writer], object], opcode: int, count: int) -> None:
    """The thread that reads leaves it to the one that has the lock: a message, our own Ping, another Pong."""
    ours, theirs = socket.socketpair()
    with ours, RawSocket.on(theirs) as raw:
        channel = Interrupted(ours)
        channel.writer = Writer(channel, masks=False, deflater=None)
        channel.pongs = [b"%d" % number for number in reversed(range(count))]
        send(channel.writer)
        assert raw.read_frame() == (FIN | opcode, b"x")
        # The first comes while "x" is sent, the next one while that one is.
        assert [raw.read_frame() for _ in range(count)] == [(FIN | PONG, b"%d" % number) for number in range(count)]
        channel.writer.shut()


def test_a_pong_behind_what_the_clock_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ping comes while the clock's thread has the lock, to send the rest of an earlier Pong."""
    ours, theirs = socket.socketpair()
    with ours, RawSocket.on(theirs) as raw:
        channel = Interrupted(ours)
        channel.pongs = []
        channel.writer = Writer(channel, masks=False, deflater=None)
        with monkeypatch.context() as patched:
            patched.setattr(Channel, "send_now", lambda self, data: 0)  # the kernel takes nothing
            channel.writer.pong(b"one")
        channel.pongs = [b"two"]
        assert raw.read_frame() == (FIN | PONG, b"one")
        assert raw.read_frame() == (FIN | PONG, b"two")
        channel.writer.shut()


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
def test_a_pong_waits_for_no_writer_over(secure: bool, tls_contexts: TlsContexts) -> None:
    """A Ping, then 12 MiB, from a peer to which a handler adds 24 MiB, and that reads nothing before."""
    context: ssl.SSLContext | None = tls_contexts.server if secure else None
    sizes: list[int] = []

    def handle(sock: WebSocket) -> None:
        with background(lambda: sock.add(bytes(24 * MIB))):
            sizes.extend(len(message) for message in sock.take(12))
        list(sock)

    with handling(handle, context=context, compression=OFF) as server, \
            upgraded(server.port, context=tls_contexts.client if secure else None) as raw:
        raw.seconds = PATIENCE * 4
        raw.read_exactly(1)
        raw.send_frame(FIN | PING, b"p")
        for _ in range(12):
            raw.send_frame(FIN | BINARY, bytes(MIB))
        eventually(lambda: len(sizes) == 12, PATIENCE * 4)
        assert raw.read_exactly(9) == b"\x7f" + (24 * MIB).to_bytes(8, "big")
        raw.read_exactly(24 * MIB)
        assert raw.read_frame() == (FIN | PONG, b"p")
        raw.say_goodbye()


def test_keys_are_the_systems_random_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else makes one (RFC 6455 5.3, 10.3)."""
    asked: list[int] = []

    def urandom(size: int) -> bytes:
        asked.append(size)
        return bytes(range(len(asked), len(asked) + size))

    monkeypatch.setattr("os.urandom", urandom)
    ours, theirs = socket.socketpair()
    sock = WebSocket.from_upgraded_socket(ours, server_side=False)
    with RawSocket.on(theirs) as raw:
        for number in range(1, 4):
            sock.add("Hello")
            assert raw.read_exactly(11)[2:6] == bytes(range(number, number + 4))
    assert asked == [4, 4, 4] and sock.done.result(PATIENCE) is sock
