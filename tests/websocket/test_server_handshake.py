"""Requests that ask for an upgrade, or for something else: what the server answers (RFC 6455 4.2)."""
from __future__ import annotations

from collections.abc import Callable

import pytest

from blockingio import HttpRequest, HttpServer, WebSocket, WebSocketException, WebSocketTransformer
from tests.peers import PATIENCE, RawClient, RawResponse, eventually, serving
from tests.websocket.raw import (
    ACCEPT, CLOSE, FIN, KEY, OFF, PING, TEXT, RawSocket, accept_for, echo, echoing, frame, handling, request_head,
    upgraded)

FIELDS = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY,
          "Sec-WebSocket-Version": "13"}


def request(line: str = "GET / HTTP/1.1", body: bytes = b"", **changed: str | list[str] | None) -> bytes:
    """A handshake with these fields changed, where None leaves one out, and _ stands for -."""
    fields: dict[str, str | list[str] | None] = {**FIELDS, **{name.replace("_", "-"): value
                                                              for name, value in changed.items()}}
    lines = [line]
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                lines.append(f"{name}: {one}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def refusing(**upgrade: object) -> Callable[[HttpRequest], None]:
    def handle(request: HttpRequest) -> None:
        with pytest.raises(WebSocketException) as caught:
            WebSocketTransformer.upgrade(request, **upgrade)  # type: ignore[arg-type]
        assert caught.value.http_status_code == request.response.status_code and caught.value.message
    return handle


def answer(data: bytes, **upgrade: object) -> RawResponse:
    """To a request that comes to nothing; the connection ends behind it."""
    with serving(refusing(**upgrade)) as server, RawClient(server.port) as client:
        response = client.send(data).read_response()
        assert client.is_ended()
        return response


BAD = {
    "POST": request("POST / HTTP/1.1"),
    "HEAD": request("HEAD / HTTP/1.1"),
    "lower case": request("get / HTTP/1.1"),
    "1.0": request("GET / HTTP/1.0"),
    "no Upgrade": request(Upgrade=None),
    "another Upgrade": request(Upgrade="h2c"),
    "nearly": request(Upgrade="websockets"),
    "a version": request(Upgrade="websocket/13"),
    "no Connection": request(Connection=None),
    "another Connection": request(Connection="keep-alive"),
    "no key": request(Sec_WebSocket_Key=None),
    "an empty key": request(Sec_WebSocket_Key=""),
    "a short key": request(Sec_WebSocket_Key="dGhlIHNhbXBsZQ=="),
    "a long key": request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZXM="),
    "no base64": request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZ!=="),
    "two keys": request(Sec_WebSocket_Key=[KEY, KEY]),
    "no version": request(Sec_WebSocket_Version=None),
    "no protocol": request(Sec_WebSocket_Protocol="a b"),
    "a protocol twice": request(Sec_WebSocket_Protocol=["a, b", "a"]),
    "a broken extension": request(Sec_WebSocket_Extensions="permessage-deflate; ="),
    "an extension and nothing": request(Sec_WebSocket_Extensions="permessage-deflate;"),
    "an extension with a value": request(Sec_WebSocket_Extensions="permessage-deflate=1"),
    "a value that is no token": request(Sec_WebSocket_Extensions='x; y="a b"'),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_handshake(name: str) -> None:
    with serving(refusing()) as server, RawClient(server.port) as client:
        response = client.send(BAD[name]).read_response(BAD[name].split(b" ")[0].decode())
        assert response.status == 400 and response.header("upgrade") is None
        assert client.is_ended()


@pytest.mark.parametrize("version", ["0", "8", "12", "14", "013", "13, 14", ["13", "13"], "x"])
def test_another_version(version: str | list[str]) -> None:
    response = answer(request(Sec_WebSocket_Version=version))
    assert response.status == 426
    assert response.header("sec-websocket-version") == "13" and response.header("upgrade") == "websocket"
    assert {"upgrade", "close"} == {word.strip().lower() for word in (response.header("connection") or "").split(",")}


@pytest.mark.parametrize("changed", [
    {}, {"Upgrade": "WebSocket"}, {"Upgrade": "h2c, WEBSOCKET"}, {"Upgrade": ["h2c", "websocket"]},
    {"Connection": "keep-alive, UPGRADE"}, {"Connection": ["keep-alive", "upgrade"]}, {"Connection": ",Upgrade ,"}])
def test_lists_are_read_as_lists(changed: dict[str, str | list[str]]) -> None:
    with echoing() as server, RawSocket(server.port) as client:
        response = client.send(request(**changed)).read_response()  # type: ignore[arg-type]
        assert response.status == 101 and response.reason == "Switching Protocols"
        assert response.header("upgrade") == "websocket" and response.header("connection") == "Upgrade"
        assert response.header("sec-websocket-accept") == ACCEPT
        assert not {"content-length", "transfer-encoding", "content-type", "sec-websocket-protocol",
                    "sec-websocket-extensions"} & dict(response.fields).keys()
        client.say_goodbye()


def test_the_accept_is_the_keys() -> None:
    key = "AQIDBAUGBwgJCgsMDQ4PEA=="
    with echoing() as server, RawSocket(server.port) as client:
        response = client.send(request_head(key=key)).read_response()
        assert response.header("sec-websocket-accept") == accept_for(key)
        client.say_goodbye()


@pytest.mark.parametrize("origins, origin, status", [
    (None, "https://evil.example", 101), (["https://a.example"], "https://a.example", 101),
    (["HTTPS://A.example"], "https://a.example", 101), (["https://a.example"], None, 101),
    (["https://a.example"], "https://evil.example", 403), (["https://a.example"], "http://a.example", 403),
    (["https://a.example"], "https://a.example:444", 403), (["https://a.example"], "https://a.example.evil", 403),
    (["https://a.example"], "null", 403), ([], "https://a.example", 403),
    (["https://a.example"], ["https://a.example", "https://a.example"], 403)])
def test_origins(origins: list[str] | None, origin: str | list[str] | None, status: int) -> None:
    data = request(Origin=origin)
    if status == 403:
        assert answer(data, allowed_origins=origins).status == 403
    else:
        with echoing(allowed_origins=origins) as server, RawSocket(server.port) as client:
            assert client.send(data).read_response().status == 101
            client.say_goodbye()


def test_origins_are_a_list() -> None:
    def handle(request: HttpRequest) -> None:
        with pytest.raises(TypeError, match="allowed_origins"):
            WebSocketTransformer.upgrade(request, allowed_origins="https://a.example")
        request.response.close()

    with serving(handle) as server, RawClient(server.port) as client:
        assert client.send(request()).read_response().status == 200


def test_a_protocol_is_selected() -> None:
    asked: list[list[str]] = []

    def select(protocols: list[str]) -> str | None:
        asked.append(protocols)
        return protocols[1] if len(protocols) > 1 else None

    chosen: list[str | None] = []

    def note(sock: WebSocket) -> None:
        chosen.append(sock.protocol)
        list(sock)

    with handling(note, protocol_selector=select) as server:
        for fields, protocol in ((["Sec-WebSocket-Protocol: chat, superchat"], "superchat"),
                                 (["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: b"], "b"),
                                 (["Sec-WebSocket-Protocol: chat"], None), ([], None)):
            chosen.clear()
            with upgraded(server.port, *fields) as client:
                assert client.response.header("sec-websocket-protocol") == protocol
                eventually(lambda: chosen == [protocol])
                client.say_goodbye()
    assert asked == [["chat", "superchat"], ["chat", "b"], ["chat"]]


def test_without_a_selector_there_is_no_protocol() -> None:
    with echoing() as server, upgraded(server.port, "Sec-WebSocket-Protocol: chat") as client:
        assert client.response.header("sec-websocket-protocol") is None
        client.say_goodbye()


def raising(protocols: list[str]) -> str:
    raise KeyError("secret")


@pytest.mark.parametrize("selector", [raising, lambda protocols: "other"])
def test_a_selector_that_fails(selector: Callable[[list[str]], str]) -> None:
    response = answer(request(Sec_WebSocket_Protocol="chat"), protocol_selector=selector)
    assert response.status == 500 and b"secret" not in response.body


def test_fields_of_the_response_go_out() -> None:
    def handle(request: HttpRequest) -> None:
        request.response.headers.set("x-mine", "yes")
        request.session["a"] = 1
        with WebSocketTransformer.upgrade(request) as sock:
            list(sock)

    with serving(handle) as server, upgraded(server.port) as client:
        assert client.response.header("x-mine") == "yes"
        assert "BLOCKINGIOSESSID" in (client.response.header("set-cookie") or "")
        client.say_goodbye()


@pytest.mark.parametrize("fields, body", [
    (["Content-Length: 5"], b"hello"), (["Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n")])
def test_a_body_is_read_before_the_upgrade(fields: list[str], body: bytes) -> None:
    with echoing(compression=OFF) as server, RawSocket(server.port) as client:
        client.send(request_head(*fields) + body[:3])
        client.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
        client.send(body[3:])
        assert client.read_response().status == 101
        client.send_frame(FIN | TEXT, b"x")
        assert client.read_frame() == (FIN | TEXT, b"x")
        client.say_goodbye()


def test_a_body_that_is_too_large() -> None:
    assert answer(request_head("Content-Length: 1000000") + bytes(300_000)).status == 413


def test_a_broken_body() -> None:
    assert answer(request_head("Transfer-Encoding: chunked") + b"zz\r\n").status == 400


@pytest.mark.parametrize("data, expected", [
    (request(), True), (request(Upgrade=None), False), (request(Connection="close"), False),
    (request("POST / HTTP/1.1"), False), (request(Sec_WebSocket_Version="8"), False),
    (request(Sec_WebSocket_Key=None), False)])
def test_is_upgrade_request(data: bytes, expected: bool) -> None:
    found: list[bool] = []

    def handle(request: HttpRequest) -> None:
        found.append(WebSocketTransformer.is_upgrade_request(request))
        request.response.close()

    with serving(handle) as server, RawClient(server.port) as client:
        client.send(data).read_response()
    assert found == [expected]


def test_a_transformer_turns_requests_into_sockets() -> None:
    server = HttpServer.bind("127.0.0.1", 0)
    sockets: list[WebSocket] = []
    try:
        transformer = WebSocketTransformer(protocol_selector=lambda protocols: protocols[0], compression=OFF)
        server.transform(transformer).listen(sockets.append)
        with RawClient(server.port) as other:
            assert other.get().status == 400
            assert other.is_ended()
        with upgraded(server.port, "Sec-WebSocket-Protocol: a",
                      "Sec-WebSocket-Extensions: permessage-deflate") as client:
            eventually(lambda: sockets)
            assert (sockets[0].protocol, sockets[0].extensions) == ("a", "")
            sockets[0].add("hello")
            assert client.read_frame() == (FIN | TEXT, b"hello")
            client.say_goodbye()
        assert sockets[0].done.result(PATIENCE).close_code == 1000
    finally:
        server.close()


@pytest.mark.parametrize("force", [False, True])
def test_an_upgraded_socket_is_the_handlers(force: bool) -> None:
    """Neither the end of the server, nor its timeouts, nor its counts concern it."""
    with handling(echo, compression=OFF, workers=1) as server, upgraded(server.port) as client:
        client.send_frame(FIN | TEXT, b"x")
        assert client.read_frame().payload == b"x"
        info = server.connections_info()
        assert (info.total, info.active, info.idle) == (0, 0, 0)
        server.idle_timeout = 0.05
        server.close(force=force)
        client.send_frame(FIN | TEXT, b"y")
        assert client.read_frame().payload == b"y"
        client.say_goodbye()


def test_a_client_that_goes_away_at_once() -> None:
    with echoing() as server:
        for _ in range(5):
            client = RawClient(server.port)
            client.send(request_head() + frame(FIN | TEXT, b"x"))
            client.reset()


def test_nothing_of_a_frame_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """At no level: of none that is broken, that a handler fails over, or that its peer leaves in the middle."""
    def fail(sock: WebSocket) -> None:
        for message in sock:
            if message == "fail, secret":
                raise ValueError("of the handler's own")
            sock.add(message)

    caplog.set_level(0)
    with handling(fail, compression=OFF) as server:
        for data in (frame(FIN | TEXT, b"secret") + frame(FIN | 3, b"secret"), frame(FIN | TEXT, b"secret \xff"),
                     frame(FIN | TEXT, b"fail, secret"),
                     frame(FIN | PING, b"secret") + frame(FIN | CLOSE, b"\x0f\xa1secret"),
                     frame(FIN | TEXT, b"secret")[:9]):
            with upgraded(server.port) as raw:
                raw.send(data).finish_sending()
                raw.read_until_eof()
        eventually(lambda: "of the handler's own" in caplog.text)
    assert "secret" not in caplog.text


def test_what_strangers_ask_for_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A log is not filled by clients that ask for a page, or break a frame; a selector's own fault is in it."""
    with echoing(compression=OFF, protocol_selector=raising) as server:
        with RawClient(server.port) as client:
            assert client.get().status == 400
        with upgraded(server.port) as raw:
            raw.send(frame(FIN | 3))
            raw.closes_with(1002)
        assert not caplog.records
        with RawClient(server.port) as client:
            assert client.send(request(Sec_WebSocket_Protocol="chat")).read_response().status == 500
        eventually(lambda: [record for record in caplog.records if "KeyError" in caplog.text])
