"""file_cache.py, through VirtualDirectory: small files in memory, and every change seen."""
from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from blockingio import AccessRecord, HttpRequest, HttpServer
from blockingio.http_server import VirtualDirectory, file_response
from blockingio.net import system
from blockingio.server.compression import gzip_compressor
from blockingio.server.response_writer import ResponseWriter
from blockingio.wire.sink import Compressor
from tests.http_server.sites import send, site
from tests.peers import PATIENCE, RawClient, eventually, serving


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are kept as soon as they are read, as if they had been there for long."""
    monkeypatch.setattr("blockingio.http_server.file_cache.SETTLED_AFTER", -60)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is opened, from here on."""
    opening = os.open
    names: list[str] = []

    def note(path: str, *arguments: int, **more: int) -> int:
        names.append(os.path.basename(path))
        return opening(path, *arguments, **more)

    monkeypatch.setattr(os, "open", note)
    return names


@pytest.mark.usefixtures("settled")
def test_a_small_file_is_opened_once(root: Path, opened: list[str]) -> None:
    with site(root) as client:
        first = client.get("/hello.txt")
        for _ in range(3):
            again = client.get("/hello.txt")
            assert again.body == first.body
            assert [field for field in again.fields if field[0] != "date"] == \
                [field for field in first.fields if field[0] != "date"]
            assert client.get("/sub/deep/a%20b.css").status == 200
        etag = first.header("etag")
        assert client.get("/hello.txt", f"If-None-Match: {etag}").status == 304
        assert client.get("/hello.txt", "Range: bytes=0-4").body == b"Hello"
        assert send(client, "HEAD", "/hello.txt").header("content-length") == "13"
        assert opened.count("hello.txt") == 1
        assert opened.count("a b.css") == 1
        assert client.get("/hello.txt?x").body == b"Hello, world!"
        assert opened.count("hello.txt") == 2


@pytest.mark.usefixtures("settled")
def test_ctrl_c_in_the_middle_of_a_kept_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been sent is all there is: nothing follows it, and the connection ends."""

    transmit = ResponseWriter._transmit

    def interrupted(answer: ResponseWriter, *args: Any) -> None:
        transmit(answer, *args)
        raise KeyboardInterrupt

    directory = VirtualDirectory(root)
    with HttpServer.bind("127.0.0.1", 0) as server, RawClient(server.port) as client:
        def serve() -> None:
            try:
                server.for_each(directory.serve_request)
            except KeyboardInterrupt:
                ended.set()

        ended = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        first = client.get("/hello.txt")
        monkeypatch.setattr(ResponseWriter, "_transmit", interrupted)
        assert client.get("/hello.txt").body == first.body
        assert client.read_until_eof() == b"" and ended.wait(PATIENCE)
        thread.join(PATIENCE)


@pytest.mark.usefixtures("settled")
def test_a_change_is_seen_at_once(root: Path) -> None:
    file = root / "sub" / "it.txt"
    with site(root) as client:
        for number in range(50):
            content = b"%03d" % number
            if number % 2:
                file.write_bytes(content)
            else:
                (root / "new").write_bytes(content)
                os.replace(root / "new", file)
            assert client.get("/sub/it.txt").body == content
            assert client.get("/sub/it.txt").body == content
        file.unlink()
        assert client.get("/sub/it.txt").status == 404
        file.mkdir()
        assert client.get("/sub/it.txt").status == 301
        file.rmdir()
        file.symlink_to("../../secret.txt")
        assert client.get("/sub/it.txt").status == 404


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(("ending", "coding"), [("gz", "gzip"), ("br", "br"), ("zst", "zstd")])
def test_a_neighbour_that_comes_and_goes_is_seen(root: Path, opened: list[str], ending: str, coding: str) -> None:
    packed = gzip.compress(b"Hello, world!")
    accept = f"Accept-Encoding: {coding}"
    for directory in ("", "sub/"):
        file, neighbour = root / f"{directory}it.txt", root / f"{directory}it.txt.{ending}"
        file.write_bytes(b"Hello, world!")
        with site(root) as client:
            for _ in range(3):
                assert client.get(f"/{directory}it.txt", accept).body == b"Hello, world!"
                neighbour.write_bytes(packed)
                opened.clear()
                for _ in range(3):
                    response = client.get(f"/{directory}it.txt", accept)
                    assert (response.body, response.header("content-encoding")) == (packed, coding)
                    response = client.get(f"/{directory}it.txt")
                    assert (response.body, response.header("vary")) == (b"Hello, world!", "Accept-Encoding")
                assert opened.count(f"it.txt.{ending}") == 1
                neighbour.unlink()


@pytest.mark.usefixtures("settled")
def test_a_kept_file_follows_the_server_and_the_handler(root: Path) -> None:
    directory = VirtualDirectory(root)

    def handle(request: HttpRequest) -> None:
        if request.uri.query == "own":
            request.response.headers.set("x-own", "1")
        directory.serve_request(request)

    with serving(handle) as server, RawClient(server.port) as client:
        for _ in range(2):
            assert client.get("/hello.txt").header("x-own") is None
        server.default_response_headers.set("x-default", "2")
        server.server_header = "me"
        for _ in range(2):
            response = client.get("/hello.txt")
            assert (response.header("x-default"), response.header("server")) == ("2", "me")
        server.default_response_headers.clear()
        response = client.get("/hello.txt")
        assert {name for name, _ in response.fields} == \
            {"etag", "last-modified", "accept-ranges", "content-type", "content-length", "date", "server"}
        server.default_response_headers.set("connection", "close")
        assert client.get("/hello.txt").header("connection") == "close"
    (root / "hello.txt").write_bytes(b"Hello, world!" * 50)
    with serving(handle, auto_compress=True) as server, RawClient(server.port) as client:
        assert client.get("/hello.txt").body == b"Hello, world!" * 50
        assert gzip.decompress(client.get("/hello.txt", "Accept-Encoding: gzip").body) == b"Hello, world!" * 50
        directory.root = root / "sub"
        assert client.get("/hello.txt").status == 404


@pytest.mark.usefixtures("settled")
def test_a_kept_file_is_compressed_once_and_follows_the_disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever headers a handler has set before, and whether the client takes gzip."""
    made: list[int] = []

    def compressor(length: int) -> Compressor:
        made.append(length)
        return gzip_compressor(length)

    monkeypatch.setattr(file_response, "gzip_compressor", compressor)
    directory = VirtualDirectory(root)

    def handle(request: HttpRequest) -> None:
        if request.headers.get("x-set"):
            request.response.headers.set("x-set", request.headers["x-set"])
        directory.serve_request(request)

    with serving(handle, auto_compress=True) as server, RawClient(server.port) as client:
        for content in (b"Hello, world!" * 50, b"Bye, world!" * 60):
            (root / "hello.txt").write_bytes(content)
            made.clear()
            for value in ("", *map(str, range(6)), "0"):
                for _ in range(3):
                    answer = client.get("/hello.txt", f"X-Set: {value}", "Accept-Encoding: gzip")
                    assert gzip.decompress(answer.body) == content and answer.header("x-set") == (value or None)
                    assert (answer.header("vary"), str(answer.header("etag"))[:3]) == ("Accept-Encoding", 'W/"')
                    plain = client.get("/hello.txt", f"X-Set: {value}")
                    assert plain.body == content and plain.header("content-encoding") is None
                    assert (plain.header("vary"), str(plain.header("etag"))[:1]) == ("Accept-Encoding", '"')
            assert 1 <= len(made) <= 8


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("name", ["text.txt", "picture.png"])
def test_what_is_kept_is_what_was_said_before(root: Path, name: str) -> None:
    """Compressed or not, in whatever order it is asked for."""
    (root / name).write_bytes(b"All work and no play. " * 100)
    asks = [("Accept-Encoding: gzip",), ("Accept-Encoding: br",), (), ("Accept-Encoding: *;q=0.1",)]
    with site(root, server={"auto_compress": True}) as client:
        for fields in asks:
            with site(root, server={"auto_compress": True}) as other:
                first = other.get(f"/{name}", *fields)
            for _ in range(2):
                again = client.get(f"/{name}", *fields)
                assert (again.status, again.body) == (200, first.body)
                for field in ("vary", "etag", "content-encoding", "content-length", "content-type", "last-modified"):
                    assert again.get_all(field) == first.get_all(field)
            assert client.get(f"/{name}", *fields, f"If-None-Match: {first.header('etag')}").status == 304
            assert client.get(f"/{name}", *fields, "Range: bytes=0-2").body == b"All"


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("head", [
    b"GET /hello.txt HTTP/1.0\r\n\r\n",
    b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"])
def test_a_kept_file_for_one_request_only(root: Path, head: bytes) -> None:
    for _ in range(3):
        with site(root) as client:
            assert client.get("/hello.txt").status == 200
            response = client.send(head).read_response()
            assert (response.body, response.header("connection")) == (b"Hello, world!", "close")
            assert client.is_ended()


@pytest.mark.usefixtures("settled")
def test_the_cache_has_its_bounds(root: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockingio.http_server.file_cache.CACHE_SIZE", 100)
    monkeypatch.setattr("blockingio.http_server.file_cache.MAX_ENTRIES", 5)
    for number in range(10):
        (root / f"{number}").write_bytes(b"x" * (number * 10))
    with site(root) as client:
        for _ in range(2):
            for number in range(10):
                assert len(client.get(f"/{number}").body) == number * 10
        opened.clear()
        client.get("/9")
        assert not opened
        client.get("/3")
        assert opened == ["3"]


def test_a_file_that_has_just_changed_is_not_kept(root: Path, opened: list[str]) -> None:
    """The next change could have the same time stamp."""
    with site(root) as client:
        for _ in range(3):
            client.get("/hello.txt")
        assert opened.count("hello.txt") == 3


@pytest.mark.usefixtures("settled")
def test_many_threads_and_a_file_that_changes(root: Path) -> None:
    """Each request gets some whole version, and never an older one than the last."""
    file = root / "it.txt"
    file.write_bytes(b"000" * 1000)
    stop = threading.Event()
    failures: list[str] = []
    directory = VirtualDirectory(root)

    def ask(port: int) -> None:
        last = b""
        with RawClient(port) as client:
            while not stop.is_set():
                body = client.get("/it.txt").body
                if len(body) != 3000 or body[:3] * 1000 != body or body < last:
                    failures.append(f"{body[:9]!r} after {last[:3]!r}")
                last = body

    with serving(directory.serve_request, workers=4) as server:
        threads = [threading.Thread(target=ask, args=(server.port,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(200):
            (root / "new").write_bytes(b"%03d" % number * 1000)
            os.replace(root / "new", file)
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert not failures


@pytest.mark.usefixtures("settled")
def test_a_kept_file_is_logged_like_any_other(root: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    directory = VirtualDirectory(root)

    def log(record: AccessRecord) -> None:
        seen.append((record.target, record.status, record.body_size))

    with serving(directory.serve_request, access_log=log) as server, RawClient(server.port) as client:
        for _ in range(3):
            client.get("/hello.txt")
        eventually(lambda: len(seen) == 3)
    assert seen == [("/hello.txt", 200, 13)] * 3


@pytest.mark.usefixtures("settled")
def test_a_file_that_shrinks_while_it_is_to_be_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = system.read_at

    def shrink(descriptor: int, count: int, offset: int) -> bytes:
        os.truncate(root / "hello.txt", 3)
        return reading(descriptor, count, offset)

    with site(root) as client:
        monkeypatch.setattr(system, "read_at", shrink)
        client.send(b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.is_ended()
        monkeypatch.undo()
