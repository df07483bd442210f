"""The ceiling: a thread for each connection in pure Python, and no HTTP at all.

With the argument "close" the first response ends the connection.
"""
import socketserver
import sys
from email.utils import formatdate

from tests.benchmarks.contenders import BACKLOG, BODY, FIELDS, announce

CLOSE = "close" in sys.argv
ALL_FIELDS = [*FIELDS, ("date", formatdate(usegmt=True)), ("content-length", str(len(BODY)))]
if CLOSE:
    ALL_FIELDS.append(("connection", "close"))
LINES = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in ALL_FIELDS), "", ""]
RESPONSE = "\r\n".join(LINES).encode() + BODY


class Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        receive, send = self.request.recv, self.request.sendall
        try:
            while receive(65536):
                send(RESPONSE)
                if CLOSE:
                    break
        except ConnectionError:
            pass


class Server(socketserver.ThreadingTCPServer):
    request_queue_size = BACKLOG
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
announce(server.server_address[1])
server.serve_forever()
