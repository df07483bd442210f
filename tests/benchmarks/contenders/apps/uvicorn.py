"""uvicorn, with httptools and uvloop where they are installed."""
import gzip
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from tests.benchmarks.contenders import BODY, announce, listening_socket
from tests.benchmarks.contenders.apps import (
    CHAIN, CONTENT, KEY, PASSWORD, PIECE, PIECES, ROUTE, STATUS, TLS, fields_of, json_body,
)

FIELDS = [(name.encode(), value.encode()) for name, value in fields_of(ROUTE)]


async def application(scope: Any, receive: Any, send: Any) -> None:
    fields = FIELDS
    if ROUTE == "pieces":
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        for _ in range(PIECES):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    body = CONTENT.get(ROUTE, BODY)
    if ROUTE == "read":
        parts = []
        more = True
        while more:
            event = await receive()
            parts.append(event["body"])
            more = event["more_body"]
        body = b"%d" % len(b"".join(parts))
    elif ROUTE == "json":
        headers = dict(scope["headers"])
        body = json_body(parse_qs(scope["query_string"].decode())["name"][0], headers[b"user-agent"].decode(),
                         headers[b"accept-language"].decode(),
                         headers[b"cookie"].decode().partition(";")[0].partition("=")[2])
    elif ROUTE == "gzip":
        body = gzip.compress(CONTENT["gzip"], 6, mtime=0)
        fields = [*fields, (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
    await send({"type": "http.response.start", "status": STATUS,
                "headers": [*fields, (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


listener = listening_socket()
announce(listener.getsockname()[1])
secure = {"ssl_certfile": str(CHAIN), "ssl_keyfile": str(KEY), "ssl_keyfile_password": PASSWORD} if TLS else {}
server = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_level="error", access_log=False,
                                       **secure))
server.run(sockets=[listener])
