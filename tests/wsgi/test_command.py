"""python -m blockingio.wsgi, as a process."""
from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from blockingio.cli.application import NoApplication, load, show
from blockingio.cli.wsgi_command import main
from tests.cli.command import Command, port_of
from tests.peers import PATIENCE, RawClient, eventually

APPLICATION = """
import os
def application(environ, start_response):
    start_response("200 OK", [])
    names = ("REMOTE_ADDR", "wsgi.url_scheme", "wsgi.multiprocess", "SERVER_PORT")
    return [" ".join([*(str(environ[name]) for name in names), str(os.getpid())]).encode()]
def make():
    return application
number = 1
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The working directory, with modules to be served."""
    (tmp_path / "package").mkdir()
    for name, text in (("shop", APPLICATION), ("broken", "import package.broken\n"),
                       ("leaving", "raise SystemExit(3)\n"),
                       ("package/__init__", ""), ("package/broken", "1 / 0\n"),
                       ("package/lacking", "import nonesuch\n")):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


@contextmanager
def serving(directory: Path, *arguments: str, inherits: tuple[socket.socket, ...] = (),
            name: str = "shop:application") -> Iterator[tuple[Command, str]]:
    with Command(name, *arguments, module="blockingio.wsgi", cwd=directory, inherits=inherits,
                 XDG_CACHE_HOME=str(directory)) as command:
        assert command.line() == f"Serving {name}"
        line = command.line()
        assert line.startswith("Listening on "), line
        yield command, line.removeprefix("Listening on ")


def test_serving_until_a_signal(directory: Path) -> None:
    with serving(directory, "--port", "0", "--processes", "2", name="shop:make()") as (command, url):
        assert url.startswith("http://127.0.0.1:")
        with RawClient(port_of(url)) as client:
            assert client.get().body.startswith(b"127.0.0.1 http True ")
            assert re.fullmatch(r'127\.0\.0\.1 - - \[[^]]+\] "GET / HTTP/1\.1" 200 \d+ \d\.\d{6}', command.line())
        command.process.send_signal(signal.SIGTERM)
        assert command.end() == (0, "", "")


def test_https_and_trusted_proxies(directory: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with serving(directory, "--port", "0", "--https", "--trusted-proxies", "10.0.0.0/8, 127.0.0.1",
                 "--log", "json") as (command, url):
        assert url.startswith("https://") and command.line().startswith("Certificate, by its SHA-256 fingerprint: ")
        assert command.line() == f"It is kept in {directory}/blockingio/https.pem"
        with RawClient(port_of(url), context=context) as client:
            assert client.get().body.startswith(b"127.0.0.1 https False ")
            forwarded = client.get("/", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http")
            assert forwarded.body.startswith(b"192.0.2.1 http False ")
        assert [json.loads(command.line())["remote"] for _ in range(2)] == ["127.0.0.1", "192.0.2.1"]
        assert command.interrupt() == (0, "", "")


def test_a_certificate_that_cannot_be_kept(directory: Path) -> None:
    (directory / "blockingio").write_text("a file, where a directory was to be")
    with serving(directory, "--port", "0", "--https") as (command, _):
        assert command.line().startswith("Certificate, by its SHA-256 fingerprint: ")
        status, output, errors = command.interrupt()
    assert (status, output) == (0, "")
    assert errors == ("The certificate is new, and will be again next time, as it cannot be kept: "
                      f"{directory}/blockingio: File exists\n")


def test_sockets_that_were_inherited(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with serving(directory, "--port", "1", "--quiet", inherits=(listening,)) as (command, url):
            assert url == f"http://127.0.0.1:{port}/"
            with RawClient(port) as client:
                assert client.get().body.startswith(f"127.0.0.1 http False {port} ".encode())
            assert command.interrupt() == (0, "", "A socket was inherited (LISTEN_FDS), and is served: --bind and "
                                                  "--port are ignored\n")


def test_a_port_that_is_taken(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Command("shop:application", "--port", str(port), module="blockingio.wsgi", cwd=directory) as command:
            status, output, errors = command.end()
    assert (status, output, errors.count("\n")) == (1, "", 1) and f"port {port} on 127.0.0.1 is taken" in errors


WRONG = [
    ("shop", "expected MODULE:APPLICATION, found 'shop'"), ("sh op:x", "expected MODULE:APPLICATION"),
    ("shop:nothing", "there is no 'nothing' in 'shop'"), ("shop:nothing()", "there is no 'nothing' in 'shop'"),
    ("shop:number", "is no application, expected something to call, found int"),
    ("shop:number()", "is no factory"), ("os:getcwd()", "is no application, expected something to call, found str"),
    ("absent:x", "there is no module 'absent' here"), ("absent.deeper:x", "there is no module 'absent.deeper' here"),
    ("package.absent:x", "there is no module 'package.absent' here"),
    ("shop.number:x", "there is no module 'shop.number' here"),
]


@pytest.fixture
def importing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Modules of the directory can be imported, and are forgotten at the end."""
    monkeypatch.setattr(sys, "path", [str(directory), *sys.path])
    before = set(sys.modules)
    yield directory
    for module in set(sys.modules) - before:
        if module.partition(".")[0] in ("shop", "broken", "leaving", "package"):
            del sys.modules[module]


@pytest.mark.parametrize("name, said", WRONG)
def test_a_wrong_name(importing: Path, name: str, said: str) -> None:
    with pytest.raises(NoApplication) as refused:
        load(name)
    assert said in str(refused.value)


def test_a_wrong_name_is_one_line(directory: Path) -> None:
    with Command("shop:nothing", "--processes", "2", module="blockingio.wsgi", cwd=directory) as command:
        assert command.end() == (2, "", "python -m blockingio.wsgi: there is no 'nothing' in 'shop'\n")


@pytest.mark.parametrize("arguments, said", [
    (["--workers", "0"], "--workers: expected at least 1"), (["--processes", "0"], "--processes: expected at least 1"),
    (["--port", "65536"], "from 0 to 65535"), (["--port", "x"], "--port"), (["--log", "x"], "--log"),
    (["--trusted-proxies", "localhost"], "--trusted-proxies: expected the like of"),
    (["--reload", "--processes", "2"], "--reload: it is for development"), (["--nonesuch"], "--nonesuch")])
def test_a_wrong_option(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["shop:application", *arguments])
    errors = capsys.readouterr().err
    assert end.value.code == 2 and said in errors and errors.count("\n") == 1


@pytest.mark.parametrize("name, file, last", [
    ("broken:x", "broken.py", "ZeroDivisionError: division by zero"),
    ("package.lacking:x", "package/lacking.py", "ModuleNotFoundError: No module named 'nonesuch'"),
    ("leaving:x", "leaving.py", "SystemExit: 3")])
def test_a_module_that_fails_shows_its_own_traceback(
        importing: Path, name: str, file: str, last: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((Exception, SystemExit)) as failed:
        load(name)
    assert failed.value.__traceback__
    show(failed.value.with_traceback(failed.value.__traceback__.tb_next))  # without the test itself
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback") and lines[-1] == last
    assert lines[1].startswith(f'  File "{importing / file}", line 1')


def test_that_it_fails_is_shown_once(directory: Path) -> None:
    with Command("broken:x", "--processes", "2", module="blockingio.wsgi", cwd=directory) as command:
        status, output, errors = command.end()
    assert (status, output) == (2, "") and errors.count("Traceback") == 1
    assert errors.splitlines()[1].startswith(f'  File "{directory}/broken.py", line 1')


def test_a_hangup_brings_what_has_changed(directory: Path) -> None:
    """Where that cannot be imported, those that serve go on."""
    (directory / "version.py").write_text("def application(environ, start_response):\n"
                                          "    start_response('200 OK', [])\n    return [TEXT]\nTEXT = b'first'\n")
    with serving(directory, "--port", "0", "--quiet", "--processes", "2", name="version:application") as (command, url):
        assert command.process.stderr
        assert body_of(port_of(url)) == b"first"
        (directory / "version.py").write_text("raise ImportError('not now')\n")
        command.process.send_signal(signal.SIGHUP)
        stderr = command.process.stderr.fileno()
        while "before it served; those that it was to replace stay" not in command.line(stderr):
            pass
        assert {body_of(port_of(url)) for _ in range(4)} == {b"first"}
        (directory / "version.py").write_text("from shop import application as old\nnew = b'second'\n"
                                              "def application(environ, start_response):\n"
                                              "    old(environ, start_response)\n    return [new]\n")
        command.process.send_signal(signal.SIGHUP)
        eventually(lambda: {body_of(port_of(url)) for _ in range(4)} == {b"second"}, PATIENCE * 2)
        assert command.interrupt() == (0, "", "")


# ------------------------------------------------------------------------ --reload

def body_of(port: int) -> bytes:
    with RawClient(port) as client:
        return client.get("/", "Connection: close").body


CHANGED = " has changed: the application is started again"


def write_helper(directory: Path, text: str) -> None:
    """As editors do: a file in place of the other."""
    (directory / "new").write_text(text)
    os.replace(directory / "new", directory / "helper.py")


def test_a_change_starts_the_application_again(directory: Path) -> None:
    """From the same socket, which refuses nobody meanwhile; what cannot be imported is shown, and tried again."""
    (directory / "reloaded.py").write_text("def application(environ, start_response):\n"
                                           "    import helper\n"
                                           "    start_response('200 OK', [])\n"
                                           "    return [helper.TEXT]\n"
                                           "if __import__('os').path.exists('strict'):\n"
                                           "    import helper\n")
    write_helper(directory, "TEXT = b'one'")
    with serving(directory, "--port", "0", "--quiet", "--reload", name="reloaded:application") as (command, url):
        port = port_of(url)
        assert body_of(port) == b"one"  # and now it is imported
        (directory / "strict").touch()
        assert command.process.stderr
        errors = command.process.stderr.fileno()
        for text, expected, last in (
                ("TEXT = b'two'", b"two", "helper.py" + CHANGED), ("TEXT = b'six'", b"six", "helper.py" + CHANGED),
                ("TEXT = b'", b"could not be imported",
                 "SyntaxError: unterminated string literal (detected at line 1)"),
                ("from later import TEXT", b"could not be imported", "ModuleNotFoundError: No module named 'later'"),
                (None, b"later", "." + CHANGED), ("TEXT = b'end'", b"end", "helper.py" + CHANGED)):
            if text is None:
                (directory / "later.py").write_text("TEXT = b'later'")
            else:
                write_helper(directory, text)
            while (line := command.line(errors)) != last:
                assert "wsgi_command.py" not in line
            eventually(lambda: expected in body_of(port))
        assert command.interrupt() == (0, "", "")


def test_with_reload_too_the_first_import_has_to_succeed(directory: Path) -> None:
    with Command("broken:x", "--reload", module="blockingio.wsgi", cwd=directory) as command:
        status, output, errors = command.end()
    assert (status, output) == (2, "") and errors.endswith("ZeroDivisionError: division by zero\n")
