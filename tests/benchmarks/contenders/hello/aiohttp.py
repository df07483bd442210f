"""aiohttp's server."""
from aiohttp import web

from tests.benchmarks.contenders import BODY, FIELDS, announce, listening_socket


async def hello(request: web.Request) -> web.Response:
    return web.Response(body=BODY, headers=FIELDS)


listener = listening_socket()
announce(listener.getsockname()[1])
application = web.Application()
application.router.add_get("/", hello)
web.run_app(application, sock=listener, print=None, access_log=None)
