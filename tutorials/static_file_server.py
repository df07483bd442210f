"""Serves the files in its own directory. See README.rst."""

from pathlib import Path

from blockingio import HttpRequest, HttpServer, InternetAddress
from blockingio.http_server import VirtualDirectory

DIRECTORY = Path(__file__).resolve().parent

static_files = VirtualDirectory(DIRECTORY)


def serve_index(directory: Path, request: HttpRequest) -> None:
    static_files.serve_file(directory / "index.html", request)


static_files.directory_handler = serve_index

try:
    server = HttpServer.bind(InternetAddress.LOOPBACK_IP_V4, 4048)
    print(f"Listening on http://{server.address.host}:{server.port}/", flush=True)
    server.for_each(static_files.serve_request, workers=4)
except OSError as error:
    raise SystemExit(error)
except KeyboardInterrupt:
    server.close()
