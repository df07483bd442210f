"""python -m blockingio: as a process, and what it serves."""
from __future__ import annotations

import errno
import gzip
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from blockingio.cli.shutdown import GRACE
from tests.cli.command import Command, port_of
from tests.peers import PATIENCE, Certificates, RawClient, eventually
from tests.scripts import PYTHON_PATH, activated


LOG_LINE = (r"127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
            r' "GET %s HTTP/1\.1" %d (\d+|-) \d+\.\d{6}')

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


def test_names_that_it_answers_for(directory: Path) -> None:
    with Command(directory, "--port", "0", "--host", "my.example", "--host", "*.our.example", "--quiet") as command:
        url = command.start(directory)
        for host, status in (("my.example", 200), ("a.our.example", 200), ("evil.example", 421)):
            response = requests.get(url + "hello.txt", headers={"Host": host}, timeout=PATIENCE)
            assert response.status_code == status
            assert ("--host evil.example" in response.text) == (status == 421)
        assert command.interrupt() == (0, "", "")


def test_dotfiles(directory: Path) -> None:
    (directory / ".env").write_text("secret")
    for arguments, status in ((["--dotfiles"], 200), ([], 404)):
        with Command(directory, "--port", "0", "--quiet", *arguments) as command:
            url = command.start(directory)
            assert requests.get(url + ".env", timeout=PATIENCE).status_code == status
            assert ("href=.env>" in requests.get(url, timeout=PATIENCE).text) == (status == 200)
            assert command.interrupt() == (0, "", "")


def test_a_single_page_that_is_not_there_yet(directory: Path) -> None:
    """That is said, and it may come later."""
    with Command(directory, "--port", "0", "--quiet", "--spa") as command:
        url = command.start(directory)
        assert requests.get(url + "some/view", timeout=PATIENCE).status_code == 404
        (directory / "index.html").write_text("<p>App</p>")
        assert requests.get(url + "some/view", timeout=PATIENCE).text == "<p>App</p>"
        status, output, errors = command.interrupt()
        assert (status, output) == (0, "") and errors.startswith("There is no index.html yet")


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def ending(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that asks for the end, also where this suite runs under nohup."""
    number: signal.Signals = request.param
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield number
    signal.signal(signal.SIGHUP, before)


def begin_download(client: RawClient) -> bytes:
    """Ask for more than fits on the way, and take the beginning of the answer, which this gives."""
    return client.send(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n").read_exactly(1000)


def begin_upload(client: RawClient, directory: Path) -> bytes:
    """Send all of a form but its end, which this gives, and wait until the beginning is there."""
    body = (b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
            + bytes(1000) + b"\r\n--b--\r\n")
    client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body[:-500])
    eventually(lambda: any(name.startswith(".") for name in os.listdir(directory)))
    return body[-500:]


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass  # it was in the backlog when the port was given up
    return False


@pytest.mark.needs("dir_fd")
def test_answers_in_progress_come_to_their_end(directory: Path, ending: signal.Signals) -> None:
    """New ones are not begun; a client that is idle, or has not finished asking, is not waited for."""
    size = 20_000_000
    (directory / "large.bin").write_bytes(bytes(size))
    with Command(directory, "--port", "0", "--quiet", "--upload", "--workers", "1") as command:
        port = port_of(command.start(directory))
        with RawClient(port) as downloading, RawClient(port) as uploading, RawClient(port), RawClient(port) as asking:
            begun = begin_download(downloading)
            end = begin_upload(uploading, directory)
            asking.send(b"GET / HT")
            command.process.send_signal(ending)
            eventually(lambda: refuses(port))
            response = uploading.send(end).read_response()
            assert (response.status, response.header("connection")) == (303, "close")
            head = begun.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            downloading.read_exactly(len(head) + size - len(begun))
            assert downloading.is_ended()
        assert command.end() == (0, "", "")
    assert (directory / "a.bin").read_bytes() == bytes(1000)
    assert sorted(os.listdir(directory)) == ["a.bin", "hello.txt", "large.bin", "sub"]


@pytest.mark.needs("dir_fd")
def test_answers_that_take_too_long_are_cut(directory: Path) -> None:
    (directory / "large.bin").write_bytes(bytes(20_000_000))
    with Command(directory, "--port", "0", "--quiet", "--upload") as command:
        port = port_of(command.start(directory))
        with RawClient(port) as downloading, RawClient(port) as uploading:
            begin_download(downloading)
            begin_upload(uploading, directory)
            command.process.send_signal(signal.SIGTERM)
            assert command.end() == (0, "", "")
    assert sorted(os.listdir(directory)) == ["hello.txt", "large.bin", "sub"]


@pytest.mark.needs("dir_fd")
def test_a_second_signal_ends_at_once(directory: Path, ending: signal.Signals) -> None:
    """Nor then is half a file left.  The clients would wait far longer than for what this allows."""
    (directory / "large.bin").write_bytes(bytes(20_000_000))
    with Command(directory, "--port", "0", "--quiet", "--upload") as command:
        port = port_of(command.start(directory))
        with RawClient(port) as downloading, RawClient(port) as uploading:
            begin_download(downloading)
            begin_upload(uploading, directory)
            command.process.send_signal(ending)
            eventually(lambda: refuses(port))
            asked = time.monotonic()
            command.process.send_signal(signal.SIGTERM)
            assert command.end() == (0, "", "")
            assert time.monotonic() - asked < GRACE
    assert sorted(os.listdir(directory)) == ["hello.txt", "large.bin", "sub"]


def test_the_log_tells_what_was_sent_of_what_was_cut(directory: Path) -> None:
    size = 500_000_000
    with open(directory / "large.bin", "wb") as file:
        file.truncate(size)
    with Command(directory, "--port", "0") as command:
        port = port_of(command.start(directory))
        with RawClient(port) as leaving:
            begin_download(leaving)
            leaving.reset()
        lines = [command.line()]
        with RawClient(port) as downloading:
            begin_download(downloading)
            command.process.send_signal(signal.SIGINT)
            eventually(lambda: refuses(port))
            command.process.send_signal(signal.SIGINT)
            status, output, errors = command.end()
        assert (status, errors) == (0, "")
        lines.append(output.rstrip("\n"))
    for line in lines:
        match = re.fullmatch(LOG_LINE % ("/large.bin", 200) + " cut", line)
        assert match and 0 < int(match[1]) < size


def test_a_log_that_is_not_read_holds_nobody_up(directory: Path) -> None:
    """A pipe has room for a few of these lines; then it is full, for good."""
    long = b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with Command(directory, "--port", "0", "--workers", "1") as command:
        port = port_of(command.start(directory))
        with RawClient(port) as client:
            for _ in range(200):
                assert client.send(long).read_response().status == 404
        command.process.send_signal(signal.SIGTERM)
        assert command.process.wait(PATIENCE * 2) == 0
        assert command.end()[2] == ""


@pytest.mark.parametrize(("arguments", "redirection"), [
    ([], ">&- 2>&-"), ([], ">/dev/full 2>/dev/full"),
    pytest.param(["--processes", "2"], ">&-", marks=pytest.mark.needs("os.fork")),
])
def test_it_serves_without_an_output(directory: Path, arguments: list[str], redirection: str) -> None:
    """Closed, as service managers may leave it, or full, or with no reader any more; and ends as it does else."""
    command = ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-W", "error", "-m", "blockingio",
               *arguments, str(directory)]
    with socket.create_server(("127.0.0.1", 0)) as listener, subprocess.Popen(
            activated(command, [listener.fileno()]), pass_fds=[listener.fileno()],
            env=os.environ | {"PYTHONPATH": PYTHON_PATH}) as process:
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            # A process has to start first.
            assert requests.get(url + "hello.txt", timeout=PATIENCE * 2).text == "Hello, world!"
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE * 2) == 0
        finally:
            process.kill()


def test_a_path_that_the_output_cannot_show(tmp_path: Path) -> None:
    """For want of characters, or because it has a line's end."""
    directory = tmp_path / "日本\n\udcff"
    directory.mkdir()
    with Command(directory, "--port", "0", "--quiet", PYTHONIOENCODING="ascii") as command:
        assert command.line() == f"Serving {tmp_path}/\\u65e5\\u672c\\n\\udcff"
        assert command.line().startswith("Listening on http")
        assert command.interrupt() == (0, "", "")


def test_a_hangup_that_is_ignored(directory: Path) -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Command(directory, "--port", "0", "--quiet") as command:
            url = command.start(directory)
            command.process.send_signal(signal.SIGHUP)
            assert requests.get(url + "hello.txt", timeout=PATIENCE).text == "Hello, world!"
            assert command.interrupt() == (0, "", "")
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("arguments", "warned"), [
    (["--bind", "0.0.0.0", "--upload"], True), (["--bind", "0.0.0.0", "--upload", "--auth", "me:secret"], False),
    (["--bind", "0.0.0.0"], False), (["--upload"], False),
])
@pytest.mark.needs("dir_fd")
def test_uploads_from_anybody_are_said(directory: Path, arguments: list[str], warned: bool) -> None:
    with Command(directory, "--port", "0", "--quiet", *arguments) as command:
        command.start(directory)
        command.process.send_signal(signal.SIGTERM)
        status, _, errors = command.end()
    assert (status, errors.count("\n"), "0.0.0.0" in errors, "--auth" in errors) == (0, warned, warned, warned)


def test_the_current_directory_is_the_default(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    with Command("-p", "0", "--quiet") as command:
        url = command.start(directory)
        assert requests.get(url + "hello.txt", timeout=PATIENCE).text == "Hello, world!"
        assert command.interrupt() == (0, "", "")


def test_https(directory: Path, tmp_path: Path, certificates: Certificates) -> None:
    certificate = certificates.server_certificate
    for number, blob in enumerate((certificates.authority.cert_pem, certificate.private_key_pem,
                                   certificate.private_key_and_cert_chain_pem)):
        blob.write_to_path(str(tmp_path / f"{number}.pem"))
    (tmp_path / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
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


def test_what_is_wrong_is_one_line() -> None:
    with Command("nowhere") as command:
        assert command.end() == (2, "", "python -m blockingio: cannot serve nowhere: it does not exist\n")


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
    from blockingio.cli.command import main

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "cannot listen on 127.0.0.1:80: Permission denied")

    monkeypatch.setattr(HttpServer, "bind", refuse)
    assert main([str(directory), "--port", "80"]) == 1
    assert "choose one from 1024 on" in capsys.readouterr().err


@pytest.mark.parametrize(("environment", "coloured"), [
    ({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)])
def test_colours_on_a_terminal(directory: Path, environment: dict[str, Any], coloured: bool) -> None:
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


@pytest.mark.parametrize(("arguments", "is_compressed"), [([], True), (["--gzip"], True), (["--no-gzip"], False)])
def test_gzip_and_cache(directory: Path, arguments: list[str], is_compressed: bool) -> None:
    text = b"All work and no play. " * 100
    (directory / "text.txt").write_bytes(text)
    with Command(directory, "--port", "0", "--quiet", *arguments,
                 BLOCKINGIO_CACHE="60\ntext/html=5") as command:
        url = command.start(directory)
        with RawClient(port_of(url)) as client:
            for target, content, seconds in (("/text.txt", text, 60), ("/", b"<!DOCTYPE html>", 5)):
                response = client.get(target, "Accept-Encoding: gzip")
                assert response.header("cache-control") == f"max-age={seconds}"
                assert response.header("content-encoding") == ("gzip" if is_compressed else None)
                body = gzip.decompress(response.body) if is_compressed else response.body
                assert body.startswith(content)
        assert command.interrupt() == (0, "", "")
