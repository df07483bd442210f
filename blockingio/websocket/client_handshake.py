"""The client's side of a handshake: a request for an upgrade, and whether its answer is one (RFC 6455 4.1)."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping

from blockingio.client.client import HttpClient
from blockingio.client.request import HttpClientRequest
from blockingio.client.response import HttpClientResponse
from blockingio.errors import HttpException
from blockingio.values.uri import Uri
from blockingio.websocket.compression import CompressionOptions
from blockingio.websocket.handshake import (
    VERSION, Shaken, accept_of, check_answer, check_protocols, has_item, make_offer, parse_extensions)
from blockingio.websocket.status import WebSocketException

_SCHEMES = {"ws": "http", "wss": "https"}
_SWITCHING_PROTOCOLS = 101


def connect(url: Uri | str, protocols: tuple[str, ...], headers: Mapping[str, object], compression: CompressionOptions,
            client: HttpClient | None) -> Shaken:
    """Ask for a WebSocket.  Raises ValueError, OSError, WebSocketException: see WebSocket.connect."""
    uri = http_uri(url)
    check_protocols(protocols)
    if client is not None:
        return _ask(client, uri, protocols, headers, compression)
    with HttpClient() as own:  # the connection is taken out of it
        return _ask(own, uri, protocols, headers, compression)


def http_uri(url: Uri | str) -> Uri:
    """The http or https URL of a WebSocket's: they have the same ports (RFC 6455 3)."""
    uri = url if isinstance(url, Uri) else Uri.parse(url)
    if uri.scheme not in _SCHEMES:
        raise ValueError(f"expected a ws or wss URL, found {str(uri)!r}")
    if uri.has_fragment:
        raise ValueError(f"expected a URL without a fragment, found {str(uri)!r}")
    return uri.replace(scheme=_SCHEMES[uri.scheme])


def _ask(client: HttpClient, uri: Uri, protocols: tuple[str, ...], headers: Mapping[str, object],
         compression: CompressionOptions) -> Shaken:
    key = b64encode(os.urandom(16)).decode("ascii")
    try:
        request = client.open_url("GET", uri, tunnel=True)
        _set_headers(request, key, protocols, headers, compression)
        response = request.close()
    except HttpException as error:
        raise WebSocketException(str(error)) from error
    status = response.status_code
    if status != _SWITCHING_PROTOCOLS:
        reason = response.reason_phrase
        del response  # its connection goes back to the pool, or is closed: the error's traceback must not keep it
        raise WebSocketException(f"the server answered {status} {reason}, expected 101".replace(" ,", ","), status)
    sock = response.detach_socket()
    try:
        protocol = _check(response, key, protocols)
        agreement = check_answer(parse_extensions(response.headers), compression)
    except ValueError as error:
        sock.close()
        raise WebSocketException(f"the server's 101 is none: {error}") from None
    except BaseException:
        sock.close()
        raise
    return Shaken(sock, protocol, agreement)


def _set_headers(request: HttpClientRequest, key: str, protocols: tuple[str, ...], headers: Mapping[str, object],
                 compression: CompressionOptions) -> None:
    fields = request.headers
    fields.remove_all("accept-encoding")
    try:
        for name, value in headers.items():
            fields.set(name, value)
        fields.set("upgrade", "websocket")
        fields.set("connection", "Upgrade")
        fields.set("sec-websocket-key", key)
        fields.set("sec-websocket-version", VERSION)
        for name, text in (("protocol", ", ".join(protocols)), ("extensions", make_offer(compression))):
            fields.remove_all(f"sec-websocket-{name}")
            if text:
                fields.set(f"sec-websocket-{name}", text)
    except BaseException:
        request.abort()
        raise


def _check(response: HttpClientResponse, key: str, protocols: tuple[str, ...]) -> str | None:
    """The subprotocol of a right 101.  Raises ValueError."""
    headers = response.headers
    if not has_item(headers, "connection", "upgrade"):
        raise ValueError("Connection does not name upgrade")
    if [value.lower() for value in headers.get_all("upgrade")] != ["websocket"]:
        raise ValueError(f"Upgrade is {', '.join(headers.get_all('upgrade'))[:100]!r}, expected websocket")
    if headers.get_all("sec-websocket-accept") != [accept_of(key)]:
        raise ValueError("Sec-WebSocket-Accept is not what belongs to the key that was sent")
    chosen = headers.get_all("sec-websocket-protocol")
    if not chosen:
        return None
    if len(chosen) > 1 or chosen[0] not in protocols:
        offered = ", ".join(protocols) or "none"
        found = ", ".join(chosen)[:100]
        raise ValueError(f"the server chose the protocol {found}, expected one of those offered: {offered}")
    return chosen[0]
