"""Where people take one thing for another, the error names what they want."""
from __future__ import annotations

import inspect
import io
import json
import pydoc
import re
import ssl
from collections import OrderedDict
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from blockingio import HttpClient, HttpClientRequest, HttpClientResponse, HttpServer, SecurityContext, Uri, WebSocket
from blockingio import WebSocketTransformer
from blockingio import HttpClientBasicCredentials, HttpHeaders, HttpRequest, HttpResponse, HttpStatus, InternetAddress
from blockingio.http_server import VirtualDirectory, VirtualHost
from tests.client.servers import OK, answering, scripted
from tests.peers import RawClient, serving
from tests.server.visits import get


# ------------------------------------------------------------------ a URL for a host

METHODS = ["get", "post", "put", "delete", "patch", "head"]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("url", [
    "http://a.example/b", "https://a.example", Uri.parse("http://a.example/b"), "ws://a.example/"])
def test_a_url_where_a_host_belongs(client: HttpClient, name: str, url: str | Uri) -> None:
    method: Callable[..., Any] = getattr(client, name)
    message = f"^{name}\\(\\) takes a host, a port and a path, found the URL '{url}': {name}_url\\(\\) takes a URL$"
    with pytest.raises(TypeError, match=message):
        method(url)
    with pytest.raises(TypeError, match=message):
        method(host=url)
    with pytest.raises(TypeError, match=message):
        method(url, 80)
    with pytest.raises((TypeError, ValueError), match=message):
        method(url, 80, "/")


def test_a_url_in_open(client: HttpClient) -> None:
    for arguments in (("http://a/",), ("GET", "http://a/"), ("GET", "http://a/", 80, "/")):
        with pytest.raises((TypeError, ValueError), match=r"open\(\) takes a host.*: open_url\(\) takes a URL"):
            client.open(*arguments)


def test_a_password_in_such_a_url_is_shown_to_nobody(client: HttpClient) -> None:
    with pytest.raises(TypeError) as caught:
        client.get("http://me:secret@a.example/")  # type: ignore[call-arg]
    assert "get_url" in str(caught.value) and "secret" not in str(caught.value)


def test_other_mistakes_are_told_as_they_are(client: HttpClient) -> None:
    with pytest.raises(TypeError, match="missing 2 required positional arguments: 'port' and 'path'"):
        client.get("a.example")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="a token"):
        client.open("G T", "a.example", 80, "/http://b/")


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("url", ["http://b/c", "https://me:secret@b", "ws://b", Uri.parse("http://b/c")])
def test_a_url_where_a_path_belongs(client: HttpClient, name: str, url: str | Uri) -> None:
    method: Callable[..., Any] = getattr(client, name)
    uses: list[Callable[[], Any]] = [lambda: method("127.0.0.1", 80, url),
                                     lambda: method("127.0.0.1", port=80, path=url)]
    for use in uses:
        message = rf"^{name}\(\) takes a host, a port and a path, found the URL '.*b.*': {name}_url\(\) takes a URL$"
        with pytest.raises((TypeError, ValueError), match=message) as caught:
            use()
        assert "secret" not in str(caught.value)
    with pytest.raises((TypeError, ValueError), match=r"^open\(\) .*: open_url\(\) takes a URL$"):
        client.open(name, "127.0.0.1", 80, url)  # type: ignore[arg-type]


def test_a_url_in_a_path_is_a_path(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        assert client.get("127.0.0.1", server.port, "/to?http://b/").close().read() == b"ok"
        assert server.asked[0].target == "/to?http://b/"
        client.close()


def test_the_signatures_are_what_they_were() -> None:
    for name in METHODS:
        assert list(inspect.signature(getattr(HttpClient, name)).parameters) == ["self", "host", "port", "path"]


# ------------------------------------------------------------------ the response's, asked of the request


def test_what_is_the_responses(client: HttpClient) -> None:
    with scripted(answering(OK)) as server:
        request = client.get_url(server.url())
        names = [name for name in dir(HttpClientResponse) if name[0] != "_" and name not in dir(request)]
        assert {"status_code", "reason_phrase", "read", "text", "json", "redirects", "first", "listen"} <= set(names)
        for name in names:
            message = f"a request has no '{name}'.*call close\\(\\) to send it"
            with pytest.raises(AttributeError, match=message) as caught:
                getattr(request, name)
            assert (caught.value.name, caught.value.obj) == (name, request)
            assert not hasattr(request, name) and not hasattr(HttpClientRequest, name)
        with pytest.raises(AttributeError, match="has no attribute 'nonsense'$"):
            request.nonsense  # type: ignore[attr-defined]
        assert request.close().read() == b"ok"
        client.close()


def test_a_request_is_described_by_what_it_has(client: HttpClient) -> None:
    assert "close" in pydoc.render_doc(HttpClientRequest)
    with scripted(answering(OK)) as server:
        request = client.get_url(server.url())
        assert {"close", "headers", "write", "method"} <= set(dir(request)) and "status_code" not in dir(request)
        request.close().read()
        client.close()


# ------------------------------------------------------------------ settings that are none

SETTINGS: list[tuple[Callable[[], Any], list[tuple[str, str]]]] = [
    (lambda: HttpServer.bind("127.0.0.1", 0),
     [("idle_timout", "idle_timeout"), ("idleTimeout", "idle_timeout"), ("max_body", "max_body_size"),
      ("autocompress", "auto_compress"), ("session_timeut", "session_timeout"), ("acces_log", "access_log")]),
    (HttpClient, [("connectionTimeout", "connection_timeout"), ("idle_time_out", "idle_timeout"),
                  ("useragent", "user_agent"), ("autenticate", "authenticate"), ("findproxy", "find_proxy")]),
    (lambda: VirtualDirectory("."), [("allow_directory_listings", "allow_directory_listing"),
                                     ("followLinks", "follow_links"), ("rot", "root")]),
    (VirtualHost, [("unhandle", "unhandled")]),
    (SecurityContext, [("finger_print", "fingerprint")]),
]


@pytest.mark.parametrize("make, mistakes", SETTINGS)
def test_a_setting_that_is_misspelt(make: Callable[[], Any], mistakes: list[tuple[str, str]]) -> None:
    thing = make()
    kind = type(thing).__name__
    try:
        for wrong, right in mistakes:
            with pytest.raises(AttributeError,
                               match=f"^{kind} has no attribute '{wrong}'.*: did you mean '{right}'\\?$"):
                setattr(thing, wrong, 5)
            assert not hasattr(thing, wrong)
        with pytest.raises(AttributeError, match=f"^{kind} has no attribute 'nonsense'.*derived from it"):
            thing.nonsense = 5
    finally:
        getattr(thing, "close", int)()


@pytest.mark.parametrize("kind, arguments", [
    (HttpClient, ()), (VirtualDirectory, (".",)), (VirtualHost, ()), (SecurityContext, ())])
def test_a_derived_class_has_attributes_of_its_own(kind: Any, arguments: tuple[str, ...]) -> None:
    class Own(kind):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(*arguments)
            self.own = 1

    thing = Own()
    thing.later = 2
    assert (thing.own, thing.later) == (1, 2)
    getattr(thing, "close", int)()


def test_a_derived_server_has_attributes_of_its_own() -> None:
    class Own(HttpServer):
        own = 1

    with Own.bind("127.0.0.1", 0) as server:
        server.later = 2
        assert isinstance(server, Own) and vars(server)["later"] == 2


def test_a_method_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As tests do, on one object or on all."""
    with HttpClient() as client:
        monkeypatch.setattr(client, "get_url", lambda url: url)
        assert client.get_url("a") == "a"  # type: ignore[comparison-overlap]
        monkeypatch.undo()


# ------------------------------------------------------------------ servers and ports


@pytest.mark.parametrize("arguments", [
    ("127.0.0.1", 4040), (InternetAddress.LOOPBACK_IP_V4, 4040), ("", 0), (4040, None)])
def test_a_server_is_made_by_bind(arguments: tuple[Any, Any]) -> None:
    with pytest.raises(TypeError, match="HttpServer.bind"):
        HttpServer(*arguments)


PORTS: list[Callable[[Any], object]] = [
    lambda port: HttpServer.bind("127.0.0.1", port),
    lambda port: HttpServer.bind_secure("127.0.0.1", port, SecurityContext()),
    lambda port: HttpClient().get("127.0.0.1", port, "/"),
    lambda port: HttpClient().get("127.0.0.1", port, "/a b"),
    lambda port: HttpClient().open("GET", "127.0.0.1", port, "/"),
    lambda port: HttpClient().add_proxy_credentials("a", port, "r", HttpClientBasicCredentials("u", "p")),
]


@pytest.mark.parametrize("use", PORTS, ids=range(len(PORTS)))
@pytest.mark.parametrize("port", ["4040", "", "http", b"80", 40.0, None])
def test_a_port_that_is_no_number(use: Callable[[Any], object], port: Any) -> None:
    with pytest.raises(TypeError, match=f"a port is an int, found the {type(port).__name__} {port!r}"):
        use(port)


# ------------------------------------------------------------------ a handler that is none, and how long is waited

@pytest.mark.parametrize("action", [None, "handle"])
def test_for_each_of_no_function(action: Any) -> None:
    """As for_each(print()) is, where for_each(print) was meant."""
    with HttpServer.bind("127.0.0.1", 0) as server:
        with pytest.raises(TypeError, match=f"expected a function that is called with each request, found {action!r}"):
            server.for_each(action)


@pytest.mark.parametrize("workers", ["8", None, 2.0])
def test_workers_that_are_no_number(workers: Any) -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        for use in (server.for_each, server.listen):
            with pytest.raises(TypeError, match=f"workers is {workers!r}, expected an int"):
                use(print, workers=workers)


@pytest.mark.parametrize("name", ["connection_timeout", "response_timeout"])
@pytest.mark.parametrize("seconds", ["5", 0, -5, [5]])
def test_a_time_that_is_none(name: str, seconds: Any) -> None:
    with HttpClient() as client:
        with pytest.raises(ValueError, match=re.escape(f"{name} cannot be {seconds!r}, expected seconds above zero")):
            setattr(client, name, seconds)
        setattr(client, name, 5)
        assert getattr(client, name) == 5


# ------------------------------------------------------------------ settings of the wrong type

def settings_of(thing: Any) -> list[str]:
    """What can be set, by descriptors and by the annotations of its class that name a bool or a Callable."""
    kind = type(thing)
    declared = [name for name, text in kind.__annotations__.items() if text == "bool" or text[:9] == "Callable["]
    return declared + [name for name in dir(kind) if name[0] != "_" and hasattr(getattr(kind, name), "__set__")
                       or name in ("session_timeout", "auto_compress")]


class Nonsense:
    def __repr__(self) -> str:
        return "<nonsense>"

    def tell(self) -> None:
        """Not called."""


@pytest.mark.parametrize("make, least", [
    (lambda: HttpServer.bind("127.0.0.1", 0), 18), (HttpClient, 13), (lambda: VirtualDirectory("."), 5)])
def test_a_setting_says_what_it_takes(make: Callable[[], Any], least: int) -> None:
    thing = make()
    names = settings_of(thing)
    assert len(names) >= least
    try:
        for name in names:
            before = getattr(thing, name)
            with pytest.raises(ValueError, match=f"^{name} cannot be <nonsense>(:|, expected) .+") as caught:
                setattr(thing, name, Nonsense())
            assert "not iterable" not in str(caught.value)
            assert getattr(thing, name) == before
    finally:
        getattr(thing, "close", int)()


FLAGS: list[tuple[Callable[[], Any], str]] = [
    (lambda: HttpServer.bind("127.0.0.1", 0), "auto_compress"), (HttpClient, "auto_uncompress"),
    *[(lambda: VirtualDirectory("."), name) for name in ("allow_directory_listing", "follow_links", "jail_root")]]


@pytest.mark.parametrize("make, name", FLAGS)
def test_a_word_is_no_flag(make: Callable[[], Any], name: str) -> None:
    """"no" would be taken for True."""
    thing = make()
    try:
        for word in ("no", "false", "", None, 2, []):
            with pytest.raises(ValueError, match=re.escape(f"{name} cannot be {word!r}, expected True or False")):
                setattr(thing, name, word)
        for flag in (True, False):
            setattr(thing, name, flag)
            assert getattr(thing, name) is flag
    finally:
        getattr(thing, "close", int)()


def test_a_derived_class_is_told_too() -> None:
    class Own(VirtualDirectory):
        own: bool

    directory = Own(".")
    directory.own = "no"  # type: ignore[assignment]  # whose meaning is the program's
    with pytest.raises(ValueError, match="^jail_root cannot be 'no', expected True or False$"):
        directory.jail_root = "no"  # type: ignore[assignment]


def test_a_number_that_is_not_whole_is_told_that(client: HttpClient) -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        for name in ("max_body_size", "max_header_size", "max_connections", "max_sessions", "min_body_rate"):
            or_none = ", or None" if name in ("max_body_size", "max_connections", "min_body_rate") else ""
            with pytest.raises(ValueError, match=rf"^{name} cannot be 1\.5, expected a whole number .*zero.*"
                                                 f"{or_none}$"):
                setattr(server, name, 1.5)
    for seconds in ("5", -1, []):
        with pytest.raises(ValueError, match="^idle_timeout cannot be .*, expected seconds from zero up, or None$"):
            client.idle_timeout = seconds  # type: ignore[assignment]


def test_what_is_set_of_one_message(client: HttpClient) -> None:
    wrong: dict[str, Any] = {"deadline": "5", "reason_phrase": 5, "encoding": None, "persistent_connection": "no"}
    caught: dict[str, str] = {}

    def handler(request: Any) -> None:
        for name, value in wrong.items():
            try:
                setattr(request.response, name, value)
            except (TypeError, ValueError) as error:
                caught[name] = str(error)
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as raw:
        assert raw.send(get()).read_response().status == 200
    with scripted(answering(OK)) as peer:
        request = client.get_url(peer.url())
        for name, value in {"follow_redirects": "no", "max_redirects": "5", "persistent_connection": "no"}.items():
            with pytest.raises(ValueError, match=f"^{name} cannot be {value!r}, expected .+"):
                setattr(request, name, value)
        request.close().read()
        client.close()
    assert set(caught) == set(wrong)
    for name, text in caught.items():
        assert name.replace("_", " ") in text.replace("_", " ") and repr(wrong[name]) in text


# ------------------------------------------------------------------ hosts

@pytest.mark.parametrize("host, advice", [
    ("http://127.0.0.1:4040/", "that is a URL, expected the host alone"), ("https://a.example", "that is a URL"),
    ("127.0.0.1:4040", "the port is given by itself"), ("localhost:", "the port is given by itself"),
    ("[::1]", "without brackets"), ("[::1]:80", "without brackets"), ("*", r"0\.0\.0\.0"),
    ("/run/a.socket", "InternetAddressType.UNIX"), ("a/b", "that is a path")])
def test_what_is_no_host_to_listen_on(host: str, advice: str) -> None:
    with pytest.raises(OSError, match=re.escape(f"no address for host {host!r}: not a host name: ") + f".*{advice}"):
        HttpServer.bind(host, 0)


def test_how_is_listened() -> None:
    for name, value in {"backlog": "x", "v6_only": "no", "shared": "no"}.items():
        with pytest.raises(ValueError, match=f"^{name} cannot be {value!r}, expected .+"):
            HttpServer.bind("127.0.0.1", 0, **{name: value})  # type: ignore[arg-type]
    for found in ("127.0.0.1", 4040, None):
        with pytest.raises(TypeError, match=r"listen_on\(\) takes a socket that listens, found .*: .* there is bind\(\)"):
            HttpServer.listen_on(found)  # type: ignore[arg-type]


def test_what_is_no_host_to_ask(client: HttpClient) -> None:
    wrong: list[tuple[Any, Any, Any, str]] = [
        (None, 80, "/", "a host is a str, not NoneType"), (b"a", 80, "/", "a host is a str, not bytes"),
        ("a", 80, None, "a path is a str, not NoneType"), ("a", 80, b"/", "a path is a str, not bytes"),
        ("a:80", 80, "/", "a host, and its port by itself, found 'a:80'"),
        ("a", -1, "/", "a port from 0 to 65535, found -1")]
    for host, port, path, message in wrong:
        with pytest.raises((TypeError, ValueError), match=message):
            client.get(host, port, path)


# ------------------------------------------------------------------ a dict that is written

OBJECTS: list[Any] = [{"a": 1}, {}, [1, "a"], [], OrderedDict(a=1), {1}, frozenset()]
WAYS: list[Callable[[Any, Any], object]] = [
    lambda sink, obj: sink.write(obj),
    lambda sink, obj: sink.writeln(obj),
    lambda sink, obj: sink.write_all(["a", obj]),
]


@pytest.mark.parametrize("obj", OBJECTS, ids=repr)
@pytest.mark.parametrize("write", WAYS, ids=range(len(WAYS)))
def test_a_dict_or_list_is_not_written_as_python_shows_it(client: HttpClient, obj: Any, write: Any) -> None:
    caught: list[str] = []

    def handler(request: Any) -> None:
        try:
            write(request.response, obj)
        except TypeError as error:
            caught.append(str(error))
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as raw:
        assert raw.send(get()).read_response().status == 200
    with scripted(answering(OK)) as peer:
        request = client.post_url(peer.url())
        with pytest.raises(TypeError) as error:
            write(request, obj)
        request.close().read()
        client.close()
    for message in (*caught, str(error.value)):
        assert message == f"write() takes no {type(obj).__name__}: write json.dumps(...) of it, or each of its items"
    assert len(caught) == 1


OTHERS: list[tuple[Callable[[], Any], str]] = [
    (lambda: (text for text in "abc"), "generator: write_all() writes each of its items"),
    (lambda: map(str, [1]), "map: write_all() writes each of its items"),
    (lambda: iter("abc"), "str_ascii_iterator: write_all()"),
    (lambda: io.BytesIO(b"abc").readline, "builtin_function_or_method: call it"),
    (lambda: lambda: "abc", "function: call it"), (lambda: str, "type: call it"), (lambda: Nonsense().tell, "method: call it"),
    (lambda: object(), "object, which has neither __str__ nor __repr__"),
    (lambda: open(__file__, "rb"), "BufferedReader: write_all() writes each of its items")]


@pytest.mark.parametrize("make, message", OTHERS, ids=range(len(OTHERS)))
def test_what_has_no_text_is_not_written(make: Callable[[], Any], message: str) -> None:
    obj = make()
    caught: list[str] = []

    def handler(request: Any) -> None:
        try:
            request.response.write(obj)
        except TypeError as error:
            caught.append(str(error))
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as raw:
        assert raw.send(get()).read_response().body == b""
    getattr(obj, "close", int)()
    assert len(caught) == 1 and caught[0].startswith(f"write() takes no {message}")


class Point(NamedTuple):
    x: int
    y: int


def test_what_has_a_text_is_written() -> None:
    objects = [None, True, 1.5, Path("a"), date(2020, 1, 2), ValueError("b"), Fraction(1, 2), HttpStatus.OK, Nonsense(),
               Uri.parse("/c"), Point(1, 2)]

    def handler(request: Any) -> None:
        with request.response as response:
            response.write_all(objects, " ")

    with serving(handler) as server, RawClient(server.port) as raw:
        assert raw.send(get()).read_response().body.decode() == " ".join(map(str, objects))


# ------------------------------------------------------------------ what other libraries call otherwise


def said_by(use: Callable[[], object]) -> str:
    with pytest.raises(AttributeError) as caught:
        use()
    return str(caught.value)


def test_names_from_elsewhere() -> None:
    """Of the server's request and response; reading and setting say the same."""
    said: dict[str, str] = {}
    names = {"request": ["path", "url", "args", "body", "json", "form", "write", "status_code", "close", "remote_addr"],
             "response": ["status", "body", "send", "end", "json", "content_type", "set_header", "set_cookie"]}

    def handler(request: Any) -> None:
        for owner, kind in (("request", request), ("response", request.response)):
            for name in names[owner]:
                said[f"{owner}.{name}"] = said_by(lambda: getattr(kind, name))
                assert said_by(lambda: setattr(kind, name, 5)) == said[f"{owner}.{name}"]
                assert not hasattr(kind, name) and name not in dir(kind)
            said_by(lambda: kind.nonsense)
            assert {"headers", "cookies"} <= set(dir(kind))
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as raw:
        assert raw.send(get()).read_response().status == 200
    assert len(said) == sum(map(len, names.values()))
    assert said["request.path"] == "a request has no 'path': it is request.uri.path"
    assert said["request.write"] == "a request has no 'write': it is request.response.write"
    assert said["request.json"] == "a request has no 'json': it is json.load(request)"
    assert said["response.status"] == "a response has no 'status': it is status_code"
    assert said["response.content_type"] == "a response has no 'content_type': it is headers.content_type"
    for kind, name in ((HttpRequest, "json"), (HttpResponse, "status")):  # whose help() says so as well
        described = pydoc.plain(pydoc.render_doc(kind))
        assert f" |      None here: {said[f'{kind.__name__[4:].lower()}.{name}']}." in described


# ------------------------------------------------------------------ headers and cookies


def test_a_field_of_the_wrong_type() -> None:
    headers = HttpHeaders()
    for value in (None, b"a", {}, {"a": 1}):
        for use in (headers.set, headers.add, headers.__setitem__):
            with pytest.raises(TypeError, match=f"a field value cannot be {type(value).__name__}, expected a str"):
                use("x-a", value)
    with pytest.raises(TypeError, match=r"expected a ContentType.* ContentType.parse\('text/html'\), not str"):
        headers.content_type = "text/html"  # type: ignore[assignment]
    assert not list(headers)


@pytest.mark.parametrize("cookie", ["a=b", "a=b\r\nx-injected: 1", b"a=b", {"a": "b"}, None])
def test_a_cookie_that_is_none(client: HttpClient, cookie: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Text would go out as it is, whatever is in it."""
    caught: list[str] = []

    def handler(request: Any) -> None:
        try:
            with request.response as response:
                response.cookies.append(cookie)
        except TypeError as error:
            caught.append(str(error))
            raise

    with serving(handler) as server, RawClient(server.port) as raw:
        answer = raw.send(get()).read_response()
        assert answer.status == 500 and not answer.get_all("set-cookie") + answer.get_all("x-injected")
    with scripted(answering(OK)) as peer:
        request = client.get_url(peer.url())
        request.cookies.append(cookie)
        with pytest.raises(TypeError) as error:
            request.close()
        request.abort()
        client.close()
    for message in (*caught, str(error.value)):
        assert message == f"expected a Cookie in cookies, as Cookie(name, value), not {type(cookie).__name__}"
    assert len(caught) == 1


# ------------------------------------------------------------------ what a client got instead


@pytest.mark.parametrize("head, body, described", [
    (b"404 Not Found\r\ncontent-type: text/html", b"<html>", "status 404, text/html, 6 bytes"),
    (b"200 OK\r\ncontent-type: application/json", b"{'a': 1}", "status 200, application/json, 8 bytes"),
    (b"200 OK", b"", "status 200, no Content-Type, nothing left to read")])
def test_a_body_that_is_no_json(client: HttpClient, head: bytes, body: bytes, described: str) -> None:
    answer = b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (head, len(body), body)
    with scripted(answering(answer)) as peer:
        response = client.get_url(peer.url("/a").replace("//", "//me:secret@")).close()
        with pytest.raises(json.JSONDecodeError, match=f"in the body of http://.*/a \\({described}\\): line 1 ") as caught:
            response.json()
        assert "secret" not in str(caught.value) and caught.value.doc == body.decode()
        client.close()


def test_https_where_http_is_spoken(client: HttpClient) -> None:
    with serving(lambda request: request.response.close()) as server:
        with pytest.raises(ssl.SSLError, match="does not answer in TLS, is the URL an http one.*port = "):
            client.get_url(f"https://127.0.0.1:{server.port}/")


# ------------------------------------------------------------------ WebSockets, and keys


def test_what_is_no_message(client: HttpClient) -> None:
    with serving(lambda request: WebSocketTransformer.upgrade(request).close()) as server:
        socket = WebSocket.connect(f"ws://127.0.0.1:{server.port}/", custom_client=client)
        for data in (5, None, {}, ["a"]):
            with pytest.raises(TypeError, match=rf"^add\(\) takes a str .*, got {type(data).__name__}: .* json.dumps"):
                socket.add(data)  # type: ignore[arg-type]
        for name in ("ping_interval", "max_message_size"):
            before = getattr(socket, name)
            for value in ("5", -1, []):
                with pytest.raises(ValueError, match=f"^{name} cannot be {re.escape(repr(value))}, expected .+, or None$"):
                    setattr(socket, name, value)
            assert getattr(socket, name) == before
        for name, place in (("send", "add()"), ("recv", "for message in socket")):
            assert place in said_by(lambda: getattr(socket, name)) and name not in dir(socket)
        socket.close()


@pytest.mark.parametrize("name", [
    "use_certificate_chain_bytes", "use_private_key_bytes", "set_trusted_certificates_bytes",
    "set_client_authorities_bytes"])
@pytest.mark.parametrize("data", ["-----BEGIN", None, 5])
def test_a_certificate_that_is_not_bytes(name: str, data: Any) -> None:
    with pytest.raises(TypeError, match=f"^expected the bytes of PEM or DER, not {type(data).__name__}$"):
        getattr(SecurityContext(), name)(data)
