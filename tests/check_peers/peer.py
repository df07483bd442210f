"""One server: ``python -m tests.check_peers.peer NAME`` prints its port, name and version, and serves until its
standard input ends.  Status 3 where it is not installed.

Its handler reads the whole body and answers 200 with its length, so that what a server makes of a body shows.
"""
from __future__ import annotations

import asyncio
import http.server
import importlib
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from blockingio import HttpRequest, HttpServer, __version__
from tests.benchmarks.contenders import end_with_parent, free_port, wait_for

_NGINX = """
daemon off; master_process off; pid nginx.pid; error_log error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{upstream}; }} }}
}}
"""


def announce(port: int, name: str, worker: subprocess.Popen[bytes] | None = None) -> None:
    """Say what listens where; from now on the end of standard input ends it."""
    print(port, name, flush=True)
    end_with_parent(worker)


def listening() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """For the WSGI servers."""
    body = b"%d" % len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def serve_blockingio() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    announce(server.port, f"blockingio {__version__}")
    server.for_each(answer, workers=4)


def answer(request: HttpRequest) -> None:
    request.response.write(len(request.read()))
    request.response.close()


def serve_http_server() -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """As its documentation has it: Content-Length says how much to read."""
            body = b"%d" % len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_POST = do_PUT = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

        log_error = log_message

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    announce(server.server_port, f"http.server (Python {platform.python_version()})")
    server.serve_forever()


def serve_waitress() -> None:
    waitress = importlib.import_module("waitress")
    sock = listening()
    announce(sock.getsockname()[1], f"waitress {version('waitress')}")
    waitress.serve(application, sockets=[sock])


def serve_gunicorn() -> None:
    version("gunicorn")
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--threads", "4",
               "--log-level", "critical", "--bind", f"127.0.0.1:{port}", "tests.check_peers.peer:application"]
    worker = subprocess.Popen(command)
    wait_for(port, worker)
    announce(port, f"gunicorn {version('gunicorn')} (gthread)", worker)
    worker.wait()


def serve_flask() -> None:
    flask = importlib.import_module("flask")
    serving = importlib.import_module("werkzeug.serving")
    app = flask.Flask("peer")

    def hello() -> str:
        return str(len(flask.request.get_data()))

    app.add_url_rule("/", view_func=hello, methods=["GET", "POST", "PUT"])
    server = serving.make_server("127.0.0.1", 0, app, threaded=True)
    importlib.import_module("logging").getLogger("werkzeug").disabled = True
    announce(server.server_port, f"Flask {version('flask')} (Werkzeug {version('werkzeug')})")
    server.serve_forever()


def serve_aiohttp() -> None:
    web = importlib.import_module("aiohttp.web")

    async def hello(request: Any) -> Any:
        return web.Response(text=str(len(await request.read())))

    app = web.Application()
    app.router.add_route("*", "/", hello)
    sock = listening()
    announce(sock.getsockname()[1], f"aiohttp {version('aiohttp')}")
    web.run_app(app, sock=sock, print=None, access_log=None)


async def asgi_application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        event = await receive()
        size += len(event.get("body", b""))
        more = event.get("more_body", False)
    body = b"%d" % size
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def serve_uvicorn() -> None:
    uvicorn = importlib.import_module("uvicorn")
    sock = listening()
    configuration = uvicorn.Config(asgi_application, log_level="critical", lifespan="off")
    configuration.load()
    parser = {"HttpToolsProtocol": "httptools"}.get(configuration.http_protocol_class.__name__, "h11")
    announce(sock.getsockname()[1], f"uvicorn {version('uvicorn')} ({parser} {version(parser)})")
    asyncio.run(uvicorn.Server(configuration).serve(sockets=[sock]))


def serve_nginx() -> None:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if not program:
        raise ImportError("nginx")
    told = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    upstream = HttpServer.bind("127.0.0.1", 0)
    upstream.listen(answer, workers=4)
    port = free_port()
    with tempfile.TemporaryDirectory() as prefix:
        configuration = Path(prefix, "nginx.conf")
        configuration.write_text(_NGINX.format(port=port, upstream=upstream.port))
        worker = subprocess.Popen([program, "-p", prefix, "-c", str(configuration)], stderr=subprocess.DEVNULL)
        wait_for(port, worker)
        announce(port, f"nginx {told.strip().rpartition('/')[2].split()[0]} (as a proxy)", worker)
        worker.wait()


SERVERS: dict[str, Callable[[], None]] = {
    "blockingio": serve_blockingio, "nginx": serve_nginx, "http.server": serve_http_server, "waitress": serve_waitress,
    "gunicorn": serve_gunicorn, "aiohttp": serve_aiohttp, "uvicorn": serve_uvicorn, "Flask": serve_flask}

if __name__ == "__main__":
    try:
        SERVERS[sys.argv[1]]()
    except ImportError:
        sys.exit(3)
