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

__version__ = "1.1.0"

_MODULES = {
    "client": (
        "HttpClient HttpClientBasicCredentials HttpClientBearerCredentials HttpClientCredentials "
        "HttpClientDigestCredentials HttpClientRequest HttpClientResponse HttpClientResponseCompressionState"
    ),
    "errors": "HttpException RedirectException StateError",
    "net.address": "HttpConnectionInfo InternetAddress InternetAddressType",
    "net.security": "SecurityContext",
    "net.x509": "X509Certificate",
    "net.wire_record": "WireRecord",
    "server.access": "AccessRecord",
    "server.connection_record": "ConnectionRecord",
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


def __getattr__(name: str) -> object:
    """Load a public name's module when the name is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
