"""VirtualHost over real sockets: each request to the host that it is for."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from blockingio import HttpRequest, HttpServer, Stream
from blockingio.http_server import VirtualHost
from tests.peers import PATIENCE, RawClient, eventually


@contextmanager
def hosting(*hosts: str, unhandled: bool = False) -> Iterator[int]:
    """The port of a server whose hosts answer with their name."""
    with HttpServer.bind("127.0.0.1", 0) as server:
        virtual = VirtualHost(server)
        streams = [(host, virtual.add_host(host)) for host in hosts]
        if unhandled:
            streams.append(("unhandled", virtual.unhandled))
        threads = [threading.Thread(target=answer, args=stream) for stream in streams]
        for thread in threads:
            thread.start()
        try:
            yield server.port
        finally:
            server.close()
            for thread in threads:
                thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads)


def answer(name: str, requests: Stream[HttpRequest]) -> None:
    for request in requests:
        request.response.write(name)
        request.response.close()
        del request


def ask(port: int, head: str) -> str:
    """The host that answered, or the status."""
    with RawClient(port) as client:
        response = client.send(f"{head}\r\n\r\n".encode()).read_response()
        return response.body.decode() if response.status == 200 else str(response.status)


@pytest.mark.parametrize(("host", "answered"), [
    ("a.example", "a.example"),
    ("A.EXAMPLE", "a.example"),
    ("a.example:8080", "a.example"),
    ("a.example.", "a.example"),
    ("b.example", "*.example"),
    ("b.example:1", "*.example"),
    ("x.a.example", "*.a.example"),
    ("X.Y.A.Example", "*.a.example"),
    ("deep.x.b.example", "*.example"),
    ("example", "403"),
    ("a.example.org", "403"),
    ("xa.example", "*.example"),
    ("aexample", "403"),
    ("127.0.0.1", "127.0.0.1"),
    ("[::1]:80", "[::1]"),
    ("[::2]", "403"),
    ("", "403"),
])
def test_hosts(host: str, answered: str) -> None:
    with hosting("*.example", "a.example", "*.a.example", "127.0.0.1", "[::1]") as port:
        assert ask(port, f"GET / HTTP/1.1\r\nHost: {host}") == answered


def test_the_target_goes_before_the_field() -> None:
    with hosting("a.example", "b.example", "[::1]") as port:
        assert ask(port, "GET http://B.example:99/ HTTP/1.1\r\nHost: a.example") == "b.example"
        assert ask(port, "GET http://[::1]:99/ HTTP/1.1\r\nHost: a.example") == "[::1]"


def test_any_host() -> None:
    with hosting("*", "*.example", "a.example") as port:
        assert ask(port, "GET / HTTP/1.1\r\nHost: elsewhere") == "*"
        assert ask(port, "GET / HTTP/1.1\r\nHost: b.example") == "*.example"
        assert ask(port, "GET / HTTP/1.1\r\nHost: a.example") == "a.example"
        assert ask(port, "GET / HTTP/1.0") == "*"


def test_what_no_host_matches_is_403_unless_it_is_read() -> None:
    with hosting("a.example") as port:
        assert ask(port, "GET / HTTP/1.1\r\nHost: b.example") == "403"
        assert ask(port, "GET / HTTP/1.0") == "403"
    with hosting("a.example", unhandled=True) as port:
        assert ask(port, "GET / HTTP/1.1\r\nHost: b.example") == "unhandled"
        assert ask(port, "GET / HTTP/1.0") == "unhandled"
        assert ask(port, "GET / HTTP/1.1\r\nHost: a.example") == "a.example"


def test_unhandled_is_one_stream() -> None:
    virtual = VirtualHost()
    assert virtual.unhandled is virtual.unhandled


@pytest.mark.parametrize("host", [
    "a.*.example", "*a.example", "a*.example", "a.*", "**", "*.*.example", "", "*.", "a b", "a/b", "http://a",
    "[x", "a:b"])
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(ValueError, match="expected a host"):
        VirtualHost().add_host(host)


@pytest.mark.parametrize(("first", "second"), [
    ("a.example", "a.example"), ("a.example", "A.Example"), ("a.example", "a.example:8080"), ("*", "*"),
    ("*.example", "*.EXAMPLE"), ("[::1]", "[::1]:80"),
])
def test_a_host_is_added_once(first: str, second: str) -> None:
    virtual = VirtualHost()
    virtual.add_host(first)
    with pytest.raises(ValueError, match="added before"):
        virtual.add_host(second)


def test_a_host_is_text() -> None:
    with pytest.raises(TypeError):
        VirtualHost().add_host(b"a.example")  # type: ignore[arg-type]


def test_several_sources_and_several_readers() -> None:
    """Each request goes to one reader; the stream ends with the last source."""
    virtual = VirtualHost()
    stream = virtual.add_host("*")
    readers = [threading.Thread(target=answer, args=(f"reader {number}", stream)) for number in range(3)]
    for reader in readers:
        reader.start()
    with HttpServer.bind("127.0.0.1", 0) as one, HttpServer.bind("127.0.0.1", 0) as two:
        virtual.add_source(one)
        virtual.add_source(two)
        for port in (one.port, two.port) * 5:
            assert ask(port, "GET / HTTP/1.1\r\nHost: a").startswith("reader")
        one.close()
        assert ask(two.port, "GET / HTTP/1.1\r\nHost: a").startswith("reader")
        assert all(reader.is_alive() for reader in readers)
    for reader in readers:
        reader.join(PATIENCE)
        assert not reader.is_alive()
    assert stream.to_list() == []


def test_what_came_before_the_end_is_still_read() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        virtual = VirtualHost(server)
        stream = virtual.add_host("a.example")
        with RawClient(server.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            eventually(lambda: "1 waiting" in repr(virtual))
            assert repr(virtual) == "<VirtualHost a.example; 1 waiting>"
            server.close()
            answer("late", stream)
            assert client.read_response().body == b"late"
    assert repr(VirtualHost()) == "<VirtualHost without hosts; 0 waiting>"


def test_a_wait_that_was_given_up_swallows_nothing() -> None:
    with HttpServer.bind("127.0.0.1", 0) as server:
        stream = VirtualHost(server).add_host("*")
        with pytest.raises(TimeoutError):
            stream.timeout(0.01).first()
        with RawClient(server.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            request = stream.timeout(PATIENCE).first()
            request.response.close()
            assert client.read_response().status == 200


def test_a_subscription_that_is_paused_swallows_nothing() -> None:
    seen = []

    def handle(request: HttpRequest) -> None:
        seen.append(request.uri.path)
        request.response.close()

    with HttpServer.bind("127.0.0.1", 0) as server:
        stream = VirtualHost(server).add_host("*")
        subscription = stream.listen(handle)
        assert ask(server.port, "GET /1 HTTP/1.1\r\nHost: a") == ""
        subscription.cancel()
        with RawClient(server.port) as client:
            client.send(b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
            request = stream.first()
            assert request.uri.path == "/2"
            request.response.close()
            assert client.read_response().status == 200
    assert seen == ["/1"]
