from __future__ import annotations

import socket
import ssl
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import requests

from blockingio import X509Certificate
from tests.peers import PATIENCE
from tests.tutorials.programs import QUIETLY, TUTORIALS, Program

CHAIN = TUTORIALS / "certificates" / "server_chain.pem"


@pytest.mark.parametrize("method, path", [("GET", "/"), ("GET", "/what/ever?x=1"), ("POST", "/")])
def test_hello_world_answers_everything(method: str, path: str, tmp_path: Path) -> None:
    with Program("hello_world_server.py", 4040, tmp_path) as program:
        response = requests.request(method, program.url + path, data=b"x", timeout=PATIENCE)
        assert (response.status_code, response.text) == (200, "Hello, world!")
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["content-length"] == "13"
        assert program.interrupt() == QUIETLY


def test_hello_world_is_found_by_the_name_localhost(tmp_path: Path) -> None:
    with Program("hello_world_server.py", 4040, tmp_path) as program:
        response = requests.get(f"http://localhost:{program.port}/", timeout=PATIENCE)
        assert response.text == "Hello, world!"


@pytest.mark.parametrize("connections", [0, 3])
def test_ctrl_c_with_connections_open(connections: int, tmp_path: Path) -> None:
    with Program("hello_world_server.py", 4040, tmp_path) as program:
        address = ("127.0.0.1", program.port)
        clients = [socket.create_connection(address, PATIENCE) for _ in range(connections)]
        try:
            assert program.interrupt() == QUIETLY
        finally:
            for client in clients:
                client.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, PATIENCE)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_hello_world_secure(host: str, tmp_path: Path) -> None:
    with Program("hello_world_server_secure.py", 4047, tmp_path, "https") as program:
        response = requests.get(f"https://{host}:{program.port}/", verify=str(CHAIN), timeout=PATIENCE)
        assert (response.status_code, response.text) == (200, "Hello, world!")
        assert program.interrupt() == QUIETLY


def test_a_client_that_does_not_know_the_certificate_goes_away(tmp_path: Path) -> None:
    with Program("hello_world_server_secure.py", 4047, tmp_path, "https") as program:
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(program.url, timeout=PATIENCE)
        response = requests.get(program.url, verify=str(CHAIN), timeout=PATIENCE)
        assert response.text == "Hello, world!"
        assert program.interrupt() == QUIETLY


def test_the_certificate_is_for_this_machine_until_2046() -> None:
    certificate = X509Certificate.from_der(ssl.PEM_cert_to_DER_cert(CHAIN.read_text()))
    assert certificate.subject == certificate.issuer == "/O=blockingio tutorials/CN=localhost"
    assert certificate.start_validity < datetime.now(timezone.utc)
    assert certificate.end_validity.year == 2046
    decoded: dict[str, Any] = ssl._ssl._test_decode_cert(str(CHAIN))  # type: ignore[attr-defined]
    assert decoded["subjectAltName"] == (
        ("DNS", "localhost"), ("IP Address", "127.0.0.1"), ("IP Address", "0:0:0:0:0:0:0:1"))
