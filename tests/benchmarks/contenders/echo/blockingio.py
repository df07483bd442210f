"""blockingio: a handler for each socket; "hold" keeps the sockets, without a handler, for a broadcast each second."""
import itertools
import sys
import threading
import time

from blockingio import CompressionOptions, HttpRequest, HttpServer, WebSocket, WebSocketTransformer
from tests.benchmarks.contenders import BACKLOG, announce

OFF = CompressionOptions.COMPRESSION_OFF
sockets: set[WebSocket] = set()


def echo(request: HttpRequest) -> None:
    with WebSocketTransformer.upgrade(request, compression=OFF) as sock:
        for message in sock:
            sock.add(message)


def hold(request: HttpRequest) -> None:
    sockets.add(WebSocketTransformer.upgrade(request, compression=OFF))


def broadcast() -> None:
    for number in itertools.count():
        time.sleep(1)
        for sock in list(sockets):
            sock.add(str(number))


server = HttpServer.bind("127.0.0.1", 0, backlog=BACKLOG)
announce(server.port)
if "hold" in sys.argv:
    if "broadcast" in sys.argv:
        threading.Thread(target=broadcast, daemon=True).start()
    server.for_each(hold)
else:
    server.for_each(echo, workers=16)
