"""cli/upload.py: files from forms, never over others."""
from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from blockingio.cli import upload as upload_module
from blockingio.cli.options import make_parser
from blockingio.cli.site import Site, SiteOptions
from blockingio.cli.upload import Saved, clean_name
from blockingio.cli.upload_page import limit_text, receipt_page, upload_form
from blockingio.http_server.listing import Entry, View, select
from blockingio.http_server.listing_page import listing_page
from blockingio.server.thread_pool import ThreadPool
from tests.cli.command import Command
from tests.cli.sites import send, site, temporaries
from tests.peers import PATIENCE, RawClient, eventually, serving

pytestmark = pytest.mark.needs("dir_fd")


def form(*files: tuple[str, bytes], name: str = "file") -> bytes:
    body = b""
    for filename, content in files:
        body += (f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
                 f"Content-Type: application/octet-stream\r\n\r\n").encode() + content + b"\r\n"
    return body + b"--b--\r\n"


FORM = "Content-Type: multipart/form-data; boundary=b"
JSON = "Accept: application/json"


def test_the_form_is_on_the_listing(directory: Path) -> None:
    with site(directory, upload=True) as client:
        html = client.get("/").body
        assert b'<form method="post" enctype="multipart/form-data">' in html
        assert b'<input type="file" name="file" multiple' in html
    with site(directory) as client:
        assert b'<form method="post"' not in client.get("/").body
        assert send(client, "POST", "/", FORM, body=form(("a", b"x"))).status == 405


def test_a_page_of_five_thousand_with_the_form_is_small() -> None:
    entries = [Entry(f"file-{number:04}.txt", False, 1_234_567, 784111777 + number) for number in range(5000)]
    html = listing_page("site", ("sub",), select(entries, View()), extra=upload_form(1 << 30))
    assert len(html.encode()) < 350_000


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


def test_a_script_is_told_what_was_saved(directory: Path) -> None:
    """And of what was not, why, in the words of the page."""
    with site(directory, upload=True, max_upload=3000) as client:
        response = send(client, "POST", "/", FORM, JSON, body=form(("hello.txt", bytes(1500)), ("a: ö.txt", bytes(3))))
        assert (response.status, response.header("content-type")) == (201, "application/json; charset=utf-8")
        assert json.loads(response.body) == {"saved": [
            {"name": "hello (1).txt", "size": 1500, "url": "hello%20(1).txt"},
            {"name": "a: ö.txt", "size": 3, "url": "./a:%20%C3%B6.txt"}]}
        for target, fields, body, status, said in (
                ("/", FORM, form(("a", bytes(3001))), 413,
                 "What was sent for / is larger than is taken here: 3.0 kB at most."),
                ("/sub/x/", FORM, form(("a", b"x")), 404,
                 "There is no folder here that is called /sub/x/, so nothing can be saved in it."),
                ("/sub/", "X: y", b"", 415, "What was sent for /sub/ was not taken: "
                                            "expected a form with files, or a file with its name in Slug.")):
            response = send(client, "POST", target, fields, JSON, body=body)
            assert response.header("content-type") == "application/json; charset=utf-8"
            assert (response.status, json.loads(response.body)) == (status, {"status": status, "message": said})


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


@pytest.mark.parametrize(("size", "text"), [(0, "0 bytes"), (1, "1 byte"), (3001, "3.0 kB, 3,001 bytes")])
def test_sizes_on_a_receipt(size: int, text: str) -> None:
    assert f"<dd>{text}</dd>" in receipt_page([Saved("a", "a", size, "0" * 64)])


@pytest.mark.parametrize(("filename", "name"), [
    ("a.txt", "a.txt"), ("../../a.txt", "a.txt"), ("C:\\x\\a.txt", "a.txt"), ("/etc/passwd", "passwd"),
    ("..", "upload"), (". .x", "x"),
    ("...", "upload"), (".", "upload"), ("/", "upload"), ("", "upload"), (".bashrc", "bashrc"), (" a ", "a"),
    ("a\r\n\0b\x7f.txt", "ab.txt"), ("ü" * 200 + ".txt", "ü" * 118 + ".txt"), ("x." + "y" * 300, "upload"),
    ("a b&<>\"'.txt", "a b&<>\"'.txt"), ("\udcff", "\udcff"),
    ("a\x9b31mb\x85.txt", "a31mb.txt"), ("a\u202egnp.exe", "agnp.exe"), ("\u2067\u200ea\u2028b\ufeff", "ab"),
    ("\u202e.bashrc", "bashrc"), ("\u202e..\u202c", "upload"), ("\u061c", "upload"), ("👩\u200d💻.txt", "👩\u200d💻.txt"),
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
    # A form on a foreign page, posted by a browser.
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
    (errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EACCES, 403), (errno.EROFS, 403)])
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


def test_what_fails_here_is_a_page_too(directory: Path, monkeypatch: pytest.MonkeyPatch,
                                       caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", fail)
    with site(directory, upload=True) as client:
        response = send(client, "POST", "/sub/", FORM, body=form(("a.txt", b"x")))
        assert response.status == 500 and b"The server failed at /sub/." in response.body
        assert b'<a href="/">Back to the list</a>' in response.body
    assert "Input/output error" in caplog.text


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


def test_many_of_one_name_are_found_a_name_in_few_steps(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All uploads wait meanwhile; and the numbers have no gaps."""
    looks: list[str] = []
    exists = upload_module._exists

    def looked(name: str, directory: int) -> bool:
        looks.append(name)
        return exists(name, directory)

    monkeypatch.setattr(upload_module, "_exists", looked)
    with site(directory, upload=True) as client:
        assert send(client, "POST", "/", FORM, body=form(*(("same.txt", b"") for _ in range(200)))).status == 303
    assert sorted(name for name in os.listdir(directory) if name.startswith("same")) == sorted(
        ["same.txt", *(f"same ({number}).txt" for number in range(1, 200))])
    assert len(looks) < 200 * 20


# ------------------------------------------------------------ how much

HEAD = f"POST / HTTP/1.1\r\nHost: localhost\r\n{FORM}\r\n"


def test_what_is_too_large_is_refused_before_it_comes(directory: Path) -> None:
    with site(directory, upload=True, max_upload=5_000_000) as client:
        client.send(f"{HEAD}Expect: 100-continue\r\nContent-Length: 5100000\r\n\r\n".encode())
        response = client.read_response()
        assert response.status == 413  # and no 100 before it
        assert b"<p>What was sent for / is larger than is taken here: 5.0 MB at most.</p>" in response.body
    with site(directory, upload=True, max_upload=5_000_000) as client:
        client.send(f"{HEAD}Content-Length: 5100000\r\n\r\n".encode() + bytes(1000))
        assert client.read_response().status == 413
        assert client.is_ended()
    assert sorted(os.listdir(directory)) == ["hello.txt", "sub"]


@pytest.mark.parametrize(("files", "status", "names"), [
    ([("a", bytes(1000))], 303, ["a"]), ([("a", bytes(1001))], 413, []),
    ([("a", bytes(600)), ("b", bytes(400))], 303, ["a", "b"]),
    # What was whole stays, as with any form that breaks.
    ([("a", bytes(600)), ("b", bytes(401))], 413, ["a"]), ([("a", bytes(3000))], 413, [])])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_files_of_a_form_are_counted(directory: Path, files: list[tuple[str, bytes]], status: int, names: list[str],
                                         chunked: bool) -> None:
    with site(directory, upload=True, max_upload=1000) as client:
        body = form(*files)
        if chunked:
            client.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
        else:
            client.send(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert client.read_response().status == status
    if len(body) < 2000:  # else it was not read at all
        assert sorted({*os.listdir(directory)} - {"hello.txt", "sub"}) == names
    assert not temporaries(directory)


def test_a_field_without_end_is_no_way_around(directory: Path) -> None:
    """What is no file is read away, and counts."""
    with site(directory, upload=True, max_upload=1000) as client:
        client.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        client.send(b'50\r\n--b\r\nContent-Disposition: form-data; name="note"\r\n\r\n'.ljust(84, b"x") + b"\r\n")
        client.send(b"1000\r\n" + bytes(0x1000) + b"\r\n")
        assert client.read_response().status == 413


@pytest.mark.parametrize(("most", "text"), [
    (1 << 30, "1 GiB"), (5 << 40, "5 TiB"), (1536 << 20, "1536 MiB"), (1024, "1 KiB"), (1000, "1.0 kB"), (1, "1 B"),
    (1_500_000_000, "1.5 GB")])
def test_the_limit_in_words(most: int, text: str) -> None:
    assert limit_text(most) == text


# ------------------------------------------------------------ who

READER, WRITER = "Authorization: Basic cmVhZGVyOnIx", "Authorization: Basic d3JpdGVyOncx"  # reader:r1, writer:w1


@pytest.mark.parametrize(("auth", "upload_auth", "reads", "writes"), [
    (None, "writer:w1", ["", READER, WRITER], [WRITER]), ("reader:r1", "writer:w1", [READER], [WRITER]),
    ("reader:r1", None, [READER], [READER])])
def test_reading_and_handing_in_are_two_things(directory: Path, auth: str | None, upload_auth: str | None,
                                               reads: list[str], writes: list[str]) -> None:
    for options in ({"upload": True}, {"drop": True}):
        with site(directory, auth=auth, upload_auth=upload_auth, **options) as client:
            for given in ("", READER, WRITER):
                fields = [given] if given else []
                response = client.get("/", *fields)
                assert response.status == (200 if given in reads else 401)
                if given not in reads:
                    assert response.header("www-authenticate") == 'Basic realm="files", charset="UTF-8"'
                response = send(client, "POST", "/", FORM, JSON, *fields, body=form(("x", b"x")))
                assert response.status == (201 if given in writes else 401)
                if given not in writes:
                    realm = "files" if upload_auth is None else "uploads"
                    assert response.header("www-authenticate") == f'Basic realm="{realm}", charset="UTF-8"'
                    assert "POST / needs a user and a password" in json.loads(response.body)["message"]


# ------------------------------------------------------------ a letterbox

def test_a_letterbox_lists_and_serves_nothing(directory: Path) -> None:
    (directory / "index.html").write_text("<p>Home</p>")
    (directory / ".well-known").mkdir()
    with site(directory, drop=True, dotfiles=True) as client:
        page = client.get("/")
        assert page.status == 200 and b"<h1>Hand in files</h1>" in page.body and b'type="file"' in page.body
        for target in ("/?zip", "/?format=json", "/?sort=size", "//", "/./"):
            assert client.get(target, JSON).body == page.body
        # What is there cannot be told from what is not.
        answers = {name: client.get(f"/{name}") for name in (
            "hello.txt", "sub", "sub/", "index.html", "nothing", "nothing/", ".well-known/", "sub/?zip", "hello.txt/")}
        assert {answer.status for answer in answers.values()} == {404}
        assert len({answer.body.replace(f"/{name}.".encode(), b"") for name, answer in answers.items()
                    if "?" not in name}) == 1
        assert b'<a href="/">Back to the start</a>' in answers["sub/"].body
        assert send(client, "HEAD", "/hello.txt").status == 404
        assert send(client, "PUT", "/").header("allow") == "GET, HEAD, POST"
        for target in ("/sub/", "/nothing/", "/hello.txt", "/.well-known/"):
            assert send(client, "POST", target, FORM, body=form(("x", b"x"))).status == 404
    assert not list(directory.rglob("x"))


def test_each_file_gets_a_receipt(directory: Path) -> None:
    """It has the name that was sent: the one that the file got would tell what is there."""
    content = os.urandom(100_000)
    digest = hashlib.sha256(content).hexdigest()
    with site(directory, drop=True) as client:
        response = send(client, "POST", "/", FORM, body=form(("hello.txt", content), ("<b>.txt", b"")))
        assert response.status == 201 and response.header("cache-control") == "no-store"
        html = response.body.decode()
        assert "<h1>Receipt</h1>" in html and "2 files" in html and 'href="./"' in html
        assert "<dt>hello.txt</dt>" in html and "100 kB, 100,000 bytes" in html and digest in html
        assert "&lt;b&gt;.txt" in html and hashlib.sha256().hexdigest() in html and "<script" not in html
        response = send(client, "POST", "/", FORM, JSON, body=form(("hello.txt", content)))
        assert response.status == 201
        assert json.loads(response.body) == {"saved": [{"name": "hello.txt", "size": 100_000, "sha256": digest}]}
    assert (directory / "hello.txt").read_text() == "Hello, world!"
    for name in ("hello (1).txt", "hello (2).txt"):
        assert (directory / name).read_bytes() == content


# ------------------------------------------------------------ the command

def test_the_command_as_a_letterbox(directory: Path) -> None:
    with Command(directory, "--bind", "0.0.0.0", "--port", "0", "--quiet", "--drop", "--max-upload", "2K") as command:
        url = command.start(directory)
        assert requests.get(url + "hello.txt", timeout=PATIENCE).status_code == 404
        for size, status in ((2048, 201), (2049, 413)):
            files = {"file": ("a.txt", bytes(size))}
            answer = requests.post(url, files=files, timeout=PATIENCE)
            assert answer.status_code == status
            assert ("2 KiB at most" in answer.text) == (status == 413)
        status, _, errors = command.interrupt()
    assert status == 0
    assert "each of up to 2 KiB" in errors and "--upload-auth USER:PASSWORD" in errors
    assert (directory / "a.txt").read_bytes() == bytes(2048)


@pytest.mark.parametrize(("text", "size"), [
    ("1", 1), ("1B", 1), ("500M", 500 << 20), ("2g", 2 << 30), ("1TiB", 1 << 40), ("3kB", 3000), ("3KB", 3000),
    ("3K", 3072), ("0", None), ("", None), ("-1", None), ("1.5G", None), ("G", None), ("1 G", None), ("1iB", None),
    ("²", None), ("1" * 16, None)])
def test_sizes(directory: Path, text: str, size: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(directory), f"--max-upload={text}"]
    if size is not None:
        assert make_parser({}).parse_args(arguments).max_upload == size
        return
    with pytest.raises(SystemExit) as caught:
        make_parser({}).parse_args(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"argument --max-upload: expected a size as 500M or 2G, found {text!r}\n")
