"""Short ways to ask a server something, for the tests beside this module."""
from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from blockingio import HttpException, HttpRequest, HttpResponse, HttpServer
from tests.peers import PATIENCE, RawClient, RawResponse, eventually, serving
from tests.peers import in_background as in_background, to_the_end as to_the_end

Handler = Callable[[HttpRequest], object]
Write = Callable[[HttpResponse], object]

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def get(target: str = "/", *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    """A request without a body, with Host and these fields."""
    lines = [f"{method} {target} HTTP/{version}", "Host: localhost", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(body: bytes, *fields: str, version: str = "1.1") -> bytes:
    """A POST with this body, counted."""
    return get("/", f"Content-Length: {len(body)}", *fields, version=version, method="POST") + body


def post_chunks(*chunks: bytes, trailers: bytes = b"", fields: bytes = b"") -> bytes:
    """A POST with these chunks as its body."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n" + fields + b"\r\n"
    return head + body + b"0\r\n" + trailers + b"\r\n"


def visit(handler: Handler, raw: bytes = GET, *, method: str = "GET", **settings: Any) -> RawResponse:
    """What a server with this handler answers to these bytes."""
    with serving(handler, **settings) as server, RawClient(server.port) as client:
        return client.send(raw).read_response(method)


def answered(write: Write, raw: bytes = GET, **settings: Any) -> RawResponse:
    """What comes of a response that is written so, and closed."""

    def handler(request: HttpRequest) -> None:
        write(request.response)
        request.response.close()

    return visit(handler, raw, method=raw.partition(b" ")[0].decode(), **settings)


def raw_answer(handler: Handler, raw: bytes, **settings: Any) -> bytes:
    """All the bytes that come until the server ends the connection."""
    with serving(handler, **settings) as server, RawClient(server.port) as client:
        return client.send(raw).read_until_eof()


def answering(obj: object, *seen: list[Any]) -> Handler:
    """A handler that answers this, and keeps the requests in `seen`, where that is given."""

    def handler(request: HttpRequest) -> None:
        for requests in seen:
            requests.append(request)
        request.response.write(obj)
        request.response.close()

    return handler


def tell(request: HttpRequest) -> str:
    """Answer with the path that was asked for, and return it."""
    path = request.uri.path
    request.response.write(path)
    request.response.close()
    return path


@contextmanager
def asking(server: HttpServer, *targets: str) -> Iterator[list[RawClient]]:
    """A connection for each target, whose request is with the server before the next one's."""
    with ExitStack() as stack:
        clients = []
        for target in targets:
            client = stack.enter_context(RawClient(server.port))
            clients.append(client.send(get(target)))
        yield clients


def queued(server: HttpServer, number: int) -> None:
    """Wait until that many requests have come."""
    eventually(lambda: server.connections_info().active == number)


def reading(errors: list[Exception]) -> Handler:
    """A handler that reads the body, keeps what HttpException that raises, and answers."""

    def handler(request: HttpRequest) -> None:
        try:
            request.read()
        except HttpException as error:
            errors.append(error)
        tell(request)

    return handler


def body_by(read: Callable[[HttpRequest], object]) -> Handler:
    """A handler that reads so and answers what it read."""

    def handler(request: HttpRequest) -> None:
        request.response.write(read(request))
        request.response.close()

    return handler


#: A handler that answers how long the body was.
body_length = body_by(lambda request: len(request.read()))


def big_or_tell(size: int, pieces: int) -> Handler:
    """A handler that answers /big with so many bytes in so many pieces, and else tells."""

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/big":
            for _ in range(pieces):
                request.response.write(b"x" * (size // pieces))
            request.response.close()
        else:
            tell(request)

    return handler


def is_free(port: int) -> bool:
    """Whether another server could listen there now."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
            sock.listen()
        except OSError:
            return False
    return True


@contextmanager
def running(server: HttpServer, handler: Handler = tell) -> Iterator[HttpServer]:
    """Serve it in a plain loop on a thread of its own; the end of the block closes it."""

    def loop() -> None:
        for request in server:
            handler(request)

    with in_background(loop):
        try:
            yield server
        finally:
            server.close(force=True)


def reset_once_heard(server: HttpServer, raw: bytes = GET) -> None:
    """A client that is gone once its request is with the server: a reset sooner could overtake it."""
    client = RawClient(server.port).send(raw)
    eventually(lambda: server.connections_info().active)
    client.reset()


def small_window(port: int, context: ssl.SSLContext | None = None) -> RawClient:
    """A client whose kernel takes little before the client itself reads."""
    sock = socket.socket()
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", port))
        return RawClient.on(context.wrap_socket(sock, server_hostname="localhost") if context else sock)
    except BaseException:
        sock.close()
        raise
