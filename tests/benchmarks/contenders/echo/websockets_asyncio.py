"""The package websockets, its server with asyncio."""
import asyncio

from websockets.asyncio.server import ServerConnection, serve

from tests.benchmarks.contenders import announce, listening_socket


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def main() -> None:
    listener = listening_socket()
    async with serve(echo, sock=listener, compression=None, max_size=None, ping_interval=None) as server:
        announce(listener.getsockname()[1])
        await server.serve_forever()


asyncio.run(main())
