"""What a request asks for, as its response must still know it to be redirected or tried again.

A Plan belongs to the request, then to its response as well; both have the same thread at a time.
Making the head of it is here too: the request line and the fields (RFC 9112 3).
"""

from __future__ import annotations

from typing import Protocol

from blockingio.client.auth import Attempt, Entry
from blockingio.client.connection import Connection
from blockingio.client.pool import Lease
from blockingio.client.proxy import Proxy
from blockingio.client.redirect import RedirectInfo
from blockingio.client.target import absolute_form, authority_form, origin_form
from blockingio.values.headers import HttpHeaders
from blockingio.values.uri import Uri

# Methods that may be sent again where it is not known whether they have been done (RFC 9110 9.2.2).
IDEMPOTENT = frozenset(("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"))

# Methods for which an empty body is worth a Content-Length (RFC 9110 8.6).
EXPECTS_CONTENT = frozenset(("POST", "PUT", "PATCH"))


class Opener(Protocol):
    """What a plan asks of its client."""

    auto_uncompress: bool

    def _lease(self, plan: Plan, *, is_fresh: bool) -> Lease[Connection]: ...
    def _is_answered(self, plan: Plan, status: int, headers: HttpHeaders) -> Entry | None: ...
    def _authorize(self, plan: Plan, chosen: Entry | None) -> None: ...
    def _take_info(self, plan: Plan, headers: HttpHeaders) -> None: ...


class Plan:
    """A request without its body."""

    __slots__ = ("client", "method", "uri", "headers", "follow_redirects", "max_redirects", "first_uri",
                 "redirects", "proxy", "attempt", "proxy_attempt", "chosen")  # fmt: skip

    def __init__(self, client: Opener, method: str, uri: Uri, headers: HttpHeaders) -> None:
        self.client = client
        self.method = method
        self.uri = uri
        self.headers = headers
        self.follow_redirects = True
        self.max_redirects = 5  # dart:io's
        self.first_uri = uri  # of the chain of redirects that led here
        self.redirects: list[RedirectInfo] = []
        self.proxy: Proxy | None = None  # the one that the connection goes through
        self.attempt: Attempt | None = None  # what was put into Authorization, and ...
        self.proxy_attempt: Attempt | None = None  # ... Proxy-Authorization

    def again(self) -> Plan:
        """A copy to change, with fields that can be changed, and without credentials of the library's own."""
        plan = Plan(self.client, self.method, self.uri, self.headers._copy())
        plan.follow_redirects = self.follow_redirects
        plan.max_redirects = self.max_redirects
        plan.first_uri = self.first_uri
        plan.redirects = list(self.redirects)
        for name, attempt in (("authorization", self.attempt), ("proxy-authorization", self.proxy_attempt)):
            if attempt is not None and plan.headers.get_all(name) == [attempt.authorization]:
                plan.headers.remove_all(name)
        return plan

    @property
    def is_absolute(self) -> bool:
        """Whether it goes to a proxy that must be told the whole URI: http, not through a tunnel."""
        return self.proxy is not None and self.uri.scheme == "http"

    @property
    def takes_over(self) -> bool:
        """Whether the connection may be somebody else's after the response: CONNECT, Upgrade."""
        return self.method == "CONNECT" or "upgrade" in self.headers._values

    def head(self) -> bytes:
        """The request line, the fields as they are now, and the blank line."""
        if self.method == "CONNECT":
            target = authority_form(self.uri)
        elif self.is_absolute:
            target = absolute_form(self.uri)
        else:
            target = origin_form(self.uri)
        return b"%b HTTP/1.1\r\n%b\r\n" % (f"{self.method} {target}".encode("ascii"), self.headers._encode())
