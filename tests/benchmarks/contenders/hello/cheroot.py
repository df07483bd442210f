"""cheroot's WSGI server."""
from cheroot import wsgi

from tests.benchmarks.contenders import BACKLOG, announce, application

server = wsgi.Server(("127.0.0.1", 0), application, request_queue_size=BACKLOG)
server.prepare()
announce(server.bind_addr[1])
server.serve()
