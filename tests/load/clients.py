"""Clients by the thousand, in a process of their own, made of bare sockets and one selector.

They speak only to 127.0.0.1, each from one of several addresses of 127.0.0.0/8, so that the ports
that closed connections keep for a while do not run out.
"""
from __future__ import annotations

import selectors
import socket
import struct
import time
from collections.abc import Iterable
from typing import Any

from tests.load.process import obey, raise_file_limit

#: Where clients come from; each has some 28,000 ports.
SOURCES = tuple(f"127.0.0.{number}" for number in range(2, 10))
#: Clients that wake or go in the same moment, and seconds from one wave of them to the next: thousands
#: of threads that all want CPython's one lock at once would measure that lock, not the server.
WAVE, WAVE_TIME = 200, 0.02
#: Seconds without any answer after which a client counts as forgotten.
PATIENCE = 20.0
RESET = struct.pack("ii", 1, 0)

_crowd: list[socket.socket] = []
_numbers = iter(range(1 << 62))


def connect(port: int) -> socket.socket:
    sock = socket.socket()
    sock.settimeout(PATIENCE)
    if hasattr(socket, "IP_BIND_ADDRESS_NO_PORT"):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        sock.bind((SOURCES[next(_numbers) % len(SOURCES)], 0))
        sock.connect(("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return sock


def request(kind: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET /{kind} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode("ascii")


def is_answer(data: bytes) -> bool:
    """Whether this is one whole answer, and nothing else."""
    is_whole = data.startswith(b"HTTP/1.1 200 OK\r\n") and data.endswith(b"\r\n\r\nhello")
    return is_whole and data.count(b"HTTP/") == 1


def answers(socks: Iterable[socket.socket]) -> int:
    """How many of these connections bring one whole answer."""
    answered = 0
    waiting: dict[socket.socket, bytes] = {}
    with selectors.DefaultSelector() as selector:
        for one in socks:
            waiting[one] = b""
            selector.register(one, selectors.EVENT_READ)
        while waiting:
            events = selector.select(PATIENCE)
            if not events:
                return answered
            for key, _ in events:
                sock: Any = key.fileobj
                try:
                    data = sock.recv(65536)
                except OSError:
                    data = b""
                waiting[sock] += data
                whole = is_answer(waiting[sock])
                if whole or not data:
                    answered += whole
                    selector.unregister(sock)
                    del waiting[sock]
    return answered


def hold(port: int, count: int) -> dict[str, object]:
    """Open connections, make one request on each, and keep them; how far it came."""
    try:
        while len(_crowd) < count:
            _crowd.append(connect(port))
    except OSError as error:
        return {"open": len(_crowd), "answered": wake("first"), "why": str(error)}
    return {"open": len(_crowd), "answered": wake("first"), "why": ""}


def wake(kind: str) -> int:
    """A request on each connection that is kept; how many were answered."""
    return _send_in_waves(request(kind))


def _send_in_waves(data: bytes) -> int:
    """The same bytes on each connection that is kept; how many brought an answer."""
    answered = 0
    for first in range(0, len(_crowd), WAVE):
        live = []
        for sock in _crowd[first:first + WAVE]:
            try:
                sock.sendall(data)
                live.append(sock)
            except OSError:
                pass
        answered += answers(live)
    return answered


def start_heads(port: int, count: int) -> int:
    """Open connections that send half of a head each, and keep them."""
    for _ in range(count):
        _crowd.append(connect(port))
        _crowd[-1].sendall(request("half")[:20])
    return len(_crowd)


def finish_heads() -> int:
    """The other half on each connection that is kept; how many were answered."""
    return _send_in_waves(request("half")[20:])


def drop(count: int = 1 << 62) -> int:
    """Close so many of those that are kept, the oldest first; how many are left."""
    going = _crowd[:count]
    del _crowd[:count]
    for number, sock in enumerate(going, 1):
        sock.close()
        if number % WAVE == 0:
            time.sleep(WAVE_TIME)
    return len(_crowd)


def busy(port: int, connections: int, seconds: float) -> dict[str, float]:
    """Keep connections busy, one request at a time each; counts, the rate, the 99th percentile in seconds.

    It ends earlier where the server ends all of them; ``cut`` counts answers that broke off.
    """
    sent = answered = cut = 0
    message = request("busy")
    times: list[float] = []
    with selectors.DefaultSelector() as selector:
        begun = time.perf_counter()
        for _ in range(connections):
            sock = connect(port)
            sock.sendall(message)
            sent += 1
            selector.register(sock, selectors.EVENT_READ, [b"", time.perf_counter()])
        end = begun + seconds
        open_ones = connections
        while open_ones:
            events = selector.select(PATIENCE)
            if not events:
                raise TimeoutError(f"{open_ones} busy clients were forgotten for {PATIENCE:g} s")
            for key, _ in events:
                busy_one: Any = key.fileobj
                state = key.data
                try:
                    data = busy_one.recv(65536)
                except OSError:
                    data = b""
                state[0] += data
                over = not data
                if is_answer(state[0]):
                    now = time.perf_counter()
                    times.append(now - state[1])
                    answered += 1
                    state[:] = [b"", now]
                    over = now >= end
                    if not over:
                        try:
                            busy_one.sendall(message)
                            sent += 1
                        except OSError:
                            over = True
                elif over and state[0]:
                    cut += 1
                if over:
                    selector.unregister(busy_one)
                    busy_one.close()
                    open_ones -= 1
        took = time.perf_counter() - begun
    times.sort()
    return {"sent": sent, "answered": answered, "cut": cut, "rate": answered / took,
            "p99": times[len(times) * 99 // 100] if times else 0.0}


def churn(port: int, count: int, at_once: int) -> dict[str, float]:
    """Open a connection, make a request, close it, so many times; counts and the rate."""
    answered = 0
    begun = time.perf_counter()
    message = request("churn", "Connection: close")
    for first in range(0, count, at_once):
        socks = [connect(port) for _ in range(min(at_once, count - first))]
        for sock in socks:
            sock.sendall(message)
        answered += answers(socks)
        for sock in socks:
            sock.close()
    return {"sent": count, "answered": answered, "rate": count / (time.perf_counter() - begun)}


def vanish(port: int, count: int, where: str) -> dict[str, int]:
    """Connect, begin, and go in the middle: half of them close, half reset.  How many sent a whole head."""
    begin = {"head": request("gone")[:20], "body": request("gone", "Content-Length: 100") + b"half",
             "answer": request("big")}[where]
    for number in range(count):
        sock = connect(port)
        sock.sendall(begin)
        if where == "answer":
            sock.recv(1000)
        if number % 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()
    return {"sent": count if where != "head" else 0}


if __name__ == "__main__":
    limit = raise_file_limit()
    obey({"limit": lambda: limit, "hold": hold, "wake": wake, "drop": drop, "busy": busy, "churn": churn,
          "vanish": vanish, "start_heads": start_heads, "finish_heads": finish_heads})
