"""The errors of this package that Python has no name for.

Everything else is Python's own: OSError from the system, ValueError for a value
that cannot go on the wire or be parsed, TypeError for the wrong type.
"""

from __future__ import annotations

import re
from typing import Any

# A Uri, and a RedirectInfo: named here and not imported, for everything imports this module.
_Uri = Any
_RedirectInfo = Any


# What stands before the host of a URI, and may be a password or a token.
_USER_INFO = re.compile(r"\A((?:[A-Za-z][A-Za-z0-9+.\-]*+:)?//)[^/?#]*@")


def shown_uri(uri: object) -> str:
    """A URI for people to read: without its user information, as messages end up in logs."""
    return _USER_INFO.sub(r"\1***@", str(uri))


class HttpException(Exception):
    """The peer broke HTTP or went away mid-message, or a message can no longer be what was promised.

    ``uri`` is the request's, or None where it is not known; the text leaves out its user information.
    Follows dart:io's HttpException.
    """

    #: Whether a client is to blame, and has its answer: a server's for_each and listen do not log that.
    is_of_peer = False

    def __init__(self, message: str, uri: _Uri | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.uri = uri

    def __str__(self) -> str:
        return self.message if self.uri is None else f"{self.message}, uri = {shown_uri(self.uri)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class RedirectException(HttpException):
    """A redirect that is not followed; ``redirects`` lists those that were, oldest first.

    Follows dart:io's RedirectException.
    """

    def __init__(self, message: str, redirects: list[_RedirectInfo]) -> None:
        super().__init__(message)
        self.redirects = redirects

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is copied by calling its class with ``args``, which has the message alone.
        return type(self), (self.message, self.redirects), self.__dict__


class BadMessage(HttpException):
    """What the peer sent is not HTTP; ``status`` is what a server answers it with.

    ``section`` is the rule that was broken, "RFC 9112 3.2", and ``spot`` the line and the index of the byte where; ""
    and None where they are not known.
    """

    def __init__(self, message: str, status: int = 400, section: str = "",
                 spot: tuple[bytes, int] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.section = section
        self.spot = spot


class StateError(RuntimeError):
    """The right call at the wrong time: headers that have gone, no element in a stream.

    Follows dart:core's StateError.
    """
