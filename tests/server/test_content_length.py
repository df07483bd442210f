"""A response's content_length is a promise: neither more nor less is sent."""
from __future__ import annotations


import pytest

from blockingio import HttpException, HttpRequest, HttpResponse
from tests.peers import PATIENCE, RawClient, serving
from tests.server.visits import answered, get


def test_too_much_for_content_length() -> None:
    """HttpException at the write that is too much; the client cannot take what came for the whole."""

    def handler(request: HttpRequest) -> None:
        response = request.response
        response.content_length = 5
        response.write("123")
        with pytest.raises(HttpException, match="6.*5"):
            response.write("456")
        response.write("ignored")
        response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(get())
        received = client.read_until_eof()
        assert b"456" not in received and received.partition(b"\r\n\r\n")[2] in (b"", b"123")


def test_too_much_for_content_length_once_it_has_gone() -> None:
    def handler(request: HttpRequest) -> None:
        response = request.response
        response.content_length = 5
        response.write("12345")
        response.flush()
        with pytest.raises(HttpException, match="6.*5"):
            response.write("6")

    with serving(handler) as server, RawClient(server.port) as client:
        assert client.send(get()).read_until_eof().endswith(b"\r\n\r\n12345")


@pytest.mark.parametrize("flush", [False, True])
def test_too_little_for_content_length(flush: bool) -> None:
    def handler(request: HttpRequest) -> None:
        response = request.response
        response.content_length = 5
        response.write("123")
        if flush:
            response.flush()
        with pytest.raises(HttpException, match="3.*5"):
            response.close()
        response.close()
        assert not response.is_connected
        assert isinstance(response.done.exception(PATIENCE), HttpException)

    with serving(handler) as server, RawClient(server.port) as client:
        with pytest.raises((EOFError, ConnectionError)):
            client.send(get()).read_response()
        with RawClient(server.port) as other:
            with pytest.raises((EOFError, ConnectionError)):
                other.send(get() * 3).read_response()


@pytest.mark.parametrize("flush", [False, True])
def test_as_much_as_content_length(flush: bool) -> None:
    def write(response: HttpResponse) -> None:
        response.content_length = 5
        response.write("123")
        if flush:
            response.flush()
        response.write("45")
        response.write("")

    response = answered(write)
    assert (response.body, response.header("content-length")) == (b"12345", "5")


def test_content_length_0() -> None:
    def write(response: HttpResponse) -> None:
        response.content_length = 0
        with pytest.raises(HttpException):
            response.write("x")

    with pytest.raises((EOFError, ConnectionError)):
        answered(write)
    assert answered(lambda response: setattr(response, "content_length", 0)).header("content-length") == "0"


def test_content_length_is_not_known_until_it_is_set() -> None:
    def write(response: HttpResponse) -> None:
        assert response.content_length == -1
        response.content_length = 3
        response.content_length = -1
        response.write("x")

    assert answered(write).header("content-length") == "1"


def test_content_length_does_not_bind_head_304_and_204() -> None:
    """The body is not sent, so it may be whatever it is."""

    def write(response: HttpResponse) -> None:
        response.content_length = 5

    assert answered(write, get(method="HEAD")).header("content-length") == "5"
