"""Every row of the request table against a server, over sockets.

Three ways: in one segment, byte by byte, and with a good request behind it in the same
segment.  Whatever the row is, the good request is answered rightly or not at all.
"""
import json
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from blockingio import HttpRequest
from blockingio.check.cases import Case, Cut, Ignored, Outcome, Refused, Seen
from tests.conformance.echo import Echo, echoing
from tests.conformance.judge import differences
from blockingio.check.questions import GROUPS
from tests.peers import RawClient, RawResponse, serving

GOOD = b"GET /good HTTP/1.1\r\nHost: good.example\r\nConnection: close\r\n\r\n"
SEEN_GOOD = Seen(target="/good", fields={"host": ["good.example"], "connection": ["close"]})

#: Connections at once: enough that a refused one, whose end the server waits for, holds up no other.
CLIENTS = 4


class Visit:
    """One connection that tries one row; ``problems`` is what went wrong, in words."""

    def __init__(self, port: int, echo: Echo, row: Case) -> None:
        self._client = RawClient(port)
        self._client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = self._client.socket.getsockname()[1]
        self._echo = echo
        self._row = row
        self._answered: list[Seen] = []  # with 200, in order
        self.problems: list[str] = []

    def run(self, way: str) -> list[str]:
        with self._client:
            try:
                self._try(way)
            except (AssertionError, OSError, EOFError) as error:
                self.problems.append(f"{type(error).__name__}: {error}")
        seen = self._echo.seen_from(self._port)
        if len(seen) != len(self._answered):
            self.problems.append(f"the handler saw {len(seen)} requests, {len(self._answered)} were answered")
        for summary, expected in zip(seen, self._answered, strict=False):
            self.problems += differences(summary, expected)
        return [f"{self._row.name} ({self._row.section}), {way}: {problem}" for problem in self.problems]

    def _try(self, way: str) -> None:
        row = self._row
        ends_itself = isinstance(row.outcomes[-1], Ignored | Cut)
        if way == "followed" and ends_itself:
            return  # what follows would be the rest of it
        if way == "byte by byte":
            self._send(row.raw[at:at + 1] for at in range(len(row.raw)))
        else:
            self._send([row.raw + GOOD if way == "followed" else row.raw])
        if ends_itself:
            self._client.finish_sending()
        is_open = [self._outcome(outcome) for outcome in row.outcomes][-1]
        if isinstance(row.outcomes[-1], Seen) and is_open != row.stays_open:
            self.problems.append(f"the connection {'stays open' if is_open else 'ends'}")
        if is_open:
            if way != "followed":
                self._send([GOOD])
            self._outcome(SEEN_GOOD)
        self._ends()

    def _send(self, pieces: Iterable[bytes]) -> None:
        try:
            for piece in pieces:
                self._client.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before its end; the answer is there to be read

    def _outcome(self, outcome: Outcome) -> bool:
        """Read and judge one answer; True where the connection may go on."""
        match outcome:
            case Seen():
                return self._seen_as(outcome, self._read(outcome.method))
            case Refused(statuses, or_seen):
                response = self._read("GET")
                if response.status == 200 and or_seen:
                    return self._seen_as(or_seen, response)
                if response.status not in statuses:
                    self.problems.append(f"status {response.status} ({response.body!r}), expected {statuses}")
                self._is_last(response)
            case Cut():
                received = self._client.read_until_eof()
                if received and not received.startswith(b"HTTP/1.1 400 "):
                    self.problems.append(f"got {received!r}, expected 400 or nothing")
            case Ignored():
                pass
        return False

    def _read(self, method: str) -> RawResponse:
        """The next final response; one to HEAD or CONNECT has no body (RFC 9112 6.3)."""
        method = "HEAD" if method == "CONNECT" else method
        while (response := self._client.read_response(method)).status == 100:
            pass
        return response

    def _seen_as(self, expected: Seen, response: RawResponse) -> bool:
        if response.status != 200:
            self.problems.append(f"status {response.status} ({response.body!r}), expected {expected}")
            return False
        self._answered.append(expected)
        if response.body and expected.target not in (None, json.loads(response.body)["target"]):
            self.problems.append(f"the answer is to another request: {response.body!r}, expected {expected}")
        if response.header("date") is None:
            self.problems.append("an answer without Date")
        return response.header("connection") != "close"

    def _is_last(self, response: RawResponse) -> None:
        """A refusal says that the connection ends, is whole and is plain about it."""
        if response.header("connection") != "close":
            self.problems.append(f"{response.status} came with connection: {response.header('connection')!r}")
        if response.header("date") is None:
            self.problems.append("a refusal without Date")

    def _ends(self) -> None:
        """Nothing more comes, and the connection is closed: at once by our side, then by the server's."""
        try:
            rest = self._client.read_until_eof()
        except ConnectionResetError:
            rest = b""  # after its answer: the server need not wait for ever for what it refused
        if rest:
            self.problems.append(f"then came {rest[:300]!r}")


@pytest.mark.parametrize("way", ["in one segment", "byte by byte", "followed"])
@pytest.mark.parametrize("group", GROUPS)
def test_requests(group: str, way: str) -> None:
    with echoing(raises=way == "byte by byte") as (server, echo), ThreadPoolExecutor(CLIENTS) as clients:
        tries = [clients.submit(Visit(server.port, echo, row).run, way) for row in GROUPS[group]]
        problems = [problem for one in tries for problem in one.result()]
    assert not problems, "\n".join(["", *problems])


@pytest.mark.parametrize("target, host, expected", [
    (b"/x?y", b"a.example", "http://a.example/x?y"),
    (b"/x", b"a.example:8080", "http://a.example:8080/x"),
    (b"/x", b"[::1]:81", "http://[::1]:81/x"),
    (b"http://b.example/x", b"a.example", "http://b.example/x"),
    (b"http://b.example:82/x", b"a.example:81", "http://b.example:82/x"),
    (b"//evil.example/x", b"a.example", "http://a.example//evil.example/x"),
], ids=["origin-form", "port", "IPv6", "absolute-form", "absolute-form with a port", "two slashes"])
def test_requested_uri(target: bytes, host: bytes, expected: str) -> None:
    """RFC 9110 7.1: the target URI, put together from the target and Host."""

    def handler(request: HttpRequest) -> None:
        request.response.write(str(request.requested_uri))
        request.response.close()

    with serving(handler) as server, RawClient(server.port) as client:
        client.send(b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, host))
        assert client.read_response().body.decode() == expected
