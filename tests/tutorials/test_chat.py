from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.peers import PATIENCE, RawClient
from tests.tutorials.programs import QUIETLY, TUTORIALS, Program
from tests.websocket.raw import BINARY, FIN, TEXT, RawSocket, request_head, upgraded


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Program]:
    with Program("chat_server.py", 4043, tmp_path) as program:
        yield program
        assert program.interrupt() == QUIETLY


def test_the_page(chat: Program) -> None:
    response = requests.get(chat.url + "/", timeout=PATIENCE)
    assert (response.status_code, response.content) == (200, (TUTORIALS / "chat.html").read_bytes())
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert requests.get(chat.url + "/other", timeout=PATIENCE).status_code == 404


def test_what_one_says_all_hear(chat: Program) -> None:
    with ExitStack() as stack:
        clients: list[RawSocket] = []
        for number in range(5):  # one that hears itself is in, as are those before it
            client = stack.enter_context(upgraded(chat.port))
            clients.append(client)
            client.send_frame(FIN | TEXT, b"%d" % number)
            assert {heard.read_frame().payload for heard in clients} == {b"%d" % number}
        clients[0].send_frame(FIN | TEXT, "Grüße".encode())
        assert [client.read_frame() for client in clients] == [(FIN | TEXT, "Grüße".encode())] * 5
        clients.pop().reset()
        clients.pop().say_goodbye()
        clients[1].send_frame(FIN | BINARY, b"bytes")
        assert [client.read_frame() for client in clients] == [(FIN | BINARY, b"bytes")] * 3
        clients[0].send_frame(FIN | TEXT, bytes(10_001))
        clients[0].closes_with(1009)
        for client in clients[1:]:
            client.say_goodbye()


def test_pages_from_elsewhere(chat: Program) -> None:
    for host in ("127.0.0.1", "localhost"):
        with upgraded(chat.port, f"Origin: http://{host}:{chat.port}") as client:
            client.say_goodbye()
    for origin in ("http://evil.example", f"https://localhost:{chat.port}", "null"):
        with RawClient(chat.port) as client:
            assert client.send(request_head(f"Origin: {origin}")).read_response().status == 403


def test_ctrl_c_while_they_talk(tmp_path: Path) -> None:
    with Program("chat_server.py", 4043, tmp_path) as program:
        with upgraded(program.port) as client:
            client.send_frame(FIN | TEXT, b"x")
            assert client.read_frame().payload == b"x"
            assert isinstance(client, RawSocket)
            assert program.interrupt() == QUIETLY
