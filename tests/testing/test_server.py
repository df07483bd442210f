"""The test server: its rules, what it records, and how it tells of what went wrong."""
from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import threading
import traceback
from typing import Any

import pytest
import requests

from blockingio import HttpClient, HttpException, HttpRequest, SecurityContext, StateError
from blockingio.testing import Fault, RunningServer, serving
from tests.peers import PATIENCE, RawClient, eventually, holds_in_child, to_the_end


def asked(server: RunningServer, method: str, path: str, body: bytes | None = None, **fields: str) -> tuple[int, bytes]:
    """By an independent client."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, fields)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


# ------------------------------------------------------------------------ rules

def test_a_rule_answers() -> None:
    with serving() as server:
        assert server.url == f"http://127.0.0.1:{server.port}" and server.context is None
        server.on("GET", "/users/1", json={"name": "Ä"})
        server.on("POST", "/users", status=201, body="schön", headers={"Location": "/users/2", "X-A": ["b", "c"]})
        server.on("GET", "/bytes", body=b"\0\xff", headers={"Content-Type": "image/png"})
        server.on("GET", "/none", json=None, headers={"content-type": "application/problem+json"})
        with requests.Session() as session:
            user = session.get(server.url + "/users/1", timeout=PATIENCE)
            made = session.post(server.url + "/users", data=b"x", timeout=PATIENCE)
            data = session.get(server.url + "/bytes", timeout=PATIENCE)
            none = session.get(server.url + "/none", timeout=PATIENCE)
    assert user.json() == {"name": "Ä"} and user.headers["content-type"] == "application/json; charset=utf-8"
    assert (made.status_code, made.content, made.headers["location"]) == (201, "schön".encode(), "/users/2")
    assert made.headers["x-a"] == "b, c"
    assert (data.content, data.headers["content-type"]) == (b"\0\xff", "image/png")
    assert (none.content, none.headers["content-type"]) == (b"null", "application/problem+json")


@pytest.mark.parametrize("method, path, fitting, others", [
    ("GET", "/a", [("GET", "/a"), ("GET", "/a?b=c"), ("GET", "/a?")], [("POST", "/a"), ("GET", "/a/"), ("GET", "/A")]),
    ("GET", "/a?b=c", [("GET", "/a?b=c")], [("GET", "/a"), ("GET", "/a?b=c&d"), ("GET", "/a?b=%63")]),
    ("*", "/a%20b", [("GET", "/a%20b"), ("BREW", "/a%20b?c")], [("GET", "/a+b"), ("GET", "/a%20B")]),
    ("OPTIONS", "*", [("OPTIONS", "*")], [("OPTIONS", "/")]),
    ("GET", "/a", [("GET", "http://b.example/a"), ("GET", "http://b.example/a?c")], [("GET", "http://b.example/b")]),
    ("GET", "http://b.example/a", [("GET", "http://b.example/a?c")], [("GET", "/a"), ("GET", "http://c.example/a")]),
])
def test_which_requests_a_rule_fits(method: str, path: str, fitting: list[tuple[str, str]],
                                    others: list[tuple[str, str]]) -> None:
    def fallen_through(request: HttpRequest) -> None:
        request.response.status_code = 418
        request.response.close()

    with serving(fallen_through) as server:
        server.on(method, path)
        assert [asked(server, *request)[0] for request in fitting] == [200] * len(fitting)
        assert [asked(server, *request)[0] for request in others] == [418] * len(others)


def test_the_newest_rule_that_fits_answers_and_so_often_only() -> None:
    with serving() as server:
        server.on("*", "/", body="old")
        server.on("GET", "/", body="twice", times=2)
        server.on("GET", "/", body="once", times=1)
        server.on("GET", "/", body="never reached", times=7, status=500)
        server.on("GET", "/", body="first", times=1)
        assert asked(server, "GET", "/")[1] == b"first"
        for _ in range(7):
            assert asked(server, "GET", "/")[0] == 500
        bodies = [asked(server, "GET", "/")[1] for _ in range(5)]
    assert bodies == [b"once", b"twice", b"twice", b"old", b"old"]


@pytest.mark.parametrize("arguments, expected", [
    ({"method": "GE T"}, "expected a method"),
    ({"path": "users"}, "begins with '/', found 'users'"),
    ({"path": "/ü"}, "percent-encoded"),
    ({"path": "/a#b"}, "without a fragment"),
    ({"path": "/a b"}, "percent-encoded"),
    ({"status": 100}, "200 to 999, found 100"),
    ({"times": 0}, "from 1 on as times"),
    ({"body": "a", "json": 1}, "body or json, found both"),
    ({"headers": {"a": "b\r\nc"}}, "a"),
    ({"action": print, "status": 201}, "either an action"),
    ({"action": print, "json": None}, "either an action"),
    ({"action": print, "fault": Fault(reset=True)}, "no fault but delay and close_before_head"),
    ({"body": "abc", "fault": Fault(wrong_length=-4)}, "from -3 on, since the body has 3 bytes, found -4"),
])
def test_a_mistake_in_a_rule_is_raised_where_it_is_written(arguments: dict[str, Any], expected: str) -> None:
    with serving() as server:
        with pytest.raises(ValueError, match=expected):
            server.on(**{"method": "GET", "path": "/", **arguments})


@pytest.mark.parametrize("arguments, expected", [
    ({"method": None}, "expected a str as method, found None"),
    ({"path": b"/"}, "expected a str as path, found b'/'"),
    ({"headers": [("a", "b")]}, r"expected a mapping of names to values as headers, found \[\('a', 'b'\)\]"),
    ({"headers": {"a": None}}, "a field value cannot be"),
    ({"body": 3}, "expected str or bytes as body, found 3"),
    ({"json": object()}, "not JSON serializable"),
    ({"action": 3}, "expected a function of the request as action, found 3"),
    ({"fault": True}, "expected a Fault as fault, found True"),
])
def test_a_value_of_another_kind_in_a_rule(arguments: dict[str, Any], expected: str) -> None:
    with serving() as server, pytest.raises(TypeError, match=expected):
        server.on(**{"method": "GET", "path": "/", **arguments})


@pytest.mark.parametrize("arguments", [{"delay": -1}, {"delay": float("nan")}, {"rate": 0}, {"cut_after": -1}])
def test_a_fault_that_cannot_be(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Fault(**arguments)


@pytest.mark.parametrize("name, value", [
    ("delay", "1"), ("rate", 100.0), ("cut_after", "1"), ("wrong_length", None), ("wrong_length", 1.5)])
def test_a_number_of_another_kind_in_a_fault(name: str, value: Any) -> None:
    """Else it would fail in the answer."""
    with pytest.raises(TypeError, match=f"expected .* as {name}, found {value!r}"):
        Fault(**{name: value})


# ------------------------------------------------------------------------ the record

def test_what_came_is_recorded() -> None:
    with serving() as server:
        server.on("*", "/a")
        asked(server, "GET", "/a?b=c", X="y")
        asked(server, "POST", "/a", b"hello")
        with RawClient(server.port) as client:
            client.send(b"PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
            assert client.read_response().status == 100
            client.send(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            client.read_response()
            peer = "127.0.0.1:%d" % client.socket.getsockname()[1]
        first, second, third = server.requests
    assert (first.method, str(first.uri), first.headers["x"], first.body) == ("GET", "/a?b=c", "y", b"")
    assert first.uri.query_parameters == {"b": "c"}
    assert (second.method, second.body) == ("POST", b"hello")
    assert (third.body, third.client) == (b"abcde", peer)
    assert repr(third) == f"<RecordedRequest PUT /a with 5 bytes from {peer}>"


@pytest.mark.parametrize("framing", [
    b"Content-Length: 11\r\n\r\nhello world",
    b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\nA: b\r\n\r\n"])
def test_an_action_can_read_the_body_that_was_recorded(framing: bytes) -> None:
    seen: list[Any] = []

    def action(request: HttpRequest) -> None:
        seen.extend((server.requests[0].body, request.content_length, request.read(4), b"".join(request)))
        seen.append(request.read())
        seen.append(request.trailers.get("a"))
        request.response.close()

    with serving(action) as server, RawClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing)
        assert client.read_response().status == 200
        assert client.get().status == 200  # the connection goes on
    is_chunked = b"chunked" in framing
    assert seen[:5] == [b"hello world", -1 if is_chunked else 11, b"hell", b"o world", b""]
    assert seen[5] == ("b" if is_chunked else None)


def test_a_client_that_leaves_in_its_body_is_no_failure_of_the_test() -> None:
    with serving() as server:
        with RawClient(server.port) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
            eventually(lambda: server.requests)
        eventually(lambda: server.requests[0].body == b"hello")


# ------------------------------------------------------------------------ what went wrong

def test_an_unexpected_request_is_told_with_what_there_was() -> None:
    server = serving()
    server.on("GET", "/users/1", times=3, fault=Fault(delay=0.001))
    server.on("POST", "/users", status=201)
    assert asked(server, "GET", "/users/1")[0] == 200
    status, body = asked(server, "GET", "/users/2?a=b")
    asked(server, "DELETE", "/users")
    with pytest.raises(AssertionError) as raised:
        server.close()
    text = str(raised.value)
    first, second = [f"  {record.method} {record.uri} from {record.client}\n" for record in server.requests[1:]]
    rules = "there was:\n  POST /users -> 201\n  GET /users/1 -> 200, Fault(delay=0.001), 1 of 3 times used\n"
    assert text == "2 unexpected requests:\n" + first + second + rules
    assert (status, body.decode()) == (404, "an unexpected request:\n" + first + rules)
    server.close()  # once
    with socket.create_server(("127.0.0.1", server.port)):
        pass  # the port is free


def failing(request: HttpRequest) -> None:
    request.response.write(str(1 // int(request.uri.query)))
    request.response.close()


def failing_late(request: HttpRequest) -> None:
    request.response.close()
    raise LookupError("behind the answer")


def test_an_exception_of_an_action_is_raised_with_its_own_traceback() -> None:
    server = serving(failing)
    assert asked(server, "GET", "/?1") == (200, b"1")
    assert asked(server, "GET", "/?0")[0] == 500
    with pytest.raises(ZeroDivisionError) as raised:
        server.close()
    assert "int(request.uri.query)" in "".join(traceback.format_exception(raised.value))
    server.close()


def test_an_exception_behind_the_answer_and_others() -> None:
    server = serving(failing)
    server.on("GET", "/late", action=failing_late, times=1)
    assert asked(server, "GET", "/late")[0] == 200
    eventually(lambda: server.requests)
    assert asked(server, "GET", "/?0")[0] == 500
    with pytest.raises((LookupError, ZeroDivisionError)) as raised:
        server.close()
    assert len(raised.value.__notes__) == 1 and "another action raised" in raised.value.__notes__[0]


def test_an_answer_that_cannot_be_sent_is_raised_with_its_rule() -> None:
    server = serving()
    server.on("GET", "/", body="abc", headers={"Content-Length": 5})
    with RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.is_ended()
    with pytest.raises(HttpException, match="3 bytes written, expected 5") as raised:
        server.close()
    assert raised.value.__notes__ == ["in the answer of the rule GET / -> 200"]


def test_what_the_server_saw_comes_in_front_of_what_the_block_raised() -> None:
    with pytest.raises(ZeroDivisionError) as raised, serving(failing) as server:
        assert asked(server, "GET", "/?0")[0] == 200
    assert isinstance(raised.value.__context__, AssertionError)
    with pytest.raises(KeyboardInterrupt) as interrupted, serving() as server:
        asked(server, "GET", "/")
        raise KeyboardInterrupt
    assert "an unexpected request" in interrupted.value.__notes__[0]


def test_pytest_fail_in_an_action_is_raised_too() -> None:
    def action(request: HttpRequest) -> None:
        pytest.fail("as the action says")

    server = serving(action)
    assert asked(server, "GET", "/")[0] == 500
    with pytest.raises(pytest.fail.Exception, match="as the action says"):
        server.close()


# ------------------------------------------------------------------------ its end

def test_close_waits_for_actions_and_lets_them_answer() -> None:
    entered, let_go = threading.Event(), threading.Event()
    answers: list[bytes] = []

    def action(request: HttpRequest) -> None:
        entered.set()
        assert let_go.wait(PATIENCE)
        request.response.write("late")
        request.response.close()

    server = serving(action)
    asking = threading.Thread(target=lambda: answers.append(asked(server, "GET", "/")[1]))
    asking.start()
    assert entered.wait(PATIENCE)
    closing = threading.Thread(target=server.close)
    closing.start()
    eventually(lambda: "closed" in repr(server))
    assert closing.is_alive()
    let_go.set()
    closing.join(PATIENCE)
    asking.join(PATIENCE)
    assert answers == [b"late"] and not closing.is_alive()


@pytest.mark.needs("signal.pthread_kill")
def test_ctrl_c_while_actions_are_waited_for_cuts_their_connections() -> None:
    entered, let_go = threading.Event(), threading.Event()

    def action(request: HttpRequest) -> None:
        entered.set()
        assert let_go.wait(PATIENCE)
        request.response.close()

    def interrupt() -> None:
        eventually(lambda: "closed" in repr(server))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    server = serving(action)
    with RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert entered.wait(PATIENCE)
        interrupting = threading.Thread(target=interrupt)
        with pytest.raises(KeyboardInterrupt):
            interrupting.start()
            server.close()
        assert client.is_ended()
        interrupting.join()
        with socket.create_server(("127.0.0.1", server.port)):
            pass  # the port is free
        let_go.set()
    server.close()


@pytest.mark.parametrize("how", ["delay", "rate", "cut", "a body that does not come", "an idle connection"])
def test_close_ends_at_once_what_takes_its_time(how: str) -> None:
    """None of these would end before PATIENCE is over."""
    server = serving()
    server.on("GET", "/", body=b"x" * 1000, fault={
        "delay": Fault(delay=1000), "rate": Fault(rate=1), "cut": Fault(rate=1, cut_after=999)}.get(how))
    with RawClient(server.port) as client:
        if how == "a body that does not come":
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        else:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: server.requests)
        closing = threading.Thread(target=server.close)
        closing.start()
        closing.join(PATIENCE)
        assert not closing.is_alive()
        to_the_end(client)


def test_an_action_can_close_the_server() -> None:
    def action(request: HttpRequest) -> None:
        request.response.close()
        server.close()

    with serving(action) as server:
        asked(server, "GET", "/")
        eventually(lambda: "closed" in repr(server))


def test_a_closed_one_answers_no_more_and_says_so() -> None:
    with serving() as server:
        pass
    with pytest.raises(StateError, match="serving\\(\\) makes another one"):
        server.on("GET", "/")
    with pytest.raises(StateError, match=f"<RunningServer {server.url} requests=0 closed>"), server:
        pass


@pytest.mark.needs("os.fork")
def test_a_forked_child_lets_go_of_it() -> None:
    """What has happened, and what is in progress, is the parent's to tell and to wait for."""
    entered, let_go = threading.Event(), threading.Event()

    def action(request: HttpRequest) -> None:
        entered.set()
        assert let_go.wait(PATIENCE)
        request.response.close()

    server = serving()
    server.on("GET", "/", action=action)
    assert asked(server, "GET", "/unexpected")[0] == 404
    with RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert entered.wait(PATIENCE)
        assert holds_in_child(lambda: server.close() is None and "closed" in repr(server))
        let_go.set()
        assert client.read_response().status == 200
    with pytest.raises(AssertionError, match="GET /unexpected"):
        server.close()


def test_what_serving_cannot_do_leaves_nothing_open() -> None:
    with pytest.raises(ValueError, match="workers is 0"):
        serving(workers=0)
    with pytest.raises(TypeError, match="found 3"):
        serving(3)  # type: ignore[arg-type]


# ------------------------------------------------------------------------ HTTPS

def test_https_with_a_certificate_of_its_own() -> None:
    with serving(secure=True) as server, serving(secure=True) as other:
        assert server.url == f"https://127.0.0.1:{server.port}" and server.context and other.context
        assert server.context.fingerprint != other.context.fingerprint
        server.on("GET", "/", json=[1])
        trusting = ssl.create_default_context(cadata=server.context.certificate_pem)
        for host in ("127.0.0.1", "localhost"):
            connection = http.client.HTTPSConnection(host, server.port, timeout=PATIENCE, context=trusting)
            connection.request("GET", "/")
            assert json.load(connection.getresponse()) == [1]
            connection.close()
        trust = SecurityContext()
        trust.set_trusted_certificates_bytes(server.context.certificate_pem.encode())
        with HttpClient(context=trust) as client:
            assert client.get_url(server.url).close().json() == [1]
        connection = http.client.HTTPSConnection("127.0.0.1", other.port, timeout=PATIENCE, context=trusting)
        with pytest.raises(ssl.SSLCertVerificationError):
            connection.request("GET", "/")
        connection.close()
