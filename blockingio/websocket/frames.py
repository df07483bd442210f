"""What a frame is on the wire (RFC 6455 5.2): opcodes, heads, and whole frames to send."""

from __future__ import annotations

import os
import struct
from typing import Final, NamedTuple

from blockingio.websocket.masking import apply_mask

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

FIN: Final = 0x80
RSV1: Final = 0x40  # the message is compressed (RFC 7692 6)
RESERVED: Final = 0x30  # RSV2 and RSV3: no extension that we know
MASKED: Final = 0x80

# Bytes of a control frame's payload at most (5.5).
MAX_CONTROL_SIZE: Final = 125

# Bytes up to which a payload is copied behind its head, so that both leave in one write.
JOINED_SIZE: Final = 64 * 1024


class Ping(NamedTuple):
    payload: bytes


class Pong(NamedTuple):
    payload: bytes


class Close(NamedTuple):
    """``code`` None: the frame has none."""

    code: int | None
    reason: str


def make_frame(first: int, payload: bytes | bytearray | memoryview, is_masked: bool) -> list[bytes | memoryview]:
    """A frame of one byte of opcode and flags and a payload, in as few pieces as can be."""
    size = len(payload)
    bit = MASKED if is_masked else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = struct.pack(">BBH", first, bit | 126, size)
    else:
        head = struct.pack(">BBQ", first, bit | 127, size)
    if is_masked:
        key = os.urandom(4)  # not to be guessed (5.3, 10.3)
        head += key
        payload = apply_mask(payload, key)
    if size <= JOINED_SIZE:
        return [b"".join((head, payload))]
    view = memoryview(payload)
    return [b"".join((head, view[:JOINED_SIZE])), view[JOINED_SIZE:]]


def close_payload(code: int | None, reason: bytes) -> bytes:
    return b"" if code is None else code.to_bytes(2) + reason
