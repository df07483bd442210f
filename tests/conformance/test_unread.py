"""Bodies that the handler leaves unread: what is in them is never taken for a request."""
import pytest

from blockingio import HttpRequest
from tests.peers import RawClient, serving, to_the_end

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
GOOD = b"GET /good HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST /first HTTP/1.1\r\nHost: a\r\n"
#: More than a server reads away to save a connection.
MUCH = HIDDEN * 20_000


def length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize("read", [0, 1, 10, len(HIDDEN)])
@pytest.mark.parametrize("body, stays_open", [
    (length(HIDDEN), True),
    (length(HIDDEN * 3), True),
    (chunked(HIDDEN), True),
    (chunked(b"\r\n" + HIDDEN * 3), True),
    (length(MUCH), False),
    (chunked(MUCH), False),
    (b"Transfer-Encoding: chunked\r\n\r\n100\r\n" + HIDDEN + b"\r\n0\r\n\r\n" + HIDDEN * 20, False),
    (b"Transfer-Encoding: chunked\r\n\r\nx\r\n" + HIDDEN, False),
], ids=["length", "more", "chunked", "more chunked", "too much", "too much chunked", "a wrong size",
        "no size"])
def test_an_unread_body_is_no_request(body: bytes, stays_open: bool, read: int) -> None:
    seen: list[str] = []

    def handler(request: HttpRequest) -> None:
        seen.append(request.uri.path)
        if read and not body.startswith(b"Transfer-Encoding: chunked\r\n\r\nx"):
            request.read(read)
        request.response.write(request.uri.path)
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        try:
            client.send(POST + body + GOOD)
        except ConnectionError:
            pass  # the server has had enough
        assert client.read_response().body == b"/first"
        rest = to_the_end(client)
    assert b"/hidden" not in rest
    if stays_open:
        assert rest.endswith(b"\r\n\r\n/good") and rest.count(b"HTTP/1.1 ") == 1
    assert seen == (["/first", "/good"] if stays_open else ["/first"])


def test_a_body_held_back_for_100_continue_is_no_request() -> None:
    """Nobody asked for it, so whether it comes is unknown: the connection ends (RFC 9110 10.1.1)."""
    seen: list[str] = []

    def handler(request: HttpRequest) -> None:
        seen.append(request.uri.path)
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(POST + b"Expect: 100-continue\r\n" + length(HIDDEN))
        response = client.read_response()
        assert (response.status, response.header("connection")) == (200, "close")
        assert client.is_ended()
    assert seen == ["/first"]
