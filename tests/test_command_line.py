"""python -m blockingio: as a process, and what it serves."""
from __future__ import annotations

import base64
import errno
import gzip
import io
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from blockingio import AccessRecord, HttpHeaders, InternetAddress
from blockingio import cli_upload
from blockingio.cli_addresses import own_addresses, server_urls
from blockingio.cli_log import RequestLog, wants_colour
from blockingio.cli_site import Site, SiteOptions
from blockingio.cli_upload import clean_name
from tests.peers import PATIENCE, Certificates, RawClient, RawResponse, eventually, serving

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "site"
    (directory / "sub").mkdir(parents=True)
    (directory / "hello.txt").write_text("Hello, world!")
    return directory


class Command:
    """The command in a process of its own; leaving the block kills what still runs."""

    def __init__(self, *arguments: str | Path, stdout: int = subprocess.PIPE, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "blockingio", *map(str, arguments)], stdin=subprocess.DEVNULL,
            stdout=stdout, stderr=subprocess.PIPE, bufsize=0, env=os.environ | {"PYTHONPATH": str(PROJECT)} | environment)
        self._stdout = self.process.stdout.fileno() if self.process.stdout else -1
        self._unread = b""

    def line(self, descriptor: int | None = None) -> str:
        """The next line that it prints."""
        source = self._stdout if descriptor is None else descriptor
        deadline = time.monotonic() + PATIENCE * 2  # a process has to start first
        with selectors.DefaultSelector() as selector:
            selector.register(source, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                assert selector.select(deadline - time.monotonic()), f"no line came after {self._unread!r}"
                data = os.read(source, 65536)
                assert data, f"it ended: {self.process.communicate()}"
                self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode().rstrip("\r")

    def start(self, directory: Path) -> str:
        """Read the first lines of one that listens on one address; its URL."""
        assert self.line() == f"Serving {directory}"
        line = self.line()
        assert line.startswith("Listening on http")
        return line.removeprefix("Listening on ")

    def end(self) -> tuple[int, str, str]:
        """Wait for its end: its status, and what it had printed besides the lines asked for."""
        output, errors = self.process.communicate(timeout=PATIENCE * 2)
        return self.process.returncode, (self._unread + (output or b"")).decode(), errors.decode()

    def interrupt(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


LOG_LINE = (r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET %s HTTP/1\.1" %d (\d+|-)'
            r" \d+\.\d{6}")

# ------------------------------------------------------------ the process


def test_serving_until_ctrl_c(directory: Path) -> None:
    with Command(directory, "--port", "0") as command:
        url = command.start(directory)
        assert url.startswith("http://127.0.0.1:")
        response = requests.get(url + "hello.txt", timeout=PATIENCE)
        assert (response.status_code, response.text) == (200, "Hello, world!")
        assert re.fullmatch(LOG_LINE % ("/hello.txt", 200), command.line())
        assert requests.get(url + "nothing%22%0A", timeout=PATIENCE).status_code == 404
        assert re.fullmatch(LOG_LINE % ("/nothing%22%0A", 404), command.line())
        assert command.interrupt() == (0, "", "")


def test_ctrl_c_in_the_middle_of_a_download(directory: Path) -> None:
    (directory / "large.bin").write_bytes(bytes(20_000_000))
    with Command(directory, "--port", "0", "--quiet") as command:
        url = command.start(directory)
        port = int(url.rstrip("/").rpartition(":")[2])
        with RawClient(port) as downloading, RawClient(port), RawClient(port) as sending:
            downloading.send(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n").read_exactly(1000)
            sending.send(b"GET / HT")
            assert command.interrupt() == (0, "", "")


def test_the_current_directory_is_the_default(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    with Command("-p", "0", "--quiet") as command:
        url = command.start(directory)
        assert requests.get(url + "hello.txt", timeout=PATIENCE).text == "Hello, world!"
        assert command.interrupt() == (0, "", "")


def test_https(directory: Path, tmp_path: Path, certificates: Certificates) -> None:
    for number, blob in enumerate((certificates.authority.cert_pem, certificates.server_certificate.private_key_pem,
                                   certificates.server_certificate.private_key_and_cert_chain_pem)):
        blob.write_to_path(tmp_path / f"{number}.pem")
    with open(tmp_path / "chain.pem", "wb") as chain:
        for blob in certificates.server_certificate.cert_chain_pems:
            chain.write(blob.bytes())
    apart: list[str | Path] = ["--certificate", tmp_path / "chain.pem", "--key", tmp_path / "1.pem"]
    together: list[str | Path] = ["--certificate", tmp_path / "2.pem"]
    for arguments in (apart, together):
        with Command(directory, "--port", "0", *arguments) as command:
            url = command.start(directory)
            assert url.startswith("https://127.0.0.1:")
            response = requests.get(url + "hello.txt", timeout=PATIENCE, verify=str(tmp_path / "0.pem"))
            assert response.text == "Hello, world!"
            assert re.fullmatch(LOG_LINE % ("/hello.txt", 200), command.line())
            assert command.interrupt() == (0, "", "")


@pytest.mark.parametrize(("arguments", "message"), [
    (["nowhere"], "cannot serve nowhere: it does not exist"),
    (["8080"], "cannot serve 8080: it does not exist; for a port: --port 8080"),
    (["{site}/hello.txt"], "cannot serve {site}/hello.txt: it is no directory"),
    (["--no-such-option"], "unrecognized arguments: --no-such-option"),
    (["--list"], "unrecognized arguments: --list"),
    (["a", "b"], "unrecognized arguments: b"),
    (["--port"], "argument -p/--port: expected one argument"),
    (["--port", "http"], "argument -p/--port: expected a whole number, found 'http'"),
    (["--port", "-1"], "argument -p/--port: expected a whole number, found '-1'"),
    (["--port", "65536"], "argument -p/--port: expected a number from 0 to 65535, found 65536"),
    (["--workers", "0"], "argument --workers: expected at least 1"),
    (["--cache", "1.5"], "argument --cache: expected a whole number, found '1.5'"),
    (["--auth", "me"], "argument --auth: expected USER:PASSWORD, found no colon"),
    (["--auth", ":secret"], "argument --auth: expected USER:PASSWORD, found no user"),
    (["--key", "{site}/hello.txt"], "argument --key: expected --certificate with it"),
    (["--certificate", "{site}/nothing"], "cannot use --certificate {site}/nothing: .*"),
    (["--certificate", "{site}/hello.txt"], "cannot use --certificate {site}/hello.txt: .*"),
    (["--certificate", "{site}/hello.txt", "--key", "{site}/x"],
     "cannot use --certificate {site}/hello.txt with --key {site}/x: .*"),
    (["--bind", "no.such.host.invalid"], ".*no.such.host.invalid.*"),
    (["--bind", "203.0.113.7"], ".*203.0.113.7.*"),
])
def test_what_is_wrong_is_one_line(directory: Path, arguments: list[str], message: str) -> None:
    arguments = [argument.format(site=directory) for argument in arguments]
    with Command(*arguments) as command:
        status, output, errors = command.end()
    assert (status, output) == (2, "")
    pattern = message.format(site=re.escape(str(directory))) if ".*" in message else re.escape(message.format(site=directory))
    assert re.fullmatch(f"python -m blockingio: {pattern}\n", errors), errors


def test_a_directory_that_may_not_be_read(directory: Path, monkeypatch: pytest.MonkeyPatch,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    from blockingio.__main__ import main
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SystemExit) as ended:
        main([str(directory)])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"python -m blockingio: cannot serve {directory}: it may not be read\n"


def test_a_port_that_is_taken(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Command(directory, "--port", str(port)) as command:
            status, output, errors = command.end()
    assert (status, output) == (1, "")
    assert errors == (f"python -m blockingio: port {port} on 127.0.0.1 is taken: choose another, "
                      f"as --port {port + 1 if port < 65535 else 8000}, or --port 0 for any\n")


def test_a_port_for_the_privileged(directory: Path, monkeypatch: pytest.MonkeyPatch,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    from blockingio import HttpServer
    from blockingio.__main__ import main

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "cannot listen on 127.0.0.1:80: Permission denied")

    monkeypatch.setattr(HttpServer, "bind", refuse)
    assert main([str(directory), "--port", "80"]) == 1
    assert "choose one from 1024 on" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--help", "-h", "--version"])
def test_help(option: str) -> None:
    with Command(option) as command:
        status, output, errors = command.end()
    assert (status, errors) == (0, "")
    assert ("--upload" in output) != ("version" in option)


@pytest.mark.parametrize(("environment", "coloured"), [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)])
def test_colours_on_a_terminal(directory: Path, environment: dict[str, str], coloured: bool) -> None:
    import pty
    terminal, theirs = pty.openpty()
    try:
        with Command(directory, "--port", "0", stdout=theirs, **{"NO_COLOR": ""} | environment) as command:
            assert command.line(terminal) == f"Serving {directory}"
            url = command.line(terminal).removeprefix("Listening on ")
            requests.get(url + "hello.txt", timeout=PATIENCE)
            assert (" \x1b[32m200\x1b[0m 13 " in command.line(terminal)) == coloured
            requests.get(url + "nothing", timeout=PATIENCE)
            assert (" \x1b[33m404\x1b[0m " in command.line(terminal)) == coloured
            assert command.interrupt()[0] == 0
    finally:
        os.close(terminal)
        os.close(theirs)


# ------------------------------------------------------------ the log


def record(status: int = 200, **fields: str) -> AccessRecord:
    headers = HttpHeaders()
    for name, value in fields.items():
        headers.set(name, value)
    return AccessRecord("192.0.2.1", None, 784111777.0, "GET", "/ 1 2 3", "1.1", status, 5, 0.25, headers)


@pytest.mark.parametrize(("status", "shown"), [
    (200, "\x1b[32m200\x1b[0m"), (304, "\x1b[36m304\x1b[0m"), (404, "\x1b[33m404\x1b[0m"), (500, "\x1b[1;31m500\x1b[0m"),
    (101, "101"), (999, "999"),
])
def test_colours(status: int, shown: str) -> None:
    stream = io.StringIO()
    RequestLog(stream, colour=True)(record(status))
    assert stream.getvalue().endswith(f'"GET / 1 2 3 HTTP/1.1" {shown} 5 0.250000\n')


@pytest.mark.parametrize(("is_terminal", "environment", "coloured"), [
    (True, {}, True), (True, {"NO_COLOR": ""}, True), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False),
    (False, {}, False),
])
def test_who_wants_colours(is_terminal: bool, environment: dict[str, str], coloured: bool) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    assert wants_colour(Stream(), environment) == coloured


def test_the_log_names_the_user() -> None:
    stream = io.StringIO()
    log = RequestLog(stream, colour=False, user="me")
    log(record(200, authorization="Basic x"))
    log(record(401, authorization="Basic x"))
    log(record(200))
    assert [line.split(" ")[2] for line in stream.getvalue().splitlines()] == ["me", "-", "-"]


def test_a_log_that_nobody_reads_falls_silent() -> None:
    class Broken(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            raise BrokenPipeError

    stream = Broken()
    log = RequestLog(stream, colour=False)
    log(record())
    log(record())
    assert stream.writes == 1


# ------------------------------------------------------------ addresses


def test_urls() -> None:
    loopback = InternetAddress.LOOPBACK_IP_V4
    assert server_urls("http", "127.0.0.1", loopback, 8000) == ["http://127.0.0.1:8000/"]
    assert server_urls("http", "127.0.0.1", loopback, 80) == ["http://127.0.0.1/"]
    assert server_urls("https", "127.0.0.1", loopback, 443) == ["https://127.0.0.1/"]
    assert server_urls("https", "localhost", loopback, 80) == ["https://localhost:80/", "https://127.0.0.1:80/"]
    assert server_urls("http", "::1", InternetAddress.LOOPBACK_IP_V6, 8000) == ["http://[::1]:8000/"]


@pytest.mark.parametrize(("text", "address"), [("0.0.0.0", InternetAddress.ANY_IP_V4), ("::", InternetAddress.ANY_IP_V6)])
def test_all_addresses(text: str, address: InternetAddress) -> None:
    urls = server_urls("http", text, address, 8000)
    assert urls[0] == "http://127.0.0.1:8000/"
    assert len(set(urls)) == len(urls)
    assert all(re.fullmatch(r"http://([0-9.]+|\[[0-9a-f:]+\]):8000/", url) for url in urls)
    assert not any("fe80" in url or "0.0.0.0" in url or "[::]" in url for url in urls)
    assert text == "::" or not any("[" in url for url in urls)


def test_own_addresses_where_the_system_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise OSError("no")

    monkeypatch.setattr("blockingio.cli_addresses.fcntl", None)
    monkeypatch.setattr("blockingio.cli_addresses._IPV6_TABLE", "/nowhere")
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(socket.socket, "connect", fail)
    assert own_addresses() == [InternetAddress.LOOPBACK_IP_V4]


# ------------------------------------------------------------ the site


@contextmanager
def site(directory: Path, **options: Any) -> Iterator[RawClient]:
    with serving(Site(directory, SiteOptions(**options)).handle) as server, RawClient(server.port) as client:
        yield client


def send(client: RawClient, method: str, target: str, *fields: str, body: bytes = b"") -> RawResponse:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *fields, "", ""]
    return client.send("\r\n".join(lines).encode() + body).read_response(method)


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


def test_single_page_application(directory: Path) -> None:
    with site(directory, spa=True) as client:
        assert client.get("/unknown").status == 404
        (directory / "index.html").write_text("<p>App</p>")
        for target in ("/unknown", "/un/known?x", "/hello.txt/", "/..", "/unknown.js"):
            response = client.get(target)
            assert (response.status, response.body) == (200, b"<p>App</p>")
            assert response.header("content-type") == "text/html; charset=utf-8"
        assert client.get("/unknown", f"If-None-Match: {response.header('etag')}").status == 304
        assert client.get("/unknown", 'If-Match: "x"').status == 412
        assert send(client, "HEAD", "/unknown").status == 200
        assert send(client, "POST", "/unknown").status == 405
        assert client.get("/hello.txt").body == b"Hello, world!"


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
        assert response.header("access-control-allow-methods") == "GET, HEAD, OPTIONS"
        assert response.header("access-control-allow-headers") == "*, Authorization"
    with site(directory) as client:
        assert client.get("/hello.txt", "Origin: http://a.example").header("access-control-allow-origin") is None
        assert send(client, "OPTIONS", "/").header("allow") == "GET, HEAD"
        assert send(client, "OPTIONS", "/").status == 405


def test_cache(directory: Path) -> None:
    with site(directory, cache=3600) as client:
        response = client.get("/hello.txt")
        assert response.header("cache-control") == "max-age=3600"
        assert client.get("/hello.txt", f"If-None-Match: {response.header('etag')}").header("cache-control") == "max-age=3600"
        assert client.get("/nothing").header("cache-control") is None
        assert send(client, "POST", "/").header("cache-control") is None


def test_gzip(directory: Path) -> None:
    (directory / "text.txt").write_text("All work and no play. " * 100)
    with Command(directory, "--port", "0", "--gzip", "--quiet") as command:
        url = command.start(directory)
        with RawClient(int(url.rstrip("/").rpartition(":")[2])) as client:
            response = client.get("/text.txt", "Accept-Encoding: gzip")
            assert response.header("content-encoding") == "gzip"
            assert gzip.decompress(response.body) == b"All work and no play. " * 100
        assert command.interrupt() == (0, "", "")


def basic(text: str) -> str:
    return "Authorization: Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(("field", "status"), [
    (None, 401), (basic("me:s:crêt"), 200), (basic("me:s:crêt").replace("Basic", "bASIC"), 200), (basic("me:wrong"), 401),
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


# ------------------------------------------------------------ uploads


def form(*files: tuple[str, bytes], name: str = "file") -> bytes:
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
             f"Content-Type: application/octet-stream\r\n\r\n".encode() + content + b"\r\n" for filename, content in files]
    return b"".join(parts) + b"--b--\r\n"


FORM = "Content-Type: multipart/form-data; boundary=b"


def test_the_form_is_on_the_listing(directory: Path) -> None:
    with site(directory, upload=True) as client:
        html = client.get("/").body
        assert b'<form method="post" enctype="multipart/form-data">' in html
        assert b'<input type="file" name="file" multiple' in html
    with site(directory) as client:
        assert b"<form" not in client.get("/").body
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
        response = requests.post(url, files=[("file", ("Grüße €.txt", "text")), ("note", (None, "no file"))], timeout=PATIENCE)
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


def test_many_uploads_of_one_name_at_once(directory: Path) -> None:
    with serving(Site(directory, SiteOptions(upload=True)).handle, workers=4) as server:
        def upload(number: int) -> None:
            with RawClient(server.port) as client:
                assert send(client, "POST", "/", FORM, body=form(("x.txt", b"%d" % number * 1000))).status == 303

        threads = [threading.Thread(target=upload, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    found = {file.read_bytes() for file in directory.glob("x*.txt")}
    assert found == {b"%d" % number * 1000 for number in range(8)}


@pytest.mark.parametrize(("filename", "name"), [
    ("a.txt", "a.txt"), ("../../a.txt", "a.txt"), ("C:\\x\\a.txt", "a.txt"), ("/etc/passwd", "passwd"), ("..", "upload"),
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
def test_uploads_that_are_refused(directory: Path, target: str, fields: list[str], body: bytes, status: int) -> None:
    (directory / "out").symlink_to("..")
    with site(directory, upload=True) as client:
        assert send(client, "POST", target, *fields, body=body).status == status
    assert sorted(os.listdir(directory)) == sorted(["hello.txt", "out", "sub"] + ["a.txt"] * (status == 303))
    assert os.listdir(directory.parent) == ["site"]


@pytest.mark.parametrize(("number", "status"), [
    (errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EACCES, 403)])
def test_a_disk_that_takes_no_more(directory: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int) -> None:
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


def test_names_run_out(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_upload, "_MAX_COPIES", 2)
    (directory / "hello (1).txt").write_text("")
    site = Site(directory, SiteOptions(upload=True))
    with serving(site.handle) as server, RawClient(server.port) as client:
        assert send(client, "POST", "/", FORM, body=form(("hello.txt", b"x"))).status == 409
    assert not [name for name in os.listdir(directory) if name.startswith(".")]
