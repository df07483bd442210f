"""The server under load, in a process of its own: ``python -m tests.load.server [FILES]``.

FILES lowers the number of descriptors it may have.  It counts each request that its handler
sees by the first segment of its path, and obeys commands: port, resources, threads, counts, close.
"""
from __future__ import annotations

import logging
import resource
import socket
import sys
import threading
import time
from collections import Counter

from blockingio import HttpException, HttpRequest, HttpServer
from tests.load.process import obey, raise_file_limit, resources

WORKERS = 4
#: Bytes of the answer to /big: more than any buffer between the two sides holds.
BIG = 8 << 20


class Log(logging.Handler):
    """Nothing that a client does may be an error in the log."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Served:
    """The server, the thread that serves it and what it has counted."""

    def __init__(self) -> None:
        self.server = HttpServer.bind("127.0.0.1", 0)
        self.port = self.server.port
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()  # of the counts
        self._thread = threading.Thread(target=self.server.for_each, args=(self._handle,),
                                        kwargs={"workers": WORKERS})
        self._thread.start()

    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)

    def close(self, force: bool) -> dict[str, object]:
        """Close the server: how long that took, whether the port was free at once and its loops ended."""
        began = time.monotonic()
        self.server.close(force=force)
        closed = time.monotonic() - began
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                again.bind(("127.0.0.1", self.port))
                again.listen()
                free = True
            except OSError:
                free = False
        self._thread.join(30)
        return {"seconds": closed, "ended": not self._thread.is_alive(), "free": free}

    def connections(self) -> int:
        return self.server.connections_info().total

    def _handle(self, request: HttpRequest) -> None:
        kind = request.uri.path.partition("/")[2]
        try:
            request.read()
        except HttpException:
            kind = "broken"
        with self._lock:
            self._counts[kind] += 1
        request.response.write(b"x" * BIG if kind == "big" else b"hello")
        request.response.close()


def main() -> None:
    raise_file_limit()
    if len(sys.argv) > 1:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), hard))
    log = Log()
    logging.getLogger("blockingio").addHandler(log)
    served = Served()
    obey({"port": lambda: served.port, "resources": resources, "counts": served.counts,
          "connections": served.connections, "threads": threading.active_count, "close": served.close,
          "log": lambda: log.lines})
    served.close(force=True)


if __name__ == "__main__":
    main()
