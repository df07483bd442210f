"""The ceiling: a bare socket, which sends the same bytes again and looks at no answer but for its end."""
import socket

from tests.benchmarks.contenders import BODY, report_requests, trusting
from tests.benchmarks.contenders.request import CONTENT, KIND, PORT, SECONDS

method, body = ("POST", CONTENT) if KIND == "post" else ("GET", b"")
head = f"{method} / HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\n" + (f"Content-Length: {len(body)}\r\n" if body else "")
message = head.encode() + b"\r\n" + body
connection = socket.create_connection(("127.0.0.1", PORT))
if KIND == "tls":
    connection = trusting().wrap_socket(connection)


def send() -> bytes:
    connection.sendall(message)
    return connection.recv(65536)[-len(BODY):]


report_requests(send, SECONDS)
