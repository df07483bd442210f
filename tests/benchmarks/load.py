"""The load: GETs over some connections for some seconds.

wrk makes it where it is installed, else drive() in a process of its own, which is
`python -m tests.benchmarks.load PORT TARGET CONNECTIONS SECONDS CLOSE`; CLOSE is 0 or 1.
"""
from __future__ import annotations

import json
import re
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from tests.benchmarks.message import FIELDS, Message

WRK = shutil.which("wrk")
# Seconds without anything to read or to write after which a server counts as stuck.
_STUCK = 5.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


class Load(NamedTuple):
    """Requests a second, the time within which 99 of 100 were answered, in seconds, and how many were not."""

    rate: float
    p99: float
    errors: int
    requests: int = 0  # in all

    def __str__(self) -> str:
        return f"{self.rate:,.0f} requests/s" + (f", {self.errors} errors" if self.errors else "")


def request(target: str, close: bool) -> bytes:
    fields = ["Host: localhost", *_fields(close)]
    return "\r\n".join([f"GET {target} HTTP/1.1", *fields, "", ""]).encode()


def _fields(close: bool) -> list[str]:
    return [*FIELDS, "Connection: close"] if close else FIELDS


def generate(port: int, connections: int, seconds: int, *, target: str = "/", close: bool = False) -> Load:
    """GETs of the target over so many connections; `close` takes a new connection for each request."""
    if WRK:
        return _by_wrk(WRK, port, target, connections, seconds, close)
    command = [sys.executable, "-m", "tests.benchmarks.load", port, target, connections, seconds, int(close)]
    # A session of its own: Ctrl-C is for this process.
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=True,
                          start_new_session=True)
    return Load(*json.loads(done.stdout))


def _by_wrk(wrk: str, port: int, target: str, connections: int, seconds: int, close: bool) -> Load:
    """wrk has no mode for new connections, but opens one whenever a response says that the last is closed."""
    fields = [word for field in ("Host: localhost", *_fields(close)) for word in ("-H", field)]
    return _run_wrk([wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *fields,
                     f"http://127.0.0.1:{port}{target}"])


def generate_messages(port: int, message: Message, connections: int, seconds: int, *, tls: bool = False) -> Load:
    """The same message again and again over so many connections.  Without wrk one at a time, and no TLS."""
    if not WRK:
        return generate(port, connections, seconds, target=message.target, close=message.close)
    data = "".join(f"\\{byte:03}" for byte in message.data)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f'local data = "{data}"\nfunction request() return data end\n')
        script.flush()
        load = _run_wrk([WRK, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name,
                         f"{'https' if tls else 'http'}://127.0.0.1:{port}/"], message.status)
    return load


def _run_wrk(command: list[str], status: int = 200) -> Load:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    count = re.search(r"(\d+) requests in", done.stdout)
    rate = re.search(r"Requests/sec: +([\d.]+)", done.stdout)
    p99 = re.search(r"99% +([\d.]+)(us|ms|s|m)\b", done.stdout)
    assert rate and p99 and count, done.stdout
    failed = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", done.stdout)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout) if status < 400 else None
    errors = sum(map(int, (*(failed.groups() if failed else ()), *(refused.groups() if refused else ()))))
    return Load(float(rate[1]), float(p99[1]) * _UNITS[p99[2]], errors, int(count[1]))


class _Connection:
    """One connection and what it has received of the response it waits for."""

    __slots__ = ("socket", "began", "received")

    def __init__(self, port: int) -> None:
        self.began = time.perf_counter()
        self.received = b""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))

    def is_answered(self) -> bool:
        """Whether the response is whole; ValueError where it is none, or not a 200."""
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = _LENGTH.search(self.received, 0, end + 2)
        if not length or not self.received.startswith(b"HTTP/1.1 200 "):
            raise ValueError(f"expected a 200 with a Content-Length, got {self.received[:end]!r}")
        return len(self.received) >= end + 4 + int(length[1])


def drive(port: int, target: str, connections: int, seconds: float, close: bool) -> Load:
    """The generator: bare sockets that do not block, and one request at a time on each.

    It goes on for so many seconds, and until one request is answered or has failed.
    With `close` the server has to end the connection, and the request took until then.
    """
    message = request(target, close)
    times: list[float] = []
    errors = 0
    opened: set[_Connection] = set()
    with selectors.DefaultSelector() as selector:
        def open_one() -> None:
            connection = _Connection(port)
            opened.add(connection)
            selector.register(connection.socket, selectors.EVENT_WRITE, connection)

        def end(connection: _Connection) -> None:
            opened.remove(connection)
            selector.unregister(connection.socket)
            connection.socket.close()

        for _ in range(connections):
            open_one()
        begin = now = time.perf_counter()
        while now - begin < seconds or not times and not errors:
            ready = selector.select(_STUCK)
            if not ready:
                errors += len(opened)
                break
            for key, events in ready:
                connection: _Connection = key.data
                try:
                    if events & selectors.EVENT_WRITE:
                        connection.socket.sendall(message)  # a few hundred bytes: they fit
                        selector.modify(connection.socket, selectors.EVENT_READ, connection)
                        continue
                    data = connection.socket.recv(65536)
                    connection.received += data
                    answered = (not data or not close) and connection.is_answered()
                    if not data and not answered:
                        raise ConnectionError("ended before the response was whole")
                    if answered:
                        now = time.perf_counter()
                        times.append(now - connection.began)
                        if close:
                            end(connection)
                            open_one()
                        else:
                            connection.began, connection.received = now, b""
                            connection.socket.sendall(message)
                except (ConnectionError, ValueError):
                    errors += 1
                    end(connection)
                    open_one()
            now = time.perf_counter()
        for connection in list(opened):
            end(connection)
    times.sort()
    return Load(len(times) / (now - begin), times[len(times) * 99 // 100] if times else 0.0, errors, len(times))


if __name__ == "__main__":
    _port, _target, _connections, _seconds, _close = sys.argv[1:]
    print(json.dumps(drive(int(_port), _target, int(_connections), float(_seconds), _close == "1")))
