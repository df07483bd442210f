"""The body of a request: how it is framed, and what happens where it is not what was promised."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest

from blockingio import ContentType, HttpClient, HttpClientRequest, HttpException, StateError
from tests.client.servers import EMPTY, OK, Asked, Peer, answering, ended, scripted

BUFFER = 64 * 1024  # what is held back so that a body can be counted


def post(client: HttpClient, fill: object, method: str = "POST") -> Asked:
    """What a server got from a request that ``fill`` wrote to."""
    assert callable(fill)
    with scripted(answering(EMPTY)) as server:
        request = client.open(method, "127.0.0.1", server.port, "/")
        fill(request)
        request.close()
        client.close()
    return server.asked[0]


def test_a_body_that_fits_the_buffer_is_counted(client: HttpClient) -> None:
    def fill(request: HttpClientRequest) -> None:
        request.headers.content_type = ContentType.JSON
        request.write("{}")
        request.write(" ä")

    asked = post(client, fill)
    assert asked.header("content-length") == "5"
    assert asked.header("transfer-encoding") is None
    assert asked.body == "{} ä".encode()


def test_a_small_request_is_one_write(client: HttpClient) -> None:
    seen = []

    def script(peer: Peer) -> None:
        seen.append(peer.socket.recv(65536))
        peer.send(EMPTY)
        assert peer.is_ended()

    with scripted(script) as server:
        request = client.post("127.0.0.1", server.port, "/")
        request.write("x" * 100)
        request.close()
        client.close()
    assert seen[0].endswith(b"\r\n\r\n" + b"x" * 100)


@pytest.mark.parametrize("size", [BUFFER, BUFFER + 1, 5 * BUFFER])
def test_a_body_that_outgrows_the_buffer_is_chunked(client: HttpClient, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    def fill(request: HttpClientRequest) -> None:
        for start in range(0, size, 1000):
            request.add(data[start : start + 1000])

    asked = post(client, fill)
    assert asked.header("transfer-encoding") == "chunked"
    assert asked.header("content-length") is None
    assert asked.body == data


def test_a_set_content_length_is_kept_whatever_the_size(client: HttpClient) -> None:
    def fill(request: HttpClientRequest) -> None:
        request.content_length = 3 * BUFFER
        for _ in range(3):
            request.add(bytes(BUFFER))

    asked = post(client, fill)
    assert asked.header("content-length") == str(3 * BUFFER)
    assert asked.body == bytes(3 * BUFFER)


def test_chunked_on_demand_though_it_would_fit(client: HttpClient) -> None:
    def fill(request: HttpClientRequest) -> None:
        request.headers.chunked_transfer_encoding = True
        request.write("small")

    asked = post(client, fill)
    assert asked.header("transfer-encoding") == "chunked"
    assert asked.body == b"small"


def test_flush_sends_what_there_is(client: HttpClient) -> None:
    arrived: list[bytes] = []

    def script(peer: Peer) -> None:
        while b"first" not in b"".join(arrived):
            arrived.append(peer.socket.recv(65536))
        peer.send(OK)  # an answer before the request is whole
        while b"0\r\n\r\n" not in b"".join(arrived):
            arrived.append(peer.socket.recv(65536))

    with scripted(script) as server:
        request = client.post("127.0.0.1", server.port, "/")
        request.write("first")
        request.flush()
        request.write("second")
        assert request.close().read() == b"ok"
        client.close()
    assert b"".join(arrived).endswith(b"\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n")


def test_without_a_buffer_each_write_goes_out(client: HttpClient) -> None:
    def fill(request: HttpClientRequest) -> None:
        request.buffer_output = False
        request.write("a")
        request.write("b")

    asked = post(client, fill)
    assert asked.header("transfer-encoding") == "chunked"
    assert asked.body == b"ab"


@pytest.mark.parametrize(
    "method, length",
    [
        ("GET", None),
        ("HEAD", None),
        ("DELETE", None),
        ("OPTIONS", None),
        ("POST", "0"),
        ("PUT", "0"),
        ("PATCH", "0"),
    ],
)
def test_no_body(client: HttpClient, method: str, length: str | None) -> None:
    """RFC 9110 8.6: an empty body is announced where one could be expected."""
    asked = post(client, lambda request: None, method)
    assert (asked.header("content-length"), asked.header("transfer-encoding")) == (length, None)


def test_a_get_may_have_a_body(client: HttpClient) -> None:
    asked = post(client, lambda request: request.write("q"), "GET")
    assert (asked.header("content-length"), asked.body) == ("1", b"q")


def test_a_flushed_get_has_no_body(client: HttpClient) -> None:
    asked = post(client, lambda request: request.flush(), "GET")
    assert (asked.header("content-length"), asked.header("transfer-encoding")) == (None, None)


def test_a_flushed_get_takes_no_body_any_more(client: HttpClient) -> None:
    with scripted(ended) as server:
        request = client.get("127.0.0.1", server.port, "/")
        request.flush()
        with pytest.raises(HttpException, match="1 bytes written, expected 0"):
            request.write("x")
        with pytest.raises(HttpException, match="1 bytes written, expected 0"):
            request.close()


def test_more_than_content_length(client: HttpClient) -> None:
    with scripted(ended) as server:
        request = client.post("127.0.0.1", server.port, "/")
        request.content_length = 3
        request.write("ab")
        with pytest.raises(HttpException, match="5 bytes written, expected 3") as caught:
            request.write("cde")
        assert caught.value.uri == request.uri
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


@pytest.mark.parametrize("written", [0, 2, BUFFER + 5])
def test_less_than_content_length(client: HttpClient, written: int) -> None:
    with scripted(ended) as server:
        request = client.post("127.0.0.1", server.port, "/")
        request.content_length = 2 * BUFFER
        request.add(bytes(written))
        with pytest.raises(HttpException, match=f"{written} bytes written, expected {2 * BUFFER}") as caught:
            request.close()
        assert caught.value.uri == request.uri
        assert request.done.exception() is caught.value
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_a_transfer_encoding_that_is_not_chunked(client: HttpClient) -> None:
    with scripted(ended) as server:
        request = client.post("127.0.0.1", server.port, "/")
        request.headers.set("transfer-encoding", "gzip")
        request.write("x")
        with pytest.raises(HttpException, match="Transfer-Encoding is 'gzip', expected chunked"):
            request.close()


def test_a_request_is_a_file(client: HttpClient) -> None:
    def fill(request: HttpClientRequest) -> None:
        json.dump({"a": 1}, request)
        print("line", file=request)
        csv.writer(request).writerow([1, "b"])
        shutil.copyfileobj(io.BytesIO(b"bytes"), request)
        request.add_stream([b"s1", b"s2"])
        request.write_all([1, 2], "-")
        request.writeln("!")
        request.write_char_code(65)
        request.write_char_codes([66, 67])

    assert post(client, fill).body == b'{"a": 1}line\n1,b\r\nbytess1s21-2!\nABC'


def test_the_charset_of_the_content_type_counts(client: HttpClient) -> None:
    def fill(request: HttpClientRequest) -> None:
        request.headers.content_type = ContentType("text", "plain", charset="utf-16-le")
        request.write("ä")

    assert post(client, fill).body == "ä".encode("utf-16-le")


def test_writing_after_close(client: HttpClient) -> None:
    with scripted(answering(EMPTY)) as server:
        request = client.post("127.0.0.1", server.port, "/")
        response = request.close()
        with pytest.raises(StateError):
            request.write("x")
        assert request.close() is response
        client.close()


def test_a_response_that_comes_before_the_request_is_whole(client: HttpClient) -> None:
    """RFC 9112 9.5: the server refuses and closes; the answer counts, not that the rest could not be sent."""
    refused = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno!"

    def script(peer: Peer) -> None:
        peer.socket.recv(65536)
        peer.send(refused)

    with scripted(script) as server:
        request = client.post("127.0.0.1", server.port, "/")
        for _ in range(1000):
            request.add(bytes(BUFFER))  # far more than the system's buffers hold
        response = request.close()
        assert response.status_code == 413
        assert response.read() == b"no!"
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_a_server_that_goes_away_in_the_middle_of_a_request(client: HttpClient) -> None:
    def script(peer: Peer) -> None:
        peer.socket.recv(65536)
        peer.reset()

    with scripted(script) as server:
        request = client.post("127.0.0.1", server.port, "/")
        with pytest.raises(
            HttpException, match="the server ended the connection before its response came"
        ) as caught:
            for _ in range(1000):
                request.add(bytes(BUFFER))
        assert caught.value.uri == request.uri
        with pytest.raises(HttpException, match="the server ended the connection"):
            request.close()
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_add_error_aborts(client: HttpClient) -> None:
    error = OSError("the file is gone")
    with scripted(ended) as server:
        request = client.post("127.0.0.1", server.port, "/")
        request.add(bytes(2 * BUFFER))
        request.add_error(error)
        with pytest.raises(OSError, match="the file is gone"):
            request.close()


def test_a_request_that_is_dropped_gives_up_its_connection(client: HttpClient) -> None:
    with scripted(ended) as server:
        request = client.post("127.0.0.1", server.port, "/")
        request.write("x")
        assert repr(client) == "<HttpClient 1 active, 0 idle, 0 waiting>"
        del request
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"
