"""The life of a connection: which requests share it, and what ends it."""
from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from blockingio import HttpException, HttpRequest, HttpServer
from blockingio.net.channel import Channel
from blockingio.net.tls_channel import DuplexTlsChannel
from tests.peers import PATIENCE, RawClient, TlsContexts, eventually, serving
from tests.server.visits import get, post, post_chunks, raw_answer, small_window, tell, to_the_end

#: Seconds of a limit that is to be met; a request that is sent at once is sent in it.
SOON = 0.4


def keep(request: HttpRequest) -> None:
    """Answer with the connection's own port and the path, so that one can tell connections apart."""
    info = request.connection_info
    request.response.write(f"{info.remote_port if info else 0} {request.uri.path}")
    request.response.close()


# -------------------------------------------------------------- which stay open

@pytest.mark.parametrize("version, fields, stays, header", [
    ("1.1", [], True, None),
    ("1.1", ["Connection: keep-alive"], True, None),
    ("1.1", ["Connection: close"], False, "close"),
    ("1.1", ["Connection: CLOSE"], False, "close"),
    ("1.1", ["Connection: x, close"], False, "close"),
    ("1.1", ["Connection: x", "Connection: close"], False, "close"),
    ("1.1", ["Connection: keep-alive, close"], False, "close"),
    ("1.1", ["Connection: closed"], True, None),
    ("1.0", [], False, "close"),
    ("1.0", ["Connection: keep-alive"], True, "keep-alive"),
    ("1.0", ["Connection: Keep-Alive"], True, "keep-alive"),
    ("1.0", ["Connection: close"], False, "close"),
    ("1.0", ["Connection: close, keep-alive"], False, "close"),
])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_client_asks_for(version: str, fields: list[str], stays: bool, header: str | None,
                                  method: str) -> None:
    with serving(tell) as server, RawClient(server.port) as client:
        for _ in range(2 if stays else 1):
            client.send(get("/x", *fields, version=version, method=method))
            response = client.read_response(method)
            assert (response.status, response.header("connection")) == (200, header)
        if not stays:
            assert client.is_ended()


def close_by_property(request: HttpRequest) -> None:
    assert request.response.persistent_connection
    request.response.persistent_connection = False
    assert not request.response.persistent_connection
    tell(request)


def close_by_header(request: HttpRequest) -> None:
    request.response.headers.set("connection", "Close")
    tell(request)


def close_by_headers_property(request: HttpRequest) -> None:
    request.response.headers.persistent_connection = False
    tell(request)


@pytest.mark.parametrize("handler", [close_by_property, close_by_header, close_by_headers_property])
@pytest.mark.parametrize("raw", [get("/x"), get("/x", "Connection: keep-alive", version="1.0"), post(b"abc")],
                         ids=["1.1", "1.0", "post"])
def test_what_the_handler_asks_for(handler: Callable[[HttpRequest], None], raw: bytes) -> None:
    with serving(handler) as server, RawClient(server.port) as client:
        response = client.send(raw).read_response()
        assert (response.status, response.header("connection")) == (200, "close")
        assert client.is_ended()
    eventually(lambda: not server.connections_info().total)


def test_a_response_to_1_0_does_not_persist_by_itself() -> None:
    seen: list[bool] = []

    def handler(request: HttpRequest) -> None:
        seen.append(request.response.persistent_connection)
        request.response.persistent_connection = True  # the client has not asked for it
        tell(request)

    with serving(handler) as server, RawClient(server.port) as client:
        assert client.send(get(version="1.0")).read_response().header("connection") == "close"
        assert client.is_ended()
    assert seen == [False]


def test_other_connection_options_are_kept() -> None:
    def handler(request: HttpRequest) -> None:
        request.response.headers.set("connection", "x-hop, close, y-hop")
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        response = client.get()
        assert response.header("connection") == "x-hop, y-hop, close"
        assert client.is_ended()


def test_requests_on_one_connection() -> None:
    with serving(keep) as server, RawClient(server.port) as client:
        answers = {client.get(f"/{number}").body.split()[0] for number in range(20)}
        assert len(answers) == 1


def test_connections_at_once() -> None:
    with serving(keep, workers=3) as server:
        clients = [RawClient(server.port) for _ in range(20)]
        for round in range(3):
            for client in clients:
                client.send(get(f"/{round}"))
            assert len({client.read_response().body for client in clients}) == 20
        for client in clients:
            client.close()


def test_other_clients_keep_their_connection() -> None:
    with serving(keep) as server:
        with requests.Session() as session:
            url = f"http://127.0.0.1:{server.port}/"
            assert len({session.get(url, timeout=PATIENCE).text for _ in range(5)}) == 1
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        seen = set()
        for _ in range(5):
            connection.request("GET", "/")
            seen.add(connection.getresponse().read())
        connection.close()
        assert len(seen) == 1


# --------------------------------------------------------------------- pipelining

def test_a_pipeline() -> None:
    """Answers in the order of the requests (RFC 9112 9.3.2), whatever is in it."""
    raw = get("/1") + post(b"abc") + get("/2") + post_chunks(b"a", b"bc") + get("/3",
                                                                                method="HEAD") + get("/4")

    def handler(request: HttpRequest) -> None:
        request.response.write(f"{request.uri.path} {request.read().decode()}")
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(raw)
        methods = ("GET", "POST", "GET", "POST", "HEAD", "GET")
        answers = [client.read_response(method).body for method in methods]
        assert answers == [b"/1 ", b"/ abc", b"/2 ", b"/ abc", b"", b"/4 "]


def test_a_long_pipeline() -> None:
    with serving(tell, workers=4) as server, RawClient(server.port) as client:
        client.send(b"".join(get(f"/{number}") for number in range(500)))
        for number in range(500):
            assert client.read_response().body == b"/%d" % number


def test_a_pipeline_by_bytes() -> None:
    with serving(tell) as server, RawClient(server.port) as client:
        for byte in b"".join(get(f"/{number}") for number in range(10)):
            client.send(bytes([byte]))
        for number in range(10):
            assert client.read_response().body == b"/%d" % number


def test_the_next_request_waits_for_the_last_response() -> None:
    """One response of a connection is open at a time: with threads enough, the second is not begun."""
    seen: list[str] = []
    go_on = threading.Event()

    def handler(request: HttpRequest) -> None:
        seen.append(request.uri.path)
        if request.uri.path == "/1":
            assert go_on.wait(PATIENCE)
        tell(request)

    with serving(handler, workers=4) as server, RawClient(server.port) as client:
        client.send(get("/1") + get("/2"))
        eventually(lambda: seen)
        with RawClient(server.port) as other:
            assert other.get("/other").status == 200
        assert seen == ["/1", "/other"]
        go_on.set()
        assert [client.read_response().body for _ in range(2)] == [b"/1", b"/2"]


def test_nothing_is_read_behind_a_close() -> None:
    seen: list[str] = []

    def handler(request: HttpRequest) -> None:
        seen.append(request.uri.path)
        tell(request)

    raw = get("/1", "Connection: close") + get("/2") + b"nonsense"
    answer = raw_answer(handler, raw)
    assert answer.count(b"HTTP/1.1 ") == 1 and seen == ["/1"]
    answer = raw_answer(close_by_property, get("/1") + get("/2"))
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_pipeline_with_an_error_in_it() -> None:
    with serving(tell) as server, RawClient(server.port) as client:
        client.send(get("/1") + b"nonsense\r\n\r\n" + get("/3"))
        assert client.read_response().body == b"/1"
        assert client.read_response().status == 400
        assert client.is_ended()


def test_an_error_behind_the_last_answer_is_not_answered() -> None:
    """The handler ends the connection, so what follows is not read, however wrong it is."""
    go_on = threading.Event()

    def handler(request: HttpRequest) -> None:
        assert go_on.wait(PATIENCE)
        close_by_property(request)

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(get("/1"))
        eventually(lambda: server.connections_info().active)
        client.send(b"nonsense\r\n\r\n")
        go_on.set()
        assert client.read_until_eof().count(b"HTTP/1.1 ") == 1


def test_a_pipeline_whose_answers_nobody_takes() -> None:
    """It is not read on for ever, and all answers are there when they are taken at last."""
    from_pipeline: list[str] = []

    def handler(request: HttpRequest) -> None:
        from_pipeline.append(request.uri.path)
        request.response.write(b"x" * 100_000)
        request.response.close()

    with serving(handler) as server, small_window(server.port) as client:
        client.send(b"".join(get(f"/{number}") for number in range(100)))
        eventually(lambda: from_pipeline)
        for _ in range(100):
            assert len(client.read_response().body) == 100_000
    assert from_pipeline == [f"/{number}" for number in range(100)]


def test_a_client_that_ends_its_half_gets_all_answers() -> None:
    with serving(tell) as server, RawClient(server.port) as client:
        client.send(get("/1") + get("/2") + get("/3")).finish_sending()
        assert [client.read_response().body for _ in range(3)] == [b"/1", b"/2", b"/3"]
        assert client.is_ended()


def test_a_tunnel_that_nobody_took() -> None:
    """CONNECT with 200: what follows is no HTTP, and must not be read as such (RFC 9110 9.3.6)."""
    seen: list[str] = []

    def handler(request: HttpRequest) -> None:
        seen.append(request.method)
        request.response.close()

    connect = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
    answer = raw_answer(handler, connect + get("/inside", "Connection: close"))
    assert seen == ["CONNECT"] and answer.count(b"HTTP/1.1 ") == 1


# ------------------------------------------------------------------- idle_timeout

@pytest.mark.parametrize("before", [b"", get("/"), post(b"abc")], ids=["never used", "used", "with a body"])
def test_an_idle_connection_ends_quietly(before: bytes) -> None:
    with serving(tell, idle_timeout=SOON) as server:
        began = time.monotonic()  # before it is accepted, from which on it is idle
        with RawClient(server.port) as client:
            if before:
                assert client.send(before).read_response().status == 200
            assert client.read_until_eof() == b""
            assert SOON * 0.9 < time.monotonic() - began < SOON + PATIENCE
        eventually(lambda: not server.connections_info().total)


@pytest.mark.parametrize("pieces", [
    (get("/")[:10], get("/")[10:]), (post(b"abc")[:-1], b"c"), (post(b"abc")[:10], post(b"abc")[10:]),
], ids=["a head", "a body", "a head before a body"])
def test_what_was_waited_for_without_a_limit_leaves_it_its_own(pieces: tuple[bytes, bytes]) -> None:
    with serving(tell, idle_timeout=SOON, header_timeout=None, body_timeout=None) as server:
        with RawClient(server.port) as client:
            client.send(pieces[0])
            eventually(lambda: [record.bytes_in for record in server.connections()] == [len(pieces[0])])
            assert client.send(pieces[1]).read_response().status == 200
            assert client.is_ended()


def test_without_a_limit_it_stays() -> None:
    with serving(tell, idle_timeout=None, header_timeout=None, body_timeout=None) as server:
        with RawClient(server.port) as client:
            assert client.get("/1").body == b"/1"
            client.send(get("/2")[:10])
            threading.Event().wait(0.05)
            client.send(get("/2")[10:])
            assert client.read_response().body == b"/2"
            client.send(post(b"abc")[:-1])
            assert client.send(b"c").read_response().status == 200


def test_idle_time_begins_with_the_end_of_the_last_response() -> None:
    answered: list[float] = []

    def handler(request: HttpRequest) -> None:
        threading.Event().wait(SOON * 1.2)
        answered.append(time.monotonic())
        tell(request)

    with serving(handler, idle_timeout=SOON) as server, RawClient(server.port) as client:
        assert client.get("/slow").body == b"/slow"
        assert client.is_ended()
        assert time.monotonic() - answered[0] > SOON * 0.9


def test_a_setting_that_changes_holds_from_the_next_request_on() -> None:
    with serving(tell) as server, RawClient(server.port) as client:
        assert server.idle_timeout == 120
        assert client.get().status == 200
        server.idle_timeout = SOON
        assert client.send(post(b"abc")).read_response().status == 200
        assert client.get().status == 200
        assert client.is_ended()


def test_each_of_many_heads_is_its_own() -> None:
    """However many are remembered, and on whichever connection they come."""
    with serving(tell) as server, RawClient(server.port) as one, RawClient(server.port) as other:
        for client in (one, other, one):
            numbers = range(100)
            assert [client.get(f"/{number}").body for number in numbers] == [b"/%d" % number for number in numbers]
        assert one.get("/" + "long" * 2000).body == other.get("/" + "long" * 2000).body == b"/" + b"long" * 2000


def test_empty_lines_are_no_request() -> None:
    with serving(tell, idle_timeout=SOON, header_timeout=SOON) as server, RawClient(server.port) as client:
        client.send(b"\r\n\r\n")
        received = client.read_until_eof()
        assert received == b"" or received.startswith(b"HTTP/1.1 408 ")


def test_a_head_that_trickles_gets_408() -> None:
    """header_timeout is of the whole head, not of a gap in it."""
    with serving(tell, header_timeout=SOON) as server, RawClient(server.port) as client:
        client.seconds = 0.03
        answer = b""
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100:
            client.send(bytes([byte]))
            try:
                answer = client.read_exactly(12)
                break
            except TimeoutError:
                pass
        assert answer == b"HTTP/1.1 408"


# ------------------------------------------------------------------ error answers

@pytest.mark.parametrize("raw, status", [
    (b"nonsense\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n", 417),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000000000000\r\n\r\n", 413),
], ids=["nonsense", "no host", "version", "target", "header", "coding", "last coding", "expectation", "TLS", "length"])
def test_an_error_answer_is_whole(raw: bytes, status: int) -> None:
    """With the default headers, Date and a text that says what was wrong; and the connection ends."""
    called: list[HttpRequest] = []
    with serving(called.append, server_header="mine") as server, RawClient(server.port) as client:
        server.default_response_headers.set("content-type", "text/html")
        server.default_response_headers.set("x-mine", "yes")
        response = client.send(raw).read_response()
        assert response.status == status
        assert response.header("connection") == "close" and response.header("date")
        assert response.header("server") == "mine" and response.header("x-mine") == "yes"
        assert response.header("content-type") == "text/plain; charset=utf-8"
        assert response.header("x-content-type-options") == "nosniff"
        assert response.body.startswith(b"%d " % status) and response.body.endswith(b"\n")
        assert response.header("content-length") == str(len(response.body))
        assert client.is_ended()
    assert not called


@pytest.mark.parametrize("raw, status", [
    (b"HEAD / HTTP/1.1\r\n\r\n", 400),
    (b"HEAD / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"HEAD / HTTP/1.1\nHost: a\n\n", 400),
    (b"HEAD /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"\r\nHEAD / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000, 431),
    (b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000000000000\r\n\r\n", 413),
    (get() + b"HEAD / HTTP/1.1\r\n\r\n", 400),
    (b"\r\n\r\nHEAD / HTTP/1.1\r\n\r\n", 400),
], ids=["no host", "version", "bare LF", "target", "header", "length", "behind another", "behind empty lines"])
def test_an_error_answer_to_head_has_no_content(raw: bytes, status: int) -> None:
    """Only how long it would be (RFC 9110 9.3.2)."""
    with serving(tell) as server, RawClient(server.port) as client:
        client.send(raw)
        if raw.startswith(b"GET"):
            assert client.read_response().status == 200
        response = client.read_response("HEAD")
        assert response.status == status and int(response.header("content-length") or 0) > 4
        assert client.is_ended()


@pytest.mark.parametrize("kind", ["plain", "TLS"])
def test_an_error_answer_that_the_system_takes_in_pieces(kind: str, tls_contexts: TlsContexts,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    server_context, client_context = (tls_contexts.server, tls_contexts.client) if kind == "TLS" else (None, None)
    for channel in (Channel, DuplexTlsChannel):
        def send_some(self: Any, data: bytes, send: Callable[[Any, bytes], int] = channel.send_now) -> int:
            return send(self, data[:10])

        monkeypatch.setattr(channel, "send_now", send_some)
    with serving(tell, context=server_context) as server, RawClient(server.port, context=client_context) as client:
        response = client.send(b"nonsense\r\n\r\n").read_response()
        assert response.status == 400 and b"expected: method, target and HTTP-version\n" in response.body
        assert client.is_ended()


@pytest.mark.parametrize("sent",
                         [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n", b""])
def test_an_incomplete_request_is_ignored(sent: bytes) -> None:
    """No request, no response, no exception."""
    called: list[HttpRequest] = []
    for reset in (False, True):
        with serving(called.append) as server, RawClient(server.port) as client:
            client.send(sent)
            if reset:
                client.reset()
            else:
                assert client.finish_sending().read_until_eof() == b""
            eventually(lambda: not server.connections_info().total)
    assert not called


def test_an_error_answer_reaches_a_client_that_is_still_sending() -> None:
    """What comes behind it is read away for a moment, so that no reset overtakes the answer."""
    with serving(tell) as server, RawClient(server.port) as client:
        client.send(b"nonsense\r\n\r\n" + b"x" * 500_000)
        assert client.read_response().status == 400
        assert client.is_ended()


def test_a_response_longer_than_the_patience_of_a_proxy_is_not_lost_either() -> None:
    """A response to Connection: close goes out whole before the connection ends."""
    def handler(request: HttpRequest) -> None:
        request.response.write(b"x" * 3_000_000)
        request.response.close()

    assert raw_answer(handler, get("/", "Connection: close")).endswith(b"x" * 3_000_000 + b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("raw",
                         [get("/bad"), get("/bad", "Connection: close"), get("/bad", version="1.0"), post(b"abc")],
                         ids=["1.1", "close", "1.0", "with a body"])
@pytest.mark.parametrize("where", ["before", "behind"])
def test_an_error_in_the_server_itself_ends_the_connection(raw: bytes, where: str, monkeypatch: pytest.MonkeyPatch,
                                                           caplog: pytest.LogCaptureFixture) -> None:
    """As a request is made, before there is a response for it or behind that: nothing is left of either."""
    def fail(*arguments: object) -> None:
        raise MemoryError("as a test")

    with serving(tell) as server:
        with RawClient(server.port) as client, monkeypatch.context() as patch:
            name = "UnfinishedResponse" if where == "before" else "HttpRequest"
            patch.setattr(f"blockingio.server.connection_loop.{name}", fail)
            client.send(raw)
            to_the_end(client)
            eventually(lambda: not server.connections_info().total)
        assert [record.getMessage()[:19] for record in caplog.records] == ["a connection failed"]
        with RawClient(server.port) as client:
            assert client.get("/good").body == b"/good"


def test_the_server_goes_on_after_all_that() -> None:
    with serving(tell) as server:
        for raw in (b"nonsense\r\n\r\n", b"GET", b"", b"\0" * 100_000):
            with RawClient(server.port) as client:
                client.send(raw).finish_sending()
                to_the_end(client)
        with RawClient(server.port) as client:
            assert client.get("/good").body == b"/good"
        eventually(lambda: not server.connections_info().total)


# --------------------------------------------------------------------- half closed

def test_a_broken_body_does_not_reuse_the_connection() -> None:
    def handler(request: HttpRequest) -> None:
        try:
            request.read()
        except HttpException:
            pass
        tell(request)

    raw = b"POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n\r\n" + get("/2")
    answer = raw_answer(handler, raw)
    assert answer.count(b"HTTP/1.1 ") == 1 and b"connection: close\r\n" in answer


def test_a_server_closed_between_two_requests() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    with server, RawClient(server.port) as client:
        client.send(get("/1"))
        tell(server.first())
        assert client.read_response().body == b"/1"
        server.close()
        assert client.is_ended()
