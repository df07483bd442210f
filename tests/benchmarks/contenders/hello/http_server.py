"""http.server.ThreadingHTTPServer at its best: HTTP/1.1, no log, one write for each response."""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.benchmarks.contenders import BACKLOG, BODY, FIELDS, announce


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together

    def do_GET(self) -> None:
        self.send_response(200)
        for name, value in FIELDS:
            self.send_header(name, value)
        self.send_header("content-length", str(len(BODY)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(BODY)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            pass

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = BACKLOG


server = Server(("127.0.0.1", 0), Handler)
announce(server.server_address[1])
server.serve_forever()
