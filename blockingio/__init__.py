"""HTTP for people who think in straight lines: dart:io's HTTP classes as plain blocking Python.

    from blockingio import HttpServer, InternetAddress

    server = HttpServer.bind(InternetAddress.LOOPBACK_IP_V4, 4040)
    for request in server:
        request.response.write("Hello, world!")
        request.response.close()

Here are the public names.  Each is loaded when it is first asked for: a script
that only serves need not wait for the client, nor one without HTTPS for OpenSSL.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "1.1.0"


def by_need(namespace: dict[str, object], homes: dict[str, str]) -> tuple[object, object]:
    """A package's ``__getattr__`` and ``__dir__``, which load a name's module when the name is first used (PEP 562).

    ``namespace`` is the package's globals(); ``homes`` has the names, each with its module below the package.  It is
    here because commands load this package before they can hear Ctrl-C, and so it loads nothing.
    """
    package = namespace["__name__"]

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = namespace[name] = getattr(import_module(f"{package}.{homes[name]}"), name)
        return value

    return load, lambda: sorted({*namespace, *homes})


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

__getattr__, __dir__ = by_need(globals(), _HOMES)
