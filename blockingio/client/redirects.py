"""What a redirect means: whether one is followed, with which method, to where, and with which fields.

Takes methods, statuses, URIs and field names; gives answers.  Raises HttpException for a Location
that leads nowhere.  It knows no connection (RFC 9110 15.4, dart:io's HttpClientRequest.followRedirects).
"""

from __future__ import annotations

import re

from blockingio.client.auth import user_authorization
from blockingio.client.target import host_key, host_name
from blockingio.errors import HttpException, shown_uri
from blockingio.values.headers import HttpHeaders
from blockingio.values.uri import Uri

_STATUSES = frozenset((301, 302, 303, 307, 308))
SEE_OTHER = 303

# In a Location: octets that no URI has, and a "%" that encodes nothing.
_NOT_OF_A_URI = re.compile(r"[^\x21-\x7e]|%(?![0-9A-Fa-f]{2})")

# What is for one server's eyes.
_SENSITIVE = frozenset(("authorization", "cookie", "cookie2", "proxy-authenticate", "proxy-authorization",
                        "www-authenticate"))
# What delimits a body, and describes it; the former is made anew where it is sent again.
_FRAMING = ("content-length", "transfer-encoding", "trailer", "expect")
_CONTENT = ("content-encoding", "content-language", "content-location", "content-type")


def is_redirect(method: str, status: int) -> bool:
    """Whether this answer to that method is one that dart:io follows by itself."""
    if method in ("GET", "HEAD"):
        return status in _STATUSES
    return method == "POST" and status == SEE_OTHER


def next_method(method: str, status: int) -> str:
    """303 asks for another document in place of an answer; everything else is asked for again."""
    return "GET" if status == SEE_OTHER and method != "HEAD" else method


def resolve(location: Uri | str, base: Uri) -> Uri:
    """Where a Location leads (RFC 9110 10.2.2); HttpException where it is no http or https URL, or one whose host
    or user information cannot be.

    Text is a field's: its blanks, octets beyond ASCII and lone "%" are percent-encoded, as browsers do.
    """
    try:
        if isinstance(location, str):
            location = Uri.parse(_NOT_OF_A_URI.sub(lambda found: f"%{ord(found[0]):02X}", location))
        uri = base.resolve(location)
        host_name(uri)
        user_authorization(uri.user_info)
    except ValueError as error:
        raise HttpException(f"a redirect leads to {shown_uri(location)!r}: {error}", base) from None
    if uri.scheme not in ("http", "https") or not uri.host:
        raise HttpException(f"a redirect leads to {shown_uri(uri)!r}, expected an http or https URL", base)
    return uri


def is_same_origin(one: Uri, other: Uri) -> bool:
    """Whether scheme, host and port are the same (RFC 6454 5)."""
    return (one.scheme, host_key(one.host), one.port) == (other.scheme, host_key(other.host), other.port)


def is_trusted(uri: Uri, first: Uri) -> bool:
    """Whether what was meant for the first URL of a chain may be sent to another one."""
    host, first_host = host_key(uri.host), host_key(first.host)
    return (
        (host == first_host or host.endswith("." + first_host))
        and uri.port == first.port
        and not (first.scheme == "https" and uri.scheme != "https")
    )


def carry_over(headers: HttpHeaders, *, is_trusted: bool, has_content: bool) -> None:
    """Take out of a copy of a request's fields what must not be in the next one."""
    for name in _FRAMING:
        headers.remove_all(name)
    if not has_content:
        for name in _CONTENT:
            headers.remove_all(name)
    if not is_trusted:
        for name in _SENSITIVE:
            headers.remove_all(name)
