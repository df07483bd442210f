"""A server's channels for a connection that a wire_log is told of: they tell what passes."""

from __future__ import annotations

import socket
from collections.abc import Callable

from blockingio.net.channel import Channel, NonBlockingChannel
from blockingio.net.tls_channel import DuplexTlsChannel
from blockingio.net.wire_log import WireTap


class _Told(NonBlockingChannel):
    """What both kinds share.

    The socket never blocks: so a send is over at once, and no thread waits for the peer with ``tap.lock`` held.
    """

    tap: WireTap

    def __init__(self, sock: socket.socket, tap: WireTap) -> None:
        super().__init__(sock)
        self.tap = tap

    def receive(self, size: int) -> bytes:
        self.tap.open()
        data = super().receive(size)
        self.tap.tell("in", data)
        return data

    def send_now(self, data: bytes | memoryview) -> int:
        with self.tap.lock:
            sent = super().send_now(data)
            self.tap.tell("out", data[:sent])
            return sent

    def expect_new_owner(self) -> None:
        self.tap.tell_no_input()

    def let_go(self) -> None:
        self.tap.close()

    def close(self) -> None:
        self.tap.close()
        super().close()

    def detach(self) -> socket.socket:
        sock = super().detach()
        self.tap.close()
        return sock


class ToldChannel(_Told):
    """Without TLS."""

    def send_row_now(self, row: tuple[bytes, ...]) -> int:
        return self.send_now(b"".join(row))

    def _read_away(self) -> bytes:
        data = super()._read_away()
        self.tap.tell("in", data)
        return data


class ToldTlsChannel(_Told, DuplexTlsChannel):
    """With TLS: told is what OpenSSL is given, and what it gives."""

    def handshake(self, timeout: float | None, are_waiting: Callable[[], object] = bool) -> None:
        self.tap.open()
        super().handshake(timeout, are_waiting)

    def to_plain(self) -> Channel:
        self.tap.is_tls = False
        return ToldChannel(self.to_plain_socket(), self.tap)
