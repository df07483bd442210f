"""HttpServer: its owner's handle, from bind to close."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import blockingio.net as net
import blockingio.server as room
from blockingio.net.address import InternetAddress, InternetAddressType
from blockingio.stream.fork import after_fork_in_child
from blockingio.server.connection import Connection
from blockingio.server.connection_record import ConnectionRecord
from blockingio.server.connection_view import connection_table
from blockingio.server.state import ServerState
from blockingio.server.ending import let_finish
from blockingio.server.listener import Listener, SocketFile, bracketed, open_socket, stop_accepting
from blockingio.server.send_queue import forget_sending
from blockingio.server.request import HttpRequest
from blockingio.server.request_queue import RequestQueue, RequestReader, iterate
from blockingio.server.settings import Limit, ListSetting, Setting, is_headers, is_log
from blockingio.server.workers import Workers, answer_error
from blockingio.stream.stream import Stream
from blockingio.stream.subscription import StreamSubscription
from blockingio.values.checks import check, is_count, is_duration, is_field_value, is_flag, is_number, is_time
from blockingio.values.headers import HttpHeaders
from blockingio.values.known_attributes import KnownAttributes
from blockingio.values.reference import check_port

if TYPE_CHECKING:
    import ssl

    from blockingio.net.security import SecurityContext
    from blockingio.net.wire_record import WireRecord
    from blockingio.server.access import AccessRecord

# All that have not been collected, for a forked child to put in order.
_servers: WeakSet[HttpServer] = WeakSet()


class HttpServer(KnownAttributes, Stream[HttpRequest]):
    """A stream of requests.  ``for request in server:`` is the server.

        server = HttpServer.bind(InternetAddress.LOOPBACK_IP_V4, 4040)
        for request in server:
            request.response.write("Hello, world!")
            request.response.close()

    Connections are accepted from the first iteration on; until then they wait in the system's backlog.  Any number of
    threads may iterate one server: each request goes to one of them.  An exception that leaves the loop answers its
    request with 500, where nothing was sent.  Should the server be unable to accept any more, iterating raises OSError.
    ``address`` and ``port`` are what it is bound to, also after close(); the port of a Unix-domain socket is 0.  The
    other attributes are settings, for any time and from any thread: ValueError for what makes no sense.
    Use as a context manager to close it on the way out.  Follows dart:io's HttpServer.
    """

    address: InternetAddress
    port: int
    state: ServerState

    auto_compress: Setting[bool] = Setting(
        "Whether responses are gzipped where the client takes it, by type and from 150 bytes on.  Default: False.",
        is_flag)
    default_response_headers: Setting[HttpHeaders] = Setting(
        "What each response's headers begin with; change them before requests come.", is_headers)
    idle_timeout: Setting[float | None] = Setting(
        "Seconds that a connection may wait without a request before it is closed.  None: for ever.  Default: 120.",
        is_duration)
    server_header: Setting[str | None] = Setting(
        "The Server field of each response (RFC 9110 10.2.4), over one in default_response_headers.  None: none.  "
        "Default: None.", is_field_value)
    header_timeout: Setting[float | None] = Setting(
        "Seconds that a request head may take from its first byte to its last, else 408 (RFC 9110 15.5.9); a TLS "
        "handshake too.  None: no limit.  Default: 20.", is_duration)
    body_timeout: Setting[float | None] = Setting(
        "Seconds that a body may pause: a request's, else 408 and HttpException from read(); and the taking of a "
        "response, else the client counts as gone.  None: no limit.  Default: 60.", is_duration)
    min_body_rate: Setting[int | None] = Setting(
        "Bytes a second that a request's body keeps up, measured over the whole of it from its 20th second on, else "
        "408 and HttpException from read().  Time that a handler takes before it reads on does not count.  None: any "
        "rate.  Default: 240.", is_count)
    max_header_size: Limit[int] = Limit("Bytes of a request's header section, else 431.  Default: 64 KiB.")
    max_header_count: Limit[int] = Limit("Fields of a request's header section, else 431.  Default: 128.")
    max_target_length: Limit[int] = Limit("Bytes of a request target, else 414.  Default: 16 KiB.")
    max_body_size: Limit[int | None] = Limit(
        "Bytes of a request's body, else 413; where a chunked body passes it, HttpException from read(), and 413 "
        "unless the handler answers otherwise.  None: no limit.  Default: None.")
    max_connections: Setting[int | None] = Setting(
        "Connections at once.  For one more the longest idle one is closed; where none is idle, the new one waits in "
        "the backlog.  None: any number.  Default: 10,000.", is_count)
    allowed_hosts = ListSetting(
        'Names ("localhost", "*.example" for all below it) and addresses, without ports, that requests may be for, by '
        "Host or by their target; for another one the answer is 421 (RFC 9110 15.5.20).  This is for servers that DNS "
        "rebinding must not reach.  A request that names no host is let in: no browser sends one.  None: any host.  "
        "Default: None.", lambda names: room.hosts.AllowedHosts(names))
    trusted_proxies = ListSetting(
        'Addresses and networks ("127.0.0.1", "10.0.0.0/8", "unix") of the proxies in front, which alone are believed '
        "in X-Forwarded-For, Forwarded, X-Forwarded-Proto and X-Forwarded-Host.  None: as in dart:io X-Forwarded-Proto "
        "and -Host are believed from every peer, and the others from none.  Default: None.",
        lambda names: room.proxies.TrustedProxies(names))
    access_log: Setting[Callable[[AccessRecord], object] | logging.Logger | None] = Setting(
        "Called with an AccessRecord for each answer, on the thread that finished it; a Logger gets "
        "its line at INFO.  None: nothing is logged, and nothing spent on it.  Default: None.", is_log)

    def __init__(self, sock: socket.socket, address: InternetAddress, *, tls: ssl.SSLContext | None = None,
                 owns_socket: bool = True, shared: bool = False) -> None:
        """For ``bind``, ``bind_secure`` and ``listen_on``."""
        if not hasattr(sock, "getsockname"):
            raise TypeError(f"HttpServer() takes a socket, found {sock!r}: for an address and a port there are "
                            "HttpServer.bind and bind_secure, for a socket that listens HttpServer.listen_on")
        name = sock.getsockname()
        self.address = address
        self.port = name[1] if isinstance(name, tuple) else 0
        is_unix = address.type is InternetAddressType.UNIX
        host = "localhost" if is_unix else f"{bracketed(address)}:{self.port}"
        self.state = ServerState(host, self.port, tls, answer_error)
        if tls is not None:
            # Now, not when a client has come: then there may be no descriptor left to read a module with.
            _ = net.tls_channel, net.x509, room.plain_http
        self._socket = sock
        self._owns_socket = owns_socket
        # The process whose close() frees the port: a child that was forked meanwhile only lets go of the socket.
        self._made_in = os.getpid()
        self._port_owner = self._made_in if owns_socket and not shared else None
        # Both reentrant: close() may be called by a signal handler that came in between.
        # Held while the accept thread is started.
        self._starting = threading.RLock()
        # Guards what follows.  A thread that holds it waits for no other one: a collection on any may end a
        # suspended loop, which wants it.
        self._lock = threading.RLock()
        self._listener: Listener | None = None  # made under _starting, and only while not closing
        self._socket_file = SocketFile.of(address) if owns_socket else None
        _servers.add(self)

    @classmethod
    def bind(cls, address: str | InternetAddress, port: int, *, backlog: int = 0,
             v6_only: bool = False, shared: bool = False) -> HttpServer:
        """Listen on an address; a host name takes the first one that it resolves to.

        Port 0 is any free one.  ``backlog`` is how many connections may wait, 0: as many as the system
        lets.  InternetAddress.ANY_IP_V6 takes IPv4 too unless ``v6_only``.  ``shared``: other processes may bind
        the same port with it, and the system deals out the connections.  The file of a Unix-domain socket whose
        server was killed is taken over.  Raises OSError naming address and port, ValueError for ``v6_only`` with an
        address that is not IPv6.
        """
        check_port(port)
        found = _resolve(address)
        return cls(open_socket(found, port, backlog=backlog, v6_only=v6_only, shared=shared), found, shared=shared)

    @classmethod
    def bind_secure(cls, address: str | InternetAddress, port: int, context: SecurityContext | ssl.SSLContext, *,
                    backlog: int = 0, v6_only: bool = False, request_client_certificate: bool = False,
                    shared: bool = False) -> HttpServer:
        """``bind``, for HTTPS (with a SecurityContext TLS 1.2 and up) with the context's certificate.

        ``request_client_certificate`` asks clients for theirs, which the context's client authorities judge; it is
        ``request.certificate``.  Raises OSError, as ssl.SSLError where a SecurityContext has no certificate.
        An ssl.SSLContext of your own is used as it is, its minimum_version included, and may even have
        no certificate; ``request_client_certificate`` sets its verify_mode to CERT_OPTIONAL, where that is CERT_NONE.
        """
        check_port(port)
        found = _resolve(address)
        tls = _server_context(context, request_client_certificate)
        sock = open_socket(found, port, backlog=backlog, v6_only=v6_only, shared=shared)
        return cls(sock, found, tls=tls, shared=shared)

    @classmethod
    def listen_on(cls, server_socket: socket.socket, *,
                  context: SecurityContext | ssl.SSLContext | None = None) -> HttpServer:
        """Serve from a socket that listens already, HTTPS with a context as of bind_secure; close() leaves it open."""
        if not hasattr(server_socket, "getsockname"):
            raise TypeError(f"listen_on() takes a socket that listens, found {server_socket!r}: "
                            "for an address and a port there is bind()")
        address = InternetAddress.from_socket_address(server_socket.family, server_socket.getsockname())
        tls = None if context is None else _server_context(context, False)
        return cls(server_socket, address, tls=tls, owns_socket=False)

    def __repr__(self) -> str:
        state = " closed" if self.state.closing else ""
        return f"<HttpServer {self.address.address}:{self.port} connections={len(self.state.connections)}{state}>"

    @property
    def session_timeout(self) -> float:
        """Seconds without a request after which a session ends, else ValueError.  Default: 1,200."""
        return self.state.sessions.timeout

    @session_timeout.setter
    def session_timeout(self, seconds: float) -> None:
        check("session_timeout", seconds, is_time)
        self.state.sessions.set_timeout(seconds)

    @property
    def max_sessions(self) -> int:
        """Sessions at once; for one more the least recently used ends, ``on_timeout`` called.  Default: 100,000."""
        return self.state.sessions.most

    @max_sessions.setter
    def max_sessions(self, count: int) -> None:
        check("max_sessions", count, is_number)
        self.state.sessions.set_most(count)

    @property
    def wire_log(self) -> Callable[[WireRecord], object] | None:
        """Called with a WireRecord for all bytes that pass, before encryption and in order, on the threads on which
        they do: the connection goes on once it returns.  None: nothing is told, and nothing spent on it.

        A callable that is set counts from the next connection on, None at once.  The first exception in it is logged
        on "blockingio"; it goes on being told.  ValueError for what cannot be called.
        """
        logs = self.state.wire_logs
        return None if logs is None else logs.log

    @wire_log.setter
    def wire_log(self, log: Callable[[WireRecord], object] | None) -> None:
        if self.state.wire_logs is None:
            self.state.wire_logs = net.wire_log.WireLogs()
            _ = net.told_channel  # now: see __init__
        self.state.wire_logs.set(log)

    def connections_info(self) -> HttpConnectionsInfo:
        """How many connections there are, and what they are doing."""
        return HttpConnectionsInfo(list(self.state.connections))

    def connections(self) -> list[ConnectionRecord]:
        """A record of each connection that is open, oldest first, and of the last 100 that have ended, with the reason.

        The list prints as a table: ``print(server.connections())``.
        """
        return connection_table(self.state)

    def __iter__(self) -> Iterator[HttpRequest]:
        """The requests, as they come, until the server is closed and what had come before is taken."""
        return iterate(self._begin_reading)

    def _timed_iterator(self) -> RequestReader:
        return RequestReader(self._begin_reading)

    def for_each(self, action: Callable[[HttpRequest], object], *, workers: int = 1) -> None:
        """Call ``action`` with each request, on this thread and ``workers - 1`` more, until the server is closed.

        A worker that is awake takes the next request before another is woken; behind an action that takes longer than
        about a millisecond another takes it.
        An exception from the action is logged on "blockingio" and answered with 500, or with the status that
        a broken request body asks for; the server goes on.  What is no Exception (SystemExit, KeyboardInterrupt) is
        answered so too, and ends it: all workers stop, and it is raised.  Raises RuntimeError or MemoryError where
        the system has no thread for a worker, OSError where connections cannot be accepted any more.
        """
        Workers(self.state, self._begin_reading, action, workers).work_here()

    def listen(self, on_data: Callable[[HttpRequest], object] | None, *,
               on_error: Callable[[Exception], object] | None = None,
               on_done: Callable[[], object] | None = None,
               cancel_on_error: bool = False, workers: int = 1) -> StreamSubscription[HttpRequest]:
        """``for_each`` in the background, on ``workers`` threads; cancelling it leaves the server open.

        ``on_error`` is told of an exception from ``on_data`` too, once it has been answered and logged.  What would
        end ``for_each`` with an exception ends this: ``on_error`` is told, ``on_done`` follows.
        Raises RuntimeError or MemoryError where the system has no thread for it, OSError where it cannot accept.
        """
        return Workers(self.state, self._begin_reading, on_data or _ignore, workers, on_error, on_done,
                       cancel_on_error).work_in_background()

    def _begin_reading(self) -> RequestQueue:
        """The queue, with one reader more; the first one begins to accept.

        Raises what kept the accept thread from starting; then nothing was begun.
        """
        with self._starting:
            requests = self.state.requests
            broken = requests.broken
            if broken is not None and self._listener is not None:
                self._listener.stop()
                self._listener = None
            if self._listener is None and not self.state.closing:
                self._start_listening()
                requests.mend(broken)
            requests.enter()
            return requests

    def close(self, *, force: bool = False) -> None:
        """Take no more requests; returns once the port is free, and does not wait for active responses.

        The port is free also where a child that was forked meanwhile still has the socket, but for ``listen_on``
        and ``shared``; a child's own close() takes nothing from its parent.
        From any thread, any number of times.  Iterators end after what is already queued; responses in
        progress finish; idle connections close.  ``force`` cuts all connections at once.
        """
        # Each caller does all of it, and so returns no sooner than it is done; every step may be done again.
        state = self.state
        state.closing = True
        state.keeps_connections = False
        self._stop_listening()
        for connection in list(state.connections):
            while connection.hands_over:
                time.sleep(0)  # a few steps of the interpreter from now it does not
        state.requests.close()
        for connection in list(state.connections):
            if force or not connection.is_open:
                connection.cut("the server was closed")
        state.sessions.close()
        state.timer_thread.prune()
        state.threads.close()

    def finish(self, seconds: float) -> None:
        """Accept no more, give clients that have asked, or have just connected, their answer, and close.

        Returns once all connections have ended; what takes longer than ``seconds`` is cut.  What waits in the
        backlog is accepted first, where this server is not closed yet; an idle connection gets a moment, for a request
        that is on its way.  From any thread.
        """
        with self._starting:
            listener = self._listener
        if listener is not None and not self.state.closing:
            listener.stop()
            listener.accept_rest()
            if self._owns_socket and self._made_in != os.getpid():
                with self._lock:
                    # This child's copy: a client that connects now is refused, and does not wait for an answer in vain.
                    self._socket.close()
        let_finish(self.state, seconds)
        self.close()
        if self.state.connections:
            self.close(force=True)

    def let_go(self) -> None:
        """Close here, before any iteration, and leave the socket to the processes that have been forked since."""
        self._port_owner = None
        self.close()

    def _start_listening(self) -> None:
        listener = self._listener = Listener(self.state, self._socket, self.state.requests.accepts_no_more)
        try:
            listener.start()
        except BaseException as error:
            self._listener = None
            listener.stop()
            if not self._owns_socket:
                listener.give_back()
            if not (isinstance(error, OSError) and self.state.closing):  # by a signal handler, just now
                raise

    def _stop_listening(self) -> None:
        with self._starting:  # else it might be made behind our back
            listener = self._listener
        if listener is not None:
            listener.stop()
        with self._lock:
            if self._socket_file is not None:
                self._socket_file.remove()
                self._socket_file = None
            if self._owns_socket:
                if self._port_owner == os.getpid():
                    stop_accepting(self._socket)
                self._socket.close()
            elif self._listener is not None and self._made_in == os.getpid():  # else others still accept from it
                self._listener.give_back()
            self._listener = None

    def _after_fork(self) -> None:
        """In a forked child: what threads did here they do no more.  Iterating serves from the same socket."""
        self._starting = threading.RLock()
        self._lock = threading.RLock()
        self._socket_file = None
        if self._listener is not None:
            self._listener.forget()
            self._listener = None
        self.state.after_fork()

    def __enter__(self) -> HttpServer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        if sys.is_finalizing() or not hasattr(self, "_lock") or self.state.closing:
            return
        if self._owns_socket or self._listener is not None:
            warnings.warn(f"a server was dropped without close(): {self!r}", ResourceWarning, source=self)
        if any(connection.hands_over for connection in list(self.state.connections)):
            # Perhaps this is its thread, on which a collection has come: to wait for it here would be for ever.
            self.state.threads.run(self.close)
        else:
            self.close()


class HttpConnectionsInfo:
    """Numbers of connections, as dart:io's HttpConnectionsInfo: ``total``, and of these ``active`` (a request or its
    response is in progress), ``idle`` (waiting for a request) and ``closing`` (waiting for the client to close)."""

    __slots__ = ("total", "active", "idle", "closing")

    def __init__(self, connections: list[Connection]) -> None:
        self.total = len(connections)
        self.closing = self.idle = 0
        for connection in connections:
            if connection.is_last:
                self.closing += 1
            elif connection.is_idle:
                self.idle += 1
        self.active = self.total - self.idle - self.closing

    def __repr__(self) -> str:
        return (f"<HttpConnectionsInfo total={self.total} active={self.active} "
                f"idle={self.idle} closing={self.closing}>")


def _resolve(address: str | InternetAddress) -> InternetAddress:
    if isinstance(address, InternetAddress):
        return address
    return InternetAddress.try_parse(address) or InternetAddress.lookup(address)[0]


def _server_context(context: SecurityContext | ssl.SSLContext, request_client_certificate: bool) -> ssl.SSLContext:
    # Told apart by what they can do: to know their types, ssl would have to be loaded.
    tls: Any = context
    if hasattr(context, "server_context"):
        tls = tls.certificate_requesting_context() if request_client_certificate else tls.server_context()
    elif not hasattr(context, "wrap_socket"):
        raise TypeError(f"a context is a SecurityContext or an ssl.SSLContext, got {type(context).__name__}")
    elif request_client_certificate and not context.verify_mode:
        context.verify_mode = type(context.verify_mode)(1)  # ssl.CERT_OPTIONAL
    served_with: ssl.SSLContext = tls
    return served_with


def _ignore(request: HttpRequest) -> None:
    request.response.close()


def _after_fork() -> None:
    forget_sending()
    for server in list(_servers):
        server._after_fork()


after_fork_in_child(_after_fork)
