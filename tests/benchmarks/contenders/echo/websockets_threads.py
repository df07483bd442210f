"""The package websockets, its server with threads."""
import socket
import sys

from websockets.sync.server import ServerConnection, serve

from tests.benchmarks.contenders import announce, listening_socket


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


listener: socket.socket = listening_socket()
with serve(echo, sock=listener, compression=None, max_size=None, ping_interval=None) as server:
    announce(listener.getsockname()[1])
    server.serve_forever()
sys.exit()
