"""--once, --after and --for: when a share ends, and what counts as a download."""
from __future__ import annotations

import argparse
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from blockingio import HttpRequest
from blockingio.cli.downloads import Downloads
from blockingio.cli.share_limits import duration_text, parse_duration
from blockingio.cli.site import Site, SiteOptions
from tests.cli.command import Command
from tests.cli.sites import make_directory, send
from tests.peers import PATIENCE, RawClient, TlsContexts, eventually, serving

#: More than the systems of both ends take of what nobody reads.
LARGE = 20_000_000

#: What the sender's system takes at once, and the receiver's does not.
MEDIUM = 1_000_000


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = make_directory(tmp_path)
    for name, size in (("large.bin", LARGE), ("medium.bin", MEDIUM), ("empty.txt", 0)):
        with open(directory / name, "wb") as file:
            file.truncate(size)
    return directory


class Share:
    """A site whose downloads are counted."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.numbers: list[int] = []
        self.downloads = Downloads(self.numbers.append)
        self.site = Site(directory, SiteOptions(**options), self.downloads)
        self.port = 0

    def begin(self, target: str) -> None:
        """Ask for a file, take the beginning of the answer, and go away."""
        with RawClient(self.port) as client:
            client.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()).read_exactly(1000)
            client.reset()

    def get(self, target: str, *fields: str) -> Any:
        with RawClient(self.port) as client:
            response = client.get(target, *fields)
        return response

    def expect(self, count: int) -> None:
        """Wait until so many were counted; one more that is complete is the next."""
        eventually(lambda: len(self.numbers) >= count)
        assert self.get("/hello.txt").body == b"Hello, world!"
        eventually(lambda: len(self.numbers) > count)
        self.downloads.close()
        assert self.numbers == list(range(1, count + 2))


@contextmanager
def share(directory: Path, **options: Any) -> Iterator[Share]:
    shared = Share(directory, **options)
    try:
        with serving(shared.site.handle, workers=2) as server:
            shared.port = server.port
            yield shared
    finally:
        shared.downloads.close()


def test_what_is_no_download(directory: Path) -> None:
    (directory / "sub" / "index.html").write_text("<p>Page</p>")
    with share(directory) as shared:
        for target in ("/", "/sub/", "/?format=json", "/nothing", "/sub"):
            shared.get(target)
        etag = shared.get("/sub/").header("etag")
        assert shared.get("/sub/", f"If-None-Match: {etag}").status == 304
        with RawClient(shared.port) as client:
            assert send(client, "HEAD", "/hello.txt").status == 200
            assert send(client, "HEAD", "/?zip").status == 200
        shared.expect(0)


def test_files_and_folders(directory: Path) -> None:
    (directory / "large.bin").unlink()
    with share(directory) as shared:
        shared.get("/hello.txt?x")
        shared.get("/empty.txt")
        shared.get("/medium.bin")
        archive = zipfile.ZipFile(io.BytesIO(shared.get("/?zip").body))
        assert archive.testzip() is None
        shared.expect(4)


@pytest.mark.parametrize("target", ["/large.bin", pytest.param("/medium.bin", marks=pytest.mark.needs("fcntl")),
                                    "/?zip"])
def test_one_that_was_cut_does_not_count(directory: Path, target: str) -> None:
    """Nor where the system had taken all of it, and the client had not."""
    with share(directory) as shared:
        for _ in range(3):
            shared.begin(target)
        shared.expect(0)


def test_one_that_was_cut_and_resumed(directory: Path) -> None:
    with share(directory) as shared:
        shared.begin("/large.bin")
        assert shared.get("/large.bin", f"Range: bytes={LARGE - 1}-").status == 206  # what is between is missing
        assert shared.get("/large.bin", "Range: bytes=500-").status == 206
        shared.expect(1)


def test_one_in_pieces(directory: Path) -> None:
    """It counts once, when the last piece is there, and then again from the beginning."""
    with share(directory) as shared:
        for _ in range(2):
            for first, last in ((400_000, 999_999), (0, 99_999), (100_000, 399_999)):
                assert shared.get("/medium.bin", f"Range: bytes={first}-{last}").status == 206
        assert shared.get("/medium.bin", "Range: bytes=0-4,10-999999").status == 206
        assert shared.get("/medium.bin", "Range: bytes=0-499999").status == 206
        with open(directory / "medium.bin", "r+b") as file:
            file.write(b"another")
        assert shared.get("/medium.bin", "Range: bytes=500000-").status == 206
        shared.expect(2)


def test_one_that_is_compressed_on_its_way(directory: Path) -> None:
    (directory / "text.txt").write_bytes(b"All work and no play. " * 1000)
    shared = Share(directory)
    try:
        with serving(shared.site.handle, auto_compress=True) as server:
            shared.port = server.port
            assert shared.get("/text.txt", "Accept-Encoding: gzip").header("content-encoding") == "gzip"
            shared.expect(1)
    finally:
        shared.downloads.close()


@pytest.mark.needs("fcntl")  # by which the system tells what a client has confirmed
@pytest.mark.parametrize("line", ["HTTP/1.0\r\n", "HTTP/1.1\r\nConnection: close\r\n"])
@pytest.mark.parametrize("target", ["/medium.bin", "/?zip"])
@pytest.mark.parametrize("secure", [False, True])
def test_the_last_of_its_connection(directory: Path, target: str, line: str, secure: bool,
                                    tls_contexts: TlsContexts) -> None:
    """A client such as urllib takes it after the system has: that counts all the same, and one that is cut does not."""
    (directory / "large.bin").unlink()
    shared, was_sent = Share(directory), Event()

    def handle(request: HttpRequest) -> None:
        request.response.done.add_done_callback(lambda done: was_sent.set())
        shared.site.handle(request)

    try:
        with serving(handle, context=tls_contexts.server if secure else None) as server:
            for is_cut in (True, False):
                was_sent.clear()
                with RawClient(server.port, context=tls_contexts.client if secure else None) as client:
                    client.send(f"GET {target} {line}Host: localhost\r\n\r\n".encode())
                    begin = client.read_exactly(1000)
                    assert was_sent.wait(PATIENCE)
                    if is_cut:
                        client.reset()
                    else:
                        assert len(begin + client.read_until_eof()) > MEDIUM
            eventually(lambda: shared.numbers == [1])
            eventually(lambda: not server.connections_info().total)
    finally:
        shared.downloads.close()
    assert shared.numbers == [1]


@pytest.mark.needs("fcntl")  # by which the system tells what a client has confirmed
def test_over_tls(directory: Path, tls_contexts: TlsContexts) -> None:
    shared = Share(directory)
    try:
        with serving(shared.site.handle, context=tls_contexts.server) as server:
            for target, is_cut in (("/large.bin", True), ("/medium.bin", True), ("/medium.bin", False)):
                with RawClient(server.port, context=tls_contexts.client) as client:
                    client.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                    if is_cut:
                        client.read_exactly(1000)
                        client.reset()
                    else:
                        assert len(client.read_response().body) == MEDIUM
            eventually(lambda: shared.numbers == [1])
            # Some go away when they have what they want, and a reset is what the server's last words meet.
            for target in ("/hello.txt", "/medium.bin"):
                with RawClient(server.port, context=tls_contexts.client) as client:
                    client.send(f"GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
                    assert client.read_response().status == 200
            eventually(lambda: shared.numbers == [1, 2, 3])
    finally:
        shared.downloads.close()


# ------------------------------------------------------------ the command

def test_it_ends_after_so_many(directory: Path) -> None:
    with Command(directory, "--port", "0", "--quiet", "--after", "2", "--for", "1h30m") as command:
        port = int(command.start(directory).rstrip("/").rpartition(":")[2])
        assert command.line() == "It ends after 2 downloads or 1 hour 30 minutes"
        with RawClient(port) as client:
            assert client.get("/").status == client.get("/hello.txt").status == 200
        with RawClient(port) as leaving:
            leaving.send(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n").read_exactly(1000)
            leaving.reset()
        with RawClient(port) as client:
            assert len(client.get("/medium.bin").body) == MEDIUM
            assert command.end() == (0, "Ended after 2 downloads (--after)\n", "")


def test_it_ends_after_one(directory: Path) -> None:
    with Command(directory, "--port", "0", "--quiet", "--once") as command:
        port = int(command.start(directory).rstrip("/").rpartition(":")[2])
        assert command.line() == "It ends after 1 download"
        with RawClient(port, seconds=PATIENCE) as client:
            assert len(client.get("/large.bin").body) == LARGE
        assert command.end() == (0, "Ended after 1 download (--once)\n", "")


def test_it_ends_after_a_time(directory: Path) -> None:
    with Command(directory, "--port", "0", "--quiet", "--for", "1s") as command:
        command.start(directory)
        assert command.end() == (0, "It ends after 1 second\nEnded after 1 second (--for)\n", "")


@pytest.mark.parametrize(("text", "seconds", "shown"), [
    ("50m", 3000, "50 minutes"), ("90s", 90, "1 minute 30 seconds"), ("1h30m", 5400, "1 hour 30 minutes"),
    ("2d", 172_800, "2 days"), ("1d1h1m1s", 90_061, "1 day 1 hour 1 minute 1 second"), ("007s", 7, "7 seconds")])
def test_times(text: str, seconds: int, shown: str) -> None:
    assert (parse_duration(text), duration_text(seconds)) == (seconds, shown)


@pytest.mark.parametrize("text", ["", "0s", "0m0s", "50", "m", "-1s", "1.5h", "5M", "1s1m", "1 m", "\u0661s", "1w"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a time as 90s"):
        parse_duration(text)
