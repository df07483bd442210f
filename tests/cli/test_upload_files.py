"""Files that come as they are, without a form: by POST with a name in Slug, and by PUT to the path that they get."""
from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from blockingio import WireRecord
from blockingio.cli.site import Site, SiteOptions
from blockingio.net import system
from tests.cli.command import Command
from tests.cli.sites import send, site, temporaries
from tests.peers import PATIENCE, RawClient, RawResponse, TlsContexts, eventually, serving

pytestmark = pytest.mark.needs("dir_fd")

CONTENT = os.urandom((3 << 20) + 1)
SIZES = (0, 1, 64 << 10, len(CONTENT))
ALL_THERE = ["hello.txt", "sub"]


def head(method: str, target: str, size: int | None, *fields: str) -> bytes:
    """``size`` None: chunked."""
    framing = "Transfer-Encoding: chunked" if size is None else f"Content-Length: {size}"
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", framing, *fields, "", ""]).encode("latin-1")


def saved(response: RawResponse) -> dict[str, object]:
    """What the answer says of the one file."""
    assert (response.status, response.header("content-type")) == (201, "application/json; charset=utf-8"), response
    assert response.header("cache-control") == "no-store"
    file, = json.loads(response.body)["saved"]
    assert isinstance(file, dict)
    return file


def message(response: RawResponse) -> str:
    text = json.loads(response.body)["message"]
    assert isinstance(text, str)
    return text


# ------------------------------------------------------------ what comes is what is saved

@pytest.mark.parametrize("how", ["plain", "TLS", "chunked", "told"])
def test_byte_for_byte(how: str, directory: Path, tls_contexts: TlsContexts) -> None:
    """Each with another request right behind it, which is answered."""
    told: list[WireRecord] = []
    server_context, context = (tls_contexts.server, tls_contexts.client) if how == "TLS" else (None, None)
    with serving(Site(directory, SiteOptions(upload=True)).handle, context=server_context,
                 wire_log=told.append if how == "told" else None) as server:
        with RawClient(server.port, context=context) as client:
            sent = b""
            for size in SIZES:
                for method, target, fields in (("POST", "/sub/", [f"Slug: {size}.POST"]), ("PUT", f"/sub/{size}.PUT", [])):
                    name, content = f"{size}.{method}", CONTENT[:size]
                    if how == "chunked":
                        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (
                            content[:100], content[100:]) if piece)
                        request = head(method, target, None, *fields) + chunks + b"0\r\n\r\n"
                    else:
                        request = head(method, target, size, *fields) + content
                    request += b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    client.send(request)
                    response = client.read_response()
                    assert saved(response) == {"name": name, "size": size, "url": name}
                    assert response.header("location") == f"/sub/{name}"
                    assert client.read_response().body == b"Hello, world!"
                    assert (directory / "sub" / name).read_bytes() == content
                    sent += request
    assert len(os.listdir(directory / "sub")) == 2 * len(SIZES)
    assert b"".join(record.data for record in told if record.direction == "in") == (sent if how == "told" else b"")


def test_by_requests(directory: Path) -> None:
    """As ``curl -T`` and programs do it, with a file, and with a stream that says no length."""
    with serving(Site(directory, SiteOptions(upload=True)).handle) as server:
        url = f"http://127.0.0.1:{server.port}/sub/"
        (directory.parent / "file").write_bytes(CONTENT)
        with open(directory.parent / "file", "rb") as file:
            answer = requests.put(url + "Grüße €.bin", data=file, timeout=PATIENCE)
        assert answer.status_code == 201
        assert requests.get(url + "x/..%2F/../" + answer.headers["location"], timeout=PATIENCE).status_code == 404
        assert requests.get(f"http://127.0.0.1:{server.port}{answer.headers['location']}",
                            timeout=PATIENCE).content == CONTENT

        def stream() -> Iterator[bytes]:
            yield from (CONTENT[:10], CONTENT[10:])

        answer = requests.post(url, data=stream(), headers={"Slug": quote("Grüße €.bin")}, timeout=PATIENCE)
        assert answer.json() == {"saved": [{
            "name": "Grüße € (1).bin", "size": len(CONTENT), "url": "Gr%C3%BC%C3%9Fe%20%E2%82%AC%20(1).bin"}]}
        assert requests.get(url + answer.json()["saved"][0]["url"], timeout=PATIENCE).content == CONTENT


# ------------------------------------------------------------ names

@pytest.mark.parametrize(("slug", "name"), [
    ("a.txt", "a.txt"), ("hello.txt", "hello (1).txt"), ("sub", "sub (1)"), ("index.html", "index (1).html"),
    ("h%C3%B6me%20work.txt", "höme work.txt"), ("%E2%82%AC", "€"), ("a b%25.txt", "a b%.txt"), ("100%25", "100%"),
    ("%2e%2E%2f%2Fetc%2Fpasswd", "passwd"), ("C:\\x\\a.txt", "a.txt"), (".bashrc", "bashrc"), ("..", "upload"),
    ("a%0D%0Ab.txt", "ab.txt"), ("a%E2%80%AEgnp.exe", "agnp.exe"), ("%00", "upload"), ("%C3%BC" * 200, "ü" * 120)])
def test_names_in_slug(directory: Path, slug: str, name: str) -> None:
    """Percent-encoded UTF-8 (RFC 5023 9.7); cleaned, and never another's, as those in forms."""
    with site(directory, upload=True) as client:
        response = send(client, "POST", "/", f"Slug: {slug}", body=b"new")
        assert saved(response)["name"] == name
        assert client.get(str(response.header("location"))).body == b"new"
    assert (directory / name).read_bytes() == b"new"
    assert (directory / "hello.txt").read_text() == "Hello, world!"
    assert len(os.listdir(directory)) == 3


@pytest.mark.parametrize("fields", [
    ["Slug: %"], ["Slug: a%2"], ["Slug: a%zz.txt"], ["Slug: %FF"], ["Slug: %C3.txt"], ["Slug: %ED%A0%80"],
    ["Slug: \xc3\xbc.txt"], ["Slug:"], ["Slug: a", "Slug: b"]])
def test_names_in_slug_that_are_none(directory: Path, fields: list[str]) -> None:
    with site(directory, upload=True) as client:
        response = client.send(head("POST", "/", 1, *fields) + b"x").read_response()
        assert response.status == 400
        assert message(response).startswith("What was sent for / was not taken: Slug")
        assert client.get("/hello.txt").status == 200
    assert sorted(os.listdir(directory)) == ALL_THERE


def test_names_in_paths(directory: Path) -> None:
    """The very name, or none."""
    (directory / "dangling").symlink_to("nowhere")
    (directory / ".well-known").mkdir()
    with site(directory, upload=True) as client:
        for target, name in (("/a.txt", "a.txt"), ("/h%C3%B6me%20work.txt", "höme work.txt"), ("/sub/./x", "sub/x"),
                             ("/%FF", os.fsdecode(b"\xff")), ("//b", "b"), ("/sub/index.htm", "sub/index.htm")):
            response = send(client, "PUT", target, body=b"new")
            assert saved(response)["size"] == 3
            assert client.get(str(response.header("location"))).body == b"new"
            assert (directory / name).read_bytes() == b"new"
        there = sorted(directory.rglob("*"))
        for target, status in (
                ("/hello.txt", 409), ("/sub", 409), ("/dangling", 409), ("/index.html", 409), ("/sub/INDEX.HTML", 409),
                ("/sub/", 405), ("/", 405), ("/hello.txt/x", 405), ("/nothing/x", 404), ("/..%2Fx", 404),
                ("/.bashrc", 404), ("/%2ebashrc", 404), ("/.git/config", 404), ("/.well-known", 403),
                ("/.well-known/x", 403), ("/a%0Ab", 403), ("/a%20", 403), ("/%20a", 403), ("/a%5Cb", 403),
                ("/" + "x" * 241, 403), ("/a%E2%80%AEgnp.exe", 403), (f"/.{'0' * 24}.upload", 404)):
            response = send(client, "PUT", target, body=b"new")
            assert (response.status, json.loads(response.body)["status"]) == (status, status), target
            assert response.header("allow") == ("GET, HEAD, POST, PUT" if status == 405 else None)
        assert message(send(client, "PUT", "/hello.txt")) == (
            "The name /hello.txt is taken, and nothing is saved over another.")
    assert sorted(directory.rglob("*")) == there
    assert (directory / "hello.txt").read_text() == "Hello, world!" and not (directory / "nowhere").exists()


def test_hidden_names_stay_so_with_dotfiles(directory: Path) -> None:
    """They are served then, and no upload makes one: what a name does not show is not to be brought in by it."""
    (directory / ".git").mkdir()
    with site(directory, upload=True, dotfiles=True) as client:
        assert send(client, "PUT", "/.git/x", body=b"new").status == 201
        for target in ("/.bashrc", "/.git/.config"):
            assert send(client, "PUT", target, body=b"new").status == 403
    assert (directory / ".git" / "x").read_bytes() == b"new"
    assert os.listdir(directory / ".git") == ["x"] and not (directory / ".bashrc").exists()


@pytest.mark.parametrize(("fields", "new", "old"), [
    (["If-None-Match: *"], 201, 412), (['If-None-Match: "x"'], 201, 409), (["If-Match: *"], 412, 409),
    (['If-Match: "x"'], 412, 409), (["Content-Range: bytes 0-2/5"], 400, 400), (["Content-Encoding: gzip"], 415, 415),
    (["Content-Type: multipart/form-data; boundary=b"], 201, 409), (["Content-Type: nonsense"], 201, 409)])
def test_what_a_put_may_ask_for(directory: Path, fields: list[str], new: int, old: int) -> None:
    with site(directory, upload=True) as client:
        assert send(client, "PUT", "/new.txt", *fields, body=b"new").status == new
        response = send(client, "PUT", "/hello.txt", *fields, body=b"new")
        assert response.status == old
        assert old not in (409, 412) or "The name /hello.txt is taken" in message(response)
        assert client.get("/hello.txt").body == b"Hello, world!"
    assert sorted(os.listdir(directory)) == sorted(ALL_THERE + ["new.txt"] * (new == 201))


def test_a_name_that_is_taken_while_the_file_comes(directory: Path) -> None:
    with site(directory, upload=True) as client:
        for fields, status in (([], 409), (["If-None-Match: *"], 412)):
            client.send(head("PUT", "/a.txt", len(CONTENT), *fields) + CONTENT[:1 << 20])
            eventually(lambda: temporaries(directory))
            (directory / "a.txt").write_text("mine")
            assert client.send(CONTENT[1 << 20:]).read_response().status == status
            assert (directory / "a.txt").read_text() == "mine"
            (directory / "a.txt").unlink()
    assert sorted(os.listdir(directory)) == ALL_THERE


@pytest.mark.parametrize("fields", [
    ["Content-Type: text/plain"], ["Content-Type: application/octet-stream"], [],
    ["Slug: a", "Content-Encoding: gzip"]])
def test_what_is_neither_form_nor_file(directory: Path, fields: list[str]) -> None:
    """A page of another origin can have a browser send text without asking first; that is no upload."""
    with site(directory, upload=True) as client:
        assert send(client, "POST", "/", *fields, body=b"x").status == 415
        assert send(client, "POST", "/", "Slug: a", "Content-Range: bytes 0-0/2", body=b"x").status == 400
    assert sorted(os.listdir(directory)) == ALL_THERE


# ------------------------------------------------------------ how much

@pytest.mark.parametrize(("method", "target", "fields"), [("POST", "/", ["Slug: a"]), ("PUT", "/a", [])])
def test_what_is_too_large(directory: Path, method: str, target: str, fields: list[str]) -> None:
    """Refused before it comes where it says so, else as soon as it is."""
    with site(directory, upload=True, max_upload=1_000_000) as client:
        client.send(head(method, target, 1_000_001, "Expect: 100-continue", *fields))
        response = client.read_response()
        assert response.status == 413  # and no 100 before it
        assert message(response) == f"What was sent for {target} is larger than is taken here: 1.0 MB at most."
    with site(directory, upload=True, max_upload=1_000_000) as client:
        client.send(head(method, target, None, *fields) + b"F4241\r\n" + CONTENT[:1_000_001])
        assert client.read_response().status == 413
    assert sorted(os.listdir(directory)) == ALL_THERE
    with site(directory, upload=True, max_upload=1_000_000) as client:
        client.send(head(method, target, 1_000_000, "Expect: 100-continue", *fields))
        assert client.read_response().status == 100
        assert client.send(CONTENT[:1_000_000]).read_response().status == 201
    assert (directory / "a").read_bytes() == CONTENT[:1_000_000]


@pytest.mark.parametrize("size", [1000, len(CONTENT)])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_takes_no_more(directory: Path, monkeypatch: pytest.MonkeyPatch, number: int, size: int,
                                   caplog: pytest.LogCaptureFixture) -> None:
    """Found by the system inside itself, or when the file gets its name."""
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    takes = system.splice

    def splice(source: int, destination: int, count: int) -> int:
        if os.path.isfile(f"/proc/self/fd/{destination}"):
            refuse()
        assert takes is not None
        return takes(source, destination, count)

    monkeypatch.setattr(os, "link", refuse)
    if takes is not None:
        monkeypatch.setattr(system, "splice", splice)
    with site(directory, upload=True) as client:
        client.send(head("PUT", "/a.txt", size) + CONTENT[:min(size, 1 << 20)])
        response = client.read_response() if size == 1000 or takes is not None else client.send(
            CONTENT[1 << 20:]).read_response()
        assert response.status == (500 if number == errno.EIO else 507)
        assert json.loads(response.body)["status"] == response.status
    assert ("Input/output error" in caplog.text) == (number == errno.EIO)
    assert sorted(os.listdir(directory)) == ALL_THERE


# ------------------------------------------------------------ clients that are slow, or go

@pytest.mark.parametrize("arrived", [10, 1 << 20])
def test_a_client_that_goes_leaves_nothing(directory: Path, arrived: int) -> None:
    with serving(Site(directory, SiteOptions(upload=True)).handle) as server:
        for request in (head("POST", "/", len(CONTENT), "Slug: a"), head("PUT", "/a", len(CONTENT)),
                        head("PUT", "/a", None) + b"FFFFFF\r\n"):
            with RawClient(server.port) as client:
                client.send(request + CONTENT[:arrived])
                eventually(lambda: temporaries(directory))
            eventually(lambda: not temporaries(directory))
    assert sorted(os.listdir(directory)) == ALL_THERE


@pytest.mark.parametrize("limits", [{"body_timeout": 0.2}, {"body_timeout": None, "min_body_rate": 1 << 30}],
                         ids=["gap", "rate"])
def test_a_client_that_stops_is_told_so(directory: Path, limits: dict[str, Any], monkeypatch: pytest.MonkeyPatch
                                        ) -> None:
    monkeypatch.setattr("blockingio.server.pace.BODY_GRACE", 0.2)
    with serving(Site(directory, SiteOptions(upload=True)).handle, **limits) as server:
        for arrived in (10, 1 << 20):
            with RawClient(server.port) as client:
                client.send(head("PUT", "/a", len(CONTENT)) + CONTENT[:arrived])
                response = client.read_response()
                assert (response.status, response.header("connection")) == (408, "close")
                assert json.loads(response.body)["status"] == 408
            assert sorted(os.listdir(directory)) == ALL_THERE


def test_those_that_are_slow_hold_up_nobody(directory: Path) -> None:
    """There is one worker, and five have yet to send the rest."""
    with serving(Site(directory, SiteOptions(upload=True)).handle, workers=1) as server, ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.port)) for _ in range(5)]
        for client in clients:
            client.send(head("POST", "/", len(CONTENT), "Slug: a") + CONTENT[:1 << 20])
        eventually(lambda: len(temporaries(directory)) == 5)
        with RawClient(server.port) as client:
            assert client.get("/hello.txt").body == b"Hello, world!"
        for client in clients:
            assert client.send(CONTENT[1 << 20:]).read_response().status == 201
    assert [file.read_bytes() == CONTENT for file in directory.glob("a*")] == [True] * 5


def test_the_end_of_the_program_leaves_nothing_half(directory: Path) -> None:
    site = Site(directory, SiteOptions(upload=True))
    with serving(site.handle) as server, RawClient(server.port) as client, RawClient(server.port) as other:
        for sender, target in ((client, "/a"), (other, "/b")):
            sender.send(head("PUT", target, len(CONTENT)) + CONTENT[:1 << 20])
        eventually(lambda: len(temporaries(directory)) == 2)
        site.close()
        assert sorted(os.listdir(directory)) == ALL_THERE
        assert client.send(CONTENT[1 << 20:]).read_response().status == 400
        server.close(force=True)
        assert other.is_ended()
    assert sorted(os.listdir(directory)) == ALL_THERE


# ------------------------------------------------------------ a letterbox, and who

def test_a_letterbox(directory: Path) -> None:
    """A receipt for what was sent; and nothing tells what is there, so no name can be asked for."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    with site(directory, drop=True) as client:
        for _ in range(2):
            response = send(client, "POST", "/", "Slug: hello.txt", body=CONTENT)
            assert saved(response) == {"name": "hello.txt", "size": len(CONTENT), "sha256": digest}
            assert response.header("location") is None
        for target in ("/", "/hello.txt", "/new.txt", "/sub/x"):
            response = send(client, "PUT", target, body=b"new")
            assert (response.status, response.header("allow")) == (405, "GET, HEAD, POST")
        assert send(client, "POST", "/sub/", "Slug: x", body=b"x").status == 404
    assert sorted(os.listdir(directory)) == ["hello (1).txt", "hello (2).txt", *ALL_THERE]
    assert (directory / "hello (2).txt").read_bytes() == CONTENT


READER, WRITER = "Authorization: Basic cmVhZGVyOnIx", "Authorization: Basic d3JpdGVyOncx"  # reader:r1, writer:w1


@pytest.mark.parametrize(("method", "target"), [("POST", "/"), ("PUT", "/a")])
def test_who_may(directory: Path, method: str, target: str) -> None:
    with site(directory, upload=True, auth="reader:r1", upload_auth="writer:w1") as client:
        for given in ("X: y", READER):
            response = send(client, method, target, "Slug: a", given, body=b"x")
            assert response.status == 401 and "needs a user and a password" in message(response)
            assert response.header("www-authenticate") == 'Basic realm="uploads", charset="UTF-8"'
        assert sorted(os.listdir(directory)) == ALL_THERE
        assert send(client, method, target, "Slug: a", WRITER, body=b"x").status == 201
    with site(directory) as client:
        response = send(client, method, target, "Slug: a", body=b"x")
        assert (response.status, response.header("allow")) == (405, "GET, HEAD")


# ------------------------------------------------------------ the command

def test_the_command(directory: Path) -> None:
    """With a view of the wire, and a log that names the sender."""
    with Command(directory, "--port", "0", "--upload", "--wire", "--upload-auth", "writer:w1") as command:
        url = command.start(directory)
        answer = requests.put(url + "sub/a.bin", data=CONTENT[:100_000], auth=("writer", "w1"), timeout=PATIENCE)
        assert (answer.status_code, answer.headers["location"]) == (201, "/sub/a.bin")
        status, printed, _ = command.interrupt()
    assert status == 0 and '- writer [' in printed and '"PUT /sub/a.bin HTTP/1.1" 201' in printed
    assert (directory / "sub" / "a.bin").read_bytes() == CONTENT[:100_000]
