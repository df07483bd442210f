"""VirtualHost: the requests of one or more sources, sorted by the host that they are for.

Each source is read by a thread of its own (``Stream.listen``), which ends with the source.
The streams of the hosts are queues: any number of threads may read one, and each request goes
to one of them.  They end once every source has ended and what was queued is taken.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from math import inf
from threading import TIMEOUT_MAX, Condition
from time import monotonic
from typing import TYPE_CHECKING

from blockingio.stream.stream import Stream
from blockingio.values.known_attributes import KnownAttributes

if TYPE_CHECKING:
    from blockingio.server.request import HttpRequest

# A host as add_host takes it: labels, the first of which may be "*"; or an IP literal.  A port
# behind it is passed over, as it is in requests.
_HOST = r"(?:\*|(?:\*\.)?[^*\s/?#@:\[\],]+|\[[0-9A-Za-z:.%]+\])(?::[0-9]*)?"


class VirtualHost(KnownAttributes):
    """Serves several hosts on one server.

    ``source`` is the first to be added.  A host that was added by its name goes before
    wildcards, and among those the longest goes first.  A request that none matches is answered
    403, unless ``unhandled`` was read.  Follows package:http_server's VirtualHost.

        hosts = VirtualHost(server)
        VirtualDirectory("docs").serve(hosts.add_host("docs.example"))
        VirtualDirectory("blog").serve(hosts.add_host("*.blog.example"))
    """

    def __init__(self, source: Stream[HttpRequest] | None = None) -> None:
        # Guards all that follows, and is told of every request and end: add_host and unhandled
        # are for any thread, while the sources' threads sort.
        self._condition = Condition()
        self._hosts: dict[str, _Requests] = {}
        self._unhandled: _Requests | None = None
        self._sources = 0  # that have not ended
        self._ended = False  # there were sources, and all have
        if source is not None:
            self.add_source(source)

    def add_source(self, source: Stream[HttpRequest]) -> None:
        """Take requests from another stream as well, from now on."""
        with self._condition:
            self._sources += 1
            self._ended = False
        try:
            source.listen(self._sort, on_done=self._source_ended)
        except BaseException:
            self._source_ended()
            raise

    def add_host(self, host: str) -> Stream[HttpRequest]:
        """The requests for a host: "a.example", "*.example" for every name below it, or "*" for any.

        Case does not count, nor a port.  ValueError for one that was added before, and for a
        '*' that is not the whole first label.
        """
        if not isinstance(host, str):
            raise TypeError(f"expected a str as host, not {type(host).__name__}")
        if not re.fullmatch(_HOST, host):
            raise ValueError(f"expected a host as a.example, *.example or *, found {host[:255]!r}")
        key = _key(host)
        with self._condition:
            if key in self._hosts:
                raise ValueError(f"the host {host!r} was added before")
            requests = self._hosts[key] = _Requests(self)
        return requests

    @property
    def unhandled(self) -> Stream[HttpRequest]:
        """The requests that no host matches; from its first reading on they are no longer answered 403."""
        with self._condition:
            if self._unhandled is None:
                self._unhandled = _Requests(self)
            return self._unhandled

    def __repr__(self) -> str:
        with self._condition:
            waiting = sum(len(requests._queue) for requests in self._hosts.values())
            return f"<VirtualHost {', '.join(self._hosts) or 'without hosts'}; {waiting} waiting>"

    def _sort(self, request: HttpRequest) -> None:
        # The host of an absolute-form target goes before the field (RFC 9112 3.2.2).
        host = request.uri.host or request.headers.host
        with self._condition:
            requests = self._find(_key(host) if host else None) or self._unhandled
            if requests is not None:
                requests._queue.append(request)
                self._condition.notify_all()
                return
        request.response.status_code = 403
        request.response.close()

    def _find(self, host: str | None) -> _Requests | None:
        if host is None:
            return self._hosts.get("*")
        found = self._hosts.get(host)
        rest = host
        while found is None and rest:
            _, _, rest = rest.partition(".")
            found = self._hosts.get(f"*.{rest}" if rest else "*")
        return found

    def _source_ended(self) -> None:
        with self._condition:
            self._sources -= 1
            self._ended = not self._sources
            self._condition.notify_all()


class _Requests(Stream["HttpRequest"]):
    """One host's requests; ``_queue`` belongs to the condition of the VirtualHost."""

    def __init__(self, owner: VirtualHost) -> None:
        self._queue: deque[HttpRequest] = deque()
        self._owner = owner

    def __iter__(self) -> Iterator[HttpRequest]:
        return self

    def __next__(self) -> HttpRequest:
        return self.within(inf)

    def _timed_iterator(self) -> _Requests:
        return self

    def within(self, seconds: float) -> HttpRequest:
        deadline = monotonic() + seconds
        condition = self._owner._condition
        with condition:
            while not self._queue:
                if self._owner._ended:
                    raise StopIteration
                left = deadline - monotonic()
                if left <= 0:
                    raise TimeoutError(f"no request came within {seconds:g} seconds")
                condition.wait(min(left, TIMEOUT_MAX))
            return self._queue.popleft()

    def put_back(self, event: HttpRequest) -> bool:
        condition = self._owner._condition
        with condition:
            self._queue.appendleft(event)
            condition.notify_all()
        return True


def _key(host: str) -> str:
    """A host without port, brackets and a last dot, in lower case."""
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") < 2:  # else an IPv6 address, which Uri.host gives without brackets
        host = host.partition(":")[0]
    return host.rstrip(".").lower()
