"""WsgiHandler: applications of our own, under wsgiref's validator and behind raw clients."""
from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest

from blockingio import HttpServer
from blockingio.wsgi import WsgiHandler
from tests.peers import PATIENCE, RawClient, RawResponse, eventually, serving

Environ = dict[str, Any]


def visit(application: Callable[..., Any], raw: bytes = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", *,
          script_name: str = "", **settings: Any) -> RawResponse:
    with serving(WsgiHandler(application, script_name=script_name), workers=2, **settings) as server:
        with RawClient(server.port) as client:
            return client.send(raw).read_response(raw.partition(b" ")[0].decode())


def environ_of(raw: bytes, **settings: Any) -> Environ:
    seen: list[Environ] = []

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        seen.append(environ)
        start_response("200 OK", [])
        return []

    visit(application, raw, **settings)
    return seen[0] if seen else {}


def answering(status: str = "200 OK", fields: Any = (), body: Any = (b"ok",)) -> Callable[..., Any]:
    def application(environ: Environ, start_response: Any) -> Any:
        start_response(status, list(fields) if isinstance(fields, tuple) else fields)
        return body
    return application


@pytest.mark.parametrize("raw", [
    b"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\n\r\n", b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\na\nb\nc"])
def test_the_validator_finds_nothing(raw: bytes) -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        data = environ["wsgi.input"]
        body = data.readline() + data.read(1) + b"".join(data.readlines()) + b"".join(data)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    response = visit(validator(application), raw)
    assert (response.status, response.body) == (200, b"a\nb\nc" if raw.startswith(b"POST") else b"")


def test_environ() -> None:
    environ = environ_of(b"GET /a%20%C3%BC?x=%20 HTTP/1.1\r\nHost: a.example\r\nX-A: 1\r\nX-A: 2\r\nX_B: spoof\r\n"
                         b"Proxy: evil\r\nContent-Type: text/x\r\nX-Forwarded-Proto: https\r\n\r\n")
    assert {name: environ[name] for name in ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING",
                                             "HTTP_X_A", "CONTENT_TYPE", "REMOTE_ADDR", "SERVER_NAME")} == {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/a \xc3\xbc", "QUERY_STRING": "x=%20",
        "HTTP_X_A": "1, 2", "CONTENT_TYPE": "text/x", "REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "127.0.0.1"}
    assert not {"HTTP_X_B", "HTTP_PROXY", "HTTP_CONTENT_TYPE"} & set(environ)
    assert environ["wsgi.url_scheme"] == "http" and environ["wsgi.input_terminated"] is True
    assert int(environ["SERVER_PORT"]) > 0


def test_a_trusted_proxy_names_scheme_and_client() -> None:
    environ = environ_of(b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
                         trusted_proxies=["127.0.0.1"])
    assert (environ["wsgi.url_scheme"], environ["REMOTE_ADDR"]) == ("https", "192.0.2.1")


@pytest.mark.parametrize("target, path", [("/x", ""), ("/x/", "/"), ("/x/y", "/y"), ("/%78/y", "/y"), ("/xy", None),
                                          ("/", None)])
def test_script_name(target: str, path: str | None) -> None:
    environ = environ_of(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), script_name="/x")
    assert environ.get("PATH_INFO") == path


@pytest.mark.parametrize("name", ["x", "/", "/x/", "/x?", 1])
def test_what_can_be_no_script_name(name: Any) -> None:
    with pytest.raises(ValueError, match="script_name is "):
        WsgiHandler(answering(), script_name=name)


def test_the_asterisk_has_an_empty_path() -> None:
    assert environ_of(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")["PATH_INFO"] == ""


def test_a_chunked_body_with_continue() -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [body]

    with serving(WsgiHandler(application)) as server, RawClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        assert client.read_response().status == 100
        response = client.send(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").read_response()
    assert (response.body, response.header("content-length")) == (b"abcde", "5")


def test_pieces_go_out_as_they_come_and_close_is_called_once() -> None:
    go, closed = threading.Event(), []

    class Pieces:
        def __iter__(self) -> Iterator[bytes]:
            yield b"one"
            go.wait(PATIENCE)
            yield b""
            yield b"two"

        def close(self) -> None:
            closed.append(1)

    with serving(WsgiHandler(answering(body=Pieces()))) as server, RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while not client.read_exactly(1) == b"o":
            pass
        go.set()
        eventually(lambda: closed)
    assert closed == [1]


def test_a_file_from_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 1000)

    def application(environ: Environ, start_response: Any) -> Any:
        file = path.open("rb")
        file.seek(5)
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file)

    response = visit(application)
    assert response.body == path.read_bytes()[5:] and response.header("content-length") == "9995"


def test_the_fields_are_the_applications() -> None:
    response = visit(answering(fields=[("X-A", "1"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")], body=[b"x" * 9999]),
                     b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", auto_compress=True)
    assert [name for name, _ in response.fields] == ["date", "x-a", "set-cookie", "set-cookie", "content-length"]


def breaks(*arguments: Any) -> Callable[..., Any]:
    def application(environ: Environ, start_response: Any) -> Any:
        for call in arguments:
            start_response(*call)
        return [b"x"]
    return application


@pytest.mark.parametrize("application, said", [
    (answering(fields=[("Connection", "close")]), "Connection is the server's"),
    (answering(fields=[("Transfer-Encoding", "chunked")]), "Transfer-Encoding is the server's"),
    (answering(fields=[("X-A", "a\r\nb: c")]), "the value of X-A"),
    (answering(fields=[("X-A", "\0")]), "the value of X-A"),
    (answering(fields=[("X A", "a")]), "'X A'"),
    (answering(fields=[("Content-Length", "x")]), "Content-Length is one number"),
    (answering(fields=[("Content-Length", "1"), ("content-length", "1")]), "Content-Length is one number"),
    (answering(fields=[("Content-Length", "5")]), "Content-Length is 5, and the body has 2 bytes"),
    (answering(fields={}), "the headers are a list"),
    (answering(fields=[["a", "b"]]), "a tuple of two str"),
    (answering(status="200"), "a status is three digits"),
    (answering(status="100 Continue"), "a status is three digits"),
    (answering(status=b"200 OK"), "a status is a str"),  # type: ignore[arg-type]
    (answering(body=["text"]), "pieces of a body are bytes, found str"),
    (answering(body="text"), "an iterable of bytes, found str"),
    (answering(body=None), "found None"),
    (breaks(), "start_response is called before"),
    (breaks(("200 OK", []), ("200 OK", [])), "allows that only with exc_info"),
    (lambda environ, start_response: 1 / 0, "ZeroDivisionError"),
])
def test_what_breaks_the_rules_is_logged_and_answered(application: Callable[..., Any], said: str,
                                                      caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "blockingio"):
        assert visit(application).status == 500
        assert said in caplog.text and "Traceback" in caplog.text


def test_an_error_behind_the_head_cuts_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"begun"
        raise KeyError("lost")

    with serving(WsgiHandler(application)) as server, RawClient(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises((EOFError, ConnectionError)):
            client.read_response()
        eventually(lambda: "lost" in caplog.text)


def test_exc_info_replaces_what_has_not_gone() -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-A", "1")])
        try:
            raise KeyError
        except KeyError as error:
            start_response("500 Oh", [], (type(error), error, error.__traceback__))
        return [b"sorry"]

    response = visit(application)
    assert (response.status, response.reason, response.header("x-a"), response.body) == (500, "Oh", None, b"sorry")


def test_a_broken_body_is_no_logged_error() -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        try:
            environ["wsgi.input"].read()
        except Exception:
            raise ValueError("of the application's own") from None
        return []

    raw = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
    assert visit(application, raw).status == 400


def test_a_slow_upload_holds_no_worker() -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [body]

    with serving(WsgiHandler(application), workers=1) as server:
        with RawClient(server.port) as slow, RawClient(server.port) as quick:
            slow.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert slow.read_response().status == 100
            assert quick.get().status == 200
            assert slow.send(b"ab").read_response().body == b"ab"


def test_no_more_run_at_once_than_there_are_workers() -> None:
    running: list[int] = []
    most: list[int] = []
    met = threading.Barrier(2)

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        running.append(1)
        most.append(len(running))
        met.wait(PATIENCE)
        running.pop()
        start_response("200 OK", [])
        return []

    with serving(WsgiHandler(application), workers=2) as server:
        clients = [RawClient(server.port) for _ in range(6)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for client in clients:
            assert client.read_response().status == 200
            client.close()
    assert max(most) == 2


def test_an_application_that_ends_the_program() -> None:
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        raise SystemExit(3)

    with HttpServer.bind("127.0.0.1", 0) as server:
        ended: list[object] = []

        def serve() -> None:
            try:
                server.for_each(WsgiHandler(application), workers=2)
            except SystemExit as error:
                ended.append(error.code)

        thread = threading.Thread(target=serve)
        thread.start()
        with RawClient(server.port) as client:
            assert client.get().status == 500
        thread.join(PATIENCE)
        assert ended == [3]
