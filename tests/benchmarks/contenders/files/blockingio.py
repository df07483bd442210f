"""blockingio's VirtualDirectory, with a plain for loop."""
import sys

from blockingio import HttpServer
from blockingio.http_server import VirtualDirectory
from tests.benchmarks.contenders import BACKLOG, announce

directory = VirtualDirectory(sys.argv[1])
server = HttpServer.bind("127.0.0.1", 0, backlog=BACKLOG)
announce(server.port)
for request in server:
    directory.serve_request(request)
