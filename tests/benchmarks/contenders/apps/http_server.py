"""http.server.ThreadingHTTPServer at its best: HTTP/1.1, no log, one write for each response."""
import gzip
import ssl
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.benchmarks.contenders import BACKLOG, BODY, serve
from tests.benchmarks.contenders.apps import (
    CHAIN, CONTENT, KEY, PASSWORD, PIECE, PIECES, ROUTE, STATUS, TLS, fields_of, json_body,
)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together

    def do_GET(self) -> None:
        if ROUTE == "pieces":
            self.send_pieces()
        elif ROUTE == "json":
            query = parse_qs(urlsplit(self.path).query)
            cookie = next(iter(SimpleCookie(self.headers["Cookie"]).values())).value
            self.send(json_body(query["name"][0], self.headers["User-Agent"], self.headers["Accept-Language"], cookie))
        elif ROUTE == "gzip":
            self.send(gzip.compress(CONTENT["gzip"], 6, mtime=0), ("content-encoding", "gzip"))
        else:
            self.send(CONTENT.get(ROUTE, BODY))

    def do_POST(self) -> None:
        self.send(b"%d" % len(self.rfile.read(int(self.headers["Content-Length"]))))

    def send(self, body: bytes, *more: tuple[str, str]) -> None:
        self.send_response(STATUS)
        for name, value in [*fields_of(ROUTE), *more]:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_pieces(self) -> None:
        self.send_response(STATUS)
        for name, value in [*fields_of(ROUTE), ("transfer-encoding", "chunked")]:
            self.send_header(name, value)
        self.end_headers()
        for _ in range(PIECES):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            pass

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = BACKLOG

    def finish_request(self, request, client_address):  # type: ignore[no-untyped-def]
        if TLS:
            request = context.wrap_socket(request, server_side=True)  # on the connection's own thread
        super().finish_request(request, client_address)


if TLS:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CHAIN, KEY, PASSWORD)
serve(Server(("127.0.0.1", 0), Handler))
