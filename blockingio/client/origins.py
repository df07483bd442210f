"""Where a client's requests go, and the fields that each request to there begins with.

Takes a Uri; gives scheme, host and port as the pool keeps connections by them, and HttpHeaders to be copied.  Raises
ValueError for a URI that no request can be made for.  For any number of threads.
"""

from __future__ import annotations

from typing import Final

from blockingio.client.target import Origin, host_field, origin_of
from blockingio.errors import shown_uri
from blockingio.values.headers import HttpHeaders
from blockingio.values.kept import keep
from blockingio.values.uri import Uri

# Origins that are known at a time: a program speaks with few, and one that visits many does not fill the memory.
_MOST: Final = 100
# Characters of a host's name that is kept: DNS has no longer ones, a redirect may.
_LONGEST: Final = 255


class Origins:
    """With one ``user_agent``, None for none; it never changes, so what is known stays right."""

    def __init__(self, user_agent: str | None) -> None:
        """ValueError for what cannot be a field's value."""
        if user_agent is not None:
            headers = HttpHeaders()
            headers.set("user-agent", user_agent)
            user_agent = headers["user-agent"]
        self.user_agent = user_agent
        # By scheme, host and port as the URI has them.  Each look and each change is one step of the dict's own.
        self._known: dict[tuple[str, str, int], tuple[Origin, HttpHeaders]] = {}

    def __len__(self) -> int:
        """How many origins are known."""
        return len(self._known)

    def of(self, uri: Uri) -> tuple[Origin, HttpHeaders]:
        """The URI's origin, and a request's fields, which are not to be changed."""
        key = uri.scheme, uri.host, uri.port
        return self._known.get(key) or self._add(key, uri)

    def _add(self, key: tuple[str, str, int], uri: Uri) -> tuple[Origin, HttpHeaders]:
        scheme, host, _ = key
        if scheme not in ("http", "https"):
            raise ValueError(f"expected an http or https URL, found {shown_uri(uri)!r}")
        if not host:
            raise ValueError(f"expected a URL with a host, found {shown_uri(uri)!r}")
        origin = origin_of(uri)
        headers = HttpHeaders()
        headers.set_trusted("host", host_field(uri, origin[1]))  # comes first (RFC 9110 7.2)
        if self.user_agent is not None:
            headers.set_trusted("user-agent", self.user_agent)
        headers.set_trusted("accept-encoding", "gzip")
        headers.section()  # made once, and shared by the copies
        if len(host) <= _LONGEST:
            keep(self._known, key, (origin, headers), _MOST)
        return origin, headers
