"""permessage-deflate (RFC 7692): what is negotiated, what is kept of it, and what comes in that is none."""
from __future__ import annotations

import copy
import os
import pickle
import random
import socket
import tracemalloc
import zlib

import pytest

from blockingio import CompressionOptions, WebSocket, WebSocketException
from blockingio.websocket.compression import Deflater, Inflater
from tests.peers import PATIENCE
from tests.websocket.raw import (
    BINARY, CONTINUATION, FIN, PING, PONG, RSV1, TEXT, background, echoing, frame, pair, upgraded)

DEFAULT = CompressionOptions.COMPRESSION_DEFAULT
HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692 7.2.3.1
MIB = 1024 * 1024


def squeeze(data: bytes, bits: int = 15) -> bytes:
    state = zlib.compressobj(wbits=-bits)
    return (state.compress(data) + state.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize("offer, options, answer", [
    ("permessage-deflate", {}, "permessage-deflate"),
    ("permessage-deflate; client_max_window_bits", {}, "permessage-deflate"),
    ("permessage-deflate; client_max_window_bits", {"client_max_window_bits": 10},
     "permessage-deflate; client_max_window_bits=10"),
    ("permessage-deflate; client_max_window_bits=12", {}, "permessage-deflate; client_max_window_bits=12"),
    ("permessage-deflate; client_max_window_bits=9", {"client_max_window_bits": 10},
     "permessage-deflate; client_max_window_bits=9"),
    ("permessage-deflate; client_max_window_bits=8", {}, "permessage-deflate; client_max_window_bits=8"),
    ("permessage-deflate", {"client_max_window_bits": 10}, "permessage-deflate"),
    ("permessage-deflate; server_max_window_bits=11", {}, "permessage-deflate; server_max_window_bits=11"),
    ("permessage-deflate; server_max_window_bits=11", {"server_max_window_bits": 10},
     "permessage-deflate; server_max_window_bits=10"),
    ("permessage-deflate", {"server_max_window_bits": 10}, "permessage-deflate; server_max_window_bits=10"),
    ("permessage-deflate; server_no_context_takeover", {}, "permessage-deflate; server_no_context_takeover"),
    ("permessage-deflate; client_no_context_takeover", {}, "permessage-deflate; client_no_context_takeover"),
    ("permessage-deflate", {"server_no_context_takeover": True, "client_no_context_takeover": True},
     "permessage-deflate; client_no_context_takeover; server_no_context_takeover"),
    ('permessage-deflate; server_max_window_bits="12"', {}, "permessage-deflate; server_max_window_bits=12"),
    ("x-webkit, permessage-deflate", {}, "permessage-deflate"),
    ("permessage-deflate; unknown, permessage-deflate; client_no_context_takeover", {},
     "permessage-deflate; client_no_context_takeover"),
    # Declined: zlib has no window of 8 bits; what is no parameter; twice; out of range.
    ("permessage-deflate; server_max_window_bits=8", {}, None),
    ("permessage-deflate; server_max_window_bits=8, permessage-deflate", {}, "permessage-deflate"),
    ("permessage-deflate", {"server_max_window_bits": 8}, None),
    ("permessage-deflate; server_max_window_bits", {}, None),
    ("permessage-deflate; server_max_window_bits=16", {}, None),
    ("permessage-deflate; server_max_window_bits=7", {}, None),
    ("permessage-deflate; server_max_window_bits=010", {}, None),
    ("permessage-deflate; client_max_window_bits=x", {}, None),
    ("permessage-deflate; server_no_context_takeover=1", {}, None),
    ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", {}, None),
    ("permessage-deflate; unknown=1", {}, None),
    ("x-webkit-deflate-frame", {}, None),
    ("permessage-deflate", {"enabled": False}, None),
])
def test_what_a_server_answers(offer: str, options: dict[str, int], answer: str | None) -> None:
    compression = CompressionOptions(**options)  # type: ignore[arg-type]
    with echoing(compression=compression) as server, \
            upgraded(server.port, f"Sec-WebSocket-Extensions: {offer}") as client:
        assert client.response.header("sec-websocket-extensions") == answer
        client.say_goodbye()


def test_the_rfcs_examples() -> None:
    """RFC 7692 7.2.3: one block, two fragments, context takeover, no compression, BFINAL, two blocks."""
    with pair(compression=DEFAULT) as (sock, raw):
        raw.send(frame(FIN | RSV1 | TEXT, HELLO))
        raw.send(frame(RSV1 | TEXT, HELLO[:3]) + frame(FIN | PING) + frame(FIN | CONTINUATION, HELLO[3:]))
        raw.send(frame(FIN | RSV1 | TEXT, bytes.fromhex("f200110000")))
        raw.send(frame(FIN | RSV1 | TEXT, bytes.fromhex("000500faff48656c6c6f00")))
        raw.send(frame(FIN | RSV1 | TEXT, bytes.fromhex("f348cdc9c9070000")))
        raw.send(frame(FIN | RSV1 | TEXT, bytes.fromhex("f248050000 00ffff cac9c90700".replace(" ", ""))))
        raw.send(frame(FIN | TEXT, b"Hello"))
        assert sock.take(7).to_list() == ["Hello"] * 7
        assert raw.read_frame() == (FIN | PONG, b"")
        sock.add("Hello")
        assert raw.read_frame() == (FIN | RSV1 | TEXT, HELLO)
        sock.add("Hello")
        assert raw.read_frame() == (FIN | RSV1 | TEXT, bytes.fromhex("f200110000"))
        sock.add("")
        assert raw.read_frame() == (FIN | TEXT, b"")


def test_no_context_takeover_means_that_each_message_stands_alone() -> None:
    options = CompressionOptions(server_no_context_takeover=True, client_no_context_takeover=True)
    with pair(compression=options) as (sock, raw):
        for _ in range(2):
            sock.add("Hello")
            assert raw.read_frame().payload == HELLO
            raw.send(frame(FIN | RSV1 | TEXT, HELLO))
        assert sock.take(2).to_list() == ["Hello"] * 2
        raw.send(frame(FIN | RSV1 | TEXT, bytes.fromhex("f200110000")))  # refers to the last message
        raw.closes_with(1007)


@pytest.mark.parametrize("bits", range(9, 16))
def test_windows_are_kept(bits: int) -> None:
    """What we send can be expanded with the window that was agreed on, and what was made with it by us."""
    options = CompressionOptions(server_max_window_bits=bits, client_max_window_bits=bits)
    noise = os.urandom(1 << bits)
    data = noise + bytes(300) + noise
    with pair(compression=options) as (sock, raw):
        with background(lambda: sock.add(data)):
            payload = raw.read_frame().payload
        assert zlib.decompressobj(wbits=-bits).decompress(payload + b"\0\0\xff\xff") == data
        raw.send(frame(FIN | RSV1 | BINARY, squeeze(data, bits)))
        assert sock.first() == data


@pytest.mark.parametrize("payload", [
    b"\xff\xff\xff", b"\x07", squeeze(b"x" * 1000)[:-2], b"\x00\x10\x00\xef\xffab", HELLO[:3], b""],
    ids=lambda payload: payload[:8].hex())
def test_what_is_no_deflate_data(payload: bytes) -> None:
    with pair(compression=DEFAULT) as (sock, raw):
        raw.send(frame(FIN | TEXT, b"x") + frame(FIN | RSV1 | BINARY, payload))
        raw.closes_with(1007)
        assert sock.first() == "x"
        with pytest.raises(WebSocketException, match="deflate"):
            list(sock)


@pytest.mark.parametrize("first", [FIN | RSV1 | PING, FIN | RSV1 | CONTINUATION])
def test_where_the_bit_must_not_be(first: int) -> None:
    with pair(compression=DEFAULT) as (sock, raw):
        raw.send((frame(RSV1 | TEXT, HELLO) if not first & 15 else b"") + frame(first, b""))
        raw.closes_with(1002)


def test_compressed_text_is_checked_too() -> None:
    with pair(compression=DEFAULT) as (sock, raw):
        raw.send(frame(RSV1 | TEXT, squeeze(b"good \xff")))  # and more never comes
        raw.closes_with(1007)


def test_a_bomb_is_expanded_in_steps_and_only_to_the_limit() -> None:
    bomb = squeeze(bytes(256 * MIB))
    with pair(compression=DEFAULT) as (sock, raw):
        sock.max_message_size = MIB
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            raw.send(frame(FIN | RSV1 | BINARY, bomb))
            raw.closes_with(1009)
            assert tracemalloc.get_traced_memory()[1] - before < 4 * MIB
        finally:
            tracemalloc.stop()
        assert sock.close_code == 1009


@pytest.mark.parametrize("size", [MIB, MIB + 1])
def test_the_limit_is_exact(size: int) -> None:
    with pair(compression=DEFAULT) as (sock, raw):
        sock.max_message_size = MIB
        raw.send(frame(FIN | RSV1 | BINARY, squeeze(bytes(size))))
        if size == MIB:
            assert sock.first() == bytes(size)
        else:
            raw.closes_with(1009)


def test_final_blocks_end_a_stream_and_the_next_one_goes_on() -> None:
    """Also with the window of what came before, which context takeover grants."""
    inflater = Inflater(15, False)
    words = [os.urandom(500) for _ in range(3)]
    messages = [words[0], words[0] + words[1], words[1] + words[0], words[2] + words[0]]
    seen = b""
    for data in messages:
        state = zlib.compressobj(wbits=-15, zdict=seen[-32768:])
        payload = state.compress(data) + state.flush(zlib.Z_FINISH) + b"\0"
        got = b"".join([*inflater.expand(payload), *inflater.finish()])
        assert got == data
        seen += data


@pytest.mark.parametrize("piece", [1, 7, 1000, 10 ** 9])
def test_pieces_make_no_difference(piece: int) -> None:
    generator = random.Random(7)
    deflater, inflater = Deflater(15, False), Inflater(15, False)
    for size in (1, 100, 70_000, 300_000):
        data = bytes(generator.choices(b"abc", k=size))
        payload = deflater.compress(data)
        parts = [out for at in range(0, len(payload), piece) for out in inflater.expand(payload[at:at + piece])]
        assert b"".join([*parts, *inflater.finish()]) == data
        assert max(map(len, parts)) <= 65536


def test_both_ends() -> None:
    ours, theirs = socket.socketpair()
    options = CompressionOptions(server_max_window_bits=10, client_no_context_takeover=True)
    server = WebSocket.from_upgraded_socket(ours, server_side=True, compression=options)
    client = WebSocket.from_upgraded_socket(theirs, server_side=False, compression=options)
    assert server.extensions == "permessage-deflate; client_no_context_takeover; server_max_window_bits=10"
    messages: list[str | bytes] = ["", "a", "ä" * 100_000, b"", bytes(300_000), os.urandom(300_000)]
    for sender, receiver in ((server, client), (client, server)):
        with background(lambda: sender.add_stream(messages)):
            assert receiver.take(len(messages)).to_list() == messages
    client.close(1000)
    assert server.done.result(PATIENCE).close_code == 1000


def test_eight_bits_of_our_own_cannot_have_been_agreed_on() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ValueError, match="8 bits"):
        WebSocket.from_upgraded_socket(ours, server_side=True, compression=CompressionOptions(server_max_window_bits=8))


def test_options() -> None:
    options = CompressionOptions(client_max_window_bits=9, enabled=False)
    assert options.enabled is False and options.client_max_window_bits == 9
    assert pickle.loads(pickle.dumps(options)) == options == copy.deepcopy(options)
    assert len({options, DEFAULT, CompressionOptions()}) == 2 and "client_max_window_bits=9" in repr(options)
    with pytest.raises(AttributeError):
        options.enabled = True
    for bits in (7, 16, True, "9", 9.0):
        with pytest.raises(ValueError):
            CompressionOptions(server_max_window_bits=bits)  # type: ignore[arg-type]


def test_exceptions_can_be_copied() -> None:
    error = WebSocketException("why", 400)
    same = pickle.loads(pickle.dumps(error))
    assert (same.message, same.http_status_code, str(same)) == ("why", 400, "why")
    assert "400" in repr(error)
