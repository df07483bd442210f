"""Who may ask the command for something: by the host that is asked for, by the page that asks, by credentials.

Decided by what a browser itself puts into a request, never by what a proxy or a page can put there.
"""

from __future__ import annotations

import base64
import hmac
import re
import socket
from collections.abc import Iterable, Iterator

from blockingio.server.hosts import AllowedHosts
from blockingio.server.request import HttpRequest
from blockingio.values.uri import Uri


class OwnHosts:
    """The hosts that the command answers for; any number of threads may ask.

    They are all IP addresses, localhost and what is below it, this machine's names, and ``names``.
    ValueError for one of these that can be none.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._hosts = AllowedHosts(["localhost", "*.localhost", *names, *machine_names()], any_address=True)

    def has(self, request: HttpRequest) -> bool:
        """Whether a request is for one of them."""
        return self._hosts.has(request.asked_host)

    @staticmethod
    def refusal(request: HttpRequest) -> str:
        """What to tell a client that asked for another one: two sentences."""
        name = re.sub(r":[0-9]*\Z", "", request.asked_host)
        return f"This server does not answer for {name}. To let that name in, start it with --host {name}"


def knows(auth: str, request: HttpRequest) -> bool:
    """Whether a request brings these Basic credentials (RFC 7617); takes as long for wrong ones."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(encoded.strip(" "), validate=True)
    except ValueError:
        given = b""
    return hmac.compare_digest(given, auth.encode("utf-8")) and scheme.lower() == "basic"


def is_own_page(request: HttpRequest) -> bool:
    """Whether a POST or PUT comes from our own page, or from no browser at all.

    Any page on the web can make a browser post a form here, or some text; the browser says whose page it was, in Origin
    (RFC 6454 7), else in Referer, and of late in Sec-Fetch-Site.  Ours is the one at the host that Host names:
    what a proxy adds, any client can add.
    """
    headers = request.headers
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    page = headers.get("origin", headers.get("referer"))
    if page is None:
        return True
    theirs = Uri.try_parse(page)
    if theirs is None or theirs.scheme not in ("http", "https"):
        return False
    ours = Uri.try_parse(f"{theirs.scheme}://{headers.get('host', '')}")
    return ours is not None and (ours.host, ours.port) == (theirs.host, theirs.port)


def machine_names() -> Iterator[str]:
    """What this machine calls itself, and with .local what others find it by on a local network (RFC 6762)."""
    name = socket.gethostname()
    short = name.partition(".")[0]
    for candidate in (name, short, f"{short}.local"):
        try:
            AllowedHosts([candidate])
        except ValueError:
            continue  # such a name cannot be asked for
        if not candidate.startswith("*"):
            yield candidate
