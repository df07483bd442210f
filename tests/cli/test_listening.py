"""Where the command listens, and who is told: ports, Unix-domain sockets, --open, the console script."""
from __future__ import annotations

import configparser
import errno
import importlib
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from blockingio import HttpServer
from blockingio.cli.binding import socket_text
from blockingio.cli.command import main
from tests.cli.command import PROJECT, Command
from tests.peers import PATIENCE, RawClient, eventually


@pytest.mark.needs("socket.AF_UNIX")
def test_a_unix_domain_socket(directory: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with Command(directory, "--unix", path, "--quiet") as command:
        assert [command.line(), command.line()] == [f"Serving {directory}", f"Listening on {path}"]
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            with RawClient.on(sock) as client:
                assert client.get("/hello.txt").body == b"Hello, world!"
        with Command(directory, "--unix", path) as other:
            assert other.end() == (1, "", f"python -m blockingio: {path} is there already: "
                                          f"choose another path for --unix\n")
        assert command.interrupt() == (0, "", "")
    assert not path.exists()


class Taken(Exception):
    """The port that was got is not served from."""


def listen(monkeypatch: pytest.MonkeyPatch, directory: Path, taken: set[int], *arguments: str) -> tuple[int, list[int]]:
    """The status, 0 where a port was got, and the ports that were tried; those of ``taken`` are."""
    tried: list[int] = []

    def bind(address: object, port: int) -> None:
        tried.append(port)
        if port in taken:
            raise OSError(errno.EADDRINUSE, f"cannot listen on {address}:{port}: Address already in use")
        raise Taken

    monkeypatch.setattr(HttpServer, "bind", bind)
    try:
        return main([str(directory), *arguments]), tried
    except Taken:
        return 0, tried


def test_the_next_port_that_is_free(directory: Path, monkeypatch: pytest.MonkeyPatch,
                                    capsys: pytest.CaptureFixture[str]) -> None:
    assert listen(monkeypatch, directory, set()) == (0, [8000])
    assert listen(monkeypatch, directory, {8000, 8001}) == (0, [8000, 8001, 8002])
    assert capsys.readouterr().err == ""
    assert listen(monkeypatch, directory, set(range(8000, 8010))) == (1, list(range(8000, 8010)))
    assert capsys.readouterr().err == ("python -m blockingio: ports 8000 to 8009 on 127.0.0.1 are taken: "
                                       "choose another, or --port 0 for any\n")
    assert listen(monkeypatch, directory, {8000}, "--port", "8000") == (1, [8000])


def test_that_it_is_another_port_is_said(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a default that is free at most by accident."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = (f"import sys; from blockingio.cli import binding, command, program; sys.argv[0] = '/bin/blockingio'; "
                f"binding.DEFAULT_PORT = command.DEFAULT_PORT = {port}; "
                "program.run_command('blockingio.cli.command', 0)")
        process = subprocess.Popen([sys.executable, "-c", code, str(directory), "--quiet"], stderr=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, cwd=PROJECT)
        with process:
            assert process.stderr
            line = process.stderr.readline()
            process.terminate()
            process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    assert re.fullmatch(rf"Port {port} is taken, so this is \d+: --port asks for a certain one\n", line)


def test_the_console_script() -> None:
    """It is the same program, and calls itself by its own name."""
    config = configparser.ConfigParser()
    config.read(PROJECT / "setup.cfg")
    name, _, target = config["options.entry_points"]["console_scripts"].strip().partition(" = ")
    module, _, function = target.partition(":")
    assert name == "blockingio" and callable(getattr(importlib.import_module(module), function))
    code = f"import sys; from {module} import {function}; sys.argv[0] = '/bin/{name}'; {function}()"
    done = subprocess.run([sys.executable, "-c", code, "nowhere"], cwd=PROJECT, text=True, capture_output=True,
                          timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (2, "blockingio: cannot serve nowhere: it does not exist\n")


def test_open(directory: Path, tmp_path: Path) -> None:
    """BROWSER says which: here one that asks for the URL that it was given."""
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\nprintf %s \"$1\" > {tmp_path}/part && mv {tmp_path}/part {tmp_path}/opened\n")
    browser.chmod(0o755)
    with Command(directory, "--port", "0", "--quiet", "--open", BROWSER=str(browser)) as command:
        url = command.start(directory)
        eventually((tmp_path / "opened").exists)
        assert (tmp_path / "opened").read_text() == url
        assert requests.get(url + "hello.txt", timeout=PATIENCE).status_code == 200
        assert command.interrupt() == (0, "", "")


def test_open_without_a_browser(directory: Path, tmp_path: Path) -> None:
    with Command(directory, "--port", "0", "--quiet", "--open", BROWSER="", PATH=str(tmp_path), DISPLAY="",
                 WAYLAND_DISPLAY="") as command:
        url = command.start(directory)
        assert command.process.stderr
        assert command.line(command.process.stderr.fileno()) == f"No browser could be started: open {url} yourself"
        assert command.interrupt() == (0, "", "")


def test_an_abstract_name_is_shown_without_its_nul() -> None:
    assert socket_text("\0name") == "@name"
    assert socket_text(Path("/run/name")) == "/run/name"
