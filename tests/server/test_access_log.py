"""access_log: one record for each answer, to a callable or a Logger, and nothing while it is off."""
from __future__ import annotations

import gzip
import logging
import re
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blockingio import (
    AccessRecord, HttpException, HttpRequest, HttpResponse, HttpServer, InternetAddress, InternetAddressType,
)
from tests.peers import PATIENCE, RawClient, TlsContexts, collecting, eventually, serving
from tests.server.visits import Handler, answering, get, post, running, small_window, tell, to_the_end

#: host ident user [date] "request" status size seconds
LINE = re.compile(r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
                  r'"([^"]*)" (\d{3}) (\d+|-) (\d+\.\d{6})')


def logged(handler: Handler, *raws: bytes, **settings: Any) -> list[AccessRecord]:
    """The records of these requests, one connection for each, asked to close."""
    records: list[AccessRecord] = []
    with serving(handler, access_log=records.append, **settings) as server:
        for number, raw in enumerate(raws):
            with RawClient(server.port) as client:
                client.send(raw).finish_sending()
                to_the_end(client)
            eventually(lambda: len(records) > number)
    assert len(records) == len(raws)
    return records


def test_a_record_says_it_all() -> None:
    before = time.time()
    [record] = logged(tell, get("/a?b=c", "User-Agent: me", "Referer: there"))
    assert isinstance(record, AccessRecord)
    assert (record.remote, record.user) == ("127.0.0.1", None)
    assert (record.method, record.target, record.version) == ("GET", "/a?b=c", "1.1")
    assert (record.status, record.body_size) == (200, 2)
    assert before <= record.time <= time.time() and 0 <= record.seconds <= time.time() - before
    assert record.request_headers["user-agent"] == "me" and record.request_headers["referer"] == "there"


def test_the_line() -> None:
    [record] = logged(tell, get("/a?b=c"))
    match = LINE.fullmatch(str(record))
    assert match and match.groups()[:3] == ("GET /a?b=c HTTP/1.1", "200", "2")
    assert record.common_log_line() == str(record) and str(record) in repr(record)


def test_the_date_is_local_time_with_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    [record] = logged(tell, get())
    record.time = 784111777
    monkeypatch.setenv("TZ", "XXX-05:30")
    time.tzset()
    try:
        assert "[06/Nov/1994:14:19:37 +0530]" in str(record)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("user, shown", [(None, "-"), ("", "-"), ("me", "me"), ("me too", "me%20too"),
                                         ('a"b', 'a\\"b'), ("a\nb", "a\\nb"), ("caf\u00e9", "caf\\xe9"),
                                         ('\u00e9"\\\'', '\\xe9\\"\\\\\''), ("\u20ac\x9b", "\\u20ac\\x9b")])
def test_a_user(user: str | None, shown: str) -> None:
    [record] = logged(tell, get())
    record.user = user
    assert str(record).startswith(f"127.0.0.1 - {shown} [")


@pytest.mark.parametrize("target", ['/"x"', "/\\", '/a"b"', '/\\\\"', "/a|b"])
def test_nothing_in_a_line_passes_for_something_else(target: str) -> None:
    [record] = logged(tell, get(target))
    line = str(record)
    assert record.target == target
    assert len(re.findall(r'(?<!\\)(?:\\\\)*"', line)) == 2, line  # one quoted string in it
    assert line.isprintable()


@pytest.mark.parametrize("write, status, size", [
    (lambda r: None, 200, 0),
    (lambda r: r.write("x" * 10), 200, 10),
    (lambda r: [r.write("x" * 1000) for _ in range(200)], 200, 200_000),
    (lambda r: r.redirect("/x"), 302, 0),
    (lambda r: r.write("gone"), 404, 4),
    (lambda r: r.write("not sent"), 304, 0),
])
def test_status_and_size(write: Callable[[HttpResponse], object], status: int, size: int) -> None:
    def handler(request: HttpRequest) -> None:
        if status != 302:
            request.response.status_code = status
        write(request.response)
        request.response.close()

    [record] = logged(handler, get())
    assert (record.status, record.body_size) == (status, size)
    assert f" {status} {size or '-'} " in str(record)


def test_head_has_no_size() -> None:
    [record] = logged(tell, get("/x", method="HEAD"))
    assert (record.method, record.body_size) == ("HEAD", 0)


def test_the_size_is_that_of_what_was_sent() -> None:
    text = "x" * 10_000
    records: list[AccessRecord] = []
    with serving(answering(text), auto_compress=True, access_log=records.append) as server:
        with RawClient(server.port) as client:
            body = client.get("/", "Accept-Encoding: gzip").body
            assert len(gzip.decompress(body)) == len(text)
            eventually(lambda: records)
    assert records[0].body_size == len(body)


# --------------------------------------------------------- what was sent, and not what was offered

MUCH = 24 << 20


def in_one(response: HttpResponse) -> None:
    response.write(bytes(MUCH))


def counted(response: HttpResponse) -> None:
    response.content_length = MUCH
    for _ in range(64):
        response.write(bytes(MUCH // 64))


def chunked(response: HttpResponse) -> None:
    for _ in range(64):
        response.write(bytes(MUCH // 64))


def unbuffered(response: HttpResponse) -> None:
    response.buffer_output = False
    for _ in range(MUCH // 16384):
        response.write(bytes(16384))


def a_file(response: HttpResponse) -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(MUCH)
        response.content_length = MUCH
        response.send_file(file.fileno(), 0, MUCH)


WRITES = pytest.mark.parametrize("write", [in_one, counted, chunked, unbuffered, a_file])


@pytest.mark.parametrize("end", ["the client leaves", "the server is closed by force"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@WRITES
def test_an_answer_that_was_cut(write: Callable[[HttpResponse], object], version: str, end: str) -> None:
    records: list[AccessRecord] = []

    def handler(request: HttpRequest) -> None:
        write(request.response)
        request.response.close()

    with serving(handler, access_log=records.append) as server, small_window(server.port) as client:
        client.send(get("/big", version=version)).read_exactly(346)
        if end == "the client leaves":
            client.reset()
        else:
            server.close(force=True)
        [record] = eventually(lambda: records)
    assert 0 < record.body_size < MUCH // 2 and not record.is_complete
    assert record.status == 200 and f" {record.body_size} " in str(record)


@WRITES
def test_an_answer_that_was_taken_slowly_and_whole(write: Callable[[HttpResponse], object]) -> None:
    records: list[AccessRecord] = []

    def handler(request: HttpRequest) -> None:
        write(request.response)
        request.response.close()

    with serving(handler, access_log=records.append) as server, small_window(server.port) as client:
        assert len(client.send(get("/big")).read_response().body) == MUCH
        [record] = eventually(lambda: records)
    assert record.body_size == MUCH and record.is_complete


def test_a_cut_answer_has_no_less_than_its_client_got() -> None:
    """Framing left out; or more: what the system had taken, and dropped with the connection."""
    records: list[AccessRecord] = []

    def handler(request: HttpRequest) -> None:
        unbuffered(request.response)
        request.response.close()

    with serving(handler, access_log=records.append, body_timeout=0.2) as server:
        with small_window(server.port) as client:
            client.send(get("/big"))
            [record] = eventually(lambda: records)
            try:
                wire = b""
                while data := client.socket.recv(65536):
                    wire += data
            except ConnectionError:
                pass
    assert record.body_size >= wire.partition(b"\r\n\r\n")[2].count(0) and not record.is_complete


def test_what_was_never_sent_is_not_told() -> None:
    """Written, found to be less than was promised, and so given up before the first byte."""
    def handler(request: HttpRequest) -> None:
        request.response.content_length = 10
        request.response.write("x" * 9)
        with pytest.raises(HttpException):
            request.response.close()

    [record] = logged(handler, get())
    assert (record.body_size, record.is_complete) == (0, False)


@pytest.mark.parametrize("raw", [get(), get(method="HEAD"), b"nonsense\r\n\r\n"])
def test_a_whole_answer_is_complete(raw: bytes) -> None:
    [record] = logged(tell, raw)
    assert record.is_complete


def test_the_time_it_took() -> None:
    def handler(request: HttpRequest) -> None:
        time.sleep(0.05)
        tell(request)

    [record] = logged(handler, get())
    assert 0.05 <= record.seconds < PATIENCE


@pytest.mark.parametrize("raw, status", [(b"nonsense\r\n\r\n", 400),
                                         (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505),
                                         (get("/" + "x" * 20_000), 414), (post(b"x" * 11), 413)])
def test_what_was_refused(raw: bytes, status: int) -> None:
    [record] = logged(tell, raw, max_body_size=10)
    assert (record.remote, record.status) == ("127.0.0.1", status)
    assert (record.method, record.target, record.version) == ("-", "-", "-")
    assert record.body_size > 0
    match = LINE.fullmatch(str(record))
    assert match and match.groups()[:2] == ("-", str(status))


def test_what_was_ignored_is_not_logged() -> None:
    records: list[AccessRecord] = []
    with serving(tell, access_log=records.append) as server:
        for raw in (b"", b"GET / HT"):
            with RawClient(server.port) as client:
                assert client.send(raw).finish_sending().read_until_eof() == b""
    assert not records


def test_a_failed_handler(caplog: pytest.LogCaptureFixture) -> None:
    def handler(request: HttpRequest) -> None:
        raise ZeroDivisionError

    [record] = logged(handler, get())
    assert record.status == 500


@pytest.mark.filterwarnings("ignore:a response was dropped")
def test_a_dropped_response() -> None:
    with collecting():
        [record] = logged(lambda request: None, get())
    assert record.status == 200


def test_a_client_that_goes_away() -> None:
    def handler(request: HttpRequest) -> None:
        try:
            request.read()
        except HttpException:
            pass
        request.response.close()

    [record] = logged(handler, post(b"abc")[:-1])
    assert (record.method, record.status) == ("POST", 400)


def test_a_detached_socket() -> None:
    def handler(request: HttpRequest) -> None:
        request.response.status_code = 101
        request.response.detach_socket().close()

    [record] = logged(handler, get("/", "Connection: upgrade", "Upgrade: x"))
    assert (record.status, record.body_size) == (101, 0)


def test_each_answer_of_a_connection() -> None:
    records: list[AccessRecord] = []
    with serving(tell, access_log=records.append) as server, RawClient(server.port) as client:
        client.send(b"".join(get(f"/{number}") for number in range(10)))
        for _ in range(10):
            client.read_response()
        eventually(lambda: len(records) == 10)
    assert [record.target for record in records] == [f"/{number}" for number in range(10)]


def test_a_logger(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tests.access")
    with serving(tell, access_log=logging.getLogger("tests.access")) as server:
        with RawClient(server.port) as client:
            assert client.get("/?100%s").status == 200
            eventually(lambda: caplog.records)
    [record] = caplog.records
    assert (record.name, record.levelno) == ("tests.access", logging.INFO)
    match = LINE.fullmatch(record.getMessage())
    assert match and match[1] == "GET /?100%s HTTP/1.1"


def test_a_log_that_fails_is_the_owners_error(caplog: pytest.LogCaptureFixture) -> None:
    def fail(record: AccessRecord) -> None:
        raise ZeroDivisionError

    with serving(tell, access_log=fail) as server, RawClient(server.port) as client:
        assert client.get("/1").body == b"/1"
        assert client.get("/2").body == b"/2"
        eventually(lambda: len(caplog.records) == 2)
    assert {record.name for record in caplog.records} == {"blockingio"}
    assert caplog.records[0].exc_info and caplog.records[0].exc_info[0] is ZeroDivisionError


def test_it_may_be_switched_while_it_serves() -> None:
    records: list[AccessRecord] = []

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/on":
            server.access_log = records.append
        elif request.uri.path == "/off":
            server.access_log = None
        tell(request)

    with serving(handler) as server, RawClient(server.port) as client:
        for path in ("/0", "/on", "/1", "/off", "/2"):
            assert client.get(path).status == 200
        eventually(lambda: records)
    assert [record.target for record in records] == ["/on", "/1"]  # what counts is the end of the answer


def test_over_tls(tls_contexts: TlsContexts) -> None:
    records: list[AccessRecord] = []
    with serving(tell, context=tls_contexts.server, access_log=records.append) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            assert client.get("/x").status == 200
        eventually(lambda: records)
    assert (records[0].remote, records[0].target) == ("127.0.0.1", "/x")


@pytest.mark.needs("socket.AF_UNIX")
def test_over_a_unix_domain_socket(tmp_path: Path) -> None:
    records: list[AccessRecord] = []
    path = str(tmp_path / "server")
    with HttpServer.bind(InternetAddress(path, InternetAddressType.UNIX), 0) as server:
        server.access_log = records.append
        with running(server), socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(path)
            assert RawClient.on(sock).get("/x").status == 200
            eventually(lambda: records)
    assert records[0].remote == "-" and str(records[0]).startswith("- - - [")
