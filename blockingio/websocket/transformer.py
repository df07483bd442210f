"""WebSocketTransformer: requests to WebSockets."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from blockingio.server.request import HttpRequest
from blockingio.stream.stream import Stream, StreamTransformer
from blockingio.websocket.compression import CompressionOptions
from blockingio.websocket.server_handshake import is_upgrade_request, shake_hands
from blockingio.websocket.status import WebSocketException
from blockingio.websocket.websocket import WebSocket


class WebSocketTransformer(StreamTransformer[HttpRequest, WebSocket]):
    """Requests to sockets; a request that asks for no upgrade is answered 400, one for another version 426.

    ``protocol_selector`` is called with the subprotocols that a client offers, and gives one of them or
    None.  Follows dart:io's WebSocketTransformer.

        for socket in server.transform(WebSocketTransformer()):
            ...  # or, of one request: socket = WebSocketTransformer.upgrade(request)
    """

    def __init__(self, *, protocol_selector: Callable[[list[str]], str | None] | None = None,
                 compression: CompressionOptions = CompressionOptions.COMPRESSION_DEFAULT) -> None:
        self._protocol_selector = protocol_selector
        self._compression = compression

    def bind(self, stream: Stream[HttpRequest]) -> Stream[WebSocket]:
        """The sockets, as they are asked for; requests that came to none are answered and passed over."""
        return stream.expand(self._sockets)

    def _sockets(self, request: HttpRequest) -> list[WebSocket]:
        try:
            return [WebSocketTransformer.upgrade(request, protocol_selector=self._protocol_selector,
                                                 compression=self._compression)]
        except WebSocketException:
            return []

    @staticmethod
    def is_upgrade_request(request: HttpRequest) -> bool:
        """Whether it asks for a WebSocket: a GET with Connection, Upgrade, a key and version 13."""
        return is_upgrade_request(request)

    @staticmethod
    def upgrade(request: HttpRequest, *, protocol_selector: Callable[[list[str]], str | None] | None = None,
                compression: CompressionOptions = CompressionOptions.COMPRESSION_DEFAULT,
                allowed_origins: Iterable[str] | None = None) -> WebSocket:
        """Answer with 101; the connection is the WebSocket's.  Fields set on ``request.response`` go out with it.

        ``allowed_origins``: such as "https://example.org"; a browser's page from another origin is answered 403.  A
        request without an Origin is let in: no browser leaves it out.  None: any origin.  Where the handshake fails,
        the request is answered (400, 403, 413, 426; 500 for a selector that raises or picks what was not offered).
        Raises WebSocketException then, and OSError or RuntimeError where the system has no socket or thread left.
        """
        shaken = shake_hands(request, protocol_selector, compression, allowed_origins)
        return WebSocket(shaken.socket, server_side=True, protocol=shaken.protocol, agreement=shaken.agreement)
