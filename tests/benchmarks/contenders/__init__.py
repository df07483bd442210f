"""A script for each contender, run as a process of its own; what they share is here.

A server prints its port and the number of the process that does the work, and ends when
its standard input does, which is when the process that started it is gone.  A client is given a
port and how long to go on, and prints its figures as JSON.
"""
from __future__ import annotations

import json
import os
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

BODY = b"Hello, world!"
# blockingio's default fields: every server sends them, so that all send as much.
FIELDS = [
    ("content-type", "text/plain; charset=utf-8"),
    ("x-frame-options", "SAMEORIGIN"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
]
# Connections that may wait to be accepted: 64 come at once, and with socketserver's 5 some wait a second.
BACKLOG = 1024
# Downloads of the small target, or requests, that come before what is measured.
SETTLING = 200


def listening_socket() -> socket.socket:
    """A listener on a free port, for the servers that take one.

    It names TCP, for else asyncio leaves Nagle's algorithm on, and each response 40 ms late.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(BACKLOG)
    return listener


def announce(port: int, worker: subprocess.Popen[Any] | None = None) -> None:
    """Say where the server listens; from now on the end of standard input ends the process and its worker."""
    print(port, worker.pid if worker else os.getpid(), flush=True)
    end_with_parent(worker)


def end_with_parent(worker: subprocess.Popen[Any] | None = None) -> None:
    """From now on the end of standard input ends the process and its worker."""
    def wait() -> None:
        os.read(0, 1)
        if worker:
            worker.kill()
            worker.wait()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


class ThreadingServer(socketserver.ThreadingTCPServer):
    """A thread for each connection."""

    request_queue_size = BACKLOG
    daemon_threads = True


def serve(server: socketserver.TCPServer) -> None:
    announce(server.server_address[1])
    server.serve_forever()


def free_port() -> int:
    """For a program that cannot take a listener."""
    with socket.create_server(("127.0.0.1", 0)) as finder:
        port: int = finder.getsockname()[1]
    return port


def wait_for(port: int, worker: subprocess.Popen[Any]) -> None:
    """Until the worker listens there.  Raises SystemExit where it ends instead."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if worker.poll() is not None:
                sys.exit("it did not start")
            time.sleep(0.01)


def trusting() -> ssl.SSLContext:
    """A client's, which verifies no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """What the WSGI servers serve."""
    start_response("200 OK", [*FIELDS, ("content-length", str(len(BODY)))])
    return [BODY]


def report_requests(send: Callable[[], bytes], seconds: float) -> None:
    """A client's main loop: requests one after the other.  ``cpu`` is the processor time of one, in seconds."""
    for _ in range(SETTLING):
        assert send() == BODY
    times = []
    before = time.process_time()
    begin = now = time.perf_counter()
    while now - begin < seconds:
        send()
        last, now = now, time.perf_counter()
        times.append(now - last)
    cpu = time.process_time() - before
    times.sort()
    print(json.dumps({"rate": len(times) / (now - begin), "p99": times[len(times) * 99 // 100],
                      "cpu": cpu / len(times)}))


def report_downloads(download: Callable[[str], int]) -> None:
    """A downloader's main loop: `download(target)` gives the number of bytes read.

    argv is PORT SMALL LARGE SECONDS.  The small target is for the allocator to settle, which
    takes a few MiB whatever the size of a body; growth is what the large one takes beyond that.
    """
    small, large, seconds = sys.argv[2], sys.argv[3], float(sys.argv[4])
    settled = sum(download(small) for _ in range(SETTLING))
    before = peak_memory()
    total = 0
    begin = now = time.perf_counter()
    while now - begin < seconds:
        total += download(large)
        now = time.perf_counter()
    growth = peak_memory() - before
    print(json.dumps({"rate": total / (now - begin), "total": settled + total, "growth": growth}))


def peak_memory() -> int:
    """The most memory this process had at once, in bytes; 0 where the system does not tell.

    Not getrusage's ru_maxrss: that one begins with the peak of the parent.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        return 0
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
