"""Masks: the RFC's example in bytes, and each size against a loop over the bytes (RFC 6455 5.3, 5.7)."""
from __future__ import annotations

import os

import pytest

from blockingio.websocket.frames import BINARY, FIN, make_frame
from blockingio.websocket.masking import apply_mask, rotate
from tests.websocket.raw import TEXT, frame, pair

MIB = 1024 * 1024


def byte_by_byte(data: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[at % 4] for at, byte in enumerate(data))


def test_the_rfcs_example() -> None:
    hello = bytes.fromhex("818537fa213d7f9f4d5158")
    assert apply_mask(b"Hello", hello[2:6]) == hello[6:]
    assert frame(FIN | TEXT, b"Hello", key=hello[2:6]) == hello
    with pair() as (sock, raw):
        raw.send(hello)
        assert sock.first() == "Hello"


@pytest.mark.parametrize("size", [*range(10), 125, 1021, 1022, 1023, 1024, 1025, 1026, 1027, 5000, 65537])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_size(size: int, kind: type) -> None:
    data = os.urandom(size)
    for key in (os.urandom(4), bytes(4), b"\xff\0\xff\0"):
        masked = byte_by_byte(data, key)
        assert apply_mask(kind(data), key) == masked
        assert apply_mask(masked, key) == data


def test_large_ones() -> None:
    """Also where a piece ends within a mask: any size, in pieces of any size."""
    key = b"\x01\x20\x03\x40"
    data = os.urandom(MIB + 3)
    masked = (int.from_bytes(data) ^ int.from_bytes((key * (MIB // 4 + 1))[:len(data)])).to_bytes(len(data))
    assert apply_mask(data, key) == masked
    for size in (MIB // 2 + 1, 300_001, 262_147, 4097):
        found, rest = b"", key
        for at in range(0, len(data), size):
            piece = masked[at:at + size]
            found += apply_mask(piece, rest)
            rest = rotate(rest, len(piece))
        assert found == data


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 65537, 300_000])
@pytest.mark.parametrize("is_masked", [False, True])
def test_a_frame_is_made(size: int, is_masked: bool) -> None:
    data = os.urandom(size)
    pieces = make_frame(FIN | BINARY, data, is_masked)
    assert len(pieces) == (1 if size <= 65536 else 2)
    whole = b"".join(pieces)
    head = 2 if size < 126 else 4 if size < 65536 else 10
    assert whole == frame(FIN | BINARY, data, masked=is_masked, key=whole[head:head + 4])
