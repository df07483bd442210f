"""blockingio's WsgiHandler, with eight workers.

"two" as a word of argv: in two processes, "one": in one that was forked.
"""
import sys

from blockingio import HttpServer
from blockingio.processes import run
from blockingio.wsgi import WsgiHandler
from tests.benchmarks.contenders import BACKLOG, announce
from tests.benchmarks.contenders.apps.wsgi import application

handler = WsgiHandler(application)


def work(server: HttpServer) -> None:
    server.for_each(handler, workers=8)


server = HttpServer.bind("127.0.0.1", 0, backlog=BACKLOG)
announce(server.port)
if "one" in sys.argv or "two" in sys.argv:
    run(work, server, 1 + ("two" in sys.argv))
else:
    work(server)
