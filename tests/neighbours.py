"""The good client beside a bad one: what every test of a limit holds on to."""
from __future__ import annotations

import ssl
import threading

from blockingio import HttpException, HttpRequest, HttpServer
from tests.peers import RawClient, RawResponse

#: The beginning of a request with a body, up to the fields that frame it.
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
#: Seconds between two bytes of a client that is slow, as if it were one: the limits are as small.
PAUSE = 0.03
#: Seconds of the limits that are to be met here, and of those that are not: a good client is far quicker than either.
SOON, NEVER = 0.5, 30.0


def pause() -> None:
    threading.Event().wait(PAUSE)


def hello(request: HttpRequest) -> None:
    """Answer with the body's length; one that breaks is the library's to answer."""
    with request.response as response:
        try:
            response.write(str(len(request.read())))
        except HttpException:
            pass


def assert_others_are_served(server: HttpServer, context: ssl.SSLContext | None = None) -> None:
    """A good client gets its answer, on a connection of its own, in the seconds that RawClient waits."""
    with RawClient(server.port, context=context) as client:
        response = client.get("/good", "Connection: close")
        assert client.is_ended()
    assert response.status == 200


def assert_refused(client: RawClient, status: int) -> RawResponse:
    """The next response has this status, is whole, and the last one."""
    response = client.read_response()
    assert response.status == status
    assert response.header("connection") == "close"
    assert client.is_ended()
    return response
