"""WsgiHandler: applications of our own, under wsgiref's validator and behind raw clients."""
from __future__ import annotations

import gc
import io
import os
import logging
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest

from blockingio import HttpServer
from blockingio.wsgi import WsgiHandler
from blockingio.wsgi.file_wrapper import FileWrapper
from tests.peers import PATIENCE, RawClient, RawResponse, TlsContexts, eventually, serving

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


def thorough(environ: Environ, start_response: Any) -> Any:
    """Uses all that there is, as the PEP wants it."""
    data = environ["wsgi.input"]
    body = data.readline() + data.read(1) + b"".join(data.readlines()) + b"".join(data)
    environ["wsgi.errors"].flush()
    if environ["PATH_INFO"] == "/304":
        start_response("304 Not Modified", [("ETag", '"x"')])
        return []
    if environ["PATH_INFO"] == "/pieces":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (body[at:at + 1] for at in range(len(body)))
    if environ["PATH_INFO"] == "/write":
        start_response("200 OK", [("Content-Type", "text/plain")])(body)
        return [b""]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


BODY = b"a\nb\nc"
AS_IT_IS = b"Content-Length: 5\r\n\r\n" + BODY
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n2\r\n\nc\r\n0\r\n\r\n"


@pytest.mark.parametrize("raw, status, body", [
    (b"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\n\r\n", 200, b""), (b"GET / HTTP/1.0\r\n\r\n", 200, b""),
    (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 200, b""), (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 200, b""),
    (b"GET http://a.example/x HTTP/1.1\r\nHost: x\r\n\r\n", 200, b""),
    (b"GET /304 HTTP/1.1\r\nHost: x\r\n\r\n", 304, b""),
    *((b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n%b" % (path, framed), 200, BODY)
      for path in (b"/", b"/pieces", b"/write") for framed in (AS_IT_IS, CHUNKED))])
@pytest.mark.parametrize("secure", [False, True])
def test_the_validator_finds_nothing(raw: bytes, status: int, body: bytes, secure: bool,
                                     tls_contexts: TlsContexts) -> None:
    with serving(WsgiHandler(validator(thorough)), context=tls_contexts.server if secure else None) as server:
        with RawClient(server.port, context=tls_contexts.client if secure else None) as client:
            response = client.send(raw).read_response(raw.partition(b" ")[0].decode())
    assert (response.status, response.body) == (status, body)


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


def test_what_is_kept_of_an_environ_is_no_other_requests(tls_contexts: TlsContexts) -> None:
    """One application behind several servers, and clients that send the same fields."""
    fields = b"Host: a.example\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n"

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        names = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL", "SERVER_PORT", "wsgi.url_scheme",
                 "REMOTE_ADDR")
        answer = " ".join(environ[name] for name in names) + f" {len(environ['wsgi.input'].read())}"
        environ.clear()  # it is the application's
        start_response("200 OK", [])
        return [answer.encode()]

    handler = WsgiHandler(application)
    with (serving(handler, workers=2) as plain, serving(handler, workers=2, trusted_proxies=["127.0.0.1"]) as behind,
          serving(handler, workers=2, context=tls_contexts.server) as secure):
        for _ in range(2):
            for server, scheme, address in ((plain, "http", "127.0.0.1"), (behind, "https", "192.0.2.1"),
                                            (secure, "https", "127.0.0.1")):
                with RawClient(server.port, context=tls_contexts.client if server is secure else None) as client:
                    rest = f"{server.port} {scheme} {address}"
                    for start, seen in ((b"GET /a?b HTTP/1.1", f"GET /a b HTTP/1.1 {rest} 0"),
                                        (b"DELETE /a HTTP/1.1", f"DELETE /a  HTTP/1.1 {rest} 0"),
                                        (b"GET /a HTTP/1.0", f"GET /a  HTTP/1.0 {rest} 0")):
                        assert client.send(start + b"\r\n" + fields).read_response().body.decode() == seen


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
    """And it is not read: the system sends it, by offsets, so that the position in it stays where it was."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 100_000)
    same = -1

    def application(environ: Environ, start_response: Any) -> Any:
        nonlocal same
        file = path.open("rb")
        file.seek(5)
        same = os.dup(file.fileno())  # one position for both
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file)

    try:
        response = visit(application)
        assert response.body == path.read_bytes()[5:] and response.header("content-length") == "999995"
        assert os.lseek(same, 0, os.SEEK_CUR) == 5
    finally:
        os.close(same)


@pytest.mark.parametrize("raw, length", [(False, None), (True, None), (True, "5")])
def test_other_files_are_read(raw: bool, length: str | None, tmp_path: Path) -> None:
    """One in memory, one that is shorter than Content-Length lets it be, and both are closed."""
    (tmp_path / "file").write_bytes(b"0123456789")
    files: list[Any] = []

    def application(environ: Environ, start_response: Any) -> Any:
        files.append((tmp_path / "file").open("rb", buffering=0) if raw else io.BytesIO(b"0123456789"))
        start_response("200 OK", [("Content-Length", length)] if length else [])
        return environ["wsgi.file_wrapper"](files[0], 3)

    response = visit(application)
    assert response.body == b"0123456789"[:int(length) if length else None]
    eventually(lambda: files[0].closed)


@pytest.mark.parametrize("length", ["11", "12"])
def test_a_file_that_is_shorter_than_was_said(length: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")

    def application(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", length)])
        return environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))

    assert visit(application).status == 500
    assert f"Content-Length is {length}, and the file has 10 bytes" in caplog.text


def test_the_wrapper_is_an_iterator_that_can_seek() -> None:
    file = io.BytesIO(b"0123456789")
    wrapper = FileWrapper(file, 3)
    assert wrapper.seekable() and (wrapper.seek(5), wrapper.tell()) == (5, 5)
    assert iter(wrapper) is wrapper and list(wrapper) == [b"567", b"89"]
    wrapper.close()
    assert file.closed
    assert not hasattr(FileWrapper(object()), "close") and not FileWrapper(object()).seekable()


def test_the_fields_are_the_applications() -> None:
    response = visit(answering(fields=[("X-A", "1"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")], body=[b"x" * 9999]),
                     b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", auto_compress=True)
    assert [name for name, _ in response.fields] == ["date", "x-a", "set-cookie", "set-cookie", "content-length"]


def test_server_and_date_are_the_applications_where_it_names_them() -> None:
    response = visit(answering(), server_header="ours")
    assert response.header("server") == "ours" and response.header("date")
    response = visit(answering(fields=[("Server", "theirs"), ("Date", "Sun, 06 Nov 1994 08:49:37 GMT")]),
                     server_header="ours")
    assert (response.header("server"), response.header("date")) == ("theirs", "Sun, 06 Nov 1994 08:49:37 GMT")


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


# ------------------------------------------------------------------------ the body's length

GET, HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
FIVE = (("Content-Length", "5"),)


def in_pieces(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces


@pytest.mark.parametrize("status, raw, fields, make, length, body", [
    ("200 OK", GET, (), lambda: [], "0", b""),
    ("200 OK", GET, (), lambda: [b"hello"], "5", b"hello"),
    ("200 OK", GET, (), lambda: (b"hello",), "5", b"hello"),
    ("200 OK", GET, (), in_pieces, "0", b""),
    ("200 OK", GET, (), lambda: in_pieces(b"hel", b"", b"lo"), None, b"hello"),
    ("200 OK", GET, FIVE, lambda: in_pieces(b"hel", b"lo"), "5", b"hello"),
    ("200 OK", GET, FIVE, lambda: in_pieces(b"", b"hello", b""), "5", b"hello"),
    ("200 OK", HEAD, (), lambda: [b"hello"], "5", b""),
    ("200 OK", HEAD, FIVE, lambda: [], "5", b""),
    ("200 OK", HEAD, FIVE, lambda: in_pieces(b"hel", b"lo"), "5", b""),
    ("200 OK", HEAD, FIVE, lambda: in_pieces(b"hello", b"more"), "5", b""),
    ("200 OK", HEAD, FIVE, in_pieces, "5", b""),
    ("304 Not Modified", GET, FIVE, lambda: [], "5", b""),
    ("304 Not Modified", GET, (), lambda: [], None, b""),
    ("304 Not Modified", GET, FIVE, lambda: in_pieces(b"hello more"), "5", b""),
    ("204 No Content", GET, FIVE, lambda: [], None, b""),
    ("204 No Content", GET, (), lambda: [b"hello"], None, b""),
    ("205 Reset Content", GET, FIVE, lambda: [], "0", b""),
])
def test_what_is_said_of_the_length(status: str, raw: bytes, fields: Any, make: Callable[[], Any], length: str | None,
                                    body: bytes) -> None:
    """And the connection goes on behind it."""
    with serving(WsgiHandler(lambda *given: answering(status, fields, make())(*given)),
                 workers=2) as server, RawClient(server.port) as client:
        for _ in range(2):
            response = client.send(raw).read_response(raw.partition(b" ")[0].decode())
            assert (response.status, response.body) == (int(status[:3]), body)
            assert response.header("content-length") == length


@pytest.mark.parametrize("make, said", [
    (lambda: in_pieces(b"hel", b"lo more"), "Content-Length is 5, and the body has at least 10 bytes"),
    (lambda: in_pieces(b"hel"), "Content-Length is 5, and the body has 3 bytes"),
])
def test_another_length_than_was_said_cuts_the_connection(make: Callable[[], Any], said: str,
                                                          caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(EOFError):
        visit(answering("200 OK", FIVE, make()))
    eventually(lambda: f"ValueError: PEP 3333: {said}" in caplog.text)


def test_more_than_was_said_behind_a_whole_body_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert visit(answering("200 OK", FIVE, in_pieces(b"hello", b"more"))).body == b"hello"
    eventually(lambda: "Content-Length is 5, and the body is longer" in caplog.text)


# ------------------------------------------------------------------------ write()

def writing(*pieces: Any, fields: Any = (), rest: Any = ()) -> Callable[..., Any]:
    def application(environ: Environ, start_response: Any) -> Any:
        write = start_response("200 OK", list(fields))
        for piece in pieces:
            write(piece)
        return list(rest)
    return application


@pytest.mark.parametrize("pieces, fields, rest, length, body", [
    ([b"he", b"llo"], (), [], None, b"hello"), ([b"he"], (), [b"l", b"lo"], None, b"hello"),
    ([b"he"], FIVE, [b"llo"], "5", b"hello"), ([b"hello"], FIVE, [], "5", b"hello"), ([b""], (), [b"x"], None, b"x")])
def test_write(pieces: list[bytes], fields: Any, rest: list[bytes], length: str | None, body: bytes) -> None:
    response = visit(writing(*pieces, fields=fields, rest=rest))
    assert (response.header("content-length"), response.body) == (length, body)


def test_write_sends_at_once() -> None:
    go = threading.Event()

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])(b"one")
        go.wait(PATIENCE)
        return []

    with serving(WsgiHandler(application), workers=1) as server, RawClient(server.port) as client:
        client.send(GET)
        while not client.read_exactly(1) == b"o":
            pass
        go.set()


@pytest.mark.parametrize("application, status, said", [
    (writing("text"), 500, "pieces of a body are bytes, found str"),
    (writing(b"hello", b"more", fields=FIVE), 200, "Content-Length is 5, and the body has at least 9 bytes")])
def test_what_write_refuses(application: Callable[..., Any], status: int, said: str,
                            caplog: pytest.LogCaptureFixture) -> None:
    """What was sent before is whole here, and so is the answer."""
    assert visit(application).status == status
    eventually(lambda: said in caplog.text)


# ------------------------------------------------------------------------ errors and close()

class Closing:
    """What an application returns; it fails where it is told."""

    def __init__(self, *pieces: bytes, fails_in: str = "") -> None:
        self.pieces = pieces
        self.fails_in = fails_in
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if "iter" in self.fails_in:
            raise KeyError("of the iteration")

    def close(self) -> None:
        self.closed += 1
        if "close" in self.fails_in:
            raise ValueError("of close")


@pytest.mark.parametrize("result, status", [
    (Closing(b"a", b"b"), 200), (Closing(), 200), (Closing(fails_in="iter"), 500),
    (Closing(b"a", fails_in="close"), 200),
    (Closing(fails_in="iter close"), 500), (Closing(b"a", fails_in="iter close"), None)])
def test_close_is_called_once_whatever_happens(result: Closing, status: int | None,
                                               caplog: pytest.LogCaptureFixture) -> None:
    """Its own error does not stand in for the first one."""
    try:
        assert visit(answering(body=result)).status == status
    except EOFError:
        assert status is None
    eventually(lambda: result.closed)
    told = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert told == [error for name, error in (("close", ValueError), ("iter", KeyError)) if name in result.fails_in]
    assert result.closed == 1


def test_exc_info_behind_the_head_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    """PEP 3333, "The start_response() Callable"."""
    def application(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])(b"begun")
        try:
            raise KeyError("late")
        except KeyError as error:
            start_response("500 Oh", [], (type(error), error, error.__traceback__))
        return [b"never"]

    with pytest.raises(EOFError):
        visit(application)
    eventually(lambda: "KeyError: 'late'" in caplog.text)


# ------------------------------------------------------------------------ wsgi.input

@pytest.mark.parametrize("framing", [b"Content-Length: 16\r\n\r\none\ntwo\n\nthree\n.",
                                     b"Transfer-Encoding: chunked\r\n\r\n"
                                     b"5\r\none\nt\r\n1\r\nw\r\na\r\no\n\nthree\n.\r\n0\r\n\r\n"])
@pytest.mark.parametrize("read, expected", [
    (lambda data: [data.read()], [b"one\ntwo\n\nthree\n."]),
    (lambda data: [data.read(-1), data.read()], [b"one\ntwo\n\nthree\n.", b""]),
    (lambda data: [data.read(5), data.read(0), data.read(100)], [b"one\nt", b"", b"wo\n\nthree\n."]),
    (lambda data: list(data), [b"one\n", b"two\n", b"\n", b"three\n", b"."]),
    (lambda data: data.readlines(), [b"one\n", b"two\n", b"\n", b"three\n", b"."]),
    (lambda data: data.readlines(5), [b"one\n", b"two\n"]),
    (lambda data: [data.readline(), data.readline(2), data.readline(0), data.readline(-1), data.read(3),
                   data.readline(None)],
     [b"one\n", b"tw", b"", b"o\n", b"\nth", b"ree\n"]),
    (lambda data: [data.readline(), data.read()], [b"one\n", b"two\n\nthree\n."]),
])
def test_the_body_as_a_file(framing: bytes, read: Callable[[Any], list[bytes]], expected: list[bytes]) -> None:
    seen: list[bytes] = []

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        seen.extend(read(environ["wsgi.input"]))
        start_response("200 OK", [])
        return []

    assert visit(application, b"POST / HTTP/1.1\r\nHost: x\r\n" + framing).status == 200
    assert seen == expected


@pytest.mark.parametrize("asked", ["GET /{} HTTP/1.1", "GET / HTTP/1.1\r\nX-Other: {}"], ids=["answers", "requests"])
@pytest.mark.parametrize(("before", "length"), [(1, 1000), (300, 1)], ids=["long", "many"])
def test_what_is_kept_of_fields_does_not_fill_the_memory(asked: str, before: int, length: int) -> None:
    """An application may repeat in a field what its client has sent, which is never the same: of long ones nothing
    is kept, of short ones a number."""
    def application(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-Path", environ["PATH_INFO"])])
        return [b"ok"]

    with serving(WsgiHandler(application)) as server, RawClient(server.port) as client:
        def ask(first: int, count: int) -> None:
            for number in range(first, first + count):
                raw = asked.replace("{}", f"{number:05}" * length) + "\r\nHost: a.example\r\n\r\n"
                assert client.send(raw.encode()).read_response().body == b"ok"

        tracemalloc.start()
        try:
            ask(0, before)
            gc.collect()
            held = tracemalloc.get_traced_memory()[0]
            ask(before, max(before, 60))
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] < held + 150_000
        finally:
            tracemalloc.stop()


def test_a_long_line_costs_no_more_than_its_length() -> None:
    """Reading it takes as many bytes as it has, not a copy of all for each piece."""
    size = 20_000_000

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        tracemalloc.start()
        line = environ["wsgi.input"].readline()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        start_response("200 OK", [])
        return [b"%d %d" % (len(line), peak < 2.5 * size)]

    with serving(WsgiHandler(application)) as server, RawClient(server.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        assert client.read_response().body == b"%d 1" % size


# ------------------------------------------------------------------------ slow clients

def echo(environ: Environ, start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [body or b"ok"]


def endless(environ: Environ, start_response: Any) -> Any:
    start_response("200 OK", [])
    return iter(lambda: bytes(100_000), None) if environ["PATH_INFO"] == "/endless" else [b"ok"]


@pytest.mark.parametrize("application, slow_request", [
    (echo, b"GET / HTTP/1.1\r\nHo"), (echo, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"),
    (echo, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"),
    (endless, b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")], ids=["head", "upload", "chunked upload", "download"])
@pytest.mark.parametrize("secure", [False, True])
def test_a_slow_client_holds_no_worker(application: Callable[..., Any], slow_request: bytes, secure: bool,
                                       tls_contexts: TlsContexts) -> None:
    """There is one worker, and several that are slow."""
    client_context, server_context = (tls_contexts.client, tls_contexts.server) if secure else (None, None)
    with serving(WsgiHandler(application), workers=1, context=server_context) as server:
        with RawClient(server.port, context=client_context) as one, RawClient(server.port,
                                                                              context=client_context) as two:
            for slow in (one, two):
                slow.send(slow_request)
                if application is endless:
                    slow.read_exactly(10)  # and no more
            for _ in range(2):
                with RawClient(server.port, context=client_context) as quick:
                    assert quick.get().body == b"ok"




# ------------------------------------------------------------------------ the end of a client

class Endless(Closing):
    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: b"more", None)


def test_an_iterable_without_end_ends_with_its_client() -> None:
    """It is closed, and nothing is logged."""
    result = Endless()
    with serving(WsgiHandler(answering(body=result))) as server:
        with RawClient(server.port) as client:
            client.send(GET).read_exactly(100)
        eventually(lambda: result.closed)


def test_write_without_end_ends_with_its_client() -> None:
    """By an error that it may catch; nothing is logged either."""
    raised: list[Exception] = []

    def application(environ: Environ, start_response: Any) -> Any:
        write = start_response("200 OK", [])
        try:
            while True:
                write(b"more")
        except ConnectionError as error:
            raised.append(error)
            raise

    with serving(WsgiHandler(application)) as server:
        with RawClient(server.port) as client:
            client.send(GET).read_exactly(100)
        eventually(lambda: raised)


def test_of_an_answer_without_a_body_no_more_is_made_than_its_head_takes() -> None:
    result = Endless()
    assert visit(answering(body=result), HEAD).status == 200 and result.closed == 1


def test_for_each_returns_once_all_calls_have_ended() -> None:
    """Those too that wait for their client, and have no worker meanwhile."""
    begun, ended = threading.Event(), threading.Event()

    def application(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"begun"
        begun.set()
        ended.wait(PATIENCE)
        yield b"ended"
        made.append("application")

    made: list[str] = []
    with HttpServer.bind("127.0.0.1", 0) as server:
        def serve() -> None:
            server.for_each(WsgiHandler(application), workers=2)
            made.append("for_each")

        thread = threading.Thread(target=serve)
        thread.start()
        with RawClient(server.port) as client:
            client.send(GET)
            begun.wait(PATIENCE)
            server.close()
            ended.set()
            assert client.read_response().body == b"begunended"
        thread.join(PATIENCE)
    assert made == ["application", "for_each"]


@pytest.mark.parametrize("way", ["listen", "loop", "map"])
def test_other_ways_to_call_it(way: str) -> None:
    """On the thread that calls, uploads and pieces too."""
    with HttpServer.bind("127.0.0.1", 0) as server:
        handler = WsgiHandler(thorough)
        threads: list[threading.Thread] = []
        if way == "listen":
            server.listen(handler, workers=2)
        else:
            def serve() -> None:
                for request in server:
                    handler(request)

            threads.append(threading.Thread(target=serve if way == "loop" else lambda: server.map(handler).drain()))
            threads[0].start()
        with RawClient(server.port) as client:
            for path in (b"/", b"/pieces", b"/write"):
                response = client.send(b"POST %b HTTP/1.1\r\nHost: x\r\n%b" % (path, CHUNKED)).read_response()
                assert (response.status, response.body) == (200, BODY)
        server.close()
        for thread in threads:
            thread.join(PATIENCE)
