"""A WebSocket's other end in bytes, none of it blockingio's own code.

frame, Frame     one frame as bytes, and one that was read
RawSocket        an end of a connection behind its handshake: it sends bytes, and reads frame by frame
upgraded         a RawSocket to a server, as its client
echoing          a server whose sockets send each message back
"""
from __future__ import annotations

import base64
import hashlib
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import blockingio
from blockingio import CompressionOptions, HttpRequest, WebSocket, WebSocketTransformer
from tests.peers import PATIENCE, RawClient, RawResponse, in_background, serving

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, RSV1 = 0x80, 0x40
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
OFF = CompressionOptions.COMPRESSION_OFF

background = in_background


def xor(data: bytes, key: bytes) -> bytes:
    """In one step: a loop over the bytes of 24 MiB takes this end half a minute where others work too."""
    pattern = (key * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(pattern)).to_bytes(len(data))


def frame(first: int, payload: bytes = b"", *, masked: bool = True, length: bytes | None = None,
          key: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    """One frame; `first`: flags and opcode; `length`: the bytes of its length, the mask's bit not set."""
    if length is None:
        size = len(payload)
        length = bytes([size]) if size < 126 else (
            b"\x7e" + struct.pack(">H", size) if size < 65536 else b"\x7f" + struct.pack(">Q", size))
    head = bytes([first, length[0] | (0x80 if masked else 0)]) + length[1:]
    if not masked:
        return head + payload
    return head + key + xor(payload, key)


def close_frame(code: int | None = None, reason: bytes = b"", *, masked: bool = True) -> bytes:
    return frame(FIN | CLOSE, b"" if code is None else struct.pack(">H", code) + reason, masked=masked)


class Frame(NamedTuple):
    first: int
    payload: bytes

    @property
    def opcode(self) -> int:
        return self.first & 15

    @property
    def code(self) -> int | None:
        assert self.opcode == CLOSE, self
        return struct.unpack(">H", self.payload[:2])[0] if self.payload else None


class RawSocket(RawClient):
    """`masks`: whether this end masks what it sends, and so is the client."""

    masks = True
    response: RawResponse

    def __enter__(self) -> RawSocket:
        return self

    def send_frame(self, first: int, payload: bytes = b"") -> RawSocket:
        self.send(frame(first, payload, masked=self.masks))
        return self

    def send_close(self, code: int | None = None, reason: bytes = b"") -> RawSocket:
        self.send(close_frame(code, reason, masked=self.masks))
        return self

    def read_frame(self) -> Frame:
        first, second = self.read_exactly(2)
        assert bool(second & 0x80) != self.masks, f"a frame is {'' if second & 0x80 else 'not '}masked"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self.read_exactly(2))
            assert size > 125
        elif size == 127:
            (size,) = struct.unpack(">Q", self.read_exactly(8))
            assert size > 65535
        key = b"" if self.masks else self.read_exactly(4)
        payload = self.read_exactly(size)
        return Frame(first, xor(payload, key) if key else payload)

    def closes_with(self, code: int | None) -> Frame:
        """The next frame is a Close with this code, and behind it is the end of the connection."""
        found = self.read_frame()
        assert (found.opcode, found.code) == (CLOSE, code), found
        assert self.read_until_eof() == b""
        return found

    def say_goodbye(self) -> None:
        """Close in good order."""
        self.send_close(1000)
        self.closes_with(1000)


def request_head(*fields: str, target: str = "/", key: str = KEY) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *fields, "", ""]
    return "\r\n".join(lines).encode()


@contextmanager
def upgraded(port: int, *fields: str, behind: bytes = b"", context: Any = None) -> Iterator[RawSocket]:
    """Its client's end, after a right 101; `behind` is sent together with the request."""
    with RawSocket(port, context=context) as client:
        client.send(request_head(*fields) + behind)
        client.response = client.read_response()
        assert client.response.status == 101, client.response
        assert client.response.header("sec-websocket-accept") == ACCEPT
        yield client


@contextmanager
def handling(handle: Callable[[WebSocket], object], *, context: Any = None, workers: int = 4,
             **upgrade: Any) -> Iterator[blockingio.HttpServer]:
    """A server whose requests become sockets, each given to `handle` inside a `with` block."""
    def upgrade_it(request: HttpRequest) -> None:
        with WebSocketTransformer.upgrade(request, **upgrade) as sock:
            handle(sock)

    with serving(upgrade_it, context=context, workers=workers) as server:
        yield server


def echo(sock: WebSocket) -> None:
    for message in sock:
        sock.add(message)


@contextmanager
def echoing(context: Any = None, **upgrade: Any) -> Iterator[blockingio.HttpServer]:
    with handling(echo, context=context, **upgrade) as server:
        yield server


class Pair(NamedTuple):
    socket: WebSocket
    raw: RawSocket


@contextmanager
def pair(*, server_side: bool = True, compression: CompressionOptions = OFF) -> Iterator[Pair]:
    """A WebSocket and its raw other end, on the two sockets of a pair; both are gone at the end of the block."""
    ours, theirs = socket.socketpair()
    sock = WebSocket.from_upgraded_socket(ours, server_side=server_side, compression=compression)
    raw = RawSocket.on(theirs)
    assert isinstance(raw, RawSocket)
    raw.masks = server_side
    try:
        yield Pair(sock, raw)
    finally:
        raw.close()
        assert sock.done.result(PATIENCE) is sock


def accept_for(key: str) -> str:
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest).decode()
