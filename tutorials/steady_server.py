"""A server that keeps running: two processes, a service manager, a proxy in front. See README.rst."""

import os

from blockingio import HttpRequest, HttpServer, InternetAddress
from blockingio.processes import inherited_sockets, run


def handle(request: HttpRequest) -> None:
    request.response.writeln(f"Hello, {request.client_address}. This is process {os.getpid()}.")
    request.response.close()


def work(server: HttpServer) -> None:
    server.for_each(handle, workers=8)


try:
    sockets = inherited_sockets()
    if sockets:
        server = HttpServer.listen_on(sockets[0])
    else:
        server = HttpServer.bind(InternetAddress.LOOPBACK_IP_V4, 4045)
    server.trusted_proxies = ["127.0.0.1"]
    server.max_body_size = 10_000_000
    server.idle_timeout = 150
    print(f"Listening on http://{server.address.host}:{server.port}/", flush=True)
    run(work, server, 2)
except OSError as error:
    raise SystemExit(error)
