"""The server for the downloads: a GET of /N is answered with N bytes."""
import socketserver

from tests.benchmarks.contenders import ThreadingServer, serve

BLOCK = bytes(1 << 20)


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            while line := self.rfile.readline():
                while self.rfile.readline() not in (b"\r\n", b""):
                    pass
                left = int(line.split()[1][1:])
                self.request.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n".encode())
                while left:
                    self.request.sendall(BLOCK[:left])
                    left -= min(left, len(BLOCK))
        except ConnectionError:
            pass


serve(ThreadingServer(("127.0.0.1", 0), Handler))
