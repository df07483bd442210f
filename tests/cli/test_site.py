"""cli/site.py: index, fallback, CORS, caching and credentials."""
from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
import requests

from blockingio.cli.site import is_dotfile
from tests.cli.sites import send, site
from tests.peers import PATIENCE


def test_index_and_listing(directory: Path) -> None:
    (directory / "index.html").write_text("<p>Home</p>")
    with site(directory) as client:
        response = client.get("/")
        assert response.body == b"<p>Home</p>"
        assert response.header("cache-control") == "no-cache"
        assert client.get("/", f"If-None-Match: {response.header('etag')}").status == 304
        assert b"Index of /sub/" in client.get("/sub/").body
    with site(directory, index_page=False) as client:
        assert b"Index of /" in client.get("/").body
    with site(directory, listing=False) as client:
        assert client.get("/").body == b"<p>Home</p>"
        assert client.get("/sub/").status == 404
    with site(directory, listing=False, index_page=False) as client:
        assert client.get("/").status == 404
        assert client.get("/hello.txt").status == 200


def test_an_index_that_is_none(directory: Path) -> None:
    (directory / "index.html").mkdir()
    (directory / "sub" / "index.html").symlink_to("/etc/hostname")
    with site(directory) as client:
        assert b"Index of /" in client.get("/").body
        assert b"Index of /sub/" in client.get("/sub/").body


PAGE = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_single_page_application(directory: Path) -> None:
    with site(directory, spa=True) as client:
        assert client.get("/unknown").status == 404
        (directory / "index.html").write_text("<p>App</p>")
        for target in ("/unknown", "/un/known?x", "/hello.txt/", "/..", "/v1.0/", "/.git/"):
            response = client.get(target)
            assert (response.status, response.body) == (200, b"<p>App</p>")
            assert response.header("content-type") == "text/html; charset=utf-8"
            assert response.header("vary") == "Accept"
        assert client.get("/unknown", f"If-None-Match: {response.header('etag')}").status == 304
        assert client.get("/unknown", 'If-Match: "x"').status == 412
        assert send(client, "HEAD", "/unknown").status == 200
        assert send(client, "POST", "/unknown").status == 405
        assert client.get("/hello.txt").body == b"Hello, world!"
        assert client.get("/hello.txt").header("vary") is None


@pytest.mark.parametrize(("target", "fields", "status"), [
    ("/view", [PAGE], 200), ("/jane.doe", [PAGE], 200), ("/view", ["Accept: TEXT/HTML ; charset=utf-8"], 200),
    ("/view", ["Accept: image/png", "Accept: text/html"], 200),
    ("/view", [], 200), ("/view", ["Accept: */*"], 200), ("/view", ["Accept: */* ;q=0.5"], 200),
    ("/view", ["Accept:"], 200), ("/view?a.js", ["Accept: */*"], 200), ("/a.js/view", ["Accept: */*"], 200),
    ("/missing.js", [], 404), ("/missing.js", ["Accept: */*"], 404), ("/a/missing%2Ejs", ["Accept: */*"], 404),
    ("/api/users", ["Accept: application/json"], 404), ("/api/users", ["Accept: application/json, */*"], 404),
    ("/view", ["Accept: text/html;q=0"], 404), ("/view", ["Accept: text/html; q=0.000, image/png"], 404),
    ("/view", ["Accept: text/htmlx"], 404), ("/view", ["Accept: text/*"], 404), ("/pixel", ["Accept: image/*"], 404),
])
def test_where_a_page_is_wanted(directory: Path, target: str, fields: list[str], status: int) -> None:
    """What a script asks for and is not there is 404, never a page."""
    (directory / "index.html").write_text("<p>App</p>")
    with site(directory, spa=True) as client:
        for method in ("GET", "HEAD"):
            response = client.send("\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *fields, "", ""])
                                   .encode()).read_response(method)
            assert (response.status, response.header("vary")) == (status, "Accept")


# ------------------------------------------------------------ what begins with a dot

HIDDEN = (".env", ".git/config", "sub/.htpasswd", ".well-known/.secret", "sub/.well-known/x")
SHOWN = (".well-known/security.txt", ".well-known/acme/x.y")


def write_dotfiles(directory: Path) -> None:
    for name in (*HIDDEN, *SHOWN):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)


def test_what_the_listing_hides_is_not_served(directory: Path) -> None:
    write_dotfiles(directory)
    with site(directory) as client:
        for name in (*HIDDEN, ".git", ".git/", "sub/.well-known/", "%2Egit/config", "sub/%2ehtpasswd", "./.env",
                     "sub/..%2f.env", "//.env", ".well-known/../.env", ".WELL-KNOWN/security.txt"):
            assert client.get(f"/{name}").status == 404
            assert send(client, "HEAD", f"/{name}").status == 404
        for name in SHOWN:
            assert client.get(f"/{name}").body == name.encode()
        assert b"security.txt" in client.get("/.well-known/").body
        assert b".secret" not in client.get("/.well-known/").body
        assert b".well-known" not in client.get("/").body


def test_dotfiles(directory: Path) -> None:
    write_dotfiles(directory)
    with site(directory, dotfiles=True) as client:
        for name in (*HIDDEN, *SHOWN):
            assert client.get(f"/{name}").body == name.encode()
        listing = client.get("/").body
        assert all(b"href=" + name in listing for name in (b".env>", b".git/>", b".well-known/>", b"hello.txt>"))


def test_a_dotfile_by_its_short_name() -> None:
    assert is_dotfile("GIT~1", windows=True) and is_dotfile(".git", windows=True)
    assert not is_dotfile("GIT~1", windows=False)
    assert not is_dotfile("draft~", windows=True)


def test_cors(directory: Path) -> None:
    with site(directory, cors=True, auth="me:secret") as client:
        credentials = "Authorization: Basic " + base64.b64encode(b"me:secret").decode()
        for target, fields, status in (("/hello.txt", (credentials,), 200), ("/nothing", (credentials,), 404),
                                       ("/hello.txt", (), 401)):
            response = client.get(target, "Origin: http://a.example", *fields)
            assert (response.status, response.header("access-control-allow-origin")) == (status, "*")
        # A preflight brings no credentials.
        response = send(client, "OPTIONS", "/hello.txt", "Origin: http://a.example",
                        "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: range")
        assert response.status == 204
        assert response.header("access-control-allow-methods") == "GET, HEAD"
        assert response.header("access-control-allow-headers") == "Range, Authorization"
    with site(directory) as client:
        response = client.get("/hello.txt", "Origin: http://a.example")
        assert response.header("access-control-allow-origin") is None
        assert send(client, "OPTIONS", "/").header("allow") == "GET, HEAD"
        assert send(client, "OPTIONS", "/").status == 405


@pytest.mark.parametrize("is_kept", [False, True])
def test_cache(directory: Path, is_kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_kept:  # in memory, from the second time on
        monkeypatch.setattr("blockingio.http_server.file_cache.SETTLED_AFTER", -1)
    with site(directory, cache=3600, cors=True) as client:
        for _ in range(3):
            response = client.get("/hello.txt")
            assert (response.header("cache-control"), response.body) == ("max-age=3600", b"Hello, world!")
            assert response.header("access-control-allow-origin") == "*"
        response = client.get("/hello.txt", f"If-None-Match: {response.header('etag')}")
        assert (response.status, response.header("cache-control")) == (304, "max-age=3600")
        assert client.get("/nothing").header("cache-control") is None
        assert send(client, "POST", "/").header("cache-control") is None


@pytest.mark.parametrize("is_kept", [False, True])
def test_cache_by_type(directory: Path, is_kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_kept:
        monkeypatch.setattr("blockingio.http_server.file_cache.SETTLED_AFTER", -1)
    for name in ("a.css", "a.PNG", "a b.svg", "none", "index.html", "sub/new.zip"):
        (directory / name).write_text("x")
    types = (("text/html", 0), ("image/*", 5), ("image/svg+xml", 6), ("text/css", 7))
    expected = {"/a.css": 7, "/a.PNG": 5, "/a%20b.svg": 6, "/none": 60, "/": 0, "/index.html": 0, "/sub/new.zip": 60,
                "/sub/": 0, "/route": 0, "/a.css?v=1": 7}
    with site(directory, cache=60, cache_types=types, spa=True) as client:
        for _ in range(3):
            found = {target: client.get(target, "Accept: text/html").header("cache-control") for target in expected}
            assert found == {target: f"max-age={seconds}" for target, seconds in expected.items()}
        assert client.get("/nothing.css").header("cache-control") is None
    with site(directory, cache_types=types) as client:
        assert client.get("/none").header("cache-control") == "no-cache"


def basic(text: str) -> str:
    return "Authorization: Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(("field", "status"), [
    (None, 401), (basic("me:s:crêt"), 200), (basic("me:s:crêt").replace("Basic", "bASIC"), 200),
    (basic("me:wrong"), 401),
    (basic("you:s:crêt"), 401), (basic("me"), 401), (basic(""), 401), ("Authorization: Basic", 401),
    ("Authorization: Basic !!!", 401), ("Authorization: Bearer " + basic("me:s:crêt")[21:], 401),
    ("Authorization: Basic \xff", 401),
])
def test_auth(directory: Path, field: str | None, status: int) -> None:
    with site(directory, auth="me:s:crêt") as client:
        for target in ("/hello.txt", "/", "/nothing"):
            fields = [] if field is None else [field]
            lines = [f"GET {target} HTTP/1.1", "Host: localhost", *fields, "", ""]
            response = client.send("\r\n".join(lines).encode("latin-1")).read_response()
            assert response.status == (404 if status == 200 and target == "/nothing" else status)
            if status == 401:
                assert response.header("www-authenticate") == 'Basic realm="files", charset="UTF-8"'
                assert b"Hello" not in response.body


def test_errors_of_the_command_are_pages(directory: Path, caplog: pytest.LogCaptureFixture,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says what was asked for; the server's own failures are logged."""
    with site(directory) as client:
        response = send(client, "DELETE", "/hello.txt")
        assert response.status == 405 and b"DELETE cannot be asked of /hello.txt." in response.body
        response = client.send(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").read_response()
        assert response.status == 421 and b"does not answer for evil.example" in response.body
        assert response.header("content-type") == "text/html; charset=utf-8"
        # Back at an address, since that name would be refused again.
        back, = re.findall(r'<a href="(http://127\.0\.0\.1:[0-9]+/)">Back to the list</a>', response.body.decode())
        assert requests.get(back, timeout=PATIENCE).status_code == 200
        monkeypatch.setattr("blockingio.http_server.virtual_directory.read_items", lambda *_: 1 // 0)
        response = client.get("/sub/")
        assert response.status == 500 and b"The server failed at /sub/." in response.body
        assert b'<a href="/">Back to the list</a>' in response.body
        assert "ZeroDivisionError" in caplog.text
        assert client.get("/hello.txt").body == b"Hello, world!"


def test_a_directory_that_goes_while_it_is_served(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A line says so, once, and serving goes on when it is back."""
    with site(directory) as client:
        directory.rename(directory.with_name("elsewhere"))
        for _ in range(2):
            assert client.get("/").status == 404
        assert [record.getMessage() for record in caplog.records] == [
            f"{directory} is gone: everything is 404 until it is there again"]
        directory.with_name("elsewhere").rename(directory)
        assert client.get("/hello.txt").body == b"Hello, world!"
