"""A new connection for a URL: to the server or to a proxy, through a tunnel, with TLS on it.

Takes a place in the pool (a Lease) and says where to; leaves a Connection there that is ready for a
request.  Raises OSError where connecting or TLS fails, and HttpException where a proxy refuses, or where the
connection is cut meanwhile.  One Deadline holds for all of it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import NamedTuple

from blockingio.client.auth import MOST_TRIES, Attempt, CredentialStore, Entry, Space, best_challenge
from blockingio.client.challenge import parse_challenges
from blockingio.client.connection import Connection
from blockingio.client.dial import Deadline, connect, named
from blockingio.client.proxy import Proxy
from blockingio.client.plan import MOST_INTERIM
from blockingio.client.target import authority_form, host_name
from blockingio.client.tls import ClientTls, TlsHooks
from blockingio.errors import BadMessage, HttpException
from blockingio.net.channel import Channel
from blockingio.values.headers import HttpHeaders
from blockingio.values.uri import Uri
from blockingio.wire.head import Fields, parse_fields, parse_status_line
from blockingio.wire.limits import DEFAULT_LIMITS
from blockingio.wire.source import Source, TIMED_OUT


class ConnectSettings(NamedTuple):
    """What a client's owner has set, as it is when a connection is made."""

    timeout: float | None
    user_agent: str | None
    factory: Callable[[Uri, str | None, int | None], socket.socket] | None
    hooks: TlsHooks
    authenticate_proxy: Callable[[str, int, str, str | None], bool] | None


class Connector:
    """Makes the connections of one client, for any of its threads."""

    def __init__(self, tls: ClientTls, proxy_credentials: CredentialStore) -> None:
        self._tls = tls
        self._proxy_credentials = proxy_credentials

    def open(self, connection: Connection, uri: Uri, proxy: Proxy | None, settings: ConnectSettings) -> None:
        """Connect it, closing all that it holds where that fails."""
        try:
            deadline = Deadline(settings.timeout)
            if uri.scheme == "https":
                def reach() -> socket.socket:
                    return self._reach(connection, uri, proxy, settings, deadline)

                channel: Channel = self._tls.open(reach, connection, host_name(uri), uri.port, deadline,
                                                  settings.hooks)
                connection.begin(channel, channel.socket.getpeercert(True))  # type: ignore[attr-defined]
            else:
                sock = self._dial(connection, uri, proxy, settings, deadline)
                connection.pass_on(sock)
                channel = Channel(sock)
                connection.hold(channel)
                connection.begin(channel, None)
        except BaseException as error:
            connection.close()
            if connection.cut_reason is not None and isinstance(error, OSError):
                raise HttpException(connection.cut_reason, uri) from None
            raise

    def _reach(self, connection: Connection, uri: Uri, proxy: Proxy | None, settings: ConnectSettings,
               deadline: Deadline) -> socket.socket:
        """A socket to the server itself, through a tunnel where there is a proxy."""
        if proxy is None:
            return self._dial(connection, uri, proxy, settings, deadline)
        return _Tunnel(self, connection, uri, proxy, settings, deadline).open()

    def _dial(self, connection: Connection, uri: Uri, proxy: Proxy | None, settings: ConnectSettings,
              deadline: Deadline) -> socket.socket:
        """A socket to the server or the proxy, whichever is first on the way."""
        if settings.factory is not None:
            sock = settings.factory(uri, *(proxy[:2] if proxy is not None else (None, None)))
            if not isinstance(sock, socket.socket):
                raise TypeError(f"connection_factory gave {type(sock).__name__}, expected a connected socket")
            connection.hold(sock)
            return sock
        if proxy is not None:
            return connect(proxy.host, proxy.port, deadline, connection)
        return connect(host_name(uri), uri.port, deadline, connection)


class _Tunnel:
    """CONNECT (RFC 9110 9.3.6), with credentials where the proxy asks for them."""

    def __init__(self, connector: Connector, connection: Connection, uri: Uri, proxy: Proxy,
                 settings: ConnectSettings, deadline: Deadline) -> None:
        self._connector = connector
        self._connection = connection
        self._uri = uri
        self._proxy = proxy
        self._settings = settings
        self._deadline = deadline
        self._target = authority_form(uri)
        self._space = Space.of_proxy(proxy.host, proxy.port)

    def open(self) -> socket.socket:
        chosen: Entry | None = None
        for _ in range(MOST_TRIES):
            attempt = self._attempt(chosen)
            sock = self._connector._dial(self._connection, self._uri, self._proxy, self._settings, self._deadline)
            try:
                status, reason, fields = self._ask(sock, attempt)
                if status // 100 == 2:
                    return sock
                chosen = self._answer(fields, attempt) if status == 407 else None
            except BaseException:
                self._connection.drop(sock)
                raise
            self._connection.drop(sock)
            if chosen is None:
                break
        raise HttpException(
            f"the proxy {self._proxy.host}:{self._proxy.port} refused CONNECT {self._target}: {status} {reason}",
            self._uri)

    def _attempt(self, chosen: Entry | None) -> Attempt | None:
        if self._proxy.authorization is not None:
            return Attempt(self._proxy.authorization, None, True)
        return self._connector._proxy_credentials.authorize(self._space, "CONNECT", self._target, chosen)

    def _ask(self, sock: socket.socket, attempt: Attempt | None) -> tuple[int, str, Fields]:
        """Send CONNECT; the final answer's status, reason and fields."""
        headers = HttpHeaders()
        headers._set_trusted("host", self._target)
        if self._settings.user_agent is not None:
            headers.set("user-agent", self._settings.user_agent)
        if attempt is not None:
            headers._set_trusted("proxy-authorization", attempt.authorization)
        timeout = sock.gettimeout()
        # Byte by byte: what follows belongs to TLS.
        source = Source(lambda size: sock.recv(1))
        try:
            sock.settimeout(self._deadline.left())
            sock.sendall(b"CONNECT %b HTTP/1.1\r\n%b\r\n" % (self._target.encode("ascii"), headers._encode()))
            status, reason, fields = self._final_head(source)
            sock.settimeout(timeout)
            return status, reason, fields
        except (HttpException, OSError) as error:
            if isinstance(error, TIMED_OUT) or isinstance(error, BadMessage) and error.status == 408:
                raise named(TimeoutError(f"no answer to CONNECT within {self._deadline.seconds} seconds"),
                            self._proxy.host, self._proxy.port) from None
            raise HttpException(f"the proxy {self._proxy.host}:{self._proxy.port} did not answer CONNECT: {error}",
                                self._uri) from error

    def _final_head(self, source: Source) -> tuple[int, str, Fields]:
        for _ in range(MOST_INTERIM):
            head = source.head(DEFAULT_LIMITS, self._check_deadline)
            if head is None:
                raise HttpException("it ended the connection")
            line, _, block = head.partition(b"\r\n")
            version, status, reason = parse_status_line(line)
            if status >= 200:
                return status, reason, parse_fields(block, version, DEFAULT_LIMITS, of_request=False)
        raise HttpException(f"{MOST_INTERIM} interim responses came, expected a final one")

    def _check_deadline(self) -> None:
        self._deadline.left()

    def _answer(self, fields: Fields, attempt: Attempt | None) -> Entry | None:
        """What to try next after a 407; None: nothing."""
        challenges = parse_challenges(fields.headers.get_all("proxy-authenticate"))
        store = self._connector._proxy_credentials
        entry = store.answer(self._space, challenges, attempt)
        if entry is not None or self._settings.authenticate_proxy is None:
            return entry
        best = best_challenge(challenges)
        if best is None:
            return None
        proxy = self._proxy
        if self._settings.authenticate_proxy(proxy.host, proxy.port, best.scheme, best.realm):
            return store.answer(self._space, challenges, None)
        return None
