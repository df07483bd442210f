"""python -m blockingio.check: our own row has no failure, others are told what they break; and its manners."""
from __future__ import annotations

import http.server
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from blockingio import HttpRequest
from blockingio.check import exchange
from blockingio.check.cases import Refused, Seen
from blockingio.check.command import main, target_of
from blockingio.check.questions import AREAS, MUST, QUESTIONS, REFUSED, SHOULD, TAKEN
from blockingio.testing import serving
from tests.peers import PATIENCE


class Naive(http.server.BaseHTTPRequestHandler):
    """What the standard library lets one write: Transfer-Encoding is not looked at."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0" if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_POST = do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def naive() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Naive) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(PATIENCE)


@contextmanager
def scripted(behave: Callable[[socket.socket, int], None]) -> Iterator[int]:
    """A server of sockets: ``behave`` is given each connection and its number."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve() -> None:
            number = 0
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(PATIENCE)
                    try:
                        behave(connection, number)
                    except OSError:
                        pass
                number += 1

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


def rows_of(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(capsys.readouterr().out)["rows"]
    return {row["name"]: row for row in rows}


# ------------------------------------------------------------------------ the rows

def test_the_rows_are_those_of_the_conformance_tests_and_what_they_ask_is_whole() -> None:
    assert len(QUESTIONS) >= 120
    assert [area for area in AREAS if not any(question.area == area for question in QUESTIONS)] == []
    assert len({(question.area, question.case.name) for question in QUESTIONS}) == len(QUESTIONS)
    for question in QUESTIONS:
        assert question.area in AREAS and question.level in (MUST, SHOULD) and question.asks and question.attack
        assert re.fullmatch(r"911[02] \d+(\.\d+)*", question.section)
        ours = {Seen: TAKEN, Refused: REFUSED}[type(question.case.outcomes[0])]
        assert ours in question.allowed, question.case.name


def test_our_own_server_breaks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(reading_or_told) as server:
        status = main([server.url])
    text = capsys.readouterr().out
    assert status == 0, text
    assert re.search(rf"^all +{len(QUESTIONS)} +{len(QUESTIONS)} +0 +0$", text, re.MULTILINE), text
    assert [text.index(f"{area}\n{'-' * len(area)}\n") for area in AREAS] == sorted(
        text.index(f"{area}\n{'-' * len(area)}\n") for area in AREAS)
    assert re.search(r"^ok      two hosts: 400, the end\n"
                     r"        sent GET / HTTP/1\.1\\r\\nHost: 127\.0\.0\.1:\d+\\r\\nHost: b\.example\\r\\n\\r\\n\n"
                     r"        MUST \(RFC 9112 3\.2\): a second Host gets 400; a wrong answer opens routing and cache",
                     text, re.MULTILINE)


def test_our_own_server_breaks_nothing_over_tls(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(reading_or_told, secure=True) as server:
        status = main([server.url, "--only", "connections", "--only", "Expect", "--json"])
    rows = rows_of(capsys)
    assert status == 0, rows
    assert {row["area"] for row in rows.values()} == {"connections", "Expect"}
    assert rows["close"]["came"] == "200, the end"


def reading_or_told(request: HttpRequest) -> None:
    """A body that breaks is answered by the server, and not raised by the test."""
    request.response.write(len(request.read()))
    request.response.close()


def test_a_naive_server_is_told_what_it_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    with naive() as port:
        only = ["--only", "framing", "--only", "Host"]
        status = main([f"http://127.0.0.1:{port}", *only, "--json", "--patience", "0.5"])
    rows = rows_of(capsys)
    assert status == 1
    broken = {name for name, row in rows.items() if row["broken"]}
    assert {"two hosts", "no host on 1.1", "chunked", "a length and chunked", "two lengths"} <= broken
    assert "a length with a plus" in broken
    assert not {"a length", "a body that looks like a request", "no host on 1.0"} & broken
    row = rows["two hosts"]
    assert (row["area"], row["level"], row["broken"], row["section"]) == ("Host", "MUST", "MUST", "RFC 9112 3.2")
    assert row["came"].startswith("200, 200 to the next request") and row["why"] == "expected an error or the end"
    assert row["attack"] == "routing and cache poisoning by Host"
    assert row["sent"].startswith(f"GET / HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nHost: b.example")


GOOD = b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def ordinary(connection: socket.socket, number: int) -> bool:
    """The first three connections ask how ordinary requests are answered."""
    if number < 3:
        connection.recv(65536)
        connection.sendall(GOOD.replace(b"\r\n\r\nok", b"\r\n\r\n") if number == 1 else GOOD)
    return number < 3


@pytest.mark.parametrize("how, came, broken", [
    ("half-close", "400, the end", ""),
    ("no length", "400, the end", ""),
    ("reset", "no answer, a reset", ""),
    ("an answer, then a reset", "400, a reset", ""),
    ("the end", "no answer, the end", ""),
    ("silence", "no answer, only once the sending had ended, the end", "MUST"),
    ("two answers", "200, 200 and 200 to the next request, the end", "MUST"),
    ("rubbish", "b'hello', which is no answer, the end", "MUST"),
])
def test_half_closes_and_resets_are_read_as_servers_mean_them(how: str, came: str, broken: str,
                                                              capsys: pytest.CaptureFixture[str]) -> None:
    def behave(connection: socket.socket, number: int) -> None:
        if ordinary(connection, number):
            return
        asked = connection.recv(65536)
        if how == "half-close":  # and it waits for the other side's, as those do that linger
            connection.sendall(BAD)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)
        elif how == "no length":  # the end of its body is that of the connection
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nno")
        elif "reset" in how:
            connection.sendall(BAD if "answer" in how else b"")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        elif how == "silence":  # to this one: each takes the whole patience
            connection.recv(65536) if b"b.example" in asked else connection.sendall(GOOD)
        elif how == "two answers":
            connection.sendall(GOOD)
            connection.recv(65536)
            connection.sendall(GOOD + GOOD)
        elif how == "rubbish":
            connection.sendall(b"hello")

    with scripted(behave) as port:
        status = main([f"http://127.0.0.1:{port}/", "--only", "Host", "--json", "--patience", "0.5"])
    row = rows_of(capsys)["two hosts"]
    assert (row["came"], row["broken"]) == (came, broken), row
    assert status == 1  # one row is to be taken, which none of these does


# ------------------------------------------------------------------------ its manners

@pytest.mark.parametrize("arguments, expected", [
    (["http://192.0.2.1/"], r"192\.0\.2\.1 is 192\.0\.2\.1, on no loopback or private address: .*--yes-it-is-mine"),
    (["http://8.8.8.8:80/"], "on no loopback or private address"),
    (["https://[2001:db8::1]/"], "on no loopback or private address"),
    (["127.0.0.1:4040"], "expected a URL that begins with http:// or https://, found '127.0.0.1:4040'"),
    (["ftp://127.0.0.1/"], "expected a URL that begins with http:// or https://, found 'ftp://127.0.0.1/'"),
    (["127.0.0.1:80"], ""),
    (["http://127.0.0.1/", "--only", "frames"], "invalid choice: 'frames'"),
    (["http://127.0.0.1/", "--patience", "0"], "expected seconds above 0, found 0"),
    ([], "the following arguments are required: URL"),
])
def test_what_is_not_asked(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and status 2."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    assert ended.value.code == 2 and not printed.out
    assert re.fullmatch(rf"python -m blockingio\.check: .*{expected}.*\n", printed.err), printed.err


def test_who_says_that_it_is_theirs() -> None:
    assert target_of("http://192.0.2.1:81/a?b", is_mine=True).address == ("192.0.2.1", 81)
    for host in ("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "[::1]", "[fd00::1]"):
        assert target_of(f"http://{host}/").authority == host


def test_nobody_there_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as finder:
        port = finder.getsockname()[1]
    with pytest.raises(SystemExit) as ended:
        main([f"http://127.0.0.1:{port}/"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"python -m blockingio.check: http://127.0.0.1:{port}/ cannot be reached: Connection refused\n")


def test_a_name_with_two_addresses(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As localhost, which is ::1 too, where many a server is not."""
    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with serving(reading_or_told) as server:
        assert main([f"http://two.example:{server.port}/", "--only", "Expect"]) == 0
    assert "Host: two.example:" in capsys.readouterr().out


def test_a_name_that_nobody_has(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(SystemExit) as ended:
        main(["http://a.example/"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "python -m blockingio.check: http://a.example/ cannot be reached: Name or service not known\n")


def test_who_reads_the_report_has_seen_enough() -> None:
    """As with ``| head``: no traceback."""
    with serving(reading_or_told) as server:
        command = [sys.executable, "-m", "blockingio.check", server.url, "--only", "Host"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout and process.stderr
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b"" and process.wait(PATIENCE) == 1


@pytest.mark.parametrize("says", [b"SSH-2.0-x\r\n", b""])
def test_what_speaks_no_http_is_one_clear_line(says: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    def behave(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(says)

    with scripted(behave) as port, pytest.raises(SystemExit) as ended:
        main([f"http://127.0.0.1:{port}/"])
    found = repr(says or "end")
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"python -m blockingio.check: expected an answer of HTTP/1.1 to GET /, found {found}\n")


@pytest.mark.parametrize(("once", "for_ever", "pause"), [
    (b"", b"", 0.0),
    (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 10_000, 0.0),
    (b"HTTP/1.1 200 OK\r\n\r\n", bytes(65536), 0.0),
    (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3_000, 0.0),
    (b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.02),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-6\r\n", b"", 0.0),
    (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"", 0.0),
], ids=["silence", "fields", "body", "interim", "drops", "negative chunk", "long length"])
def test_what_comes_to_no_end_is_one_clear_line(once: bytes, for_ever: bytes, pause: float,
                                                capsys: pytest.CaptureFixture[str],
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_MOST", 1 << 20)
    gone = threading.Event()

    def behave(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        with suppress(OSError):  # it has had enough
            connection.sendall(once)
            while for_ever:
                connection.sendall(for_ever)
                gone.wait(pause)
            connection.recv(1)

    with scripted(behave) as port, pytest.raises(SystemExit) as ended:
        main([f"http://127.0.0.1:{port}/", "--patience", "0.05"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "python -m blockingio.check: expected an answer of HTTP/1.1 to GET /, found none that came to its end\n")
