"""The server's side of a handshake: a request is checked, answered with 101, and its connection taken over.

Takes an HttpRequest that has not been answered; gives what a WebSocket needs.  A request that is no right handshake
gets its answer (RFC 6455 4.2.1, 4.2.2), and WebSocketException is raised.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from blockingio.errors import HttpException
from blockingio.server.request import HttpRequest
from blockingio.websocket.compression import CompressionOptions
from blockingio.websocket.handshake import (
    VERSION, Extension, Shaken, accept_of, accept_offer, check_protocols, has_item, items, parse_extensions)
from blockingio.websocket.status import WebSocketException, of_peer
from blockingio.wire.limits import DRAIN_SIZE

Selector = Callable[[list[str]], "str | None"]

# 16 bytes in base64 (RFC 6455 4.1).
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")

_BAD_REQUEST = 400
_FORBIDDEN = 403
_UPGRADE_REQUIRED = 426
_CONTENT_TOO_LARGE = 413
_SERVER_ERROR = 500


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def is_upgrade_request(request: HttpRequest) -> bool:
    """Whether it asks for a WebSocket of the version that we speak: GET, Connection, Upgrade, version and key."""
    headers = request.headers
    return (
        request.method == "GET"
        and has_item(headers, "connection", "upgrade")
        and has_item(headers, "upgrade", "websocket")
        and headers.get_all("sec-websocket-version") == [VERSION]
        and "sec-websocket-key" in headers
    )


def shake_hands(request: HttpRequest, selector: Selector | None, compression: CompressionOptions,
                allowed_origins: Iterable[str] | None) -> Shaken:
    """Answer with 101 and take the connection over.  Raises WebSocketException once it has been refused.

    OSError or RuntimeError where the system has nothing left for it.
    """
    origins = _origins(allowed_origins)
    try:
        key = _check(request)
        _check_origin(request, origins)
        agreement = accept_offer(_extensions(request), compression)
        protocol = _select(request, selector)
        _read_body(request)
    except _Refused as error:
        _refuse(request, error)
        refused = WebSocketException(error.message, error.status)
        raise (refused if error.status == _SERVER_ERROR else of_peer(refused)) from error.__cause__
    response = request.response
    response.status_code = 101
    headers = response.headers
    headers.remove_all("content-type")  # there is no content, whatever the server's default
    headers.set("upgrade", "websocket")
    headers.set("connection", "Upgrade")
    headers.set("sec-websocket-accept", accept_of(key))
    for name, value in (("protocol", protocol), ("extensions", agreement)):
        headers.remove_all(f"sec-websocket-{name}")
        if value is not None:
            headers.set(f"sec-websocket-{name}", str(value))
    return Shaken(response.detach_socket(), protocol, agreement)


def _check(request: HttpRequest) -> str:
    """The key of a request that is one for a WebSocket (RFC 6455 4.2.1)."""
    headers = request.headers
    if request.method != "GET":
        raise _Refused(_BAD_REQUEST, f"the method is {request.method}, expected GET")
    if request.protocol_version == "1.0":
        raise _Refused(_BAD_REQUEST, "the request is in HTTP/1.0, expected HTTP/1.1")
    if not has_item(headers, "upgrade", "websocket"):
        raise _Refused(_BAD_REQUEST, "Upgrade does not name websocket")
    if not has_item(headers, "connection", "upgrade"):
        raise _Refused(_BAD_REQUEST, "Connection does not name upgrade")
    versions = headers.get_all("sec-websocket-version")
    if not versions:
        raise _Refused(_BAD_REQUEST, f"Sec-WebSocket-Version is missing, expected {VERSION}")
    if versions != [VERSION]:
        raise _Refused(_UPGRADE_REQUIRED, f"Sec-WebSocket-Version is {', '.join(versions)[:100]}, expected {VERSION}")
    keys = headers.get_all("sec-websocket-key")
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise _Refused(_BAD_REQUEST, "Sec-WebSocket-Key is not 16 bytes in base64, once")
    return keys[0]


def _origins(allowed: Iterable[str] | None) -> set[str] | None:
    if isinstance(allowed, str):
        raise TypeError(f"allowed_origins is the str {allowed!r}, expected a list of them")
    return None if allowed is None else {origin.lower() for origin in allowed}


def _check_origin(request: HttpRequest, allowed: set[str] | None) -> None:
    """RFC 6455 10.2.  None at all is let in: no browser leaves it out."""
    if allowed is None:
        return
    found = request.headers.get_all("origin")
    if len(found) > 1 or found and found[0].lower() not in allowed:
        raise _Refused(_FORBIDDEN, f"the origin {', '.join(found)[:100]} is not allowed")


def _select(request: HttpRequest, selector: Selector | None) -> str | None:
    """The subprotocol (RFC 6455 4.2.2): one of those that were offered, or none."""
    offered = items(request.headers, "sec-websocket-protocol")
    try:
        check_protocols(offered)
    except ValueError as error:
        raise _Refused(_BAD_REQUEST, f"Sec-WebSocket-Protocol: {error}") from None
    if not offered or selector is None:
        return None
    try:
        chosen = selector(list(offered))
    except Exception as error:
        raise _Refused(_SERVER_ERROR, f"protocol_selector failed: {error}") from error
    if chosen is not None and chosen not in offered:
        raise _Refused(_SERVER_ERROR, f"protocol_selector chose {chosen!r}, expected one of {', '.join(offered)}")
    return chosen


def _extensions(request: HttpRequest) -> list[Extension]:
    try:
        return parse_extensions(request.headers)
    except ValueError as error:
        raise _Refused(_BAD_REQUEST, str(error)) from None


def _read_body(request: HttpRequest) -> None:
    """Nothing is switched before the whole request is here (RFC 9110 7.8); what it says is of no interest."""
    left = DRAIN_SIZE
    try:
        for chunk in request:
            left -= len(chunk)
            if left < 0:
                raise _Refused(_CONTENT_TOO_LARGE, f"the body has more than {DRAIN_SIZE} bytes, expected none")
    except HttpException as error:
        status = request.response.status_code
        raise _Refused(status if status >= 400 else _BAD_REQUEST, f"the body is broken: {error.message}") from error


def _refuse(request: HttpRequest, error: _Refused) -> None:
    """Answer; the connection ends, for what comes behind such a request may be no HTTP."""
    response = request.response
    response.status_code = error.status
    response.headers.persistent_connection = False
    response.headers.set("content-type", "text/plain; charset=utf-8")
    if error.status == _UPGRADE_REQUIRED:
        response.headers.set("sec-websocket-version", VERSION)
        response.headers.set("upgrade", "websocket")  # RFC 9110 15.5.22
        response.headers.add("connection", "Upgrade")
    text = "500 Internal Server Error" if error.status == _SERVER_ERROR else f"{error.status}: {error.message}"
    response.writeln(text)
    response.close()
