"""An exchange as HAR 1.2 (HTTP Archive), which browsers and other tools read."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from blockingio import Cookie, Uri, __version__
from blockingio.wire_view.exchange import Exchange, Message

_SECRET = frozenset(("authorization", "proxy-authorization", "cookie", "set-cookie"))
_MASK = "***"


def har_of(exchange: Exchange, *, secrets: bool) -> dict[str, Any]:
    """What json.dump writes; with ``secrets`` credentials and cookies as they are, else stars for them."""
    timings = _timings(exchange)
    peer = exchange.records[0].peer.rpartition(":")[0].strip("[]")
    entry = {
        "startedDateTime": exchange.started.isoformat(timespec="milliseconds"),
        "time": sum(timings[name] for name in ("connect", "send", "wait", "receive")),
        "request": _request(exchange, secrets),
        "response": _response(exchange, secrets),
        "cache": {},
        "timings": timings,
        "serverIPAddress": peer,
        "connection": str(exchange.records[0].connection),
    }
    return {"log": {"version": "1.2", "creator": {"name": "blockingio", "version": __version__}, "pages": [],
                    "entries": [entry]}}


def _timings(exchange: Exchange) -> dict[str, float]:
    """Milliseconds; -1 is for what does not apply.  By HAR's rule "connect" includes "ssl"."""
    sent, received = exchange.times("out"), exchange.times("in")
    is_tls = exchange.records[-1].is_tls
    shaken = sent[0] if is_tls else 0.0

    def milliseconds(seconds: float) -> float:
        return round(max(seconds, 0.0) * 1000, 3)

    return {"blocked": -1, "dns": -1, "connect": milliseconds(exchange.seconds + shaken),
            "ssl": milliseconds(shaken) if is_tls else -1, "send": milliseconds(sent[-1] - sent[0]),
            "wait": milliseconds(received[0] - sent[-1]), "receive": milliseconds(received[-1] - received[0])}


def _request(exchange: Exchange, secrets: bool) -> dict[str, Any]:
    message = exchange.request
    method, _, version = message.first.partition(" ")
    uri = Uri.parse(exchange.url)
    shown = uri.replace(user_info="", fragment="") if uri.has_fragment or uri.user_info else uri
    found: dict[str, Any] = {
        "method": method, "url": str(shown).rstrip("#"), "httpVersion": version.rpartition(" ")[2],
        "cookies": [_named(cookie.name, cookie.value if secrets else _MASK) for value in message.values("cookie")
                    for cookie in Cookie.parse_cookie_header([value])],
        "headers": _headers(message, secrets),
        "queryString": [_named(name, value) for name, values in uri.query_parameters_all.items() for value in values],
        "headersSize": len(message.head), "bodySize": len(message.body)}
    if message.body:
        found["postData"] = {"mimeType": ", ".join(message.values("content-type")),
                             "text": message.body.decode("utf-8", "backslashreplace"), "params": []}
    return found


def _response(exchange: Exchange, secrets: bool) -> dict[str, Any]:
    message = exchange.response
    version, _, rest = message.first.partition(" ")
    status, _, phrase = rest.partition(" ")
    return {
        "status": int(status), "statusText": phrase, "httpVersion": version,
        "cookies": [_cookie(value, secrets) for value in message.values("set-cookie")],
        "headers": _headers(message, secrets), "content": _content(exchange, message),
        "redirectURL": next(iter(message.values("location")), ""),
        "headersSize": len(message.head), "bodySize": len(message.body)}


def _content(exchange: Exchange, message: Message) -> dict[str, Any]:
    data = exchange.content
    content: dict[str, Any] = {"size": len(data), "mimeType": ", ".join(message.values("content-type"))}
    if len(data) > len(message.body):
        content["compression"] = len(data) - len(message.body)
    try:
        content["text"] = data.decode("utf-8")
    except UnicodeDecodeError:
        content["text"] = base64.b64encode(data).decode("ascii")
        content["encoding"] = "base64"
    return content


def _headers(message: Message, secrets: bool) -> list[dict[str, Any]]:
    return [_named(name, value if secrets or name.lower() not in _SECRET else _MASK) for name, value in message.fields]


def _cookie(value: str, secrets: bool) -> dict[str, Any]:
    try:
        cookie = Cookie.from_set_cookie_value(value)
    except ValueError:  # it has no name
        return _named("", value if secrets else _MASK)
    found = _named(cookie.name, cookie.value if secrets else _MASK)
    found |= {"httpOnly": cookie.http_only, "secure": cookie.secure}
    for name, text in (("path", cookie.path), ("domain", cookie.domain)):
        if text is not None:
            found[name] = text
    if isinstance(cookie.expires, datetime):
        found["expires"] = cookie.expires.isoformat()
    return found


def _named(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value}
