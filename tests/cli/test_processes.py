"""The command in several processes, and on sockets that a service manager has opened."""
from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import Command, port_of
from tests.cli.test_command import begin_download, begin_upload, refuses
from tests.peers import PATIENCE, RawClient, eventually


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def children(command: Command) -> set[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(command.process.pid)], capture_output=True, text=True)
    return set(map(int, found.stdout.split()))


@pytest.mark.needs("os.fork")
def test_several_on_a_socket_that_was_inherited(directory: Path, listening: socket.socket) -> None:
    """They log on one stream; one that dies is replaced; a hangup replaces all."""
    port = listening.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as second:
        with Command(directory, "--port", "1", "--bind", "192.0.2.1", "--processes", "2",
                     inherits=[listening, second]) as command:
            assert command.start(directory) == f"http://127.0.0.1:{port}/"
            first = eventually(lambda: len(found := children(command)) == 2 and found)
            for number in range(10):
                with RawClient(port) as client:
                    assert client.get(f"/hello.txt?{number}", "Connection: close").body == b"Hello, world!"
            said = {command.line().split('"')[1] for _ in range(10)}
            assert said == {f"GET /hello.txt?{number} HTTP/1.1" for number in range(10)}
            command.process.send_signal(signal.SIGHUP)
            after = eventually(lambda: len(found := children(command)) == 2 and not found & first and found,
                               PATIENCE * 2)
            os.kill(min(after), signal.SIGKILL)
            eventually(lambda: len(found := children(command)) == 2 and min(after) not in found)
            status, output, errors = command.interrupt()
    assert (status, output) == (0, "")
    assert errors.splitlines()[0] == ("A socket was inherited (LISTEN_FDS), and is served: "
                                      "--bind and --port are ignored")
    assert f"process {min(after)} ended by signal 9" in errors


@pytest.mark.needs("socket.AF_UNIX")
def test_a_socket_without_a_port_that_was_inherited(directory: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        with Command(directory, "--quiet", inherits=[listening]) as command:
            assert [command.line(), command.line()] == [f"Serving {directory}", f"Listening on {path}"]
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
                assert RawClient.on(sock).get("/hello.txt").body == b"Hello, world!"
            status, output, errors = command.interrupt()
            assert (status, output, errors.count("\n")) == (0, "", 1)
    assert path.is_socket()  # it is the service manager's


def test_what_does_not_listen_is_refused(directory: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        with Command(directory, inherits=[datagrams]) as command:
            assert command.end() == (2, "", "python -m blockingio: the first descriptor of LISTEN_FDS is no stream "
                                            "socket that listens\n")


@pytest.mark.needs("os.fork")
def test_a_second_signal_cuts_and_leaves_nothing(directory: Path) -> None:
    (directory / "large.bin").write_bytes(bytes(20_000_000))
    with Command(directory, "--port", "0", "--quiet", "--upload", "--processes", "2") as command:
        port = port_of(command.start(directory))
        with RawClient(port) as downloading, RawClient(port) as uploading:
            begin_download(downloading)
            begin_upload(uploading, directory)
            command.process.send_signal(signal.SIGINT)
            eventually(lambda: refuses(port))
            assert command.interrupt() == (0, "", "")
    assert sorted(os.listdir(directory)) == ["hello.txt", "large.bin", "sub"]


def test_no_process_is_refused(directory: Path) -> None:
    with Command(directory, "--processes", "0") as command:
        assert command.end() == (2, "", "python -m blockingio: argument --processes: expected at least 1\n")
