"""The settings of a server: their defaults, what they refuse, and the limits that they set."""
from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Any

import pytest

from blockingio import HttpHeaders, HttpRequest, HttpServer
from tests.peers import PATIENCE, RawClient, eventually, serving
from tests.server.visits import answering, get, in_background, post, raw_answer, running, tell, visit

DEFAULTS = {
    "auto_compress": False, "idle_timeout": 120, "server_header": None, "session_timeout": 20 * 60,
    "max_sessions": 100_000,
    "header_timeout": 20, "body_timeout": 60, "min_body_rate": 240, "max_header_size": 64 * 1024,
    "max_header_count": 128,
    "max_target_length": 16 * 1024, "max_body_size": None, "max_connections": 10_000, "access_log": None,
    "allowed_hosts": None,
}


def test_defaults() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        assert {name: getattr(server, name) for name in DEFAULTS} == DEFAULTS
        headers = server.default_response_headers
        assert isinstance(headers, HttpHeaders)
        assert dict(headers) == {"content-type": "text/plain; charset=utf-8", "x-frame-options": "SAMEORIGIN",
                                 "x-content-type-options": "nosniff", "x-xss-protection": "1; mode=block"}


@pytest.mark.parametrize("name, values", [
    ("auto_compress", [True, False]), ("idle_timeout", [1, 0.5, None]),
    ("server_header", ["a", "caf\u00e9", "", None]), ("session_timeout", [1, 0.5]), ("max_sessions", [1, 10**9]),
    ("header_timeout", [1, 0.5, None]), ("body_timeout", [1, 0.5, None]), ("max_header_size", [0, 1, 10**9]),
    ("max_header_count", [0, 1]), ("max_target_length", [1]), ("max_body_size", [0, 1, 10**12, None]),
    ("max_connections", [1, None]), ("min_body_rate", [1, None]), ("access_log", [print, None]),
    ("allowed_hosts", [("a.example", "*.b.example", "::1", "[::1]", "127.0.0.1", "a_b", "b\u00fccher.example."),
                       ["a.example"], (), [], None]),
])
def test_good_values(name: str, values: list[Any]) -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        for value in values:
            setattr(server, name, value)
            assert getattr(server, name) == value


@pytest.mark.parametrize("name, value", [
    *((name, value) for name in ("idle_timeout", "header_timeout", "body_timeout", "session_timeout")
      for value in (-1, float("nan"), "soon", [1])),
    ("session_timeout", None), *(("max_sessions", count) for count in (0, -1, 1.5, None, "2")),
    *((name, value) for name in ("max_header_size", "max_header_count", "max_target_length")
      for value in (-1, None, 1.5, "1")),
    ("max_body_size", -1), ("max_body_size", "1"), ("max_body_size", 0.5),
    ("max_connections", 0), ("max_connections", -1), ("max_connections", 1.5),
    ("min_body_rate", 0), ("min_body_rate", -1), ("min_body_rate", "1"),
    ("server_header", "a\r\nb: c"), ("server_header", "a\0"), ("server_header", "\u20ac"),
    ("server_header", 5), ("server_header", b"a"), ("default_response_headers", None),
    ("default_response_headers", {"a": "b"}), ("access_log", "file.log"), ("access_log", 5),
    *(("allowed_hosts", value) for value in (
        "a.example", 5, [5], [b"a"], [""], ["*"], ["*."], ["."], ["a:80"], ["http://a/"], ["a b"], ["*.*.a"], ["a.*"],
        ["*.127.0.0.1"], ["[::1]:80"], ["a..b"], ["a\r\n"], ["\u00fc" * 64])),
])
def test_bad_values(name: str, value: Any) -> None:
    """ValueError (TypeError where the type is wrong) that names setting and value; the old value stays."""
    with HttpServer.bind("127.0.0.1", 0) as server:
        before = getattr(server, name)
        with pytest.raises((ValueError, TypeError)) as caught:
            setattr(server, name, value)
        message = str(caught.value)
        assert name in message and (repr(value) in message or type(value).__name__ in message)
        assert getattr(server, name) is before or getattr(server, name) == before


@pytest.mark.parametrize("name", ["idle_timeout", "header_timeout", "body_timeout"])
@pytest.mark.parametrize("seconds", [1e12, float("inf")])
def test_a_very_long_time_is_as_good_as_none(name: str, seconds: float) -> None:
    with serving(tell) as server:
        try:
            setattr(server, name, seconds)
        except ValueError:
            assert seconds == float("inf")
            return
        with RawClient(server.port) as client:
            for byte in get("/x"):
                client.send(bytes([byte]))
            assert client.read_response().body == b"/x"
            assert client.send(post(b"abc")).read_response().status == 200
            assert client.get("/x").body == b"/x"


def test_settings_of_two_servers_are_their_own() -> None:
    with HttpServer.bind("127.0.0.1", 0) as one, HttpServer.bind("127.0.0.1", 0) as two:
        one.idle_timeout = 5
        one.max_body_size = 5
        one.default_response_headers.clear()
        assert (two.idle_timeout, two.max_body_size) == (120, None)
        assert "x-frame-options" in two.default_response_headers


def test_default_response_headers_can_be_changed_at_any_time() -> None:
    with serving(tell) as server, RawClient(server.port) as client:
        assert client.get().header("x-one") is None
        server.default_response_headers.set("x-one", "1")
        server.default_response_headers.add("x-two", "a")
        server.default_response_headers.add("x-two", "b")
        server.default_response_headers.remove_all("x-frame-options")
        for _ in range(2):
            response = client.get()
            assert response.header("x-one") == "1" and ", ".join(response.get_all("x-two")) == "a, b"
            assert response.header("x-frame-options") is None
        server.default_response_headers = HttpHeaders()
        assert sorted(name for name, _ in client.get().fields) == ["content-length", "date"]


def test_no_default_response_headers_from_the_first_request_on() -> None:
    with serving(answering("\xe9")) as server, RawClient(server.port) as client:
        server.default_response_headers.clear()
        for _ in range(2):
            response = client.get()
            assert (response.status, response.body) == (200, b"\xe9"), "latin-1, as no charset is named"
            assert sorted(name for name, _ in response.fields) == ["content-length", "date"]


@pytest.mark.parametrize("name, value",
                         [("connection", "close"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")])
def test_default_response_headers_that_the_library_would_set(name: str, value: str) -> None:
    with serving(tell) as server, RawClient(server.port) as client:
        server.default_response_headers.set(name, value)
        response = client.get("/x")
        assert response.get_all(name) == [value] and response.body == b"/x"
        if name == "connection":
            assert client.is_ended()


def test_a_default_content_length_is_a_promise_like_any_other() -> None:
    with serving(tell) as server, RawClient(server.port) as client:
        server.default_response_headers.content_length = 2
        assert client.get("/x").header("content-length") == "2"


# ------------------------------------------------------------------------ limits

@pytest.mark.parametrize("limits, raw, status", [
    ({"max_header_size": 100}, get("/", "X: " + "y" * 50), 200),
    ({"max_header_size": 100}, get("/", "X: " + "y" * 100), 431),
    ({"max_header_size": 15}, get(), 200),  # "Host: localhost"
    ({"max_header_size": 14}, get(), 431),
    ({"max_header_count": 2}, get("/", "X: y"), 200),
    ({"max_header_count": 2}, get("/", "X: y", "X: y"), 431),
    ({"max_header_count": 0}, get(), 431),
    ({"max_target_length": 10}, get("/" + "x" * 9), 200),
    ({"max_target_length": 10}, get("/" + "x" * 10), 414),
    ({"max_body_size": 3}, post(b"abc"), 200),
    ({"max_body_size": 3}, post(b"abcd"), 413),
    ({"max_body_size": 0}, post(b""), 200),
    ({"max_body_size": 0}, post(b"a"), 413),
    ({"max_header_size": 10**9, "max_header_count": 10**9}, get("/", *["X: " + "y" * 1000] * 100), 200),
    ({"max_target_length": 10**6}, get("/" + "x" * 10**5), 200),
])
@pytest.mark.parametrize("split", [False, True], ids=["whole", "in two"])
def test_limits(limits: dict[str, Any], raw: bytes, status: int, split: bool) -> None:
    """To the byte, and the same however it comes."""

    def handler(request: HttpRequest) -> None:
        request.read()
        tell(request)

    with serving(handler, **limits) as server, RawClient(server.port) as client:
        if split:
            client.send(raw[:-3])
            raw = raw[-3:]
        try:
            client.send(raw)
        except ConnectionError:
            pass  # it was enough already
        response = client.read_response()
        assert response.status == status
        if status != 200:
            assert response.header("connection") == "close" and client.is_ended()


@pytest.mark.parametrize("trailers, status",
                         [(b"A: 1\r\nB: 2\r\n", 200), (b"A: 1\r\nB: 2\r\nC: 3\r\n", 431),
                          (b"A: " + b"1" * 300 + b"\r\n", 400)])
def test_trailers_have_the_limits_of_headers(trailers: bytes, status: int) -> None:
    def handler(request: HttpRequest) -> None:
        request.read()
        tell(request)

    raw = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + trailers + b"\r\n"
    answer = visit(handler, raw, max_header_count=2, max_header_size=200)
    assert answer.status in ((status,) if status != 400 else (400, 431))


def test_limits_change_while_it_serves() -> None:
    with serving(tell) as server, RawClient(server.port) as client:
        assert client.get("/" + "x" * 50).status == 200
        server.max_target_length = 10
        assert client.get("/" + "x" * 9).status == 200
        assert client.get("/" + "y" * 50).status == 414


def test_limits_hold_for_what_was_seen_before_they_changed() -> None:
    """Header sections are remembered, also for other connections; what was right is looked at again."""
    with serving(tell) as server:
        for most, status in ((10, 200), (1, 431), (10, 200)):
            server.max_header_count = most
            with RawClient(server.port) as client:
                assert client.get("/", "X: y").status == status


def test_many_different_header_sections() -> None:
    """More than are remembered: each request has its own fields, whatever came before."""
    with serving(lambda request: answering(request.headers["x"])(request)) as server:
        with RawClient(server.port) as client, RawClient(server.port) as other:
            for number in (*range(150), *range(150)):
                asker = client if number % 3 else other
                assert asker.get("/", f"X: {number}").body == b"%d" % number


# ----------------------------------------------------------------- how many at once

def test_connections_info() -> None:
    """One that waits for a request, one whose response is open, one that has said nothing yet."""
    go_on = threading.Event()

    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/wait":
            assert go_on.wait(PATIENCE)
        tell(request)

    with serving(handler, workers=2) as server:
        def numbers() -> tuple[int, int, int, int]:
            info = server.connections_info()
            return info.total, info.active, info.idle, info.closing

        assert numbers() == (0, 0, 0, 0)
        with RawClient(server.port) as idle, RawClient(server.port) as busy, RawClient(server.port):
            assert idle.get().status == 200
            busy.send(get("/wait"))
            eventually(lambda: numbers() == (3, 1, 2, 0))
            shown = repr(server.connections_info())
            assert shown == "<HttpConnectionsInfo total=3 active=1 idle=2 closing=0>"
            go_on.set()
            assert busy.read_response().status == 200
            eventually(lambda: numbers() == (3, 0, 3, 0))
            busy.send(b"GET / HT")
            eventually(lambda: numbers() == (3, 1, 2, 0))  # a request has begun
        eventually(lambda: numbers() == (0, 0, 0, 0))
        with RawClient(server.port) as closing:
            assert closing.send(b"nonsense\r\n\r\n").read_response().status == 400
            eventually(lambda: numbers() == (1, 0, 0, 1))
        eventually(lambda: numbers() == (0, 0, 0, 0))


def test_the_longest_idle_one_makes_room() -> None:
    with serving(tell, max_connections=3) as server, ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.port)) for _ in range(3)]
        for client in (clients[1], clients[0], clients[2]):
            assert client.get().status == 200
        for client in clients:
            assert client.get().status == 200  # all stay, as long as nobody wants their place
        assert clients[0].get().status == 200  # so the second is the longest idle one
        newcomer = stack.enter_context(RawClient(server.port))
        assert newcomer.get("/new").body == b"/new"
        assert clients[1].is_ended()
        assert clients[0].get().status == clients[2].get().status == 200
        assert server.connections_info().total == 3


def test_without_room_the_newcomer_waits() -> None:
    """Neither refused nor in the way of others; it is taken when there is room."""
    go_on = threading.Event()

    def handler(request: HttpRequest) -> None:
        assert go_on.wait(PATIENCE)
        tell(request)

    with serving(handler, workers=3, max_connections=2) as server, ExitStack() as stack:
        busy = [stack.enter_context(RawClient(server.port)) for _ in range(2)]
        for client in busy:
            client.send(get("/busy", "Connection: close"))
        eventually(lambda: server.connections_info().active == 2)
        newcomer = stack.enter_context(RawClient(server.port)).send(get("/new"))
        newcomer.seconds = 0.05
        with pytest.raises(TimeoutError):
            newcomer.read_response()
        newcomer.seconds = PATIENCE
        go_on.set()
        assert [client.read_response().body for client in busy] == [b"/busy"] * 2
        assert newcomer.read_response().body == b"/new"


def test_close_with_newcomers_waiting() -> None:
    go_on = threading.Event()

    def handler(request: HttpRequest) -> None:
        assert go_on.wait(PATIENCE)
        tell(request)

    with HttpServer.bind("127.0.0.1", 0) as server, running(server, handler), RawClient(server.port) as busy:
        server.max_connections = 1
        busy.send(get())
        eventually(lambda: server.connections_info().active == 1)
        with RawClient(server.port) as newcomer:
            server.close()
            assert newcomer.is_ended()
        go_on.set()
        assert busy.read_response().status == 200


@pytest.mark.parametrize("most", [1, 2])
def test_many_newcomers_and_little_room(most: int) -> None:
    """A connection may have to make room before it has said anything; a client that asks again is served."""
    with serving(tell, max_connections=most) as server:
        def answer(target: str) -> bytes:
            while True:
                try:
                    with RawClient(server.port) as client:
                        return client.get(target, "Connection: close").body
                except (EOFError, ConnectionError):
                    pass

        def ask() -> None:
            for number in range(20):
                assert answer(f"/{number}") == b"/%d" % number

        with in_background(ask), in_background(ask), in_background(ask):
            pass


def test_no_limit() -> None:
    with serving(tell, max_connections=None) as server, ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.port)) for _ in range(50)]
        for client in clients:
            assert client.get().status == 200
        assert server.connections_info().total == 50


def test_server_header_on_every_kind_of_answer() -> None:
    for raw in (get(), get(method="HEAD"), get("/", "Connection: close"), b"nonsense\r\n\r\n"):
        with serving(tell, server_header="mine/1") as server, RawClient(server.port) as client:
            method = "HEAD" if raw.startswith(b"HEAD") else "GET"
            assert client.send(raw).read_response(method).header("server") == "mine/1"


@pytest.mark.parametrize("default", ["default", "mine/1"])
def test_server_header_goes_over_a_default_one(default: str, caplog: pytest.LogCaptureFixture) -> None:
    """And a handler's own over both, also one that reads as the default one; without any, the default one counts."""
    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/own":
            request.response.headers.set("server", "own")
        elif request.uri.path == "/default":
            request.response.headers.set("server", default)
        elif request.uri.path == "/more":
            request.response.headers.set("x-more", "1")
        elif request.uri.path == "/error":
            raise ValueError("on purpose")
        request.response.close()

    with serving(handler) as server:
        server.default_response_headers.set("server", default)
        with RawClient(server.port) as client:
            assert client.get().header("server") == default
            server.server_header = "mine/1"
            answers = {path: client.get(path).header("server")
                       for path in ("/", "/more", "/error", "/own", "/default")}
            assert answers == {"/": "mine/1", "/more": "mine/1", "/error": "mine/1", "/own": "own",
                               "/default": default}
            assert client.send(b"nonsense\r\n\r\n").read_response().header("server") == "mine/1"
    assert len(caplog.records) == 1  # "on purpose"


def test_settings_of_a_closed_server_are_still_there() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    server.close()
    assert server.idle_timeout == 120 and server.connections_info().total == 0
    server.idle_timeout = 5
    server.session_timeout = 5
    server.max_body_size = 5


def test_an_answer_to_a_client_that_says_close() -> None:
    answer = raw_answer(tell, get("/x", "Connection: close"))
    assert answer.endswith(b"connection: close\r\ncontent-length: 2\r\n\r\n/x")
