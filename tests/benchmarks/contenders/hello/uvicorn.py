"""uvicorn, with httptools and uvloop where they are installed."""
from typing import Any

import uvicorn

from tests.benchmarks.contenders import BODY, FIELDS, announce, listening_socket

HEADERS = [(name.encode(), value.encode()) for name, value in [*FIELDS, ("content-length", str(len(BODY)))]]


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


listener = listening_socket()
announce(listener.getsockname()[1])
server = uvicorn.Server(uvicorn.Config(hello, lifespan="off", log_level="error", access_log=False))
server.run(sockets=[listener])
