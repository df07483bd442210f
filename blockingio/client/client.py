"""HttpClient: settings, credentials and a pool of connections; its methods open requests.

Takes URLs; gives HttpClientRequests, each with a connection of its own.  Raises ValueError for a URL or
method that cannot be asked for, OSError where connecting or TLS fails, HttpException where a proxy
refuses or its configuration makes no sense, StateError once the client is closed.

A client is for any number of threads.  Settings are read when a request is opened; the pool and the
credentials have locks of their own.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, ClassVar, ParamSpec, Self

from blockingio import __version__
from blockingio.client.auth import (
    Attempt, CredentialStore, StoredCredentials, HttpClientCredentials, ProtectionSpace, user_authorization)
from blockingio.client.connection import Connection
from blockingio.client.connector import Connector, ConnectSettings
from blockingio.client.exchange import Exchange
from blockingio.client.follow import follow, run
from blockingio.client.lease import Lease
from blockingio.client.origins import Origins
from blockingio.client.prepared_request import PreparedRequest
from blockingio.client.pool import Pool
from blockingio.client.proxy import Proxy, find_proxy_from_environment, parse_proxies
from blockingio.client.request import HttpClientRequest
from blockingio.client.response import HttpClientResponse
from blockingio.client.target import clean_method, http_uri, is_url
from blockingio.client.timeout import Timeout
from blockingio.client.tls import ClientTls, TlsHooks
from blockingio.errors import HttpException, shown_uri
from blockingio.net.security import SecurityContext
from blockingio.net.wire_log import WireLogs
from blockingio.net.x509 import X509Certificate
from blockingio.values.checks import check, is_field_value, is_wait
from blockingio.values.known_attributes import KnownAttributes
from blockingio.values.reference import check_port
from blockingio.values.uri import Uri
from blockingio.values.written import written_uri
from blockingio.wire.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from blockingio.net.wire_record import WireRecord

P = ParamSpec("P")


def _or_url(by_host: Callable[P, HttpClientRequest]) -> Callable[P, HttpClientRequest]:
    """A method that takes host, port and path; where a URL is given to it, the error names the one that takes it."""
    name = by_host.__name__
    host_at = by_host.__code__.co_varnames.index("host")

    @wraps(by_host)
    def checked(*args: P.args, **named: P.kwargs) -> HttpClientRequest:
        try:
            return by_host(*args, **named)
        except (TypeError, ValueError) as error:
            for value in (*args[1 : host_at + 1], named.get("host"), *args[host_at + 2 :], named.get("path")):
                if isinstance(value, Uri) or isinstance(value, str) and is_url(value):
                    kind = TypeError if isinstance(error, TypeError) else ValueError
                    raise kind(f"{name}() takes a host, a port and a path, found the URL {shown_uri(value)!r}: "
                               f"{name}_url() takes a URL") from None
            raise

    return checked


class HttpClient(KnownAttributes):
    """Makes requests, over connections that are kept and used again; for any number of threads.

    ``context``: certificates and trust for https; None means the system's roots.  TypeError for
    anything else.  Use as a context manager to close it on the way out.  Set ``response_timeout``, 60 say, and
    ``connection_timeout``, unless you would wait for a silent server for ever.  In a forked child it makes
    connections of its own; requests and responses from before the fork are the parent's.  Follows dart:io's HttpClient.

        client = HttpClient()
        response = client.get_url("http://127.0.0.1:4040/").close()
        print(response.status_code, response.text())

    Beside those below it has these settings, each of them None until set, but for the first and ``find_proxy``.
    ``auto_uncompress``: whether bodies in gzip are decoded; True until set.
    ``authenticate``: called with URL, scheme and realm (or None) when a server wants credentials; True says that they
    have been added, and the request is sent again.  ``authenticate_proxy``: the same with a proxy's host and port.
    ``bad_certificate_callback``: called with certificate, host and port when verification fails; True: go on.
    ``connection_factory``: called with URL, and the proxy's host and port or None; makes the connected socket.
    ``find_proxy``: called with a URL; says which proxies to try, as "PROXY host:port; DIRECT".  None: always direct.
    Until set it is ``find_proxy_from_environment``.
    ``key_log``: called with each line of the TLS key log; with these lines the connections can be read.
    """

    DEFAULT_HTTP_PORT: ClassVar[int] = 80
    DEFAULT_HTTPS_PORT: ClassVar[int] = 443

    credentials: CredentialStore
    proxy_credentials: CredentialStore
    auto_uncompress: bool
    authenticate: Callable[[Uri, str, str | None], bool] | None
    authenticate_proxy: Callable[[str, int, str, str | None], bool] | None
    bad_certificate_callback: Callable[[X509Certificate, str, int], bool] | None
    connection_factory: Callable[[Uri, str | None, int | None], socket.socket] | None
    find_proxy: Callable[[Uri], str] | None
    key_log: Callable[[str], object] | None

    def __init__(self, *, context: SecurityContext | ssl.SSLContext | None = None) -> None:
        self._pool: Pool[Connection] = Pool()
        self._limits = DEFAULT_LIMITS
        self._wire_logs = WireLogs()
        self.credentials = CredentialStore()
        self.proxy_credentials = CredentialStore()
        self._connector = Connector(ClientTls(context), self.proxy_credentials)
        self.connection_timeout = None
        self.response_timeout = None
        self.auto_uncompress = True
        self.authenticate = self.authenticate_proxy = None
        self.bad_certificate_callback = None
        self.connection_factory = None
        self.find_proxy = HttpClient.find_proxy_from_environment
        self.key_log = None
        self.user_agent = f"blockingio/{__version__}"

    # ------------------------------------------------------------ settings

    connection_timeout = Timeout(
        "Seconds for all of connecting, a proxy and TLS included, but not name resolution, which is the system's.  "
        "None: as long as the system tries.")
    response_timeout = Timeout(
        "Seconds from the last byte of a request that was sent to the whole head of its response, and for each gap in "
        "the response's body; HttpException then, which says which.  A redirect has its own; uploads do not count.  "
        "None, as in dart:io: a server that is silent is waited for without end.")

    @property
    def idle_timeout(self) -> float | None:
        """Seconds for which an idle connection is kept; 15.  None: for ever, 0: not at all."""
        return self._pool.idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        check("idle_timeout", seconds, is_wait)
        self._pool.idle_timeout = seconds

    @property
    def max_connections_per_host(self) -> int | None:
        """How many connections there may be to one host; further requests wait.  None: any number."""
        return self._pool.max_per_host

    @max_connections_per_host.setter
    def max_connections_per_host(self, most: int | None) -> None:
        self._pool.max_per_host = most

    @property
    def user_agent(self) -> str | None:
        """The User-Agent of new requests, "blockingio/" and the version until set; None: none (RFC 9110 10.1.5)."""
        return self._origins.user_agent

    @user_agent.setter
    def user_agent(self, user_agent: str | None) -> None:
        check("user_agent", user_agent, is_field_value)
        self._origins = Origins(user_agent)

    @property
    def wire_log(self) -> Callable[[WireRecord], object] | None:
        """Called with a WireRecord for all bytes that pass, before encryption and in order, those to a proxy too.

        None: nothing is told, and nothing spent on it.  A callable that is set counts from the next connection on, None
        at once.  The first exception in it is logged on "blockingio"; it goes on being told.  ValueError for what
        cannot be called.
        """
        return self._wire_logs.log

    @wire_log.setter
    def wire_log(self, log: Callable[[WireRecord], object] | None) -> None:
        self._wire_logs.set(log)

    @property
    def max_header_size(self) -> int:
        """Bytes of a response's header section, or of its trailers, else HttpException; 64 KiB."""
        return self._limits.max_header_size

    @max_header_size.setter
    def max_header_size(self, most: int) -> None:
        self._limits = self._limits.changed("max_header_size", most)

    @property
    def max_header_count(self) -> int:
        """Fields of a response's header section, or of its trailers, else HttpException; 128."""
        return self._limits.max_header_count

    @max_header_count.setter
    def max_header_count(self, most: int) -> None:
        self._limits = self._limits.changed("max_header_count", most)

    find_proxy_from_environment = staticmethod(find_proxy_from_environment)

    # ------------------------------------------------------------ requests

    @_or_url
    def open(self, method: str, host: str, port: int, path: str) -> HttpClientRequest:
        """A request by http for ``path``, which may have a query; a slash before it may be left out.

        What a URI cannot hold is percent-encoded; ValueError for CR, LF and NUL.
        """
        return self.open_url(method, http_uri(host, port, path))

    def open_url(self, method: str, url: Uri | str, *, tunnel: bool = False) -> HttpClientRequest:
        """A request for an http or https URL, by a connection that is idle, awaited or made.

        What a URI cannot hold is percent-encoded in a str: blanks, quotes, letters beyond ASCII, a lone "%".
        The URL's fragment is not sent, and its user information only as Basic credentials.  ``tunnel``: a proxy is
        asked for a tunnel by CONNECT also for http, because what comes behind the response is no HTTP (RFC 6455 4.1).
        Raises ValueError for a URL or method that cannot be asked for, StateError once the client is closed, OSError
        where connecting or TLS fails, HttpException where a proxy refuses or its configuration makes no sense.
        """
        uri = written_uri(url)
        method = clean_method(method)
        origin, headers = self._origins.of(uri)
        self._pool.check_open()
        prepared = PreparedRequest(self, method, uri, origin, headers.copy(), self._limits)
        prepared.response_timeout = self.response_timeout
        prepared.tunnels = tunnel
        return HttpClientRequest(prepared, self.begin(prepared))

    @_or_url
    def get(self, host: str, port: int, path: str) -> HttpClientRequest:
        """``open`` with GET."""
        return self.open("GET", host, port, path)

    def get_url(self, url: Uri | str) -> HttpClientRequest:
        """``open_url`` with GET."""
        return self.open_url("GET", url)

    @_or_url
    def post(self, host: str, port: int, path: str) -> HttpClientRequest:
        """``open`` with POST."""
        return self.open("POST", host, port, path)

    def post_url(self, url: Uri | str) -> HttpClientRequest:
        """``open_url`` with POST."""
        return self.open_url("POST", url)

    @_or_url
    def put(self, host: str, port: int, path: str) -> HttpClientRequest:
        """``open`` with PUT."""
        return self.open("PUT", host, port, path)

    def put_url(self, url: Uri | str) -> HttpClientRequest:
        """``open_url`` with PUT."""
        return self.open_url("PUT", url)

    @_or_url
    def delete(self, host: str, port: int, path: str) -> HttpClientRequest:
        """``open`` with DELETE."""
        return self.open("DELETE", host, port, path)

    def delete_url(self, url: Uri | str) -> HttpClientRequest:
        """``open_url`` with DELETE."""
        return self.open_url("DELETE", url)

    @_or_url
    def patch(self, host: str, port: int, path: str) -> HttpClientRequest:
        """``open`` with PATCH."""
        return self.open("PATCH", host, port, path)

    def patch_url(self, url: Uri | str) -> HttpClientRequest:
        """``open_url`` with PATCH."""
        return self.open_url("PATCH", url)

    @_or_url
    def head(self, host: str, port: int, path: str) -> HttpClientRequest:
        """``open`` with HEAD."""
        return self.open("HEAD", host, port, path)

    def head_url(self, url: Uri | str) -> HttpClientRequest:
        """``open_url`` with HEAD."""
        return self.open_url("HEAD", url)

    # ------------------------------------------------------------ credentials

    def add_credentials(self, url: Uri | str, realm: str, credentials: HttpClientCredentials) -> None:
        """Use them for ``url`` and all below it: Basic and Bearer at once, Digest once challenged.

        A challenge is answered where it names this realm, or none.  A request with a body is sent again with it where
        that had 256 KiB at most; else the challenge is the response, and the next request has the credentials.
        """
        uri = written_uri(url)
        self.credentials.add(ProtectionSpace.of(uri), realm, credentials)

    def add_proxy_credentials(self, host: str, port: int, realm: str, credentials: HttpClientCredentials) -> None:
        """Use them for a proxy, as those of ``add_credentials``."""
        check_port(port)
        self.proxy_credentials.add(ProtectionSpace.of_proxy(host, port), realm, credentials)

    # ------------------------------------------------------------ the end

    def close(self, *, force: bool = False) -> None:
        """Refuse new requests, close idle connections, and let the active ones finish.

        With ``force`` they are cut, and a request that waits for one raises HttpException.  Idempotent, for any thread.
        """
        self._pool.close(is_forced=force)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_pool"):
            self._pool.abandon()

    def __repr__(self) -> str:
        return f"<HttpClient {self._pool!r}>"

    # ------------------------------------------------------------ what a prepared request asks for

    def begin(self, prepared: PreparedRequest, *, entry: StoredCredentials | None = None,
              proxy_entry: StoredCredentials | None = None) -> Exchange:
        """A connection for the prepared request, and credentials in its fields: these entries', or those that apply."""
        lease = self.lease(prepared, is_fresh=False)
        try:
            if entry is not None or prepared.uri.user_info or not self.credentials.is_empty:
                self._authorize(prepared, entry)
            if prepared.proxy is not None and prepared.is_absolute:
                self._authorize_to_proxy(prepared, proxy_entry)
        except BaseException:
            lease.discard()
            raise
        return Exchange(prepared, lease)

    def redirect_to(self, prepared: PreparedRequest) -> HttpClientResponse:
        """The response to a prepared request, further redirects and challenges followed."""
        return follow(run(self.begin(prepared), _ignore), _ignore)

    def lease(self, prepared: PreparedRequest, *, is_fresh: bool) -> Lease[Connection]:
        """A place with a connection that is ready; ``is_fresh``: a new one, to the same proxy as before."""
        # What is sent again on a fresh one was made for its proxy.
        *first, last = [prepared.proxy] if is_fresh else self._proxies(prepared.uri)
        for proxy in first:
            try:
                return self._lease_through(proxy, prepared, is_fresh)
            except (OSError, HttpException):
                continue  # the next one may do; what the last one raises is raised
        return self._lease_through(last, prepared, is_fresh)

    def _lease_through(self, proxy: Proxy | None, prepared: PreparedRequest, is_fresh: bool) -> Lease[Connection]:
        lease = self._pool.acquire((prepared.origin, proxy, prepared.tunnels), is_fresh=is_fresh)
        if lease.connection is None:
            try:
                connection = Connection()
                lease.attach(connection)
                self._connector.open(connection, prepared.uri, proxy, self._connect_settings(),
                                     tunnels=prepared.tunnels)
            except BaseException:
                lease.discard()
                raise
        prepared.proxy = proxy
        return lease

    def _proxies(self, uri: Uri) -> list[Proxy | None]:
        if self.find_proxy is None:
            return [None]
        answer = self.find_proxy(uri)
        return [None] if answer == "DIRECT" else parse_proxies(answer)

    def _connect_settings(self) -> ConnectSettings:
        return ConnectSettings(self.connection_timeout, self.user_agent, self.connection_factory,
                               TlsHooks(self.bad_certificate_callback, self.key_log), self.authenticate_proxy,
                               self._limits, self._wire_logs)

    def _authorize(self, prepared: PreparedRequest, entry: StoredCredentials | None) -> None:
        """Set Authorization, unless the user has."""
        if entry is None and "authorization" in prepared.headers:
            return
        uri = prepared.uri
        own = user_authorization(uri.user_info) if entry is None else None
        if own is not None:
            prepared.attempt = Attempt(own, None, True)
        else:
            prepared.attempt = self.credentials.authorize(
                ProtectionSpace.of(uri), prepared.method, prepared.target, entry)
        if prepared.attempt is not None:
            prepared.headers.set("authorization", prepared.attempt.authorization)

    def _authorize_to_proxy(self, prepared: PreparedRequest, entry: StoredCredentials | None) -> None:
        """Set Proxy-Authorization, unless the user has."""
        proxy = prepared.proxy
        if proxy is None or entry is None and "proxy-authorization" in prepared.headers:
            return
        if entry is None and proxy.authorization is not None:
            prepared.proxy_attempt = Attempt(proxy.authorization, None, True)
        else:
            space = ProtectionSpace.of_proxy(proxy.host, proxy.port)
            prepared.proxy_attempt = self.proxy_credentials.authorize(space, prepared.method, prepared.target, entry)
        if prepared.proxy_attempt is not None:
            prepared.headers.set("proxy-authorization", prepared.proxy_attempt.authorization)


def _ignore(exchange: Exchange) -> None:
    """A redirect by hand has no request that could be aborted."""
