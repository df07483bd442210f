"""A response's file parts: from the file to the socket, without a copy where the system can."""
from __future__ import annotations

import gzip
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from blockingio import HttpException, HttpRequest, HttpResponse, StateError
from tests.peers import PATIENCE, RawClient, TlsContexts, eventually, serving
from tests.server.visits import get, small_window, tell

MIB = 1 << 20
DATA = os.urandom(MIB) * 8
#: Seconds of a limit that is to be met.
SOON = 0.2

Send = Callable[[HttpResponse, BinaryIO], object]


def whole(response: HttpResponse, file: BinaryIO) -> None:
    response.content_length = len(DATA)
    assert response.send_file(file.fileno(), 0, len(DATA)) == len(DATA)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


def sending(path: Path, send: Send = whole) -> Callable[[HttpRequest], None]:
    def handler(request: HttpRequest) -> None:
        if request.uri.path == "/good":
            tell(request)
            return
        with path.open("rb") as file:
            send(request.response, file)
        request.response.close()

    return handler


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_file(file: Path, tls: bool, tls_contexts: TlsContexts) -> None:
    """The file may be closed at once: a descriptor of its own is sent from."""
    context, client_context = (tls_contexts.server, tls_contexts.client) if tls else (None, None)
    with serving(sending(file), context=context) as server:
        with RawClient(server.port, context=client_context) as client:
            for _ in range(2):
                assert client.get().body == DATA
            assert client.get("/good").body == b"/good"


def test_parts_of_a_file_between_other_things(file: Path) -> None:
    def send(response: HttpResponse, file: BinaryIO) -> None:
        response.content_length = 2 * MIB + 14
        response.write("before ")
        response.send_file(file.fileno(), 10, MIB)
        response.write(b"between")
        response.send_file(file.fileno(), 3 * MIB, MIB)

    with serving(sending(file, send)) as server, RawClient(server.port) as client:
        assert client.get().body == b"before " + DATA[10:MIB + 10] + b"between" + DATA[3 * MIB:4 * MIB]


def test_a_file_that_is_compressed_on_its_way(file: Path) -> None:
    with serving(sending(file), auto_compress=True) as server, RawClient(server.port) as client:
        response = client.get("/", "Accept-Encoding: gzip")
        assert response.header("content-encoding") == "gzip" and gzip.decompress(response.body) == DATA
        assert client.get("/").body == DATA
        head = client.send(get("/", "Accept-Encoding: gzip", method="HEAD")).read_response("HEAD")
        assert head.header("content-encoding") == "gzip"


def test_a_file_that_shrinks_before_it_is_compressed(file: Path) -> None:
    def send(response: HttpResponse, file: BinaryIO) -> None:
        os.truncate(file.name, len(DATA) // 2)
        with pytest.raises(HttpException, match=str(len(DATA) // 2)):
            whole(response, file)

    with serving(sending(file, send), auto_compress=True) as server, RawClient(server.port) as client:
        with pytest.raises((EOFError, ConnectionError)):
            client.get("/", "Accept-Encoding: gzip")


def test_head_sends_none_of_it(file: Path) -> None:
    with serving(sending(file)) as server, RawClient(server.port) as client:
        response = client.send(get(method="HEAD")).read_response("HEAD")
        assert response.header("content-length") == str(len(DATA))
        assert client.get("/good").body == b"/good"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_file_that_shrinks_ends_the_connection(file: Path, tls: bool, tls_contexts: TlsContexts) -> None:
    """Rather than the promise that was made."""

    def send(response: HttpResponse, file: BinaryIO) -> None:
        os.truncate(file.name, len(DATA) // 2)
        whole(response, file)
        futures.append(response.done)

    futures: list[Any] = []
    context, client_context = (tls_contexts.server, tls_contexts.client) if tls else (None, None)
    with serving(sending(file, send), context=context) as server:
        with RawClient(server.port, context=client_context) as client:
            with pytest.raises((EOFError, ConnectionError, ssl.SSLError)):
                client.get()
        assert isinstance(futures[0].exception(PATIENCE), HttpException)


def test_more_than_was_promised(file: Path) -> None:
    def send(response: HttpResponse, file: BinaryIO) -> None:
        response.content_length = 10
        with pytest.raises(HttpException, match="11.*10"):
            response.send_file(file.fileno(), 0, 11)
        assert response.send_file(file.fileno(), 0, 5) == 5  # the client has gone, so it does nothing

    with serving(sending(file, send)) as server, RawClient(server.port) as client:
        with pytest.raises((EOFError, ConnectionError)):
            client.get()


def test_after_close(file: Path) -> None:
    def send(response: HttpResponse, file: BinaryIO) -> None:
        response.close()
        with pytest.raises(StateError):
            response.send_file(file.fileno(), 0, 5)

    with serving(sending(file, send)) as server, RawClient(server.port) as client:
        assert client.get().status == 200


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_client_that_goes_away(file: Path, tls: bool, tls_contexts: TlsContexts) -> None:
    """In the middle of one of several parts: none of their descriptors is left behind."""
    responses: list[HttpResponse] = []

    def send(response: HttpResponse, file: BinaryIO) -> None:
        response.content_length = 4 * len(DATA)
        for _ in range(3):
            response.send_file(file.fileno(), 0, len(DATA))
        responses.append(response)
        eventually(lambda: not response.is_connected)
        response.send_file(file.fileno(), 0, len(DATA))

    context, client_context = (tls_contexts.server, tls_contexts.client) if tls else (None, None)
    with serving(sending(file, send), context=context) as server:
        client = small_window(server.port, client_context).send(get())
        client.read_exactly(1000)
        eventually(lambda: responses)
        client.reset()
        assert isinstance(responses[0].done.exception(PATIENCE), HttpException)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_client_that_never_reads(file: Path, tls: bool, tls_contexts: TlsContexts) -> None:
    """It counts as gone after body_timeout, and delays nobody until then."""
    context, client_context = (tls_contexts.server, tls_contexts.client) if tls else (None, None)
    responses: list[HttpResponse] = []

    def send(response: HttpResponse, file: BinaryIO) -> None:
        whole(response, file)
        responses.append(response)

    with serving(sending(file, send), context=context, body_timeout=SOON) as server:
        with small_window(server.port, client_context) as never:
            never.send(get())
            with RawClient(server.port, context=client_context) as good:
                assert good.get("/good").body == b"/good"
            eventually(lambda: responses)
            assert isinstance(responses[0].done.exception(PATIENCE), HttpException)
