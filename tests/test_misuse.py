"""Where people take one thing for another, the error names what they want."""
from __future__ import annotations

import inspect
import pydoc
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from blockingio import HttpClient, HttpClientRequest, HttpClientResponse, HttpServer, SecurityContext, Uri
from blockingio import HttpClientBasicCredentials, InternetAddress
from blockingio.http_server import VirtualDirectory, VirtualHost
from tests.client.servers import OK, answering, scripted
from tests.peers import RawClient, serving
from tests.server.visits import get


@pytest.fixture
def client() -> Iterator[HttpClient]:
    with HttpClient() as client:
        client.find_proxy = None
        yield client


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


# ------------------------------------------------------------------ a dict that is written

OBJECTS: list[Any] = [{"a": 1}, {}, [1, "a"], [], OrderedDict(a=1)]
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
