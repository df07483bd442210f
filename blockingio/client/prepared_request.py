"""What a request asks for, as its response must still know it to be redirected or tried again.

A PreparedRequest belongs to the request, then to its response as well; both have the same thread at a time.
Making the head of it is here too: the request line and the fields (RFC 9112 3).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, Protocol

from blockingio.client.auth import Attempt, CredentialStore, StoredCredentials
from blockingio.client.connection import Connection
from blockingio.client.lease import Lease
from blockingio.client.proxy import Proxy
from blockingio.client.redirects import SEE_OTHER, carry_over, is_same_origin, is_trusted, next_method, resolve
from blockingio.client.target import (
    Origin, absolute_form, authority_form, clean_method, host_field, origin_form, origin_of)
from blockingio.errors import RedirectException, StateError, shown_uri
from blockingio.values.redirect_info import RedirectInfo
from blockingio.values.headers import HttpHeaders
from blockingio.values.uri import Uri
from blockingio.wire.limits import KIB, Limits

# Methods that may be sent again where it is not known whether they have been done (RFC 9110 9.2.2).
IDEMPOTENT = frozenset(("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"))

# Methods for which an empty body is worth a Content-Length (RFC 9110 8.6).
EXPECTS_CONTENT = frozenset(("POST", "PUT", "PATCH"))

# Interim responses (1xx) before the final one: a handful is usual, endless ones must end.
MOST_INTERIM = 100

# dart:io's HttpClientRequest.maxRedirects.
MAX_REDIRECTS = 5

# Bytes of an upload that are kept: most forms and JSON documents; before a larger one Expect: 100-continue is better.
KEPT_SIZE = 256 * KIB


class Opener(Protocol):
    """What the owners of a prepared request ask of the client.

    What is made of one is on the floor above, and so has no type here: an Exchange, an HttpClientResponse.
    """

    auto_uncompress: bool
    authenticate: Callable[[Uri, str, str | None], bool] | None
    authenticate_proxy: Callable[[str, int, str, str | None], bool] | None
    credentials: CredentialStore
    proxy_credentials: CredentialStore

    def lease(self, prepared: PreparedRequest, *, is_fresh: bool) -> Lease[Connection]:
        """A place with a connection that is ready; ``is_fresh``: a new one, to the same proxy as before."""

    def begin(self, prepared: PreparedRequest, *, entry: StoredCredentials | None = None,
              proxy_entry: StoredCredentials | None = None) -> Any:
        """An Exchange: a connection, and credentials in the fields: these entries', or those that apply."""

    def redirect_to(self, prepared: PreparedRequest) -> Any:
        """The HttpClientResponse to it, further redirects and challenges followed."""


class KeptBody:
    """A request's body, kept while it is sent, in case that the server wants the request again.

    Takes the pieces as they go out, before their framing; gives the whole, or nothing: half a body is never sent.
    """

    def __init__(self) -> None:
        self.size = 0  # of all that was written
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > KEPT_SIZE:
            self._data.clear()
        else:
            self._data += data

    @property
    def is_lost(self) -> bool:
        """It was more than is kept."""
        return self.size > KEPT_SIZE

    def whole(self) -> bytes:
        """All of it, for as often as it is wanted; not for one that is lost."""
        assert not self.is_lost
        return bytes(self._data)


class PreparedRequest:
    """A request, and as much of its body as is kept."""

    __slots__ = ("client", "method", "uri", "origin", "headers", "body", "follow_redirects", "max_redirects",
                 "tunnels", "limits", "response_timeout", "first_uri", "redirects", "proxy", "attempt",
                 "proxy_attempt")

    def __init__(self, client: Opener, method: str, uri: Uri, origin: Origin, headers: HttpHeaders, limits: Limits
                 ) -> None:
        self.client = client
        self.limits = limits  # what its response may take ...
        self.response_timeout: float | None = None  # ... and how long, in seconds
        self.method = method
        self.uri = uri
        self.origin = origin  # of the URI: what it is to be connected to
        self.headers = headers
        self.body: KeptBody | None = None  # None: nothing was written
        self.tunnels = False  # a proxy is asked for a tunnel by CONNECT, for http as for https
        self.follow_redirects = True
        self.max_redirects = MAX_REDIRECTS
        self.first_uri = uri  # of the chain of redirects that led here
        self.redirects: list[RedirectInfo] = []
        self.proxy: Proxy | None = None  # the one that the connection goes through
        self.attempt: Attempt | None = None  # what the library put into Authorization, and ...
        self.proxy_attempt: Attempt | None = None  # ... Proxy-Authorization

    def again(self) -> PreparedRequest:
        """A copy to change, with fields that can be changed, and without credentials of the library's own."""
        prepared = copy(self)
        prepared.headers = self.headers.copy()
        prepared.redirects = list(self.redirects)
        prepared.proxy = prepared.attempt = prepared.proxy_attempt = None
        for name, attempt in (("authorization", self.attempt), ("proxy-authorization", self.proxy_attempt)):
            if attempt is not None and prepared.headers.get_all(name) == [attempt.authorization]:
                prepared.headers.remove_all(name)
        return prepared

    def redirected(self, status: int, url: Uri | str, method: str | None = None, *, follow_loops: bool = False
                   ) -> PreparedRequest:
        """The request that a redirect with this status leads to; ``method`` None: as the status has it.

        The body goes along where the method stays, but a 303 asks for another document.  RedirectException for a URL
        that is among ``redirects`` already, unless ``follow_loops``; StateError for a body that is lost.
        """
        uri = resolve(url, self.uri)
        if not uri.user_info and self.uri.user_info and is_same_origin(uri, self.uri):
            uri = uri.replace(user_info=self.uri.user_info)  # as a relative one has it
        if not follow_loops and any(info.location == uri for info in self.redirects):
            raise RedirectException(f"the redirects go round in a circle: {shown_uri(uri)} comes again", self.redirects)
        prepared = self.again()
        prepared.method = next_method(self.method, status) if method is None else clean_method(method)
        prepared.uri = uri
        prepared.origin = origin_of(uri)
        prepared.redirects.append(RedirectInfo(status, prepared.method, uri))
        if prepared.method != self.method or method is None and status == SEE_OTHER:
            prepared.body = None
        elif self.is_body_lost:
            raise StateError(f"the request's body is not kept any more: expected {KEPT_SIZE} bytes at most")
        has_content = prepared.method == self.method and (prepared.body is not None or self.body is None)
        carry_over(prepared.headers, is_trusted=is_trusted(uri, self.first_uri), has_content=has_content)
        prepared.headers.set_trusted("host", host_field(uri, prepared.origin[1]))
        return prepared

    @property
    def is_body_lost(self) -> bool:
        """Whether there was a body that cannot be sent again."""
        return self.body is not None and self.body.is_lost

    @property
    def is_absolute(self) -> bool:
        """Whether it goes to a proxy that must be told the whole URI: http, not through a tunnel."""
        return self.proxy is not None and self.uri.scheme == "http" and not self.tunnels

    @property
    def target(self) -> str:
        """The request target as it is sent (RFC 9112 3.2), and as Digest signs it (RFC 7616 3.4.6)."""
        if self.method == "CONNECT":
            return authority_form(self.uri)
        return absolute_form(self.uri) if self.is_absolute else origin_form(self.uri)

    @property
    def takes_over(self) -> bool:
        """Whether the connection may change its protocol after the response: CONNECT, Upgrade."""
        return self.method == "CONNECT" or "upgrade" in self.headers.by_name

    def head(self) -> bytes:
        """The request line, the fields as they are now, and the blank line."""
        is_usual = self.proxy is None and self.method != "CONNECT"
        target = origin_form(self.uri) if is_usual else self.target
        return b"%b HTTP/1.1\r\n%b\r\n" % (f"{self.method} {target}".encode("ascii"), self.headers.encode())
