"""The handler of the server under test: it answers what it saw, and keeps it for the caller that asks by port."""
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from blockingio import ContentType, HttpException, HttpRequest, HttpServer
from blockingio.check.cases import MAX_BODY_SIZE, MAX_HEADER_COUNT, MAX_HEADER_SIZE, MAX_TARGET_LENGTH
from tests.conformance.judge import Summary, grouped
from tests.peers import serving

WORKERS = 4


class Echo:
    """Answers each request with a JSON summary, and remembers which connection it came on.

    A client knows its connection by its own port.  A request whose body breaks is left to the library to answer:
    ``raises`` lets the exception out of the handler, else it is caught and the response closed as it is.
    """

    def __init__(self, raises: bool = False) -> None:
        self._raises = raises
        self._lock = threading.Lock()  # the workers write, the tests read
        self._seen: dict[int, list[Summary]] = {}

    def __call__(self, request: HttpRequest) -> None:
        info = request.connection_info
        port = info.remote_port if info else 0
        try:
            body = request.read()
        except HttpException:
            if self._raises:
                raise
            request.response.close()
            return
        with request.response as response:
            summary = summarized(request, body)
            with self._lock:
                self._seen.setdefault(port, []).append(summary)
            response.headers.content_type = ContentType.JSON
            json.dump({**summary._asdict(), "body": body.decode("latin-1")}, response)

    def seen_from(self, port: int) -> list[Summary]:
        """The whole requests that came from this client's port, which are then forgotten."""
        with self._lock:
            return self._seen.pop(port, [])


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
def echoing(*, raises: bool = False) -> Iterator[tuple[HttpServer, Echo]]:
    """A server with the table's limits, served by Echo until the block ends."""
    echo = Echo(raises)
    with serving(echo, workers=WORKERS, max_target_length=MAX_TARGET_LENGTH, max_header_size=MAX_HEADER_SIZE,
                 max_header_count=MAX_HEADER_COUNT, max_body_size=MAX_BODY_SIZE) as server:
        yield server, echo
