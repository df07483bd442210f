"""aiohttp, with its parser in C."""
import asyncio

from aiohttp import web

from tests.benchmarks.contenders import BODY, announce, listening_socket
from tests.benchmarks.contenders.apps import CONTENT, PIECE, PIECES, ROUTE, STATUS, TLS, fields_of, json_body

if TLS:
    raise SystemExit("not measured over TLS")


async def handle(request: web.BaseRequest) -> web.StreamResponse:
    fields = dict(fields_of(ROUTE))
    if ROUTE == "pieces":
        stream = web.StreamResponse(headers=fields)
        stream.enable_chunked_encoding()
        await stream.prepare(request)
        for _ in range(PIECES):
            await stream.write(PIECE)
        await stream.write_eof()
        return stream
    body = CONTENT.get(ROUTE, BODY)
    if ROUTE == "read":
        body = b"%d" % len(await request.read())
    elif ROUTE == "json":
        body = json_body(request.query["name"], request.headers["User-Agent"], request.headers["Accept-Language"],
                         next(iter(request.cookies.values())))
    response = web.Response(body=body, status=STATUS, headers=fields)
    if ROUTE == "gzip":
        response.enable_compression(web.ContentCoding.gzip)
    return response


listener = listening_socket()
announce(listener.getsockname()[1])


async def main() -> None:
    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.SockSite(runner, listener).start()
    await asyncio.Event().wait()


asyncio.run(main())
