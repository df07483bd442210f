"""A bare recv loop: no HTTP but the end of the head and the length in it.

A fifth argument, "new", takes a new connection for each download, as curl would.
"""
import re
import socket
import sys

from tests.benchmarks.contenders import report_downloads

address = ("127.0.0.1", int(sys.argv[1]))
connection = None if "new" in sys.argv else socket.create_connection(address)


def download(target: str) -> int:
    if connection:
        return read(connection, target)
    with socket.create_connection(address) as new:
        return read(new, target)


def read(connection: socket.socket, target: str) -> int:
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    assert length and head.startswith(b"HTTP/1.1 200 "), head
    size = int(length[1])
    left = size - len(body)
    while left:
        data = connection.recv(65536)
        assert data, f"ended {left} bytes before the end"
        left -= len(data)
    return size


report_downloads(download)
