"""WebSocket.connect against servers that do what a script says (RFC 6455 4.1)."""
from __future__ import annotations

import base64
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blockingio import (
    CompressionOptions, HttpClient, HttpClientBasicCredentials, InternetAddress, InternetAddressType,
    Uri, WebSocket, WebSocketException, WebSocketTransformer)
from tests.client.servers import Asked, Peer, scripted
from tests.peers import PATIENCE, TlsContexts, serving
from tests.websocket.raw import FIN, OFF, TEXT, accept_for, echoing, frame

DEFAULT = CompressionOptions.COMPRESSION_DEFAULT


def switching(asked: Asked, *fields: str, accept: str | None = None) -> bytes:
    key = asked.header("sec-websocket-key")
    assert key
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Accept: {accept or accept_for(key)}", *fields, "", ""]
    return "\r\n".join(lines).encode()


def good(*fields: str, behind: bytes = b"", asked: list[Asked] | None = None) -> Callable[[Peer], None]:
    """A server that shakes hands, and closes when the client does."""
    def script(peer: Peer) -> None:
        one = peer.demand()
        if asked is not None:
            asked.append(one)
        peer.send(switching(one, *fields) + behind)
        peer.exactly(6 + 2)  # its Close
        peer.send(b"\x88\x02\x03\xe8")
    return script


def bad(answer: Callable[[Asked], bytes]) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        peer.send(answer(peer.demand()))
        assert peer.is_ended()
    return script


def test_the_request() -> None:
    asked: list[Asked] = []
    with scripted(good(asked=asked), good(asked=asked)) as server:
        for _ in range(2):
            with WebSocket.connect(f"ws://127.0.0.1:{server.port}/chat?room=1") as sock:
                assert (sock.protocol, sock.extensions, sock.ready_state) == (None, "", WebSocket.OPEN)
            assert sock.close_code == 1000 and sock.done.result(PATIENCE) is sock
    one = asked[0]
    assert one.line == "GET /chat?room=1 HTTP/1.1"
    assert one.header("host") == f"127.0.0.1:{server.port}"
    assert (one.header("upgrade"), one.header("connection")) == ("websocket", "Upgrade")
    assert one.header("sec-websocket-version") == "13"
    assert one.header("sec-websocket-extensions") == "permessage-deflate; client_max_window_bits"
    assert one.header("sec-websocket-protocol") is None and one.header("content-length") is None
    keys = [base64.b64decode(one.header("sec-websocket-key") or "") for one in asked]
    assert [len(key) for key in keys] == [16, 16] and keys[0] != keys[1]


def test_fields_and_protocols() -> None:
    asked: list[Asked] = []
    with scripted(good("Sec-WebSocket-Protocol: b", asked=asked)) as server:
        with WebSocket.connect(Uri.parse(f"ws://127.0.0.1:{server.port}"), protocols=iter(["a", "b"]), compression=OFF,
                               headers={"Origin": "https://a.example", "Cookie": "x=1", "Upgrade": "h2c"}) as sock:
            assert sock.protocol == "b"
    assert asked[0].header("sec-websocket-protocol") == "a, b"
    assert asked[0].header("sec-websocket-extensions") is None
    assert (asked[0].header("origin"), asked[0].header("cookie")) == ("https://a.example", "x=1")
    assert asked[0].header("upgrade") == "websocket"


def test_frames_that_come_with_the_101() -> None:
    with scripted(good(behind=frame(FIN | TEXT, b"early", masked=False))) as server:
        with WebSocket.connect(f"ws://127.0.0.1:{server.port}") as sock:
            assert sock.first() == "early"


@pytest.mark.parametrize("options, answer, extensions", [
    (DEFAULT, "permessage-deflate", "permessage-deflate"),
    (DEFAULT, "permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10"),
    (DEFAULT, "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8"),
    (DEFAULT, "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
     "permessage-deflate; client_no_context_takeover; server_no_context_takeover"),
    (CompressionOptions(server_max_window_bits=10), "permessage-deflate; server_max_window_bits=9",
     "permessage-deflate; server_max_window_bits=9"),
    # What a server must not answer.
    (DEFAULT, "permessage-deflate; client_max_window_bits=8", None),
    (DEFAULT, "permessage-deflate; client_max_window_bits", None),
    (DEFAULT, "permessage-deflate; server_max_window_bits=16", None),
    (DEFAULT, "permessage-deflate; unknown", None),
    (DEFAULT, "permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
    (DEFAULT, "permessage-deflate, permessage-deflate", None),
    (DEFAULT, "x-other", None),
    (DEFAULT, "permessage-deflate; =", None),
    (OFF, "permessage-deflate", None),
    (CompressionOptions(server_max_window_bits=10), "permessage-deflate", None),
    (CompressionOptions(server_max_window_bits=10), "permessage-deflate; server_max_window_bits=11", None),
    (CompressionOptions(server_no_context_takeover=True), "permessage-deflate", None),
    (CompressionOptions(client_max_window_bits=10), "permessage-deflate; client_max_window_bits=11", None),
    (CompressionOptions(client_max_window_bits=8), "permessage-deflate", None),
])
def test_what_a_server_chooses(options: CompressionOptions, answer: str, extensions: str | None) -> None:
    field = f"Sec-WebSocket-Extensions: {answer}"
    if extensions is not None:
        with scripted(good(field)) as server:
            with WebSocket.connect(f"ws://127.0.0.1:{server.port}", compression=options) as sock:
                assert sock.extensions == extensions
    else:
        with scripted(bad(lambda asked: switching(asked, field))) as server:
            with pytest.raises(WebSocketException) as caught:
                WebSocket.connect(f"ws://127.0.0.1:{server.port}", compression=options)
            assert caught.value.http_status_code is None


@pytest.mark.parametrize("options, offer", [
    (CompressionOptions(client_no_context_takeover=True, server_no_context_takeover=True),
     "permessage-deflate; client_no_context_takeover; server_no_context_takeover; client_max_window_bits"),
    (CompressionOptions(client_max_window_bits=9, server_max_window_bits=8),
     "permessage-deflate; client_max_window_bits=9; server_max_window_bits=8"),
    (CompressionOptions(client_max_window_bits=8), None), (OFF, None)])
def test_what_is_offered(options: CompressionOptions, offer: str | None) -> None:
    asked: list[Asked] = []

    def script(peer: Peer) -> None:
        asked.append(peer.demand())
        peer.send(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n")
        assert peer.is_ended()

    with scripted(script) as server, pytest.raises(WebSocketException):
        WebSocket.connect(f"ws://127.0.0.1:{server.port}", compression=options)
    assert asked[0].header("sec-websocket-extensions") == offer


@pytest.mark.parametrize("answer", [
    lambda asked: switching(asked, accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    lambda asked: switching(asked, accept=accept_for(asked.header("sec-websocket-key") or "").lower()),
    lambda asked: switching(asked, "Sec-WebSocket-Accept: x"),
    lambda asked: switching(asked).replace(b"Sec-WebSocket-Accept", b"Other"),
    lambda asked: switching(asked).replace(b"Upgrade: websocket", b"Upgrade: h2c"),
    lambda asked: switching(asked).replace(b"Upgrade: websocket", b"Upgrade: websocket, h2c"),
    lambda asked: switching(asked).replace(b"Upgrade: websocket\r\n", b""),
    lambda asked: switching(asked).replace(b"Connection: Upgrade", b"Connection: close"),
    lambda asked: switching(asked).replace(b"Connection: Upgrade\r\n", b""),
    lambda asked: switching(asked, "Sec-WebSocket-Protocol: c"),
    lambda asked: switching(asked, "Sec-WebSocket-Protocol: a, b"),
    lambda asked: switching(asked, "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b"),
    lambda asked: b"nonsense\r\n\r\n", lambda asked: b""])
def test_a_101_that_is_none(answer: Callable[[Asked], bytes]) -> None:
    def script(peer: Peer) -> None:
        data = answer(peer.demand())
        peer.send(data)
        assert not data or peer.is_ended()

    with scripted(script) as server, pytest.raises(WebSocketException) as caught:
        WebSocket.connect(f"ws://127.0.0.1:{server.port}", protocols=["a", "b"])
    assert caught.value.http_status_code is None and caught.value.message


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 426, 500, 503])
@pytest.mark.parametrize("own", [False, True])
def test_what_is_no_101(status: int, own: bool, client: HttpClient) -> None:
    body = b"" if status == 204 else b"content-length: 2\r\n"
    with scripted(bad(lambda asked: b"HTTP/1.1 %d No\r\n%b\r\n%b" % (status, body, b"no" if body else b""))) as server:
        with pytest.raises(WebSocketException) as caught:
            WebSocket.connect(f"ws://127.0.0.1:{server.port}", custom_client=client if own else None)
        client.close()
    assert caught.value.http_status_code == status and str(status) in str(caught.value)


@pytest.mark.parametrize("url", ["http://a.example", "https://a.example", "a.example", "ws:a", "ws://a.example/#x",
                                 "wsx://a"])
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(ValueError):
        WebSocket.connect(url)


@pytest.mark.parametrize("protocols", [["a b"], [""], ["a", "a"], ["ä"], ["a,b"]])
def test_protocols_that_are_none(protocols: list[str]) -> None:
    with pytest.raises(ValueError):
        WebSocket.connect("ws://127.0.0.1:9/", protocols=protocols)


def test_a_field_that_is_none() -> None:
    with scripted(lambda peer: None) as server, pytest.raises(ValueError):
        WebSocket.connect(f"ws://127.0.0.1:{server.port}", headers={"x": "a\r\nb: c"})


def test_nobody_listens() -> None:
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        with pytest.raises(OSError):
            WebSocket.connect(f"ws://127.0.0.1:{refusing.getsockname()[1]}")


def test_redirects_are_followed_as_for_get() -> None:
    asked: list[Asked] = []

    def script(peer: Peer) -> None:
        asked.append(peer.demand())
        peer.send(f"HTTP/1.1 302 Found\r\nlocation: {server.url('/there')}\r\ncontent-length: 0\r\n"
                  "connection: close\r\n\r\n".encode())

    with scripted(script, good(asked=asked)) as server:
        with WebSocket.connect(f"ws://127.0.0.1:{server.port}/here", protocols=["a"]):
            pass
    assert [one.target for one in asked] == ["/here", "/there"]
    assert asked[1].header("upgrade") == "websocket" and asked[1].header("sec-websocket-protocol") == "a"


def test_too_many_redirects() -> None:
    def script(peer: Peer) -> None:
        while (asked := peer.ask()) is not None:
            peer.send(f"HTTP/1.1 302 Found\r\nlocation: {asked.target}x\r\ncontent-length: 0\r\n\r\n".encode())

    with scripted(*[script] * 7) as server, pytest.raises(WebSocketException, match="redirects"):
        WebSocket.connect(f"ws://127.0.0.1:{server.port}/")


def test_basic_from_the_url_and_from_the_client(client: HttpClient) -> None:
    asked: list[Asked] = []
    with scripted(good(asked=asked), good(asked=asked)) as server:
        with WebSocket.connect(f"ws://me:secret@127.0.0.1:{server.port}"):
            pass
        client.add_credentials(Uri.parse(server.url("/")), "r", HttpClientBasicCredentials("me", "secret"))
        with WebSocket.connect(f"ws://127.0.0.1:{server.port}", custom_client=client):
            pass
    assert [one.header("authorization") for one in asked] == ["Basic bWU6c2VjcmV0"] * 2


def test_a_challenge_is_answered(client: HttpClient) -> None:
    asked: list[Asked] = []

    def challenge(peer: Peer) -> None:
        peer.demand()
        peer.send(b'HTTP/1.1 401 Who\r\nwww-authenticate: Basic realm="r"\r\n'
                  b'content-length: 0\r\nconnection: close\r\n\r\n')

    def authenticate(url: Uri, scheme: str, realm: str | None) -> bool:
        client.add_credentials(Uri.parse(server.url("/")), "r", HttpClientBasicCredentials("me", "secret"))
        return True

    client.authenticate = authenticate
    with scripted(challenge, good(asked=asked)) as server:
        with WebSocket.connect(f"ws://127.0.0.1:{server.port}", custom_client=client):
            pass
    assert asked[0].header("authorization") == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_proxy_is_asked_for_a_tunnel(scheme: str, tls_contexts: TlsContexts) -> None:
    connects: list[Asked] = []
    asked: list[Asked] = []

    def proxy(peer: Peer) -> None:
        connects.append(peer.demand())
        peer.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        if scheme == "wss":
            peer.secure(tls_contexts.server)
        good(asked=asked)(peer)

    with scripted(proxy) as server, HttpClient(context=tls_contexts.client) as client:
        client.find_proxy = lambda url: f"PROXY user:pass@127.0.0.1:{server.port}"
        with WebSocket.connect(f"{scheme}://localhost:8080/x", custom_client=client) as sock:
            assert sock.ready_state == WebSocket.OPEN
        assert sock.close_code == 1000
    assert connects[0].line == "CONNECT localhost:8080 HTTP/1.1"
    assert connects[0].header("proxy-authorization") == "Basic dXNlcjpwYXNz"
    assert asked[0].line == "GET /x HTTP/1.1" and asked[0].header("proxy-authorization") is None


def test_a_proxy_that_refuses(client: HttpClient) -> None:
    with scripted(bad(lambda asked: b"HTTP/1.1 403 No\r\n\r\n")) as server:
        client.find_proxy = lambda url: f"PROXY 127.0.0.1:{server.port}"
        with pytest.raises(WebSocketException, match="CONNECT"):
            WebSocket.connect("ws://a.example", custom_client=client)


def test_an_ordinary_request_has_no_tunnels_connection(client: HttpClient) -> None:
    """One by CONNECT and one by absolute-form have nothing in common but the proxy."""
    lines: list[str] = []

    def tunnel(peer: Peer) -> None:
        lines.append(peer.demand().line)
        peer.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        lines.append(peer.demand().line)
        peer.send(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n")
        assert peer.is_ended()

    def plain(peer: Peer) -> None:
        lines.append(peer.demand().line)
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with scripted(tunnel, plain) as server:
        client.find_proxy = lambda url: f"PROXY 127.0.0.1:{server.port}"
        with pytest.raises(WebSocketException):
            WebSocket.connect("ws://a.example/", custom_client=client)
        assert client.get_url("http://a.example/").close().read() == b""
        client.close()
    assert lines == ["CONNECT a.example:80 HTTP/1.1", "GET / HTTP/1.1", "GET http://a.example/ HTTP/1.1"]


def test_the_clients_timeouts_hold(client: HttpClient) -> None:
    def silent(peer: Peer) -> None:
        peer.demand()
        assert peer.is_ended()

    client.response_timeout = 0.1
    began = time.monotonic()
    with scripted(silent) as server, pytest.raises(WebSocketException):
        WebSocket.connect(f"ws://127.0.0.1:{server.port}", custom_client=client)
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("where", ["TLS", "a proxy", "TLS behind a proxy"])
def test_the_connection_timeout_holds_before_the_request(where: str, client: HttpClient) -> None:
    """A server that says nothing to a ClientHello, and a proxy that answers no CONNECT."""
    def silent(peer: Peer) -> None:
        if "proxy" in where:
            peer.demand()
            if "TLS" in where:
                peer.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        while peer.socket.recv(4096):
            pass

    client.connection_timeout = 0.1
    with scripted(silent) as server:
        if "proxy" in where:
            client.find_proxy = lambda url: f"PROXY 127.0.0.1:{server.port}"
        began = time.monotonic()
        with pytest.raises((OSError, WebSocketException)) as caught:
            WebSocket.connect(f"{'wss' if 'TLS' in where else 'ws'}://127.0.0.1:{server.port}", custom_client=client)
        assert time.monotonic() - began < PATIENCE and not getattr(caught.value, "http_status_code", None)


def test_a_timeout_ends_with_the_handshake(client: HttpClient) -> None:
    client.response_timeout = client.connection_timeout = 1.0

    def script(peer: Peer) -> None:
        peer.send(switching(peer.demand()))
        time.sleep(1.1)
        peer.send(frame(FIN | TEXT, b"late", masked=False))
        peer.exactly(8)
        peer.send(b"\x88\x02\x03\xe8")

    with scripted(script) as server:
        with WebSocket.connect(f"ws://127.0.0.1:{server.port}", custom_client=client) as sock:
            assert sock.first() == "late"


def test_closing_the_client_leaves_the_socket(client: HttpClient) -> None:
    with echoing() as server:
        with WebSocket.connect(f"ws://127.0.0.1:{server.port}", custom_client=client) as sock:
            client.close(force=True)
            sock.add("x")
            assert sock.first() == "x"


def test_tls(tls_contexts: TlsContexts) -> None:
    """Both sides send at once, from several threads, through one TLS object each."""
    with echoing(context=tls_contexts.server) as server, HttpClient(context=tls_contexts.client) as client:
        with WebSocket.connect(f"wss://localhost:{server.port}", custom_client=client, compression=OFF) as sock:
            messages = [bytes([number]) * size for number, size in enumerate((0, 1, 70_000, 3_000_000, 5))]
            subscription = sock.take(len(messages)).listen(None)
            done = subscription.as_future()
            sock.add_stream(messages)
            assert done.result(PATIENCE * 2) is None
            sock.add("end")
            assert sock.first() == "end"
        assert sock.close_code == 1000


def test_tls_that_is_not_trusted(tls_contexts: TlsContexts) -> None:
    with echoing(context=tls_contexts.server) as server, pytest.raises(OSError):
        WebSocket.connect(f"wss://localhost:{server.port}")


def test_a_unix_socket(tmp_path: Path, client: HttpClient) -> None:
    path = str(tmp_path / "s")
    address = InternetAddress(path, InternetAddressType.UNIX)

    def connect(url: Uri, host: str | None, port: int | None) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        return sock

    client.connection_factory = connect

    def echo(request: Any) -> None:
        with WebSocketTransformer.upgrade(request) as sock:
            sock.add_stream(sock)

    with serving(echo, host=address) as server:  # type: ignore[arg-type]
        assert server.port == 0
        with WebSocket.connect("ws://unix/x", custom_client=client) as sock:
            sock.add("x")
            assert sock.first() == "x"


@pytest.mark.parametrize("compression", [OFF, DEFAULT])
def test_both_ends_against_each_other(compression: CompressionOptions) -> None:
    messages: list[str | bytes] = ["", "x", "ä€𐀀" * 1000, b"", bytes(70_000), "y" * 2_000_000]
    with echoing(compression=compression) as server:
        with WebSocket.connect(f"ws://127.0.0.1:{server.port}", compression=compression) as sock:
            assert bool(sock.extensions) == (compression is DEFAULT)
            for message in messages:
                sock.add(message)
                assert sock.first() == message
        assert (sock.close_code, list(sock)) == (1000, [])


def test_a_server_closes_first() -> None:
    def handle(request: Any) -> None:
        WebSocketTransformer.upgrade(request).close(4000, "full")

    with serving(handle) as server:
        sock = WebSocket.connect(f"ws://127.0.0.1:{server.port}")
        assert list(sock) == [] and (sock.close_code, sock.close_reason) == (4000, "full")
        assert sock.done.result(PATIENCE) is sock


