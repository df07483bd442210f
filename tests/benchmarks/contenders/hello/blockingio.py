"""blockingio, with a plain for loop."""
from blockingio import HttpServer
from tests.benchmarks.contenders import BACKLOG, announce

server = HttpServer.bind("127.0.0.1", 0, backlog=BACKLOG)
announce(server.port)
for request in server:
    request.response.write("Hello, world!")
    request.response.close()
