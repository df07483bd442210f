"""cli/permission.py: who may ask, by host and by page."""
from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.cli.sites import site
from tests.peers import RawClient


def ask(client: RawClient, *lines: str, body: bytes = b"") -> tuple[int, str]:
    method = lines[0].partition(" ")[0]
    response = client.send("\r\n".join([*lines, "", ""]).encode() + body).read_response(method)
    return response.status, response.body.decode()


# ------------------------------------------------------------ hosts

@pytest.mark.parametrize(("host", "status"), [
    ("127.0.0.1", 200), ("127.0.0.1:8000", 200), ("192.0.2.7", 200), ("[::1]", 200), ("[2001:db8::1]:80", 200),
    ("localhost", 200), ("LOCALHOST.:8000", 200), ("app.localhost", 200), (socket.gethostname(), 200),
    (f"{socket.gethostname()}.:80", 200), (f"{socket.gethostname().partition('.')[0]}.local", 200),
    ("bound.example", 200), ("named.example", 200), ("named.example.", 200), ("a.below.example", 200), ("", 200),
    ("below.example", 421), ("x.named.example", 421), ("evil.example", 421), ("evil.example:8000", 421),
    ("localhost.evil.example", 421), ("127.0.0.1.evil.example", 421), ("127.1", 421), ("[v1.x]", 421),
])
def test_names_that_are_its_own(directory: Path, host: str, status: int) -> None:
    """A page whose name was made to lead here (DNS rebinding) gets nothing."""
    hosts = ("bound.example", "named.example", "*.below.example")
    with site(directory, hosts=hosts, upload=True, cors=True) as client:
        assert ask(client, "GET /hello.txt HTTP/1.1", f"Host: {host}")[0] == status
        if host:
            found = ask(client, f"GET http://{host}/hello.txt HTTP/1.1", "Host: evil.example")
            assert found[0] == status
        found = ask(client, "GET http://evil.example/hello.txt HTTP/1.1", f"Host: {host}")
        assert found[0] == 421 and "--host evil.example" in found[1]


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "PUT"])
def test_no_method_gets_past_the_name(directory: Path, method: str) -> None:
    with site(directory, upload=True, cors=True, auth="me:secret") as client:
        response = client.send(f"{method} / HTTP/1.1\r\nHost: evil.example\r\n"
                               f"X-Forwarded-Host: localhost\r\n\r\n".encode()).read_response(method)
        assert response.status == 421
        assert response.header("access-control-allow-origin") is None


# ------------------------------------------------------------ pages

FORM = (b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nx\r\n--b--\r\n')


@pytest.mark.needs("dir_fd")
@pytest.mark.parametrize(("host", "fields", "status"), [
    ("localhost:8000", [], 303),  # no browser
    ("localhost:8000", ["Origin: http://localhost:8000"], 303),
    ("localhost:8000", ["Origin: https://localhost:8000"], 303),  # a proxy in front speaks TLS
    ("LOCALHOST", ["Origin: http://localhost"], 303),
    ("localhost", ["Origin: http://localhost:80"], 303),
    ("localhost:443", ["Origin: https://localhost"], 303),
    ("localhost:443", ["Origin: http://localhost"], 403),
    ("[::1]:8000", ["Origin: http://[::1]:8000"], 303),
    ("localhost:8000", ["Origin: http://localhost"], 403),
    ("localhost:8000", ["Origin: http://127.0.0.1:8000"], 403),
    ("localhost:8000", ["Origin: http://evil.example"], 403),
    ("localhost:8000", ["Origin: null"], 403),
    ("localhost:8000", ["Origin:"], 403),
    ("localhost:8000", ["Origin: x://localhost:8000"], 403),
    ("localhost:8000", ["Origin: http://localhost:8000", "Origin: http://evil.example"], 403),
    # What a page can put into a request, or a proxy would, says nothing about the page.
    ("localhost", ["Origin: http://evil.example", "X-Forwarded-Host: evil.example"], 403),
    ("localhost", ["Origin: http://localhost", "X-Forwarded-Host: other.example", "X-Forwarded-Proto: https"], 303),
    ("localhost", ["Origin: http://evil.example", "Forwarded: host=evil.example"], 403),
    ("localhost", ["Referer: http://localhost/sub/?x#y"], 303),
    ("localhost", ["Referer: http://evil.example/"], 403),
    ("localhost", ["Referer: http://localhost.evil.example/"], 403),
    ("localhost", ["Referer: http://localhost@evil.example/"], 403),
    ("localhost", ["Referer: /"], 403),
    ("localhost", ["Origin: http://localhost", "Referer: http://evil.example/"], 303),
    ("localhost", ["Origin: http://evil.example", "Referer: http://localhost/"], 403),
    ("localhost", ["Sec-Fetch-Site: same-origin"], 303),
    ("localhost", ["Sec-Fetch-Site: none"], 303),
    ("localhost", ["Sec-Fetch-Site: same-site"], 403),
    ("localhost", ["Sec-Fetch-Site: cross-site", "Origin: http://localhost"], 403),
    ("localhost", ["Sec-Fetch-Site: same-origin", "Origin: http://evil.example"], 403),
])
def test_whose_upload_it_is(directory: Path, host: str, fields: list[str], status: int) -> None:
    """A form, and a file that comes as it is, of which a page can send the former without asking first."""
    with site(directory, upload=True, cors=True) as client:
        for number, (line, *more) in enumerate((
                ("POST / HTTP/1.1", "Content-Type: multipart/form-data; boundary=b"),
                ("POST / HTTP/1.1", "Content-Type: text/plain", "Slug: b.txt"), ("PUT /c.txt HTTP/1.1",))):
            found = ask(client, line, f"Host: {host}", f"Content-Length: {len(FORM)}", *more, *fields, body=FORM)[0]
            assert found == (201 if status == 303 and number else status)
    assert sorted(os.listdir(directory)) == sorted(
        ["hello.txt", "sub"] + ["a.txt", "b.txt", "c.txt"] * (status == 303))


def test_cors_is_for_reading(directory: Path) -> None:
    with site(directory, upload=True, cors=True) as client:
        response = client.send(b"OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://a.example\r\n"
                               b"Access-Control-Request-Method: PUT\r\n"
                               b"Access-Control-Request-Headers: slug\r\n\r\n").read_response("OPTIONS")
        assert response.status == 204
        assert response.header("access-control-allow-methods") == "GET, HEAD"
        assert response.header("access-control-allow-headers") == "Range, Authorization"
