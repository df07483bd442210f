"""The chapter "Keeping it running": its program, and its files as systemd and nginx read them, where these exist."""
from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from blockingio.wsgi import WsgiHandler
from tests.peers import PATIENCE, RawClient, eventually, serving
from tests.tutorials.programs import PROJECT, QUIETLY, TUTORIALS, Program
from tests.wsgi.test_handler import Environ

README = (TUTORIALS / "README.rst").read_text(encoding="utf-8")
#: Debian keeps some where only root's PATH leads.
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", README, re.MULTILINE)
    assert found
    return [textwrap.dedent(text) for text in found]


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program, path=SEARCHED) is None, reason=f"{program} is not installed")


def pid_at(url: str) -> int:
    return int(re.findall(r"process (\d+)", requests.get(url, timeout=PATIENCE).text)[0])


# ------------------------------------------------------------------------ the program

@pytest.mark.needs("os.fork")
def test_two_processes_until_ctrl_c(tmp_path: Path) -> None:
    with Program("steady_server.py", 4045, tmp_path) as program:
        first = pid_at(program.url)
        eventually(lambda: pid_at(program.url) != first)
        text = requests.get(program.url, headers={"X-Forwarded-For": "192.0.2.7"}, timeout=PATIENCE).text
        assert text.startswith("Hello, 192.0.2.7. This is process ")
        assert program.interrupt() == QUIETLY


@needs("systemd-socket-activate")
def test_a_socket_that_systemd_hands_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as finder:
        port = finder.getsockname()[1]
    command = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", f"--setenv=PYTHONPATH={PROJECT}", sys.executable,
               str(TUTORIALS / "steady_server.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            eventually(lambda: answers(port))
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, output) == (0, f"Listening on http://127.0.0.1:{port}/\n")


def answers(port: int) -> bool:
    try:
        with RawClient(port) as client:
            return client.get().body.startswith(b"Hello, 127.0.0.1. ")
    except ConnectionRefusedError:
        return False


# ------------------------------------------------------------------------ the files

@needs("systemd-analyze")
def test_systemd_finds_nothing_in_the_units(tmp_path: Path) -> None:
    for name, text in zip(("notes.socket", "notes.service"), blocks("ini"), strict=True):
        (tmp_path / name).write_text(text.replace("/srv/notes/.venv/bin/python", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", "./notes.service", "./notes.socket"], cwd=tmp_path,
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {}
}}
"""


@contextmanager
def nginx(directory: Path, port: int) -> Iterator[int]:
    """nginx with the chapter's text, in front of that port; the port that it listens on itself."""
    with socket.create_server(("127.0.0.1", 0)) as finder:
        own: int = finder.getsockname()[1]
    [text] = blocks("nginx")
    text = text.replace("server 127.0.0.1:8000;", f"server 127.0.0.1:{port};")
    text = text.replace("listen 80;", f"listen 127.0.0.1:{own};")
    (directory / "nginx.conf").write_text(NGINX.format(text))
    program = shutil.which("nginx", path=SEARCHED)
    assert program
    with subprocess.Popen([program, "-p", str(directory), "-c", str(directory / "nginx.conf")],
                          stderr=subprocess.PIPE) as process:
        try:
            eventually(lambda: is_open(own))
            yield own
        finally:
            process.terminate()
            process.communicate()


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def application(environ: Environ, start_response: object) -> Iterator[bytes]:
    assert callable(start_response)
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    names = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "REQUEST_METHOD", "PATH_INFO", "QUERY_STRING")
    yield " ".join(str(environ[name]) for name in names).encode()
    yield b" %d" % len(body)


@needs("nginx")
def test_behind_nginx(tmp_path: Path) -> None:
    """Connections are used again, the client is known, and what it claims itself counts for nothing."""
    with serving(WsgiHandler(application), workers=4, trusted_proxies=["127.0.0.1"]) as server:
        with nginx(tmp_path, server.port) as port, requests.Session() as session:
            session.trust_env = False
            url = f"http://127.0.0.1:{port}/a%20b?c=d"
            # The client is nginx's peer, and so one of the proxies: what it says of those before it is believed.
            for claimed, client in (("192.0.2.9", "192.0.2.9"), ("6.6.6.6, 192.0.2.9", "192.0.2.9"),
                                    (None, "127.0.0.1")):
                headers = {"X-Forwarded-Proto": "https"} | ({} if claimed is None else {"X-Forwarded-For": claimed})
                answer = session.get(url, headers=headers, timeout=PATIENCE)
                assert answer.text == f"{client} http 127.0.0.1:{port} GET /a b c=d 0"
            for data in (bytes(3_000_000), iter([bytes(100_000)] * 3)):
                size = len(data) if isinstance(data, bytes) else 300_000
                assert session.post(url, data=data, timeout=PATIENCE).text.endswith(f" POST /a b c=d {size}")
            assert session.post(url, data=bytes(11_000_000), timeout=PATIENCE).status_code == 413
            assert server.connections_info().total == 1
