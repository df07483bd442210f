"""WebSockets: echoes of small and of large messages, the memory of an idle socket, and a broadcast to thousands.

The generator is a process of its own, of bare sockets that do not block, with one message on its way on each
connection: `python -m tests.benchmarks.websocket PORT CONNECTIONS SIZE SECONDS`.
"""
from __future__ import annotations

import json
import os
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial

from tests.benchmarks.contender import started
from tests.benchmarks.memory import cost_of_idle, raise_limit
from tests.benchmarks.report import Options, Score, in_turn, median, print_table, ratio, say

SMALL, LARGE = 32, 1024 * 1024
SCRIPTS = ["echo.ceiling", "echo.websockets_threads", "echo.websockets_asyncio", "echo.blockingio"]
IDLE, MANY = 1000, 5000
HANDSHAKE = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
_STUCK = 5.0


def run(options: Options, score: Score) -> None:
    del score  # processor time for a request is the rows' of HTTP
    _echoes(options, "32-byte messages", SMALL, SCRIPTS,
            "blockingio is to reach 1.50 times websockets.threads and 0.40 of the ceiling")
    _echoes(options, "1 MiB messages", LARGE, ["echo.ceiling", "echo.ceiling_unmasking", *SCRIPTS[1:]],
            "blockingio is to reach 0.70 of the ceiling; without C of its own, it can of the one that unmasks only")
    _memory()
    _broadcast(options)


# -------------------------------------------------------------------- echoes

def _echoes(options: Options, title: str, size: int, scripts: list[str], aim: str) -> None:
    with started(scripts) as contenders:
        for contender in contenders:
            drive(contender.port, 2, size, 0.3)
        rates = {name: median(found) for name, found in in_turn(f"echo of {title}", {
            contender.label: partial(_generate, contender.port, 8, size, options.seconds) for contender in contenders
        }, options.rounds, lambda rate: f"{rate:,.0f} /s").items()}
    others = [name for name in ("ceiling", "ceiling.unmasking", "websockets.threads") if name in rates]
    rows = [[name, f"{rate:,.0f}", f"{rate * size / 1e6:,.0f}", *(ratio(rate, rates[other]) for other in others)]
            for name, rate in rates.items()]
    print_table(f"echo of {title}, 8 connections, masked ({options})",
                ["messages/s", "MB/s", *(f"x {other}" for other in others)], rows, aim)


def _generate(port: int, connections: int, size: int, seconds: float) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.websocket", *map(str, (port, connections, size, seconds))]
    return float(json.loads(subprocess.check_output(command, start_new_session=True)))


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), _STUCK)
    sock.sendall(HANDSHAKE)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        data = sock.recv(1)
        assert data, answer
        answer += data
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    return sock


def message(size: int) -> bytes:
    """A masked binary frame; which key it has makes no difference."""
    length = bytes([0x80 | size]) if size < 126 else b"\xff" + struct.pack(">Q", size)
    return b"\x82" + length + os.urandom(4 + size)


class _Connection:
    __slots__ = ("socket", "to_send", "to_come")

    def __init__(self, port: int) -> None:
        self.socket = connect(port)
        self.socket.setblocking(False)
        self.to_send = memoryview(b"")
        self.to_come = 0  # bytes of the echo, -1 while its first ones have not come


def drive(port: int, connections: int, size: int, seconds: float) -> float:
    """Echoes a second, of so many seconds and at least one echo.  Large messages are sent and received at once."""
    frame = message(size)
    unmasked = len(frame) - 4
    count = 0
    buffer = bytearray(256 * 1024)
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        def send(connection: _Connection) -> None:
            try:
                connection.to_send = connection.to_send[connection.socket.send(connection.to_send):]
            except BlockingIOError:
                pass
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.to_send else 0)
            if selector.get_key(connection.socket).events != events:
                selector.modify(connection.socket, events, connection)

        def begin(connection: _Connection) -> None:
            connection.to_send, connection.to_come = memoryview(frame), -1
            send(connection)

        for _ in range(connections):
            connection = _Connection(port)
            stack.callback(connection.socket.close)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            begin(connection)
        start = now = time.perf_counter()
        while now - start < seconds or not count:
            ready = selector.select(_STUCK)
            assert ready, "nobody answers"
            for key, events in ready:
                connection = key.data
                if events & selectors.EVENT_WRITE:
                    send(connection)
                if events & selectors.EVENT_READ:
                    got = connection.socket.recv_into(buffer)
                    assert got, "the server ended the connection"
                    if connection.to_come < 0:  # a ceiling sends the mask back too
                        connection.to_come = len(frame) if buffer[1] & 0x80 else unmasked
                    connection.to_come -= got
                    if not connection.to_come:
                        count += 1
                        begin(connection)
            now = time.perf_counter()
    return count / (now - start)


# -------------------------------------------------------------------- many sockets

def _memory() -> None:
    count = raise_limit(IDLE)
    rows = []
    for script in ("echo.ceiling", "echo.websockets_threads", "echo.websockets_asyncio", "echo.blockingio"):
        with started([script], *(["hold"] if script == "echo.blockingio" else [])) as contenders:
            for contender in contenders:
                for _ in range(8):
                    connect(contender.port).close()
                time.sleep(0.2)
                cost = cost_of_idle(contender, count, connect)
                if cost is not None:
                    say(f"memory: {contender.label} {cost / 1024:.1f} KiB")
                    rows.append([contender.label, f"{cost / 1024:.1f}"])
    print_table(f"resident memory for an idle WebSocket, of {count:,}", ["KiB"], rows,
                "blockingio, with a thread for each and no handler, is to reach at most 39 KiB (40 KB)")


def _broadcast(options: Options) -> None:
    count = raise_limit(MANY)
    with started(["echo.blockingio"], "hold", "broadcast") as contenders:
        for contender in contenders:
            with ExitStack() as stack:
                found = broadcasts([stack.enter_context(connect(contender.port)) for _ in range(count)], 3)
            slowest = max(found)
            print_table(f"a broadcast a second to {count:,} open WebSockets", ["s from first to last"],
                        [[contender.label, f"{slowest:.2f}"]], "it is to take less than the second that it has")


def broadcasts(sockets: list[socket.socket], rounds: int) -> list[float]:
    """Seconds from the first socket that has a broadcast to the last, for so many that all have had.

    They are told apart by their numbers: a socket may have two to read at once, and is ahead of the others then.
    """
    firsts: dict[bytes, float] = {}
    counts: Counter[bytes] = Counter()
    times: list[float] = []
    with selectors.DefaultSelector() as selector:
        for sock in sockets:
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ, sock)
        while len(times) < rounds:
            ready = selector.select(_STUCK)
            assert ready, "no broadcast came"
            now = time.perf_counter()
            for key, _ in ready:
                data = key.data.recv(4096)
                assert data
                while data:  # frames of a few bytes, which come whole
                    number, data = data[2:2 + data[1]], data[2 + data[1]:]
                    firsts.setdefault(number, now)
                    counts[number] += 1
                    if counts[number] == len(sockets):
                        times.append(time.perf_counter() - firsts[number])
    return times


if __name__ == "__main__":
    _port, _connections, _size, _seconds = sys.argv[1:]
    print(json.dumps(drive(int(_port), int(_connections), int(_size), float(_seconds))))
