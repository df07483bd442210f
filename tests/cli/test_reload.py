"""--reload: pages that are told when a file that they were made of has changed."""
from __future__ import annotations

import gzip
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from blockingio import HttpServer
from blockingio.cli import reload as reload_module
from blockingio.cli.reload_script import RELOAD_PATH, SCRIPT, TAG, with_script_allowed
from blockingio.cli.shutdown import GRACE
from blockingio.cli.site import Site, SiteOptions
from tests.cli.command import Command
from tests.cli.sites import make_directory, send
from tests.peers import PATIENCE, RawClient, RawResponse, eventually, serving

PAGE = b"<!doctype html><title>Page</title><p>Hello"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = make_directory(tmp_path)
    (directory / "page.html").write_bytes(PAGE)
    (directory / "style.css").write_text("p { color: red }")
    return directory


@contextmanager
def reloading(directory: Path, *, fields: dict[str, str] | None = None, **options: Any) -> Iterator[HttpServer]:
    site = Site(directory, SiteOptions(reload=True, **options))
    try:
        with serving(site.handle, auto_compress=True) as server:
            for name, value in (fields or {}).items():
                server.default_response_headers.set(name, value)
            yield server
            site.let_go()
    finally:
        site.close()


def get(server: HttpServer, target: str, *fields: str) -> RawResponse:
    with RawClient(server.port) as client:
        return client.get(target, *fields)


class Page:
    """What a page does that waits for news."""

    def __init__(self, server: HttpServer, query: str = "since=0", **fields: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        self._connection.request("GET", f"{RELOAD_PATH}?{query}", headers={"Accept-Encoding": "gzip"} | fields)
        self.response = self._connection.getresponse()
        self.last = ""

    def next(self) -> Any:
        """The data of the next event: None, or the paths that have changed."""
        data = None
        while line := self.response.readline().decode():
            if line == "\n" and data is not None:
                return json.loads(data)
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "data":
                data = value
            elif name == "id":
                self.last = value
        raise EOFError("the stream has ended")

    def await_news_of(self, path: str) -> None:
        """A change is made in several steps, and a look may fall between two: each is an event of its own then."""
        while path not in self.next():
            pass

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()
        self._connection.close()


def touch(file: Path) -> None:
    """What an editor does that writes a new file in the old one's place."""
    new = file.with_name(".new")
    new.write_bytes(file.read_bytes() + b" ")
    new.rename(file)


# ------------------------------------------------------------ the script in pages

def test_html_has_the_script_and_the_file_has_not(directory: Path) -> None:
    with reloading(directory) as server:
        response = get(server, "/page.html")
        assert response.body == PAGE + TAG.encode() and b"EventSource" in response.body
        assert (directory / "page.html").read_bytes() == PAGE
        assert response.header("content-length") == str(len(response.body))
        assert get(server, "/page.html", f"If-None-Match: {response.header('etag')}").status == 304
        assert get(server, "/page.html", "Range: bytes=-9").body == TAG.encode()[-9:]
        with RawClient(server.port) as client:
            assert send(client, "HEAD", "/page.html").header("content-length") == str(len(response.body))
        (directory / "index.html").write_bytes(PAGE)
        for target in ("/", "/sub/", "/nothing"):
            assert get(server, target).body.count(b"EventSource") == 1
        for target in ("/hello.txt", "/style.css", "/sub/?format=json", "/style.css?x", "/sub"):
            assert b"EventSource" not in get(server, target).body
        with RawClient(server.port) as client:
            response = client.send(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").read_response()
            assert response.status == 421 and b"EventSource" not in response.body


def test_never_without_the_flag(directory: Path) -> None:
    site = Site(directory, SiteOptions())
    with serving(site.handle) as server:
        for target in ("/page.html", "/", "/nothing"):
            assert b"EventSource" not in get(server, target).body
        assert get(server, RELOAD_PATH).status == 404


def test_a_page_that_is_compressed_on_disk(directory: Path) -> None:
    """What is sent is the page with its script, compressed for a client that takes that."""
    for ending in ("gz", "br"):
        (directory / f"page.html.{ending}").write_bytes(gzip.compress(PAGE))
    (directory / "style.css.gz").write_bytes(gzip.compress(b"packed"))
    with reloading(directory) as server:
        assert get(server, "/page.html").body == PAGE + TAG.encode()
        response = get(server, "/page.html", "Accept-Encoding: gzip, br")
        assert response.header("content-encoding") == "gzip"
        assert gzip.decompress(response.body) == PAGE + TAG.encode()
        assert response.header("vary") == "Accept-Encoding"
        assert gzip.decompress(get(server, "/style.css", "Accept-Encoding: gzip").body) == b"packed"


@pytest.mark.parametrize("size", [0, 65_000, 300_000])
def test_pages_of_any_size(directory: Path, size: int) -> None:
    content = b"<p>" * (size // 3)
    (directory / "page.html").write_bytes(content)
    with reloading(directory) as server:
        assert get(server, "/page.html").body == content + TAG.encode()
        part = get(server, "/page.html", f"Range: bytes=0-{max(len(content) - 1, 0)}")
        assert part.status == 206 and part.body == (content or TAG.encode()[:1])


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be"])
def test_a_page_in_another_charset(directory: Path, charset: str) -> None:
    (directory / "page.html").write_bytes("\ufeff<p>Höme".encode(charset))
    with reloading(directory) as server:
        assert get(server, "/page.html").body.decode(charset) == "\ufeff<p>Höme" + TAG


POLICIES = [
    ("default-src 'none'", "default-src 'none'; script-src HASH; connect-src 'self'"),
    ("script-src 'self'; img-src *", "script-src 'self' HASH; img-src *"),
    ("Script-Src 'none'", "script-src HASH"),
    ("script-src-elem 'self'; script-src 'none'", "script-src-elem 'self' HASH; script-src 'none'"),
    ("default-src 'self' a.example", "default-src 'self' a.example; script-src 'self' a.example HASH"),
    ("script-src 'unsafe-inline'; connect-src b.example", "script-src 'unsafe-inline'; connect-src b.example 'self'"),
    ("script-src 'unsafe-inline' 'nonce-x'", "script-src 'unsafe-inline' 'nonce-x' HASH"),
    ("connect-src *", "connect-src *"), ("img-src a.example;; ", "img-src a.example"), ("", ""),
    ("script-src a; script-src b", "script-src a HASH"),
]


@pytest.mark.parametrize(("policy", "expected"), POLICIES)
def test_policies_let_it_run(policy: str, expected: str) -> None:
    """And are otherwise what they were (Content Security Policy 3)."""
    found = with_script_allowed(policy)
    assert found == expected.replace("HASH", SCRIPT.source)
    assert with_script_allowed(found) == found


def test_the_policies_that_are_sent(directory: Path) -> None:
    with reloading(directory, fields={"content-security-policy": "script-src 'self'"}) as server:
        assert get(server, "/page.html").header("content-security-policy") == f"script-src 'self' {SCRIPT.source}"
        assert get(server, "/hello.txt").header("content-security-policy") == "script-src 'self'"
        for target in ("/", "/nothing"):
            response = get(server, target)
            policy = response.header("content-security-policy") or ""
            assert SCRIPT.source in policy and "connect-src 'self'" in policy and "default-src 'none'" in policy
            assert response.body.count(TAG.encode()) == 1


# ------------------------------------------------------------ the events

def test_who_is_told(directory: Path) -> None:
    """Every page that waits, of every path that was served: files, folders, and what was not there."""
    with reloading(directory) as server:
        for target in ("/page.html", "/style.css?v=1", "/sub/", "/n%C3%B6w.js", "/"):
            get(server, target)
        with Page(server) as one, Page(server) as two:
            assert one.response.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert one.response.headers["content-encoding"] is None
            assert one.next() == two.next() == []
            for change, path in (
                    (lambda: touch(directory / "style.css"), "/style.css"),
                    (lambda: (directory / "page.html").write_bytes(b"<p>"), "/page.html"),
                    (lambda: (directory / "sub" / "new").touch(), "/sub/")):
                change()
                one.await_news_of(path)
                two.await_news_of(path)
            (directory / "nöw.js").touch()
            one.await_news_of("/nöw.js")


def test_what_is_not_served_is_not_looked_at(directory: Path, tmp_path: Path) -> None:
    """Neither what is hidden nor what is outside: no client learns whether it is there."""
    (tmp_path / "secret.txt").touch()
    (directory / "out").symlink_to(tmp_path)
    with reloading(directory) as server:
        for target in ("/.env", "/out/secret.txt", "/out/none", "/../secret.txt", "/page.html"):
            get(server, target)
        with Page(server) as page:
            assert page.next() == []
            (directory / ".env").touch()
            touch(tmp_path / "secret.txt")
            (tmp_path / "none").touch()
            (directory / "page.html").write_bytes(b"<p>")
            assert page.next() == ["/page.html"]


def test_one_that_comes_back_hears_what_it_has_missed(directory: Path) -> None:
    with reloading(directory) as server:
        get(server, "/page.html")
        get(server, "/style.css")
        with Page(server) as page:
            assert page.next() == []
            before = page.last
            touch(directory / "style.css")
            assert page.next() == ["/style.css"]
            last = page.last
        age = "since=100000"
        for query, fields in ((f"{age}&last={before}", {}), (age, {"Last-Event-ID": before}), (age, {})):
            with Page(server, query, **fields) as page:
                assert page.next() == ["/style.css"]
        with Page(server, f"{age}&last={last}") as page:
            assert page.next() == []
        for unknown in ("other-1", "x", "-"):  # of a server that was here before: everything may have changed
            with Page(server, f"{age}&last={unknown}") as page:
                assert page.next() is None and page.last == last


def test_a_page_that_has_the_new_file_is_not_told_of_it(directory: Path) -> None:
    """The change was noticed when it was served again; a page that has the old one is told."""
    with reloading(directory) as server:
        get(server, "/page.html")
        with Page(server, "since=100000") as old:
            assert old.next() == []
            touch(directory / "page.html")
            get(server, "/page.html")
            assert old.next() == ["/page.html"]
            noticed = old.last
        # The page is loaded later than the file was written.
        eventually(lambda: time.time() > (directory / "page.html").stat().st_ctime + 2 * reload_module._TICK)
        with Page(server, "since=0") as new:
            assert new.next() == [] and new.last == noticed


def test_one_thread_and_four_looks_a_second(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    look = reload_module._look

    def noting(file: str) -> object:
        looks.append(time.monotonic())
        return look(file)

    monkeypatch.setattr(reload_module, "_look", noting)
    with reloading(directory) as server:
        get(server, "/hello.txt")
        looks.clear()
        began = time.monotonic()
        pages = [Page(server) for _ in range(5)]
        for page in pages:
            assert page.next() == []
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("blockingio reload") == 1
        eventually(lambda: len(looks) >= 4 * 3)
        for page in pages:
            page.__exit__()
    # A file and its precompressed neighbours are looked at in one go; the first look is at once.
    begins = looks[::4]
    assert len(begins) <= (begins[-1] - began) / reload_module.LOOK_EVERY + 1


def test_pages_that_leave_are_let_go_of(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload_module, "_WORD_EVERY", 0.0)
    with reloading(directory) as server:
        with Page(server) as page:
            assert page.next() == []
            assert server.connections_info().total == 1
        eventually(lambda: not server.connections_info().total)


def test_who_may_ask(directory: Path) -> None:
    with reloading(directory, auth="me:secret") as server:
        assert get(server, RELOAD_PATH).status == 401
        assert b"EventSource" not in get(server, "/page.html").body
    with reloading(directory) as server:
        with RawClient(server.port) as client:
            client.send(f"GET {RELOAD_PATH} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
            assert client.read_response().status == 421
            assert send(client, "HEAD", RELOAD_PATH).status == 503


def test_the_command(directory: Path) -> None:
    """A page that waits does not hold up the end."""
    with Command(directory, "--port", "0", "--quiet", "--reload") as command:
        port = int(command.start(directory).rstrip("/").rpartition(":")[2])
        with RawClient(port) as client:
            assert TAG.encode() in client.get("/page.html").body
            client.send(f"GET {RELOAD_PATH}?since=0 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.read_exactly(15) == b"HTTP/1.1 200 OK"
            began = time.monotonic()
            assert command.interrupt() == (0, "", "")
            assert time.monotonic() - began < GRACE
