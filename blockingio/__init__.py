"""HTTP for people who think in straight lines: dart:io's HTTP classes as plain blocking Python.

    from blockingio import HttpServer, InternetAddress

    server = HttpServer.bind(InternetAddress.LOOPBACK_IP_V4, 4040)
    for request in server:
        request.response.write("Hello, world!")
        request.response.close()

Here are the public names, nothing else.  Each is loaded when it is first asked for: a script
that only serves need not wait for the client, nor one without HTTPS for OpenSSL.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "1.0.0"

if TYPE_CHECKING:
    from blockingio.client import HttpClient as HttpClient
    from blockingio.client import HttpClientBasicCredentials as HttpClientBasicCredentials
    from blockingio.client import HttpClientBearerCredentials as HttpClientBearerCredentials
    from blockingio.client import HttpClientCredentials as HttpClientCredentials
    from blockingio.client import HttpClientDigestCredentials as HttpClientDigestCredentials
    from blockingio.client import HttpClientRequest as HttpClientRequest
    from blockingio.client import HttpClientResponse as HttpClientResponse
    from blockingio.client import HttpClientResponseCompressionState as HttpClientResponseCompressionState
    from blockingio.client import RedirectInfo as RedirectInfo
    from blockingio.errors import HttpException as HttpException
    from blockingio.errors import RedirectException as RedirectException
    from blockingio.errors import StateError as StateError
    from blockingio.net.address import HttpConnectionInfo as HttpConnectionInfo
    from blockingio.net.address import InternetAddress as InternetAddress
    from blockingio.net.address import InternetAddressType as InternetAddressType
    from blockingio.net.security import SecurityContext as SecurityContext
    from blockingio.net.x509 import X509Certificate as X509Certificate
    from blockingio.server.access import AccessRecord as AccessRecord
    from blockingio.server.request import HttpRequest as HttpRequest
    from blockingio.server.response import HttpResponse as HttpResponse
    from blockingio.server.server import HttpConnectionsInfo as HttpConnectionsInfo
    from blockingio.server.server import HttpServer as HttpServer
    from blockingio.server.session import HttpSession as HttpSession
    from blockingio.stream import EventSink as EventSink
    from blockingio.stream import Stream as Stream
    from blockingio.stream import StreamTransformer as StreamTransformer
    from blockingio.subscription import StreamSubscription as StreamSubscription
    from blockingio.values.cookie import Cookie as Cookie
    from blockingio.values.cookie import SameSite as SameSite
    from blockingio.values.date import HttpDate as HttpDate
    from blockingio.values.header_value import ContentType as ContentType
    from blockingio.values.header_value import HeaderValue as HeaderValue
    from blockingio.values.headers import HttpHeaders as HttpHeaders
    from blockingio.values.status import HttpStatus as HttpStatus
    from blockingio.values.uri import Uri as Uri
    from blockingio.websocket.compression import CompressionOptions as CompressionOptions
    from blockingio.websocket.status import WebSocketException as WebSocketException
    from blockingio.websocket.status import WebSocketStatus as WebSocketStatus
    from blockingio.websocket.transformer import WebSocketTransformer as WebSocketTransformer
    from blockingio.websocket.websocket import WebSocket as WebSocket
    from blockingio.wire.sink import IOSink as IOSink

_MODULES = {
    "client": (
        "HttpClient HttpClientBasicCredentials HttpClientBearerCredentials HttpClientCredentials "
        "HttpClientDigestCredentials HttpClientRequest HttpClientResponse HttpClientResponseCompressionState"
    ),
    "errors": "HttpException RedirectException StateError",
    "net.address": "HttpConnectionInfo InternetAddress InternetAddressType",
    "net.security": "SecurityContext",
    "net.x509": "X509Certificate",
    "server.access": "AccessRecord",
    "server.request": "HttpRequest",
    "server.response": "HttpResponse",
    "server.server": "HttpConnectionsInfo HttpServer",
    "server.session": "HttpSession",
    "stream.stream": "EventSink Stream StreamTransformer",
    "stream.subscription": "StreamSubscription",
    "values.cookie": "Cookie SameSite",
    "values.date": "HttpDate",
    "values.header_value": "ContentType HeaderValue",
    "values.headers": "HttpHeaders",
    "values.redirect_info": "RedirectInfo",
    "values.status": "HttpStatus",
    "values.uri": "Uri",
    "websocket.compression": "CompressionOptions",
    "websocket.status": "WebSocketException WebSocketStatus",
    "websocket.transformer": "WebSocketTransformer",
    "websocket.websocket": "WebSocket",
    "wire.sink": "IOSink",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    """Load a public name's module when the name is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
