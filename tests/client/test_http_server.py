"""The client and Python's own http.server, in HTTP/1.0 and 1.1, plain and with TLS."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from blockingio import ContentType, HttpClient, HttpStatus
from tests.peers import PATIENCE, Certificates


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def answer(self) -> None:
        length = self.headers["content-length"]
        body = self.rfile.read(int(length)) if length else b""
        asked = {
            "line": self.requestline,
            "type": self.headers["content-type"],
            "host": self.headers["host"],
            "body": body.decode(),
        }
        data = json.dumps(asked).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if self.protocol_version == "HTTP/1.1":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    def log_message(self, *args: object) -> None:
        pass


class Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 64  # 5 would leave some of eight threads waiting for a second

    def handle_error(self, *args: object) -> None:
        pass  # a client that leaves is no news


@contextmanager
def serving(handler: Any, context: Any = None) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


@pytest.fixture(params=["HTTP/1.0", "HTTP/1.1"])
def handler(request: pytest.FixtureRequest) -> type[Echo]:
    class Versioned(Echo):
        protocol_version = request.param

    return Versioned


def test_every_method(handler: type[Echo]) -> None:
    with serving(handler) as server, HttpClient() as client:
        client.find_proxy = None
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"):
            request = client.open(method, "localhost", server.server_port, "/x?y=z")
            if method in ("POST", "PUT", "PATCH"):
                request.headers.content_type = ContentType.JSON
                request.write("[1]")
            response = request.close()
            assert response.status_code == HttpStatus.OK
            if method == "HEAD":
                assert response.read() == b""
                continue
            asked = json.load(response)
            assert asked["line"] == f"{method} /x?y=z HTTP/1.1"
            assert asked["host"] == f"localhost:{server.server_port}"
            if method in ("POST", "PUT", "PATCH"):
                assert (asked["type"], asked["body"]) == ("application/json; charset=utf-8", "[1]")


def test_the_connection_lasts_in_1_1_only(handler: type[Echo]) -> None:
    ports = set()
    with serving(handler) as server, HttpClient() as client:
        client.find_proxy = None
        for _ in range(3):
            request = client.get("127.0.0.1", server.server_port, "/")
            assert request.connection_info is not None
            ports.add(request.connection_info.local_port)
            request.close().read()
    assert len(ports) == (1 if handler.protocol_version == "HTTP/1.1" else 3)


def test_tls(handler: type[Echo], certificates: Certificates) -> None:
    """In HTTP/1.0 the response is ended by the close, and http.server knows no orderly end of TLS."""
    with serving(handler, certificates.server_context()) as server:
        with HttpClient(context=certificates.client_context()) as client:
            client.find_proxy = None
            for _ in range(2):
                response = client.get_url(f"https://localhost:{server.server_port}/x").close()
                assert json.load(response)["line"] == "GET /x HTTP/1.1"


def test_files(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096
    (tmp_path / "a file").write_bytes(data)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "index.html").write_text("<p>here</p>")
    with serving(partial(Quiet, directory=str(tmp_path))) as server, HttpClient() as client:
        client.find_proxy = None
        response = client.get("127.0.0.1", server.server_port, "/a file").close()
        assert response.content_length == len(data)
        assert b"".join(response) == data
        changed = response.headers.value("last-modified")
        assert changed is not None

        request = client.get("127.0.0.1", server.server_port, "/a file")
        request.headers.set("if-modified-since", changed)
        assert request.close().status_code == HttpStatus.NOT_MODIFIED

        response = client.get("127.0.0.1", server.server_port, "/folder").close()
        assert (response.status_code, response.read()) == (200, b"<p>here</p>")
        assert [info.location.path for info in response.redirects] == ["/folder/"]

        response = client.get("127.0.0.1", server.server_port, "/nothing").close()
        assert response.status_code == HttpStatus.NOT_FOUND
        assert b"404" in response.read()


def test_many_threads_at_once(handler: type[Echo]) -> None:
    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(10):
            path = f"/{number}/{turn}"
            asked = json.load(client.get("127.0.0.1", server.server_port, path).close())
            if asked["line"] != f"GET {path} HTTP/1.1":
                wrong.append(asked)

    with serving(handler) as server, HttpClient() as client:
        client.find_proxy = None
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
    assert not wrong
