"""Sends one file, index.html, as a good file server would. See README.rst."""

from pathlib import Path

from blockingio import HttpServer, InternetAddress
from blockingio.http_server import VirtualDirectory

DIRECTORY = Path(__file__).resolve().parent

static_files = VirtualDirectory(DIRECTORY)

try:
    server = HttpServer.bind(InternetAddress.LOOPBACK_IP_V4, 4046)
    print(f"Listening on http://{server.address.host}:{server.port}/", flush=True)
    for request in server:
        static_files.serve_file(DIRECTORY / "index.html", request)
except OSError as error:
    raise SystemExit(error)
except KeyboardInterrupt:
    server.close()
