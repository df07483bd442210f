"""VirtualDirectory over real sockets: what is found, and how it is answered."""
from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import threading
from contextlib import ExitStack
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import requests

from blockingio import HttpRequest, HttpServer, Uri
from blockingio.http_server import VirtualDirectory, virtual_directory
from tests.http_server.sites import bound_by_permissions, send, site
from tests.peers import PATIENCE, RawClient, eventually, serving

# ------------------------------------------------------------ what is found


@pytest.mark.parametrize(("target", "status", "body"), [
    ("/hello.txt", 200, b"Hello, world!"),
    ("/hello.txt?x=../y", 200, b"Hello, world!"),
    ("/%68ello%2Etxt", 200, b"Hello, world!"),
    ("http://anywhere.example/hello.txt", 200, b"Hello, world!"),
    ("//hello.txt", 200, b"Hello, world!"),
    ("/./hello.txt", 200, b"Hello, world!"),
    ("/sub/deep/a%20b.css", 200, b"p { color: red }"),
    ("/sub//deep/a%20b.css", 200, b"p { color: red }"),
    ("/index.html", 200, b"<p>Home</p>"),
    ("/nothing", 404, None),
    ("/hello.txt/", 404, None),
    ("/hello.txt/x", 404, None),
    ("/sub/deep/nothing/at/all", 404, None),
    ("/HELLO.TXT", 404, None),
    ("/hello.txt%20", 404, None),
    ("/..%5Csecret.txt", 404, None),
    ("/sub%5Cindex.html", 404, None),
    ("/" + "x" * 300, 404, None),
    ("/" + "x/" * 3000, 404, None),
])
def test_targets(root: Path, target: str, status: int, body: bytes | None) -> None:
    with site(root) as client:
        response = client.get(target)
        assert response.status == status
        if body is not None:
            assert response.body == body


def test_every_name_can_be_asked_for(root: Path) -> None:
    texts = "ä.txt", "a?b", "a#b", "100%", "%41", "a:b", " ", "...", "a;b=c", "..a"
    names = [name.encode() for name in texts]
    names += b"\xff\xfe", b"a\\b", b"..\\..\\secret.txt", b"\\"
    for name in names:
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(name)
    with site(root) as client:
        for name in names:
            response = client.get("/" + "".join(f"%{byte:02x}" for byte in name))
            assert (response.status, response.body) == (200, name)


def test_directories_are_404_unless_something_is_done_with_them(root: Path) -> None:
    with site(root) as client:
        for target in ("/", "/sub/", "/sub/deep/"):
            assert client.get(target).status == 404


def test_a_directory_handler_answers_for_directories(root: Path) -> None:
    seen = []

    def handle(path: Path, request: HttpRequest) -> None:
        seen.append(path)
        directory.serve_file(path / "index.html", request)

    directory = VirtualDirectory(root)
    directory.directory_handler = handle
    with serving(directory.serve_request) as server, RawClient(server.port) as client:
        assert client.get("/").body == b"<p>Home</p>"
        assert client.get("/sub/").body == b"<p>Sub</p>"
        assert client.get("/sub/deep/").status == 404
    assert seen == [root, root / "sub", root / "sub/deep"]


def test_a_root_that_is_not_there_is_empty(tmp_path: Path) -> None:
    with site(tmp_path / "later") as client:
        assert client.get("/a").status == 404
        (tmp_path / "later").mkdir()
        (tmp_path / "later" / "a").write_text("now")
        assert client.get("/a").body == b"now"


def test_a_root_that_is_a_file_is_empty(root: Path) -> None:
    with site(root / "hello.txt") as client:
        assert client.get("/").status == 404
        assert client.get("/a").status == 404
        assert client.get("/a/b").status == 404


def test_a_relative_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with site(Path("sub")) as client:
        assert client.get("/index.html").body == b"<p>Sub</p>"
        assert client.get("/deep/a%20b.css").status == 200


@pytest.mark.needs("socket.AF_UNIX")
def test_only_files_are_sent(root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "sub" / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as sock, site(root, jail_root=False) as client:
        sock.bind(str(root / "socket"))
        for target in ("/fifo", "/fifo/", "/socket", "/sub/null"):
            assert client.get(target).status == 404


def test_what_may_not_be_read_is_403(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A user that runs the tests as root may read everything, so the system is made to refuse.
    opening = os.open

    def refuse(path: Any, *arguments: Any, **more: Any) -> int:
        if os.fspath(path).endswith("hello.txt"):
            raise PermissionError(13, "Permission denied")
        return opening(path, *arguments, **more)

    with site(root) as client:
        monkeypatch.setattr(os, "open", refuse)
        response = client.get("/hello.txt")
        assert response.status == 403
        assert b"403 Forbidden" in response.body
        monkeypatch.undo()
        assert client.get("/hello.txt").status == 200


def test_without_a_free_descriptor_it_is_503(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise OSError(24, "Too many open files")

    with site(root) as client:
        monkeypatch.setattr(os, "open", refuse)
        assert client.get("/hello.txt").status == 503
        monkeypatch.undo()
        assert client.get("/hello.txt").status == 200


# ------------------------------------------------------------ where directories redirect to


@pytest.mark.parametrize(("target", "location"), [
    ("/sub", "/sub/"),
    ("/sub?a=b&c=%2F", "/sub/?a=b&c=%2F"),
    ("/sub?", "/sub/?"),
    ("/sub/deep", "/sub/deep/"),
    ("/sub/./deep", "/sub/deep/"),
    ("//sub", "/sub/"),
    ("/%73ub", "/sub/"),
    ("http://evil.example/sub", "/sub/"),
    ("//evil.example", "/evil.example/"),
    ("///evil.example", "/evil.example/"),
    ("/.//evil.example", "/evil.example/"),
    ("/%0d%0aset-cookie:x=y", "/%0D%0Aset-cookie:x=y/"),
    ("/sub?\\evil.example", "/sub/?%5Cevil.example"),
])
def test_a_directory_without_its_slash_redirects(root: Path, target: str, location: str) -> None:
    (root / "evil.example").mkdir()
    (root / "\r\nset-cookie:x=y").mkdir()
    with site(root) as client:
        response = client.get(target)
        assert response.status == 301
        assert response.header("location") == location
        assert response.header("set-cookie") is None
        assert str(Uri.parse("http://localhost/").resolve(location)).startswith("http://localhost/")


@pytest.mark.parametrize("target", [
    "//evil.example/..", "/\\evil.example", "/\\/evil.example", "/%5cevil.example", "//evil.example/%2e%2e",
    "/%2f/evil.example", "/%2fevil.example",
])
def test_what_leads_off_the_host_is_not_there(root: Path, target: str) -> None:
    (root / "evil.example").mkdir()
    with site(root) as client:
        response = client.get(target)
        assert response.status == 404
        assert response.header("location") is None


# ------------------------------------------------------------ the prefix


@pytest.mark.parametrize(("target", "status"), [
    ("/static/hello.txt", 200), ("/static/files/hello.txt", 404), ("/hello.txt", 404),
    ("/statichello.txt", 404), ("/static/", 200), ("/static", 301), ("/%73tatic/hello.txt", 200), ("/", 404),
    ("/static/../hello.txt", 404),
])
@pytest.mark.parametrize("prefix", ["/static", "static", "static/", "/static/"])
def test_a_prefix(root: Path, prefix: str, target: str, status: int) -> None:
    with site(root, path_prefix=prefix, allow_directory_listing=True) as client:
        response = client.get(target)
        assert response.status == status
        if status == 301:
            assert response.header("location") == "/static/"


def test_a_prefix_of_several_segments(root: Path) -> None:
    with site(root, path_prefix="/a/b c") as client:
        assert client.get("/a/b%20c/hello.txt").status == 200
        assert client.get("/a/hello.txt").status == 404
        assert client.get("/a/b%20c/sub").header("location") == "/a/b%20c/sub/"


def test_a_prefix_beyond_ascii(root: Path) -> None:
    with site(root, path_prefix="/bücher") as client:
        assert client.get("/b%C3%BCcher/hello.txt").status == 200


def test_a_prefix_that_can_be_none(root: Path) -> None:
    with pytest.raises(ValueError, match="path_prefix"):
        VirtualDirectory(root, path_prefix="/a/../b")


# ------------------------------------------------------------ methods


def test_head_is_get_without_the_body(root: Path) -> None:
    (root / "large.bin").write_bytes(bytes(300_000))
    with site(root, allow_directory_listing=True) as client:
        for target in ("/hello.txt", "/large.bin", "/", "/nothing"):
            get, head = client.get(target), send(client, "HEAD", target)
            assert head.status == get.status
            assert head.body == b""
            assert sorted(field for field in get.fields if field[0] != "date") == \
                sorted(field for field in head.fields if field[0] != "date")
        assert send(client, "HEAD", "/sub").header("location") == "/sub/"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "X"])
def test_other_methods(root: Path, method: str) -> None:
    with site(root) as client:
        for target in ("/hello.txt", "/nothing", "/"):
            response = send(client, method, target, "Content-Length: 0")
            assert (response.status, response.header("allow")) == (405, "GET, HEAD")


def test_options_for_the_server_as_a_whole(root: Path) -> None:
    with site(root) as client:
        assert send(client, "OPTIONS", "*").status == 405


# ------------------------------------------------------------ serve, serve_file, errors


def test_serve_reads_a_stream(root: Path) -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        subscription = VirtualDirectory(root).serve(server)
        with RawClient(server.port) as client:
            assert client.get("/hello.txt").body == b"Hello, world!"
            assert client.get("/nothing").status == 404
        server.close()
        subscription.as_future().result(PATIENCE)


def test_serve_file_whatever_is_asked_for(root: Path) -> None:
    directory = VirtualDirectory(root)
    with serving(lambda request: directory.serve_file(root / "hello.txt", request)) as server:
        with RawClient(server.port) as client:
            for method, target in (("GET", "/"), ("GET", "/a/../b"), ("POST", "/x"), ("HEAD", "/")):
                response = send(client, method, target, "Content-Length: 0")
                assert response.status == 200
                assert response.header("content-length") == "13"
            etag = response.header("etag")
            assert client.get("/", f"If-None-Match: {etag}").status == 304
            assert client.get("/", "Range: bytes=-6").body == b"world!"


@pytest.mark.parametrize(("file", "status"), [
    ("hello.txt", 200), ("sub/index.html", 200), ("sub/../hello.txt", 200), ("nothing", 404), ("sub", 404),
    (".", 404), ("../secret.txt", 404), ("sub/../../secret.txt", 404), ("/etc/hostname", 404), ("fifo", 404),
    ("out.txt", 404), pytest.param("in.txt", 200, marks=pytest.mark.needs("dir_fd")),
])
@pytest.mark.parametrize("as_text", [False, True])
def test_serve_file_keeps_to_the_root(root: Path, file: str, status: int, as_text: bool) -> None:
    os.mkfifo(root / "fifo")
    (root / "out.txt").symlink_to("../secret.txt")
    (root / "in.txt").symlink_to("hello.txt")
    path = root / file
    directory = VirtualDirectory(root)
    with serving(lambda request: directory.serve_file(str(path) if as_text else path, request)) as server:
        with RawClient(server.port) as client:
            assert client.get("/").status == status


def test_serve_file_by_other_ways_to_the_root(root: Path, tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to("root")
    monkeypatch.chdir(tmp_path)
    whole = str(root / "hello.txt")
    for served, file in (("root", whole), ("link", whole), ("link", "link/hello.txt"), ("root/sub/..", whole),
                         (root, "root/hello.txt"), ("root", "./root/hello.txt")):
        directory = VirtualDirectory(served)
        with serving(lambda request: directory.serve_file(file, request)) as server:
            with RawClient(server.port) as client:
                assert client.get("/").body == b"Hello, world!", (served, file)


def test_serve_file_outside_without_the_jail(root: Path, tmp_path: Path) -> None:
    directory = VirtualDirectory(root)
    directory.jail_root = False
    with serving(lambda request: directory.serve_file(tmp_path / "secret.txt", request)) as server:
        with RawClient(server.port) as client:
            response = client.get("/")
            assert response.body == b"secret"
            assert response.header("content-type") == "text/plain; charset=utf-8"
            directory.follow_links = False
            assert client.get("/").status == 404


def test_an_error_page_handler_writes_the_page(root: Path) -> None:
    seen = []

    def handle(request: HttpRequest) -> None:
        seen.append(request.response.status_code)
        request.response.write(f"my {request.response.status_code}")
        request.response.close()

    with site(root, error_page_handler=handle) as client:
        assert client.get("/nothing").body == b"my 404"
        assert send(client, "POST", "/", "Content-Length: 0").body == b"my 405"
        assert client.get("/hello.txt", 'If-Match: "x"').body == b"my 412"
        response = client.get("/hello.txt", "Range: bytes=99-")
        assert (response.status, response.body) == (416, b"my 416")
        assert response.header("content-range") == "bytes */13"
    assert seen == [404, 405, 412, 416]


def test_an_error_page_may_be_a_file(root: Path) -> None:
    (root / "404.html").write_text("<p>Lost</p>")
    directory = VirtualDirectory(root)
    directory.error_page_handler = lambda request: directory.serve_file(root / "404.html", request)
    with serving(directory.serve_request) as server, RawClient(server.port) as client:
        # It is the answer's page, not the resource: neither its validators nor a range mean anything here.
        for fields in ((), ("Range: bytes=0-1",), ("If-None-Match: *",),
                       ("If-Modified-Since: Sun, 06 Nov 2094 08:49:37 GMT",)):
            response = client.get("/nothing", *fields)
            assert (response.status, response.body) == (404, b"<p>Lost</p>")
            assert response.header("content-type") == "text/html; charset=utf-8"
            assert response.header("etag") is None
        (root / "404.html").unlink()
        response = client.get("/nothing")
        assert response.status == 404
        assert b"<h1>404 Not Found</h1>" in response.body


def test_the_small_page(root: Path) -> None:
    with site(root) as client:
        response = client.get("/%3Cscript%3Ealert(1)%3C/script%3E")
        assert response.status == 404
        assert response.header("content-type") == "text/html; charset=utf-8"
        assert "default-src 'none'" in (response.header("content-security-policy") or "")
        assert b"<script" not in response.body and b"&lt;script&gt;" in response.body


# ------------------------------------------------------------ listings


@pytest.mark.needs("dir_fd")
def test_a_listing(root: Path) -> None:
    (root / "<b>.txt").write_bytes(bytes(1234))
    (root / "in").symlink_to("sub")
    (root / "out").symlink_to("..")
    (root / "broken").symlink_to("nothing")
    with site(root, allow_directory_listing=True) as client:
        response = client.get("/")
        html = response.body.decode()
        assert response.status == 200
        assert response.header("content-type") == "text/html; charset=utf-8"
        assert "default-src 'none'" in (response.header("content-security-policy") or "")
        assert links_in(html) == ["in/", "sub/", "%3Cb%3E.txt", "hello.txt", "index.html"]
        assert "&lt;b&gt;.txt" in html
        assert "1.2 kB" in html
        assert links_in(client.get("/sub/").body.decode())[0] == "../"


def test_a_listing_without_links(root: Path) -> None:
    (root / "in").symlink_to("sub")
    with site(root, allow_directory_listing=True, follow_links=False) as client:
        assert "in/" not in links_in(client.get("/").body.decode())
        assert client.get("/in/").status == 404


def test_all_links_of_a_listing_lead_somewhere(root: Path) -> None:
    for name in ("a?b", "a#b", "100%", "ä", "c:d", "e&amp;f", '"', "'", "a+b", "\udcff", "a\\b", "\\"):
        (root / name).write_bytes(b"")
    with serving(_listing(root).serve_request) as server:
        base = f"http://127.0.0.1:{server.port}/"
        with requests.Session() as session:
            html = session.get(base, timeout=PATIENCE).text.partition("<script>")[0]
            links = [unescape(quoted or bare) for quoted, bare in re.findall(r'href=(?:"([^"]*)"|([^">\s]+))', html)]
            assert len(links) == 3 + 15  # those that sort, and the entries
            for link in links:
                assert session.get(base + link, timeout=PATIENCE).status_code in (200, 404)
                assert session.get(base + link, timeout=PATIENCE).status_code == 200


def test_a_directory_that_may_be_read_but_not_entered(root: Path) -> None:
    """Its names are listed, and what they lead to is 403."""
    locked = root / "locked"
    (locked / "deep").mkdir(parents=True)
    (locked / "file.txt").write_text("x")
    (locked / "link").symlink_to("file.txt")
    os.mkfifo(locked / "fifo")
    directory = _listing(root)

    def handle(request: HttpRequest) -> None:
        with bound_by_permissions():
            directory.serve_request(request)

    locked.chmod(0o400)
    try:
        with serving(handle) as server, RawClient(server.port) as client:
            response = client.get("/locked/")
            html = response.body.decode()
            assert response.status == 200
            assert links_in(html) == ["../", "deep/", "file.txt", "link"]
            assert html.count("<td>–<td>") == 1 and html.count("<td>?<td>") == 2
            for target in ("/locked/file.txt", "/locked/deep/", "/locked/link"):
                assert client.get(target).status == 403
    finally:
        locked.chmod(0o700)


def sizes(client: RawClient) -> dict[str, int]:
    return {entry["name"]: entry["size"] for entry in json.loads(client.get("/?format=json").body)["entries"]}


def test_names_that_come_and_go_show_at_once(root: Path) -> None:
    with site(root, allow_directory_listing=True) as client:
        before = sizes(client)
        (root / "new.txt").write_bytes(b"x")
        assert sizes(client) == before | {"new.txt": 1}
        (root / "new.txt").unlink()
        assert sizes(client) == before


@pytest.fixture(name="minute")
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing that is kept is made anew each minute: none begins here."""
    monkeypatch.setattr(virtual_directory, "time", lambda: 0.0)


def calls_of(name: str, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What a function is called with."""
    calls: list[object] = []
    function = getattr(virtual_directory, name)

    def called(*given: Any) -> object:
        calls.append(given)
        return function(*given)

    monkeypatch.setattr(virtual_directory, name, called)
    return calls


@pytest.mark.usefixtures("minute")
def test_a_listing_is_made_once_and_shows_each_change_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = calls_of("select", monkeypatch)
    with site(root, allow_directory_listing=True) as client:
        first = sizes(client)
        assert sizes(client) == first and len(made) == 1
        assert client.get("/?sort=size").body != client.get("/?sort=time").body
        for count in range(1, 10):
            with open(root / "hello.txt", "ab") as file:
                file.write(b"more")
            assert sizes(client)["hello.txt"] == first["hello.txt"] + 4 * count


@pytest.mark.needs("dir_fd")
def test_a_listing_shows_each_change_behind_a_link_at_once(root: Path) -> None:
    with site(root, allow_directory_listing=True) as client:
        (root / "hello.txt").unlink()
        (root / "hello.txt").symlink_to("sub/new.txt")
        for content in (b"x", b"xy", b"xyz"):
            (root / "sub" / "new.txt").write_bytes(content)
            assert sizes(client)["hello.txt"] == len(content)


def test_a_listing_is_made_anew_for_another_minute(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = calls_of("select", monkeypatch)
    with site(root, allow_directory_listing=True) as client:
        for count, now in enumerate((0.0, 59.9, 60.0, 61.0)):
            monkeypatch.setattr(virtual_directory, "time", lambda: now)
            sizes(client)
            assert len(made) == (1 if count < 2 else 2)


@pytest.mark.usefixtures("minute")
def test_one_look_serves_all_listings_that_were_asked_for_before(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = calls_of("read_items", monkeypatch)
    directory = _listing(root)
    with HttpServer.bind("127.0.0.1", 0) as server, ExitStack() as clients:
        requests = iter(server)
        peers = [clients.enter_context(RawClient(server.port)) for _ in range(4)]
        for client in peers:
            client.send(b"GET /?format=json HTTP/1.1\r\nHost: a.example\r\n\r\n")
        waiting = [next(requests) for _ in peers]
        for request in waiting:
            directory.serve_request(request)
        assert len(looks) == 1
        assert len({client.read_response("GET").body for client in peers}) == 1


@pytest.mark.usefixtures("minute")
def test_a_request_that_waits_for_a_look_needs_none_of_its_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that came during a look are answered by the next one, all by one: four of their own would make five."""
    looks: list[object] = []
    go_on, look = threading.Event(), virtual_directory.read_items

    def slow(*given: Any) -> Any:
        looks.append(given)
        if len(looks) == 2:
            assert go_on.wait(PATIENCE)
        return look(*given)

    monkeypatch.setattr(virtual_directory, "read_items", slow)
    with serving(_listing(root).serve_request, workers=4) as server, ExitStack() as clients:
        peers = [clients.enter_context(RawClient(server.port)) for _ in range(4)]
        first = peers[0].get("/").body
        for client in peers:
            client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        eventually(lambda: len(looks) == 2 and server.connections_info().active == 4)
        go_on.set()
        assert {client.read_response("GET").body for client in peers} == {first}
    assert len(looks) <= 4  # one of them may just have been on its way


@pytest.mark.usefixtures("minute")
def test_what_is_kept_of_listings_has_its_bounds(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = calls_of("select", monkeypatch)
    with site(root, allow_directory_listing=True) as client:
        for number in range(17):
            client.get(f"/?{number}")
        assert client.get("/?16").status == 200 and len(made) == 17
        assert client.get("/?0").status == 200 and len(made) == 18  # it had made room
        for bound in ("_LONGEST", "_MOST_ITEMS"):
            with monkeypatch.context() as smaller:
                smaller.setattr(f"blockingio.http_server.listing_cache.{bound}", 1)
                made.clear()
                client.get(f"/?{bound}")
                client.get(f"/?{bound}")
                assert len(made) == 2


def links_in(html: str) -> list[str]:
    """Where a listing's rows lead."""
    return [unescape(link) for link in re.findall(r'<tr><td><a href="?([^">]+)', html)]


def _listing(root: Path) -> VirtualDirectory:
    directory = VirtualDirectory(root)
    directory.allow_directory_listing = True
    return directory


ENTRIES: list[dict[str, Any]] = [
    {"name": "sub", "type": "folder", "url": "sub/", "size": None},
    {"name": "hello.txt", "type": "file", "url": "hello.txt", "size": 13},
    {"name": "index.html", "type": "file", "url": "index.html", "size": 20}]


@pytest.mark.parametrize(("target", "accept", "is_json"), [
    ("/?format=json", "text/html", True), ("/", "application/json", True),
    ("/", "application/json;q=0.9, text/plain", True), ("/", "text/html, application/json", False), ("/", "*/*", False),
    ("/", "application/json; q=0", False), ("/?format=nonsense", "*/*", False)])
def test_a_listing_as_json(root: Path, target: str, accept: str, is_json: bool) -> None:
    with site(root, allow_directory_listing=True) as client:
        response = client.get(target, f"Accept: {accept}")
        assert response.header("vary") == "Accept"
        assert (response.header("content-type") == "application/json; charset=utf-8") == is_json
        if is_json:
            found = json.loads(response.body)
            for entry in found["entries"]:
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry.pop("modified"))
                entry["size"] = entry["size"] and (root / entry["name"]).stat().st_size
            assert found["entries"] == [entry | {"size": entry["size"] and (root / entry["name"]).stat().st_size}
                                        for entry in ENTRIES]
            assert (found["path"], found["folders"], found["files"], found["page"], found["pages"]) == ("/", 1, 2, 1, 1)


def test_the_order_and_the_filter_are_in_the_query(root: Path) -> None:
    (root / "x<y").write_bytes(bytes(5))
    with site(root, allow_directory_listing=True) as client:
        html = client.get("/?sort=size&order=asc").body.decode()
        assert links_in(html)[:2] == ["sub/", "x%3Cy"]
        assert '<th scope="col" aria-sort="ascending"><a href="?sort=size&amp;order=desc">Size</a></th>' in html
        html = client.get("/?filter=X%3C").body.decode()
        assert links_in(html) == ["x%3Cy"] and 'value="X&lt;"' in html and "0 folders, 1 file, 5 B" in html
        assert "?sort=size&amp;order=asc&amp;filter=X%3C" in html
        assert "has that in its name" in client.get("/?filter=nothing").body.decode()


def test_only_the_pages_own_script_may_run(root: Path) -> None:
    with site(root, allow_directory_listing=True) as client:
        response = client.get("/")
        script, = re.findall("<script>(.*?)</script>", response.body.decode(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert (response.header("content-security-policy") or "").endswith(f"; script-src 'sha256-{digest}'")
        assert "script-src" not in (client.get("/nothing").header("content-security-policy") or "")
        assert "//" not in re.sub("http://www.w3.org/2000/svg", "", response.body.decode())


@pytest.mark.parametrize(("target", "status", "said"), [
    ("/no%20such/file", 404, "called /no such/file."), ("/" + "x" * 300, 404, f"/{'x' * 199}…"),
    ("/%3Cb%3E", 404, "/&lt;b&gt;."), ("/..", 404, "called /..")])
def test_an_error_says_what_was_asked_for(root: Path, target: str, status: int, said: str) -> None:
    with site(root, allow_directory_listing=True) as client:
        response = client.get(target)
        html = response.body.decode()
        assert response.status == status and f"<h1>{status} {response.reason}</h1>" in html
        assert said in html and '<a href="/">Back to the list</a>' in html
    with site(root, path_prefix="/static") as client:
        assert '<a href="/static/">Back to the start</a>' in client.get("/static/nothing").body.decode()


def test_repr(root: Path) -> None:
    assert repr(VirtualDirectory(root)) == f"<VirtualDirectory {str(root)!r}>"
    assert repr(VirtualDirectory("x", path_prefix="a/b")) == "<VirtualDirectory 'x' at /a/b/>"
