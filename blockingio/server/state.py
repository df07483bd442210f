"""What the threads of one server share.

An HttpServer is its owner's handle; its threads hold this instead, so that a server which
is dropped without close() can be noticed and closed.

Settings are written by the owner and read by every thread, one attribute at a time; each is
read anew for each connection or request.  ``connections`` is changed by add and discard and
read by list(), each one step, also without the GIL: the set locks itself.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from blockingio.errors import BadMessage
from blockingio.server.budget import Budget
from blockingio.server.connection_record import ENDED_COUNT
from blockingio.server.request_queue import RequestQueue
from blockingio.server.response_head import HeadStarts
from blockingio.server.session import MAX_SESSIONS, Sessions
from blockingio.server.thread_pool import ThreadPool
from blockingio.server.timer import TimerThread
from blockingio.values.headers import HttpHeaders
from blockingio.values.kept import keep
from blockingio.wire.head import Fields, RequestHead, parse_fields, parse_request_line
from blockingio.wire.limits import DEFAULT_LIMITS, Limits
from blockingio.wire.spot import Spot, field_spots

if TYPE_CHECKING:
    import ssl

    from blockingio.server.access import AccessRecord
    from blockingio.net.wire_log import WireLogs
    from blockingio.server.connection_record import EndedValues
    from blockingio.server.hosts import AllowedHosts
    from blockingio.server.proxies import TrustedProxies
    from blockingio.server.load_share import LoadShare

log = logging.getLogger("blockingio")

DEFAULT_RESPONSE_HEADERS = (
    ("content-type", "text/plain; charset=utf-8"),
    ("x-frame-options", "SAMEORIGIN"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
)

# Heads, and header sections, that are kept parsed: number of each, and bytes of one at most.
_KNOWN_COUNT = 64
_KNOWN_SIZE = 4096

# Seconds: see HttpServer's attributes of these names.
IDLE_TIMEOUT = 120.0
HEADER_TIMEOUT = 20.0
BODY_TIMEOUT = 60.0
SESSION_TIMEOUT = 20 * 60.0

MAX_CONNECTIONS = 10_000

# Bytes a second, as Kestrel has it: any modem is faster.
MIN_BODY_RATE = 240


class ServerState:
    def __init__(self, name: str, port: int, tls: ssl.SSLContext | None, refuse: Callable[[Any, int], None]) -> None:
        self.name = name  # for threads and messages: "127.0.0.1:8080"
        self.port = port
        self.tls = tls
        self.closing = False  # set once, by close()
        self.keeps_connections = True  # until the server is about to end
        self._refuse = refuse  # answers a request that no handler will, with a status
        self._start_empty(SESSION_TIMEOUT, MAX_SESSIONS)

        self.auto_compress = False
        self.default_response_headers = HttpHeaders()
        for field, value in DEFAULT_RESPONSE_HEADERS:
            self.default_response_headers.set(field, value)
        self.idle_timeout: float | None = IDLE_TIMEOUT
        self.header_timeout: float | None = HEADER_TIMEOUT
        self.body_timeout: float | None = BODY_TIMEOUT
        self.min_body_rate: int | None = MIN_BODY_RATE
        self.server_header: str | None = None
        self.limits: Limits = DEFAULT_LIMITS
        self.max_connections: int | None = MAX_CONNECTIONS
        self.allowed_hosts: AllowedHosts | None = None
        self.trusted_proxies: TrustedProxies | None = None
        self.access_log: Callable[[AccessRecord], object] | logging.Logger | None = None
        self.wire_logs: WireLogs | None = None  # made when a wire_log is first set
        self.load: LoadShare | None = None  # None: no other process accepts from the same socket

        self.head_starts = HeadStarts(None)
        # Made anew when a setting changes: a connection that finds another one than it knew parses its head again.
        self.known_heads: dict[bytes, RequestHead] = {}
        self.known_fields: dict[tuple[bytes, str], Fields] = {}

    def _start_empty(self, session_timeout: float, max_sessions: int) -> None:
        self.requests = RequestQueue(self._refuse)
        # Of Connection, on the floor above.
        self.connections: set[Any] = set()
        # The last connections that have ended.  Each is appended by the thread that ended it, and all are read by
        # copy(): each one step, also without the GIL, where list() of a deque is none.
        self.ended: deque[EndedValues] = deque(maxlen=ENDED_COUNT)
        self.threads = ThreadPool(f"blockingio {self.name}")
        self.timer_thread = TimerThread(f"blockingio timer {self.name}")
        self.sessions = Sessions(self.timer_thread, session_timeout, max_sessions)
        self.budget = Budget()
        # What the listener wants to know: a connection has ended, so there is room.
        self.made_room: Callable[[], None] = _nothing

    def after_fork(self) -> None:
        """In a forked child: its parent's connections, requests, threads and what they wait on are not its own."""
        for connection in self.connections:
            connection.channel.socket.close()  # without a word to the client, which is the parent's
        self.requests.leave_to_parent()
        self._start_empty(self.sessions.timeout, self.sessions.most)
        if self.closing:
            self.requests.close()

    def parse_head(self, head: bytes) -> RequestHead:
        """A request's head.  Clients repeat those of others, on new connections above all, so the last few are kept,
        and the last few header sections for other targets.

        What is kept is immutable, and the dicts' methods are each one step, also without the GIL.  Raises BadMessage.
        """
        known = self.known_heads
        found = known.get(head)
        if found is None:
            found = self._parse_head(head)
            if len(head) <= _KNOWN_SIZE:
                keep(known, head, found, _KNOWN_COUNT)
        return found

    def _parse_head(self, head: bytes) -> RequestHead:
        line, _, block = head.partition(b"\r\n")
        method, target, version = parse_request_line(line, self.limits)
        found = RequestHead(method, target, version, self._parse_fields(block, version))
        hosts = self.allowed_hosts
        if hosts is not None and not hosts.has(found.host):
            is_field = found.host == found.fields.host
            spot = field_spots(block, b"host")[0] if is_field else Spot(line, line.index(b" ") + 1)
            raise BadMessage(f"this server does not answer for the host {found.host!r}, expected one of its own", 421,
                             "RFC 9110 15.5.20", spot)
        return found

    def _parse_fields(self, block: bytes, version: str) -> Fields:
        known = self.known_fields
        fields = known.get((block, version))
        if fields is None:
            fields = parse_fields(block, version, self.limits, of_request=True)
            if len(block) <= _KNOWN_SIZE:
                keep(known, (block, version), fields, _KNOWN_COUNT)
        return fields

    def forget_known(self) -> None:
        """A setting has changed: what was made with the old one is made anew."""
        self.head_starts = HeadStarts(self.server_header)
        self.known_heads = {}
        self.known_fields = {}

    def default_headers(self) -> HttpHeaders:
        """Those of an answer that the handler has not changed: for reading alone."""
        headers = self.default_response_headers
        return self.new_headers() if self.server_header is not None and "server" in headers else headers

    def new_headers(self) -> HttpHeaders:
        """What the headers of one answer begin with: the default ones, with server_header over their Server."""
        begin = self.default_response_headers
        if begin.kept_section is None:
            begin.section()  # what becomes of it with another type is kept with it
        headers = begin.copy()
        if self.server_header is not None:
            headers.remove_all("server")
        return headers

    def error_headers(self) -> HttpHeaders:
        """The default headers for an answer that the server makes itself: a line of plain text."""
        headers = self.new_headers()
        for name in ("content-encoding", "content-length", "transfer-encoding"):
            headers.remove_all(name)
        headers.set("content-type", "text/plain; charset=utf-8")
        return headers


def _nothing() -> None:
    """There is no listener yet."""
