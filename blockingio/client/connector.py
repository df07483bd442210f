"""A new connection for a URL: to the server or to a proxy, through a tunnel, with TLS on it.

Takes a Connection without a socket and says where to; leaves it ready for a request.  Raises OSError where
connecting or TLS fails, and HttpException where a proxy refuses, or where the connection is cut
meanwhile.  One Deadline holds for all of it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import NamedTuple

from blockingio.client.auth import MOST_TRIES, Attempt, CredentialStore, StoredCredentials, ProtectionSpace
from blockingio.client.connection import Connection
from blockingio.client.connect import Deadline, connect, named, peer_of
from blockingio.client.prepared_request import MOST_INTERIM
from blockingio.client.proxy import Proxy
from blockingio.client.target import authority_form, host_name
from blockingio.client.tls import ClientTls, TlsHooks
from blockingio.errors import BadMessage, HttpException
from blockingio.net.channel import Channel
from blockingio.net.wire_log import WireLogs
from blockingio.values.headers import HttpHeaders
from blockingio.values.uri import Uri
from blockingio.wire.head import Fields, parse_fields, parse_status_line
from blockingio.wire.limits import Limits
from blockingio.wire.source import TIMED_OUT, LenientSource, Source


class ConnectSettings(NamedTuple):
    """What a client's owner has set, as it is when a connection is made."""

    timeout: float | None
    user_agent: str | None
    factory: Callable[[Uri, str | None, int | None], socket.socket] | None
    hooks: TlsHooks
    authenticate_proxy: Callable[[str, int, str, str | None], bool] | None
    limits: Limits
    wire_logs: WireLogs


class Connector:
    """Makes the connections of one client, for any of its threads."""

    def __init__(self, tls: ClientTls, proxy_credentials: CredentialStore) -> None:
        self._tls = tls
        self.proxy_credentials = proxy_credentials

    def open(self, connection: Connection, uri: Uri, proxy: Proxy | None, settings: ConnectSettings, *,
             tunnels: bool = False) -> None:
        """Connect it; all that it holds is closed where that fails.  ``tunnels``: through a proxy always by CONNECT."""
        way = _Way(connection, uri, proxy, settings, Deadline(settings.timeout))
        der: bytes | None = None
        reach = way.dial
        if proxy is not None and (tunnels or uri.scheme == "https"):
            reach = _Tunnel(way, proxy, self.proxy_credentials).open
        try:
            if uri.scheme == "https":
                channel: Channel = self._tls.open(reach, connection, host_name(uri), uri.port, way.deadline,
                                                  settings.hooks)
                der = channel.socket.getpeercert(True)  # type: ignore[attr-defined]
            else:
                sock = reach()
                connection.pass_on(sock)
                channel = Channel(sock)
                connection.hold(channel)
            try:
                connection.begin(channel, der)
            except OSError as error:  # it is gone already
                raise named(error, host_name(uri), uri.port) from None
        except BaseException as error:
            connection.close()
            if connection.cut_reason is not None and isinstance(error, OSError):
                raise HttpException(connection.cut_reason, uri) from None
            raise


class _Way(NamedTuple):
    """From here to the server or the proxy."""

    connection: Connection
    uri: Uri
    proxy: Proxy | None
    settings: ConnectSettings
    deadline: Deadline

    def dial(self) -> socket.socket:
        """A socket to the proxy, without one to the server; held by the connection."""
        sock = self._connected()
        logs = self.settings.wire_logs
        if logs.listener is not None:
            is_tls = self.uri.scheme == "https" and self.proxy is None
            self.connection.be_told_of(logs.tap(peer_of(sock), is_tls=is_tls))
        return sock

    def _connected(self) -> socket.socket:
        uri, proxy = self.uri, self.proxy
        if self.settings.factory is not None:
            host, port = (proxy.host, proxy.port) if proxy is not None else (None, None)
            sock = self.settings.factory(uri, host, port)
            if not isinstance(sock, socket.socket):
                raise TypeError(f"connection_factory gave {type(sock).__name__}, expected a connected socket")
            self.connection.hold(sock)
            return sock
        if proxy is not None:
            return connect(proxy.host, proxy.port, self.deadline, self.connection)
        return connect(host_name(uri), uri.port, self.deadline, self.connection)


class _Tunnel:
    """CONNECT (RFC 9110 9.3.6), with credentials where the proxy asks for them."""

    def __init__(self, way: _Way, proxy: Proxy, credentials: CredentialStore) -> None:
        self._way = way
        self._proxy = proxy
        self._credentials = credentials
        self._target = authority_form(way.uri)
        self._space = ProtectionSpace.of_proxy(proxy.host, proxy.port)
        self._name = f"the proxy {proxy.host}:{proxy.port}"

    def open(self) -> socket.socket:
        """A socket to the server itself; held by the connection."""
        chosen: StoredCredentials | None = None
        for _ in range(MOST_TRIES):
            attempt = self._attempt(chosen)
            sock = self._way.dial()
            try:
                status, reason, fields = self._ask(sock, attempt)
                if status // 100 == 2:
                    return sock
                chosen = self._answer(fields, attempt) if status == 407 else None
            except BaseException:
                self._way.connection.drop(sock)
                raise
            self._way.connection.drop(sock)
            if chosen is None:
                break
        raise HttpException(f"{self._name} refused CONNECT {self._target}: {status} {reason}".rstrip(), self._way.uri)

    def _attempt(self, chosen: StoredCredentials | None) -> Attempt | None:
        if self._proxy.authorization is not None:
            return Attempt(self._proxy.authorization, None, True)
        return self._credentials.authorize(self._space, "CONNECT", self._target, chosen)

    def _ask(self, sock: socket.socket, attempt: Attempt | None) -> tuple[int, str, Fields]:
        """Send CONNECT; the final answer's status, reason and fields."""
        headers = HttpHeaders()
        headers.set_trusted("host", self._target)
        if self._way.settings.user_agent is not None:
            headers.set("user-agent", self._way.settings.user_agent)
        if attempt is not None:
            headers.set_trusted("proxy-authorization", attempt.authorization)
        deadline = self._way.deadline
        timeout = sock.gettimeout()
        tap = self._way.connection.tap
        receive, send = (sock.recv, sock.sendall) if tap is None else (
            tap.receiving(sock.recv), tap.sending_all(sock.send))
        # Byte by byte: what follows belongs to TLS.
        source = LenientSource(lambda size: receive(1))
        try:
            sock.settimeout(deadline.left())
            send(b"CONNECT %b HTTP/1.1\r\n%b\r\n" % (self._target.encode("ascii"), headers.encode()))
            answer = self._final_head(source)
            sock.settimeout(timeout)
            return answer
        except (HttpException, OSError) as error:
            if isinstance(error, TIMED_OUT) or isinstance(error, BadMessage) and error.status == 408:
                late = TimeoutError(f"no answer to CONNECT within {deadline.seconds} seconds")
                raise named(late, self._proxy.host, self._proxy.port) from None
            raise HttpException(f"{self._name} did not answer CONNECT: {error}", self._way.uri) from error

    def _final_head(self, source: Source) -> tuple[int, str, Fields]:
        limits = self._way.settings.limits
        for _ in range(MOST_INTERIM):
            head = source.head(limits, self._way.deadline.left)
            if head is None:
                raise HttpException("it ended the connection")
            line, _, block = head.partition(b"\r\n")
            version, status, reason = parse_status_line(line)
            if status >= 200:
                return status, reason, parse_fields(block, version, limits, of_request=False)
        raise HttpException(f"{MOST_INTERIM} interim responses came, expected a final one")

    def _answer(self, fields: Fields, attempt: Attempt | None) -> StoredCredentials | None:
        """What to try next after a 407; None: nothing."""
        values = fields.headers.get_all("proxy-authenticate")
        ask = self._way.settings.authenticate_proxy
        return self._credentials.answer_or_ask(self._space, values, attempt, ask, self._proxy.host, self._proxy.port)
