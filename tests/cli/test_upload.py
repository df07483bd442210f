"""cli/upload.py: files from forms, never over others."""
from __future__ import annotations

import errno
import gzip
import os
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from blockingio.cli import upload as upload_module
from blockingio.cli.site import Site, SiteOptions
from blockingio.cli.upload import clean_name
from blockingio.server.thread_pool import ThreadPool
from tests.cli.sites import make_directory, send, site
from tests.peers import PATIENCE, RawClient, eventually, serving


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_directory(tmp_path)


def form(*files: tuple[str, bytes], name: str = "file") -> bytes:
    body = b""
    for filename, content in files:
        body += (f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
                 f"Content-Type: application/octet-stream\r\n\r\n").encode() + content + b"\r\n"
    return body + b"--b--\r\n"


FORM = "Content-Type: multipart/form-data; boundary=b"


def test_the_form_is_on_the_listing(directory: Path) -> None:
    with site(directory, upload=True) as client:
        html = client.get("/").body
        assert b'<form method="post" enctype="multipart/form-data">' in html
        assert b'<input type="file" name="file" multiple' in html
    with site(directory) as client:
        assert b'<form method="post"' not in client.get("/").body
        assert send(client, "POST", "/", FORM, body=form(("a", b"x"))).status == 405


def test_uploads(directory: Path) -> None:
    content = os.urandom(300_000)
    with site(directory, upload=True) as client:
        response = send(client, "POST", "/", FORM, body=form(("a.bin", content), ("b c.txt", b"")))
        assert (response.status, response.header("location")) == (303, "/")
        assert (directory / "a.bin").read_bytes() == content
        assert (directory / "b c.txt").read_bytes() == b""
        response = send(client, "POST", "/sub/", FORM, body=form(("a.bin", b"sub")))
        assert (response.status, response.header("location")) == (303, "/sub/")
        assert (directory / "sub" / "a.bin").read_bytes() == b"sub"
        assert client.get("/a.bin").body == content
        assert {name for name in os.listdir(directory) if name.startswith(".")} == set()


def test_an_upload_by_requests(directory: Path) -> None:
    with serving(Site(directory, SiteOptions(upload=True)).handle) as server:
        url = f"http://127.0.0.1:{server.port}/"
        files = [("file", ("Grüße €.txt", "text")), ("note", ("", "no file"))]
        response = requests.post(url, files=files, timeout=PATIENCE)
        assert response.status_code == 200
        assert "Grüße €.txt" in response.text
    assert (directory / "Grüße €.txt").read_text() == "text"


@pytest.mark.parametrize("links", [True, False], ids=["with hard links", "without hard links"])
def test_an_upload_never_overwrites(directory: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    (directory / "dangling.txt").symlink_to("nowhere")
    with site(directory, upload=True) as client:
        for name in ("hello.txt", "hello.txt", "sub", "dangling.txt", "no-extension", "no-extension"):
            assert send(client, "POST", "/", FORM, body=form((name, b"new"))).status == 303
    assert (directory / "hello.txt").read_text() == "Hello, world!"
    assert not (directory / "nowhere").exists()
    assert sorted(os.listdir(directory)) == sorted(
        ["hello.txt", "hello (1).txt", "hello (2).txt", "sub", "sub (1)", "dangling.txt", "dangling (1).txt",
         "no-extension", "no-extension (1)"])
    assert (directory / "sub (1)").read_bytes() == b"new"


def test_an_upload_beside_a_file_is_not_sent_in_its_place(directory: Path) -> None:
    (directory / "app.js").write_text("mine")
    forged = gzip.compress(b"theirs")
    with site(directory, upload=True) as client:
        assert send(client, "POST", "/", FORM, body=form(("app.js.gz", forged))).status == 303
        response = client.get("/app.js", "Accept-Encoding: gzip")
        assert (response.body, response.header("content-encoding")) == (b"mine", None)
        assert client.get("/app.js.gz", "Accept-Encoding: gzip").body == forged
    with site(directory) as client:
        assert client.get("/app.js", "Accept-Encoding: gzip").header("content-encoding") == "gzip"


@pytest.mark.parametrize("dotfiles", [False, True])
def test_uploads_into_directories_that_are_hidden(directory: Path, dotfiles: bool) -> None:
    for name in (".git/hooks", ".well-known"):
        (directory / name).mkdir(parents=True)
    with site(directory, upload=True, dotfiles=dotfiles) as client:
        for target, status in (("/.git/hooks/", 404), ("/%2egit/", 404), ("/.well-known/", 403)):
            assert send(client, "POST", target, FORM, body=form(("x", b"x"))).status == (303 if dotfiles else status)
    assert bool(list(directory.rglob("x"))) == dotfiles


def test_many_uploads_of_one_name_at_once(directory: Path) -> None:
    with serving(Site(directory, SiteOptions(upload=True)).handle, workers=4) as server:
        def upload(number: int) -> None:
            with RawClient(server.port) as client:
                body = form(("x.txt", b"%d" % number * 1000))
                assert send(client, "POST", "/", FORM, body=body).status == 303

        threads = [threading.Thread(target=upload, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    found = {file.read_bytes() for file in directory.glob("x*.txt")}
    assert found == {b"%d" % number * 1000 for number in range(8)}


@pytest.mark.parametrize(("filename", "name"), [
    ("a.txt", "a.txt"), ("../../a.txt", "a.txt"), ("C:\\x\\a.txt", "a.txt"), ("/etc/passwd", "passwd"),
    ("..", "upload"),
    ("...", "upload"), (".", "upload"), ("/", "upload"), ("", "upload"), (".bashrc", "bashrc"), (" a ", "a"),
    ("a\r\n\0b\x7f.txt", "ab.txt"), ("ü" * 200 + ".txt", "ü" * 118 + ".txt"), ("x." + "y" * 300, "upload"),
    ("a b&<>\"'.txt", "a b&<>\"'.txt"), ("\udcff", "\udcff"),
])
def test_names_of_uploads(filename: str, name: str) -> None:
    assert clean_name(filename) == name
    assert len(os.fsencode(clean_name(filename))) <= 240


@pytest.mark.parametrize(("target", "fields", "body", "status"), [
    ("/", [FORM], b"", 400),
    ("/", [FORM], b"--b--", 400),
    ("/", [FORM], form(("", b"x")), 400),
    ("/", [FORM], form(("a.txt", b"x" * 1000))[:500], 400),
    ("/", ["Content-Type: multipart/form-data"], b"--b--", 400),
    ("/", ["Content-Type: text/plain"], b"x", 415),
    ("/", [], b"", 415),
    ("/nothing/", [FORM], form(("a.txt", b"x")), 404),
    ("/../", [FORM], form(("a.txt", b"x")), 404),
    ("/hello.txt", [FORM], form(("a.txt", b"x")), 405),
    ("/sub", [FORM], form(("a.txt", b"x")), 405),
    ("/out/", [FORM], form(("a.txt", b"x")), 404),
    # A form on somebody else's page, posted by a browser.
    ("/", [FORM, "Origin: http://evil.example"], form(("a.txt", b"x")), 403),
    ("/", [FORM, "Origin: null"], form(("a.txt", b"x")), 403),
    ("/", [FORM, "Origin: http://localhost:1"], form(("a.txt", b"x")), 403),
    ("/", [FORM, "Sec-Fetch-Site: cross-site"], form(("a.txt", b"x")), 403),
    ("/", [FORM, "Origin: http://localhost", "Sec-Fetch-Site: same-origin"], form(("a.txt", b"x")), 303),
])
def test_uploads_that_are_refused(directory: Path, target: str, fields: list[str], body: bytes,
                                  status: int) -> None:
    (directory / "out").symlink_to("..")
    with site(directory, upload=True) as client:
        assert send(client, "POST", target, *fields, body=body).status == status
    assert sorted(os.listdir(directory)) == sorted(["hello.txt", "out", "sub"] + ["a.txt"] * (status == 303))
    assert os.listdir(directory.parent) == ["site"]


@pytest.mark.parametrize(("number", "status"), [
    (errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EACCES, 403)])
def test_a_disk_that_takes_no_more(directory: Path, monkeypatch: pytest.MonkeyPatch, number: int,
                                   status: int) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    with site(directory, upload=True) as client:
        assert send(client, "POST", "/", FORM, body=form(("a.txt", b"x"))).status == status
    assert sorted(os.listdir(directory)) == ["hello.txt", "sub"]


def test_an_upload_that_breaks_off_leaves_nothing(directory: Path) -> None:
    body = form(("a.bin", bytes(200_000)))
    with serving(Site(directory, SiteOptions(upload=True)).handle) as server:
        with RawClient(server.port) as client:
            head = f"POST / HTTP/1.1\r\nHost: localhost\r\n{FORM}\r\nContent-Length: {len(body)}\r\n\r\n"
            client.send(head.encode() + body[:150_000])
            # It has a name of its own while it comes, a hidden one.
            names = eventually(lambda: set(os.listdir(directory)) - {"hello.txt", "sub"})
            assert all(name.startswith(".") for name in names)
        eventually(lambda: sorted(os.listdir(directory)) == ["hello.txt", "sub"])


def upload(filename: str, content: bytes) -> bytes:
    """A whole request."""
    body = form((filename, content))
    return f"POST / HTTP/1.1\r\nHost: localhost\r\n{FORM}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def begin_upload(client: RawClient) -> bytes:
    """Send all of a form but its end, which this gives."""
    request = upload("a.bin", bytes(1000))
    client.send(request[:-500])
    return request[-500:]


def temporaries(directory: Path) -> list[str]:
    return [name for name in os.listdir(directory) if name.startswith(".")]


def test_uploads_that_are_slow_hold_up_nobody(directory: Path) -> None:
    """There is one worker, and many who have yet to send the rest."""
    with serving(Site(directory, SiteOptions(upload=True)).handle, workers=1) as server, ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.port)) for _ in range(20)]
        ends = [begin_upload(client) for client in clients]
        with RawClient(server.port) as client:
            assert client.get("/hello.txt").body == b"Hello, world!"
        eventually(lambda: len(temporaries(directory)) == 20)
        with RawClient(server.port) as client:
            assert client.get("/hello.txt").body == b"Hello, world!"
        for client, end in zip(clients, ends):
            assert client.send(end).read_response().status == 303
    assert len(list(directory.glob("a*.bin"))) == 20
    eventually(lambda: not temporaries(directory))


def test_no_thread_for_an_upload(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    site = Site(directory, SiteOptions(upload=True))
    with monkeypatch.context() as patch, serving(site.handle) as server, RawClient(server.port) as client:
        assert client.get("/hello.txt").status == 200  # it has its thread
        patch.setattr(ThreadPool, "run", refuse)
        assert send(client, "POST", "/", FORM, body=form(("a", b"x"))).status == 503


@pytest.mark.parametrize("dotfiles", [False, True])
def test_what_is_half_there_cannot_be_fetched(directory: Path, dotfiles: bool) -> None:
    site = Site(directory, SiteOptions(upload=True, dotfiles=dotfiles))
    with serving(site.handle) as server, RawClient(server.port) as sending, RawClient(server.port) as client:
        end = begin_upload(sending)
        name, = eventually(lambda: temporaries(directory))
        for target in (f"/{name}", f"/{name.upper()}", f"/%2E{name[1:]}", f"/{name}/"):
            assert client.get(target).status == 404
        assert name.encode() not in client.get("/").body
        assert sending.send(end).read_response().status == 303


def test_the_end_of_the_program_leaves_nothing_half(directory: Path) -> None:
    site = Site(directory, SiteOptions(upload=True))
    with serving(site.handle) as server, RawClient(server.port) as client, RawClient(server.port) as late:
        end = begin_upload(client)
        eventually(lambda: temporaries(directory))
        site.close()
        site.close()
        assert sorted(os.listdir(directory)) == ["hello.txt", "sub"]
        assert client.send(end).read_response().status == 400
        assert late.send(upload("b.txt", b"x")).read_response().status == 400
    assert sorted(os.listdir(directory)) == ["hello.txt", "sub"]


def test_a_name_that_cannot_be_taken_leaves_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hard links an empty file takes the name first: it goes again where no more comes."""
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(os, "replace", full)
    with site(directory, upload=True) as client:
        assert send(client, "POST", "/", FORM, body=form(("a.txt", b"x"))).status == 507
    assert sorted(os.listdir(directory)) == ["hello.txt", "sub"]


@pytest.mark.parametrize("name", ["index.html", "INDEX.HTML", "index.h\u200dtml"])
def test_no_upload_stands_in_for_a_listing(directory: Path, name: str) -> None:
    """Nor, in a single-page application, for all that is not there."""
    for options in ({}, {"spa": True, "index_page": False}):
        with site(directory, upload=True, **options) as client:
            assert send(client, "POST", "/", FORM, body=form((name, b"theirs"))).status == 303
            assert b"Index of" in client.get("/").body
            assert client.get("/nothing").status == 404
        assert not (directory / name).exists()
    with site(directory, upload=True, index_page=False) as client:
        assert send(client, "POST", "/", FORM, body=form((name, b"mine"))).status == 303
    assert (directory / name).read_bytes() == b"mine"


def test_names_run_out(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_module, "_MAX_COPIES", 2)
    (directory / "hello (1).txt").write_text("")
    site = Site(directory, SiteOptions(upload=True))
    with serving(site.handle) as server, RawClient(server.port) as client:
        assert send(client, "POST", "/", FORM, body=form(("hello.txt", b"x"))).status == 409
    assert not [name for name in os.listdir(directory) if name.startswith(".")]
