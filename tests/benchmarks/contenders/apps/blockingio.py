"""blockingio, with a plain for loop; "workers=8" as a word of argv: for_each with so many instead."""
import json
import sys
import time

from blockingio import ContentType, Cookie, HttpRequest, HttpServer, SecurityContext
from tests.benchmarks.contenders import BACKLOG, announce
from tests.benchmarks.contenders.apps import CHAIN, CONTENT, KEY, PASSWORD, PIECE, PIECES, ROUTE, TLS


def plain(request: HttpRequest) -> None:
    request.response.write("Hello, world!")
    request.response.close()


def html(request: HttpRequest) -> None:
    request.response.headers.content_type = ContentType.HTML
    request.response.add(CONTENT["html"])
    request.response.close()


def header(request: HttpRequest) -> None:
    request.response.headers.set("x-request-id", "4711")
    request.response.write("Hello, world!")
    request.response.close()


def missing(request: HttpRequest) -> None:
    request.response.status_code = 404
    request.response.write("Hello, world!")
    request.response.close()


def moved(request: HttpRequest) -> None:
    request.response.redirect("/elsewhere")


def cookie(request: HttpRequest) -> None:
    request.response.cookies.append(Cookie("theme", "dark"))
    request.response.write("Hello, world!")
    request.response.close()


def json_of_it(request: HttpRequest) -> None:
    headers = request.headers
    answer = {"name": request.uri.query_parameters["name"], "agent": headers["user-agent"],
              "language": headers["accept-language"], "cookie": request.cookies[0].value}
    request.response.headers.content_type = ContentType.JSON
    request.response.write(json.dumps(answer))
    request.response.close()


def content(request: HttpRequest) -> None:
    request.response.add(CONTENT[ROUTE])
    request.response.close()


def pieces(request: HttpRequest) -> None:
    request.response.buffer_output = False
    for _ in range(PIECES):
        request.response.add(PIECE)
    request.response.close()


def read(request: HttpRequest) -> None:
    request.response.write(len(request.read()))
    request.response.close()


# Seconds of processor time that an answer of the route "compute" takes.
COMPUTING = 0.002


def compute(request: HttpRequest) -> None:
    end = time.thread_time() + COMPUTING
    while time.thread_time() < end:
        pass
    plain(request)


HANDLERS = {"plain": plain, "html": html, "header": header, "missing": missing, "moved": moved, "cookie": cookie,
            "json": json_of_it, "10k": content, "1m": content, "gzip": content, "pieces": pieces, "read": read,
            "compute": compute}

handle = HANDLERS[ROUTE]
if TLS:
    context = SecurityContext()
    context.use_certificate_chain(CHAIN)
    context.use_private_key(KEY, password=PASSWORD)
    server = HttpServer.bind_secure("127.0.0.1", 0, context, backlog=BACKLOG)
else:
    server = HttpServer.bind("127.0.0.1", 0, backlog=BACKLOG)
server.auto_compress = ROUTE == "gzip"
announce(server.port)
for word in sys.argv:
    if word.startswith("workers="):
        server.for_each(handle, workers=int(word.removeprefix("workers=")))
for request in server:
    handle(request)
