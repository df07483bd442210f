"""HttpServer.allowed_hosts: requests that are for somebody else get 421 (RFC 9110 15.5.20)."""
from __future__ import annotations

import pytest

from blockingio import HttpRequest
from tests.peers import RawClient, serving

ALLOWED = ["a.example", "*.b.example", "192.0.2.1", "2001:db8::1", "bücher.example", "my_pc"]


def answer(request: HttpRequest) -> None:
    request.response.write("here")
    request.response.close()


def ask(port: int, *lines: str) -> int:
    with RawClient(port) as client:
        method = lines[0].partition(" ")[0]
        return client.send("\r\n".join([*lines, "", ""]).encode("latin-1")).read_response(method).status


@pytest.mark.parametrize(("host", "status"), [
    ("a.example", 200), ("A.Example", 200), ("a.example.", 200), ("a.example:8080", 200), ("a.example.:8080", 200),
    ("a.example:", 200), ("my_pc", 200), ("xn--bcher-kva.example", 200),
    ("c.b.example", 200), ("d.c.b.example.:1", 200),
    ("b.example", 421), ("xb.example", 421), ("a.example.evil.example", 421), ("x.a.example", 421),
    ("a.example..", 421), ("evil.example", 421), ("localhost", 421), ("a%2eexample", 421), (".b.example", 421),
    ("evil.example,.b.example", 421), ("192.0.2.1", 200), ("192.0.2.1.", 200), ("192.0.2.1:80", 200),
    ("192.0.2.2", 421), ("127.0.0.1", 421), ("[2001:db8::1]", 200), ("[2001:DB8:0::1]:80", 200), ("[::1]", 421),
    ("[v1.x]", 421),
])
def test_whom_a_request_is_for(host: str, status: int) -> None:
    with serving(answer, allowed_hosts=ALLOWED) as server:
        assert ask(server.port, "GET / HTTP/1.1", f"Host: {host}") == status
        assert ask(server.port, "HEAD / HTTP/1.1", f"Host: {host}") == status
        # The target's goes before Host (RFC 9112 3.2.2).
        assert ask(server.port, f"GET http://{host}/x HTTP/1.1", "Host: evil.example") == status
        assert ask(server.port, f"GET http://{host}?x HTTP/1.1", "Host: evil.example") == status


@pytest.mark.parametrize(("lines", "status"), [
    (["GET http://evil.example/ HTTP/1.1", "Host: a.example"], 421),
    (["GET http://evil.example/<>/http://a.example/ HTTP/1.1", "Host: a.example"], 421),
    (["GET /http://evil.example/ HTTP/1.1", "Host: a.example"], 200),
    (["OPTIONS * HTTP/1.1", "Host: a.example"], 200),
    (["OPTIONS * HTTP/1.1", "Host: evil.example"], 421),
    (["CONNECT evil.example:443 HTTP/1.1", "Host: a.example"], 421),
    (["GET / HTTP/1.0"], 200),
    (["GET / HTTP/1.1", "Host:"], 200),
    (["GET / HTTP/1.1", "Host: evil.example", "X-Forwarded-Host: a.example"], 421),
])
def test_where_the_name_stands(lines: list[str], status: int) -> None:
    with serving(answer, allowed_hosts=ALLOWED) as server:
        assert ask(server.port, *lines) == status


def test_none_are_allowed_and_any() -> None:
    with serving(answer, allowed_hosts=[]) as server:
        assert ask(server.port, "GET / HTTP/1.1", "Host: localhost") == 421
        server.allowed_hosts = None
        assert ask(server.port, "GET / HTTP/1.1", "Host: evil.example") == 200


def test_a_change_counts_for_the_next_request() -> None:
    """Also on a connection that repeats the head of its last one."""
    with serving(answer) as server, RawClient(server.port) as client:
        assert client.get().status == client.get().status == 200
        server.allowed_hosts = ["a.example"]
        response = client.get()
        assert (response.status, response.header("connection")) == (421, "close")
        assert b"localhost" in response.body
        with RawClient(server.port) as other:
            assert other.get().status == 421, "which repeats it on a new connection"


def test_a_limit_counts_for_the_next_request() -> None:
    with serving(answer) as server, RawClient(server.port) as client:
        assert client.get("/long").status == client.get("/long").status == 200
        server.max_target_length = 3
        assert client.get("/long").status == 414
        with RawClient(server.port) as other:
            assert other.get("/long").status == 414


def test_many_names_one_after_the_other() -> None:
    """Each gets its own answer, whatever is remembered of those before."""
    with serving(answer, allowed_hosts=["*.b.example"]) as server, RawClient(server.port) as client:
        for number in range(200):
            host = f"x{number}.b.example"
            for _ in range(2):
                response = client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).read_response()
                assert response.status == 200
        long = f"{'a.' * 300}b.example"
        assert client.send(f"GET / HTTP/1.1\r\nHost: {long}\r\n\r\n".encode()).read_response().status == 200
        assert ask(server.port, "GET / HTTP/1.1", f"Host: {long}.evil.example") == 421
