"""Every public exception and every public value can be pickled and copied, and is what it was."""
from __future__ import annotations

import copy
import pickle
import ssl
from datetime import datetime, timezone
from enum import Enum
from typing import Any

import pytest

import blockingio
import blockingio.http_server
import blockingio.testing
import blockingio.wsgi
from blockingio import (
    AccessRecord, ContentType, Cookie, HeaderValue, HttpClientBasicCredentials, HttpClientBearerCredentials,
    HttpClientDigestCredentials, HttpClientResponseCompressionState, HttpConnectionInfo, HttpException,
    HttpHeaders, HttpStatus, InternetAddress, InternetAddressType, RedirectException, RedirectInfo, SameSite,
    StateError, Uri, X509Certificate)
from blockingio.errors import BadMessage
from blockingio.http_server import HttpBodyFileUpload
from blockingio.testing import Fault, RecordedRequest
from tests.peers import Certificates

URI = Uri.parse("http://user@a.example:81/b?c#d")
REDIRECTS = [RedirectInfo(302, "GET", URI), RedirectInfo(307, "GET", Uri.parse("http://b.example/"))]


def full_cookie() -> Cookie:
    cookie = Cookie("a", "b")
    cookie.expires = datetime(2030, 1, 2, tzinfo=timezone.utc)
    cookie.max_age, cookie.domain, cookie.path, cookie.secure = 5, "a.example", "/", True
    cookie.same_site = SameSite.STRICT
    return cookie


def full_headers() -> HttpHeaders:
    headers = HttpHeaders()
    headers.add("X-A", "1", preserve_header_case=True)
    headers.add("x-a", "2")
    headers.no_folding("x-a")
    return headers


def certificate() -> X509Certificate:
    pem = Certificates().authority.cert_pem.bytes().decode("ascii")
    return X509Certificate.from_der(ssl.PEM_cert_to_DER_cert(pem))


def recorded() -> RecordedRequest:
    request = RecordedRequest.__new__(RecordedRequest)
    request.method, request.uri, request.headers = "GET", Uri.from_target("/a?b"), full_headers()
    request.body, request.client = b"c", "127.0.0.1:1"
    return request


VALUES: list[Any] = [
    HttpException("a"), HttpException("a", URI), StateError("a"), BadMessage("a", 431),
    RedirectException("a", REDIRECTS), RedirectException("a", []),
    REDIRECTS[0], URI, Uri.parse("/a"), Uri.from_target("//a/b"),
    ContentType.HTML, ContentType("a", "b", parameters={"c": None}), HeaderValue("a", {"b": "c d", "e": None}),
    InternetAddress.LOOPBACK_IP_V4, InternetAddress("fe80::1%1"), InternetAddress("/tmp/a", InternetAddressType.UNIX),
    HttpConnectionInfo(InternetAddress.LOOPBACK_IP_V6, 1, 2),
    HttpClientBasicCredentials("a", "b"), HttpClientBearerCredentials("a"), HttpClientDigestCredentials("a", "b"),
    AccessRecord("127.0.0.1", None, 1.0, "GET", "/", "1.1", 200, 3, 0.5, full_headers()),
    full_cookie(), Cookie("a", "b"), full_headers(), HttpHeaders(),
    blockingio.WebSocketStatus.GOING_AWAY,
    blockingio.WebSocketException("the server answered 200", 200),
    blockingio.CompressionOptions(client_no_context_takeover=True, server_max_window_bits=12),
    HttpHeaders.from_fields([("A", "b"), ("a", "c")], "1.0"),
    HttpBodyFileUpload("a.txt", ContentType.TEXT, "content"), certificate(),
    Fault(delay=1, rate=2, cut_after=3, reset=True), recorded(),
    blockingio.ConnectionRecord("127.0.0.1:2", "idle", 0.5, 1, 2, 3, "the next request", 119.5),
    blockingio.WireRecord(1, "127.0.0.1:2", "in", b"GET", 0.5, False),
]
ENUMS = [HttpStatus, InternetAddressType, SameSite, HttpClientResponseCompressionState]

#: What is in use: with a socket, a thread, a lock or a key behind it, or a place for functions alone.
LIVE = set(
    "EventSink HttpBody HttpBodyHandler HttpClient HttpClientCredentials HttpClientRequest HttpClientResponse "
    "HttpClientResponseBody HttpConnectionsInfo HttpDate HttpMultipartFormData HttpRequest HttpRequestBody "
    "HttpResponse HttpServer HttpSession IOSink MimeMultipart MimeMultipartTransformer RunningServer SecurityContext "
    "Stream StreamSubscription StreamTransformer VirtualDirectory VirtualHost WebSocket WebSocketTransformer "
    "WsgiHandler".split())


def described(value: object) -> object:
    """What can be seen of a value from outside, as something that can be compared."""
    if isinstance(value, (list, tuple)):
        return [described(item) for item in value]
    if not type(value).__module__.startswith("blockingio") or isinstance(value, Enum):
        return value
    seen: dict[str, object] = {"type": type(value), "text": str(value), "shown": repr(value).replace(", immutable", "")}
    for name in dir(value):
        if name[0] != "_" and name.upper() != name:
            try:
                attribute = getattr(value, name)
            except RuntimeError as error:
                attribute = str(error)
            if not callable(attribute):
                seen[name] = described(attribute)
    if isinstance(value, BaseException):
        seen["args"] = described(value.args)
    if isinstance(value, HttpHeaders):
        value.for_each(lambda name, values: seen.update({"field " + name: values}))
    return seen


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:60])
def test_a_copy_is_what_it_was_made_of(value: object) -> None:
    """But for headers that cannot be changed: their copy can."""
    expected = described(value)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert described(pickle.loads(pickle.dumps(value, protocol))) == expected
    assert described(copy.copy(value)) == expected
    assert described(copy.deepcopy(value)) == expected


@pytest.mark.parametrize("members", ENUMS)
def test_a_member_stays_itself(members: type[Enum]) -> None:
    for member in members:
        assert pickle.loads(pickle.dumps(member)) is member
        assert copy.copy(member) is copy.deepcopy(member) is member


def test_an_exception_keeps_what_was_added_to_it() -> None:
    error = RedirectException("a", REDIRECTS)
    error.uri = URI
    error.add_note("a note")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (again.uri, again.__notes__) == (URI, ["a note"])


def test_no_public_class_is_left_out() -> None:
    names = {name for module in (blockingio, blockingio.http_server, blockingio.testing, blockingio.wsgi)
             for name in module.__all__
             if isinstance(getattr(module, name), type)}
    tried = {type(value).__name__ for value in VALUES} | {members.__name__ for members in ENUMS}
    assert names - tried - LIVE == set(), "neither tried here nor known to be live"
    assert LIVE <= names and not LIVE & tried


def test_what_is_live_does_not_pretend_to_be_a_value() -> None:
    with blockingio.HttpClient() as client, pytest.raises(TypeError):
        pickle.dumps(client)
