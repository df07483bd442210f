"""http.server's SimpleHTTPRequestHandler at its best: HTTP/1.1, the head leaves with what follows."""
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.benchmarks.contenders import BACKLOG, serve


class Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            pass

    def log_message(self, *args: Any) -> None:
        if "log" in sys.argv:
            super().log_message(*args)


class Server(ThreadingHTTPServer):
    request_queue_size = BACKLOG


serve(Server(("127.0.0.1", 0), partial(Handler, directory=sys.argv[1])))
