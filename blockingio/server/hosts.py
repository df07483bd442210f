"""The hosts that a server answers for: HttpServer.allowed_hosts.

A foreign page can make its own name lead to this machine (DNS rebinding): the browser then takes the
server for a part of that page, and lets it read the answers.  But such a request has the page's name in Host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from blockingio.net.address import InternetAddress
from blockingio.values.kept import kept

# A name as it stands in Host and in a list of names, in lower case and without a last dot.
_LABEL = r"[0-9a-z_](?:[0-9a-z_\-]*[0-9a-z_])?"
_NAME_RE = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")

# Answers that are kept.  Honest clients ask for few hosts; the others are to cost no more memory than this.
_MOST_ANSWERS = 64
_LONGEST_KEPT = 255


class AllowedHosts:
    """Names and addresses that a request may be for; any thread may ask.

    ``given`` are "a.example", "*.example" for every name below it (and not itself), or IP addresses, each without
    port.  ``any_address`` lets in every IP address: an address cannot be made to lead elsewhere.  A last dot and
    case count for nothing.  ValueError for what can be none.
    """

    def __init__(self, given: Iterable[str], *, any_address: bool = False) -> None:
        if isinstance(given, str):
            raise ValueError(f"expected a list of hosts, found the one str {given!r}")
        if not hasattr(given, "__iter__"):
            raise TypeError(f"expected a list of hosts, found {given!r}")
        self.given = list(given) if isinstance(given, list) else tuple(given)
        self._any_address = any_address
        self._hosts: set[str] = set()
        self._parents: set[str] = set()  # of the wildcards
        self._find_kept = kept(_MOST_ANSWERS, _LONGEST_KEPT)(self._find)
        for host in self.given:
            if not isinstance(host, str):
                raise ValueError(f"expected a str as host, found {host!r}")
            below = host.removeprefix("*.")
            spelled = _spelled(below)
            if spelled is None or (below is not host and InternetAddress.try_parse(spelled) is not None):
                raise ValueError(f"expected a name as a.example or *.example, or an address, without port, "
                                 f"found {host[:255]!r}")
            (self._hosts if below is host else self._parents).add(spelled)

    def has(self, authority: str | None) -> bool:
        """Whether a request may be for this host, perhaps with a port behind it.

        None and "": it names none, which no browser does.
        """
        return not authority or self._find_kept(authority)

    def _find(self, authority: str) -> bool:
        host = _spelled(re.sub(r":[0-9]*\Z", "", authority))
        if host is None:
            return False
        if host in self._hosts or (self._any_address and InternetAddress.try_parse(host) is not None):
            return True
        parent = host
        while parent and self._parents:
            parent = parent.partition(".")[2]
            if parent in self._parents:
                return True
        return False


def _spelled(host: str) -> str | None:
    """A host in the one spelling that hosts are compared in; None for what is neither name nor address."""
    bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
    address = InternetAddress.try_parse(bare)
    if address is not None:
        return address.address
    try:
        name = (host if host.isascii() else host.encode("idna").decode("ascii")).lower().removesuffix(".")
    except UnicodeError:
        return None
    return name if _NAME_RE.fullmatch(name) else None
