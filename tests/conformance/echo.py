"""The handler of the server under test: it answers what it saw, and keeps it for who asks by port."""
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from blockingio import ContentType, HttpException, HttpRequest, HttpServer
from tests.conformance.cases import MAX_BODY_SIZE, MAX_HEADER_COUNT, MAX_HEADER_SIZE, MAX_TARGET_LENGTH
from tests.conformance.judge import Summary, grouped
from tests.peers import serving


class Echo:
    """Answers each request with a JSON summary, and remembers which connection it came on.

    A client knows its connection by its own port.  Requests whose body breaks are counted
    apart; the library answers them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the workers write, the tests read
        self._seen: dict[int, list[Summary]] = {}
        self._broken: dict[int, int] = {}

    def __call__(self, request: HttpRequest) -> None:
        info = request.connection_info
        port = info.remote_port if info else 0
        with request.response as response:
            try:
                body = request.read()
            except HttpException:
                with self._lock:
                    self._broken[port] = self._broken.get(port, 0) + 1
                return
            summary = summarized(request, body)
            with self._lock:
                self._seen.setdefault(port, []).append(summary)
            response.headers.content_type = ContentType.JSON
            json.dump({**summary._asdict(), "body": body.decode("latin-1")}, response)

    def seen_from(self, port: int) -> list[Summary]:
        """The whole requests that came from this client's port, which are then forgotten."""
        with self._lock:
            return self._seen.pop(port, [])

    def broken_from(self, port: int) -> int:
        """How many requests of this client's port broke in their body; then forgotten."""
        with self._lock:
            return self._broken.pop(port, 0)


def summarized(request: HttpRequest, body: bytes) -> Summary:
    """What the handler sees.  The target of CONNECT has no path: it is the URI's authority."""
    fields: dict[str, list[str]] = {}
    trailers: dict[str, list[str]] = {}
    request.headers.for_each(fields.__setitem__)
    request.trailers.for_each(trailers.__setitem__)
    target = request.uri.authority if request.method == "CONNECT" else str(request.uri)
    return Summary(request.method, target, request.protocol_version, grouped_lower(fields), body,
                   grouped_lower(trailers))


def grouped_lower(fields: dict[str, list[str]]) -> dict[str, list[str]]:
    return grouped([(name, value) for name, values in fields.items() for value in values])


@contextmanager
def echoing(workers: int = 4) -> Iterator[tuple[HttpServer, Echo]]:
    """A server with the table's limits, served by Echo until the block ends."""
    echo = Echo()
    with serving(echo, workers=workers, max_target_length=MAX_TARGET_LENGTH, max_header_size=MAX_HEADER_SIZE,
                 max_header_count=MAX_HEADER_COUNT, max_body_size=MAX_BODY_SIZE) as server:
        yield server, echo
