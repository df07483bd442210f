"""Why a request was refused: a client on this machine is told where and by which rule, others in one line."""
from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blockingio import HttpRequest, HttpServer, InternetAddress, InternetAddressType
from blockingio.http_server import HttpBodyHandler
from blockingio.wsgi import WsgiHandler
from tests.peers import RawClient, RawResponse, serving
from tests.server.visits import post, running, tell, visit

HOST = b"Host: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def reading(request: HttpRequest) -> None:
    request.read()
    tell(request)


def explained(text: str) -> tuple[str, str, str, str]:
    """The line, what stands above the caret, what the caret is said to be at, and the section."""
    match = re.fullmatch(r"(\d{3} [^\n]*)\n\n    ([^\n]*)\n    ( *)\^ ([^\n]*)\nfound:    ([^\n]+)\n"
                         r"(?:expected: ([^\n]+)\n)see:      (RFC \d+), section ([\d.]+) "
                         r"\(https://www\.rfc-editor\.org/rfc/rfc\d+#section-([\d.]+)\)\n", text)
    assert match, text
    assert match[1].endswith(f": {match[5]}, expected {match[6]}") and match[8] == match[9]
    return match[2], match[2][len(match[3]) :], match[4], f"{match[7]} {match[8]}"


def request(line: bytes = b"GET / HTTP/1.1", *fields: bytes, host: bytes = HOST) -> bytes:
    return b"\r\n".join([line, *([host[:-2]] if host else []), *fields, b"", b""])


#: What is sent, the line that is shown, from where on the caret points, what it points at, status and section.
REFUSED: list[tuple[bytes, str, str, str, int, str]] = [
    (request(b"GET  / HTTP/1.1"), "GET  / HTTP/1.1", " / HTTP/1.1", "a space", 400, "RFC 9112 3"),
    (request(b"GET / http/1.1"), "GET / http/1.1", "http/1.1", "'h'", 400, "RFC 9112 3"),
    (request(b"GET /\xff HTTP/1.1"), "GET /\\xff HTTP/1.1", "\\xff HTTP/1.1", "the byte 0xFF", 400, "RFC 9112 3"),
    (request(b"GET /a#b HTTP/1.1"), "GET /a#b HTTP/1.1", "#b HTTP/1.1", "'#'", 400, "RFC 9112 3"),
    (request(b"GET"), "GET", "", "the end of the line", 400, "RFC 9112 3"),
    (request(b"GET /\\\x01 HTTP/1.1"), "GET /\\\\\\x01 HTTP/1.1", "\\x01 HTTP/1.1", "the byte 0x01", 400, "RFC 9112 3"),
    (b"GET /\x1b[2J", "GET /\\x1b[2J", "\\x1b[2J", "the byte 0x1B", 400, "RFC 9112 2.2"),
    (b"GET / HTTP/1.1\n", "GET / HTTP/1.1\\n", "\\n", "LF", 400, "RFC 9112 2.2"),
    (request(b"GET / HTTP/2.0"), "GET / HTTP/2.0", "2.0", "'2'", 505, "RFC 9112 2.3"),
    (request(b"GET /%4x HTTP/1.1"), "GET /%4x HTTP/1.1", "%4x HTTP/1.1", "'%'", 400, "RFC 3986 2.1"),
    (request(b"GET * HTTP/1.1"), "GET * HTTP/1.1", "* HTTP/1.1", "'*'", 400, "RFC 9112 3.2.4"),
    (request(b"CONNECT a HTTP/1.1"), "CONNECT a HTTP/1.1", " HTTP/1.1", "a space", 400, "RFC 9112 3.2.3"),
    (request(b"GET a HTTP/1.1"), "GET a HTTP/1.1", "a HTTP/1.1", "'a'", 400, "RFC 9112 3.2"),
    (request(b"GET http://a:x/ HTTP/1.1"), "GET http://a:x/ HTTP/1.1", "x/ HTTP/1.1", "'x'", 400, "RFC 9112 3.2"),
    (request(b"GET / HTTP/1.1", b"A : b"), "A : b", " : b", "a space", 400, "RFC 9112 5.1"),
    (request(b"GET / HTTP/1.1", b"A"), "A", "", "the end of the line", 400, "RFC 9112 5.1"),
    (request(b"GET / HTTP/1.1", b"A: b", b"\tc"), "\\tc", "\\tc", "a tab", 400, "RFC 9112 5.2"),
    (request(b"GET / HTTP/1.1", b"A: b\rc"), "A: b\\rc", "\\rc", "CR", 400, "RFC 9112 5.1"),
    (request(host=b""), "", "", "the end of the line", 400, "RFC 9112 3.2"),
    (request(b"GET / HTTP/1.1", b"hOST: b"), "hOST: b", "hOST: b", "'h'", 400, "RFC 9112 3.2"),
    (request(host=b"Host: \ta b \r\n"), "Host: \\ta b ", " b ", "a space", 400, "RFC 9110 7.2"),
    (request(host=b"Host: a:70000\r\n"), "Host: a:70000", "70000", "'7'", 400, "RFC 9110 7.2"),
    (request(host=b"Host: [1::2::3]\r\n"), "Host: [1::2::3]", "[1::2::3]", "'['", 400, "RFC 9110 7.2"),
    (request(b"GET / HTTP/1.1", b"Content-Length: 1,1"), "Content-Length: 1,1", ",1", "','", 400, "RFC 9110 8.6"),
    (request(b"GET / HTTP/1.1", b"Content-Length: " + b"1" * 20), "Content-Length: " + "1" * 20, "11", "'1'", 413,
     "RFC 9110 8.6"),
    (request(b"GET / HTTP/1.1", b"Content-Length: 1", b"content-length: 1"), "content-length: 1", "content-length: 1",
     "'c'", 400, "RFC 9112 6.3"),
    (request(b"GET / HTTP/1.1", b"Content-Length: 1", b"Transfer-Encoding: chunked"), "Transfer-Encoding: chunked",
     "Transfer-Encoding: chunked", "'T'", 400, "RFC 9112 6.1"),
    (request(b"GET / HTTP/1.0", b"Transfer-Encoding: chunked"), "Transfer-Encoding: chunked",
     "Transfer-Encoding: chunked", "'T'", 400, "RFC 9112 6.1"),
    (request(b"GET / HTTP/1.1", b"Transfer-Encoding: chunked,  x"), "Transfer-Encoding: chunked,  x", "x", "'x'", 400,
     "RFC 9112 6.1"),
    (request(b"GET / HTTP/1.1", b"Expect: x"), "Expect: x", "x", "'x'", 417, "RFC 9110 10.1.1"),
    (CHUNKED + b"g\r\n", "g", "g", "'g'", 400, "RFC 9112 7.1"),
    (CHUNKED + b"1;a=\x00\r\n", "1;a=\\x00", "=\\x00", "'='", 400, "RFC 9112 7.1"),
    (CHUNKED + b"1\r\nab\r\n", "b", "b", "'b'", 400, "RFC 9112 7.1"),
    (CHUNKED + b"1\n", "1\\n", "\\n", "LF", 400, "RFC 9112 7.1"),
    (CHUNKED + b"0\r\na b: c\r\n\r\n", "a b: c", " b: c", "a space", 400, "RFC 9112 5.1"),
    (CHUNKED + b"0\r\na: b\r\nHost: c\r\n\r\n", "Host: c", "Host: c", "'H'", 400, "RFC 9110 6.5.1"),
]


@pytest.mark.parametrize("raw, line, marked, at, status, section", REFUSED, ids=[repr(row[0])[:60] for row in REFUSED])
def test_the_line_the_byte_and_the_rule(raw: bytes, line: str, marked: str, at: str, status: int, section: str) -> None:
    answer = visit(reading, raw)
    assert answer.status == status and answer.header("content-type") == "text/plain; charset=utf-8"
    assert answer.header("content-length") == str(len(answer.body))
    assert explained(answer.body.decode("ascii")) == (line, marked, at, section)
    assert not re.search(rb"[^\n\x20-\x7e]", answer.body)


LIMITED: list[tuple[dict[str, Any], bytes, str, int, str]] = [
    ({"max_target_length": 100}, request(b"GET /" + b"a" * 100 + b" HTTP/1.1"), "'a'", 414, "RFC 9110 15.5.15"),
    ({"max_target_length": 100}, b"GET /" + b"a" * 1000, "'a'", 414, "RFC 9110 15.5.15"),
    ({"max_header_size": 100}, request(b"GET / HTTP/1.1", b"A: " + b"b" * 100), "'b'", 431, "RFC 6585 5"),
    ({"max_header_size": 100}, request(b"GET / HTTP/1.1", b"A: " + b"b" * 900)[:-4], "'b'", 431, "RFC 6585 5"),
    ({"max_header_count": 2}, request(b"GET / HTTP/1.1", b"A: b", b"C: d"), "'C'", 431, "RFC 6585 5"),
    ({"max_body_size": 3}, post(b"body"), "'4'", 413, "RFC 9110 15.5.14"),
    ({"max_body_size": 3}, CHUNKED + b"4\r\n", "'4'", 413, "RFC 9110 15.5.14"),
    ({"allowed_hosts": ["b"]}, request(), "'a'", 421, "RFC 9110 15.5.20"),
    ({"allowed_hosts": ["a"]}, request(b"GET http://b/ HTTP/1.1"), "'h'", 421, "RFC 9110 15.5.20"),
    ({}, request(b"A" * 300 + b" / HTTP/1.1"), "'A'", 414, "RFC 9112 3"),
    ({}, b"\r\n" * 200, "CR", 400, "RFC 9112 2.2"),
]


@pytest.mark.parametrize("settings, raw, at, status, section", LIMITED, ids=[repr(row[:2])[:60] for row in LIMITED])
def test_a_limit_shows_where_it_was_passed(settings: dict[str, Any], raw: bytes, at: str, status: int,
                                           section: str) -> None:
    """Of a long line a part around it."""
    answer = visit(reading, raw, **settings)
    line, _, found, rule = explained(answer.body.decode("ascii"))
    assert (answer.status, found, rule) == (status, at, section) and len(line) < 120


def test_what_is_late_has_a_rule_and_no_byte() -> None:
    body = visit(reading, b"GET", header_timeout=0.05).body.decode()
    assert body.splitlines()[0] == "408 Request Timeout: the rest of a message did not come in time"
    assert "see:      RFC 9110, section 15.5.9 " in body and "^" not in body


def with_bodies(request: HttpRequest) -> None:
    HttpBodyHandler.process_request(request)


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    environ["wsgi.input"].read()
    return []


@pytest.mark.parametrize("handler", [reading, with_bodies, WsgiHandler(application)], ids=["read", "bodies", "wsgi"])
def test_each_way_to_read_a_body(handler: Callable[[HttpRequest], object]) -> None:
    assert explained(visit(handler, CHUNKED + b"-1\r\n").body.decode())[1:3] == ("-1", "'-'")


def test_head_is_told_how_much_it_would_be() -> None:
    answer = visit(tell, b"HEAD / HTTP/1.1\r\n\r\n", method="HEAD")
    assert (answer.status, answer.body) == (400, b"") and int(answer.header("content-length") or 0) > 200


# ---------------------------------------------------------------------- who is told

BAD_HEAD = b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"
SHORT_HEAD = b"400 Bad Request: Host is 'a b', expected a host and perhaps a port\n"
SHORT_BODY = b"400 Bad Request\n"


class From(socket.socket):
    """A listening socket whose connections say that they are from somewhere else."""

    address = "192.0.2.1"

    def accept(self) -> Any:
        sock, (_, port) = super().accept()
        return sock, (self.address, port)


def asked_from(address: str, raw: bytes, **settings: Any) -> RawResponse:
    with From() as listening:
        listening.address = address
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with HttpServer.listen_on(listening) as server:
            for name, value in settings.items():
                setattr(server, name, value)
            subscription = server.listen(reading)
            with RawClient(server.port) as client:
                answer = client.send(raw).read_response()
            subscription.cancel()
            server.close()
            return answer


def bad_body(*fields: bytes) -> bytes:
    return request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", *fields) + b"x\r\n"


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "2001:db8::1"])
def test_a_client_elsewhere_gets_the_short_form(address: str) -> None:
    assert asked_from(address, BAD_HEAD).body == SHORT_HEAD
    assert asked_from(address, bad_body()).body == SHORT_BODY
    assert asked_from(address, bad_body(b"X-Forwarded-For: 127.0.0.1"), trusted_proxies=["10.9.9.9"]).body == SHORT_BODY
    assert asked_from(address, bad_body(b"X-Forwarded-For: 127.0.0.1"), trusted_proxies=[address]).body == SHORT_BODY


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_a_client_on_loopback_is_told(address: str) -> None:
    explained(asked_from(address, BAD_HEAD).body.decode())
    explained(asked_from(address, bad_body()).body.decode())


def test_behind_a_trusted_proxy_the_client_counts_too() -> None:
    """One whose head could not be read is not known."""
    proxies: dict[str, Any] = {"trusted_proxies": ["127.0.0.1"]}
    assert visit(reading, BAD_HEAD, **proxies).body == SHORT_HEAD
    assert visit(reading, bad_body(b"X-Forwarded-For: 192.0.2.1"), **proxies).body == SHORT_BODY
    explained(visit(reading, bad_body(b"X-Forwarded-For: 127.0.0.1"), **proxies).body.decode())
    too_large = request(b"POST / HTTP/1.1", b"Content-Length: 9", b"X-Forwarded-For: %b")
    assert visit(reading, too_large % b"192.0.2.1", max_body_size=1, **proxies).body.count(b"\n") == 1
    explained(visit(reading, too_large % b"127.0.0.1", max_body_size=1, **proxies).body.decode())


@pytest.mark.needs("socket.AF_UNIX")
def test_a_client_on_a_unix_domain_socket_is_told(tmp_path: Path) -> None:
    with HttpServer.bind(InternetAddress(str(tmp_path / "s"), InternetAddressType.UNIX), 0) as server, running(server):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(tmp_path / "s"))
        with RawClient.on(sock) as client:
            explained(client.send(BAD_HEAD).read_response().body.decode())


def test_the_same_fault_twice_is_told_twice() -> None:
    """The second read of a body that has failed says what the first did."""
    def handler(request: HttpRequest) -> None:
        with pytest.raises(Exception, match="a chunk's size"):
            request.read()
        request.read()

    explained(visit(handler, CHUNKED + b"x\r\n").body.decode())


def test_what_a_handler_answers_itself_is_its_own() -> None:
    def handler(request: HttpRequest) -> None:
        request.response.status_code = 404
        request.response.write("not here")
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        assert client.get().body == b"not here"
