"""What a URI is on the wire: the host to look up, the Host field, and the request target.

Takes a Uri, whose path and query are visible ASCII already; gives ASCII text.  Raises ValueError for a host
that no name server can be asked for, and for a method that is none (RFC 9110 7.2, 9.1; RFC 9112 3.2).
"""

from __future__ import annotations

import re

from blockingio.errors import shown_uri
from blockingio.net.address import InternetAddress
from blockingio.values.grammar import ORIGIN_FORM_RE, REG_NAME_CHARACTERS, TOKEN_RE
from blockingio.values.percent import decode_strict
from blockingio.values.reference import check_port
from blockingio.values.uri import Uri
from blockingio.values.written import check_one_line

# What is a URL, and not the path of one.
_URL_BEGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+://")

_USUAL_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
_PLAIN_HOST = re.compile(r"[a-z0-9\-._]++")
# What a name may be made of once it is decoded: no control character, nothing that ends a host.
_ANY_HOST = re.compile(f"[{REG_NAME_CHARACTERS}]++")


def clean_method(method: str) -> str:
    """The method in upper case, as dart:io sends it; ValueError where it is no token."""
    if not isinstance(method, str):
        raise TypeError(f"a method is a str, not {type(method).__name__}")
    if method in _USUAL_METHODS:
        return method
    if not TOKEN_RE.fullmatch(method):
        raise ValueError(f"a method is a token (RFC 9110 9.1), found {method[:80]!r}")
    return method.upper()


def is_url(text: str) -> bool:
    """Whether a text begins as a URL with an authority does, so that it is neither a host nor a path."""
    return _URL_BEGIN.match(text) is not None


def http_uri(host: str, port: int, path: str) -> Uri:
    """The http URI of a path with its query, with a slash where it lacks one; a fragment is left out.

    ValueError for CR, LF and NUL, and for what begins as a URL.
    """
    for what, text in (("host", host), ("path", path)):
        if not isinstance(text, str):
            raise TypeError(f"a {what} is a str, not {type(text).__name__}")
    check_one_line(path)
    if path[:1] != "/" and is_url(path):
        raise ValueError(f"a path begins with a slash or a name, found the URL {shown_uri(path)!r}")
    path, _, _ = path.partition("#")
    if path[:1] != "/":
        path = "/" + path
    if type(port) is int and port >= 0 and _PLAIN_HOST.fullmatch(host) and ORIGIN_FORM_RE.fullmatch(path):
        # Nothing needs to be encoded, and this is three times faster.
        return Uri.parse(f"http://{host}:{port}{path}")
    check_port(port)
    path, mark, query = path.partition("?")
    return Uri(scheme="http", host=host, port=port, path=path, query=query if mark else None)


def host_name(uri: Uri) -> str:
    """The host as name servers and certificates have it: IDNA for international names, no brackets."""
    host = uri.host
    if _PLAIN_HOST.fullmatch(host):
        return host
    if ":" in host:
        return host.replace("%25", "%")  # a zone
    try:
        name = decode_strict(host).encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise ValueError(f"the host {host!r} is no name that can be looked up: {error}") from None
    if not _ANY_HOST.fullmatch(name):
        raise ValueError(f"the host {host!r} is no name that can be looked up: it stands for {name!r}")
    return name


#: Scheme, host as name servers have it, and port: what a connection is to.
Origin = tuple[str, str, int]


def origin_of(uri: Uri) -> Origin:
    """ValueError where the host is none that can be looked up."""
    return uri.scheme, host_name(uri), uri.port


def host_key(host: str) -> str:
    """One spelling of a host, to compare it with another: two that lead to the same place are equal.

    Takes it as a Uri has it, or as people write it; IDNA in lower case, no dot at its end, an IPv6 address in
    its short form without brackets.  What is no host is left as it is, in lower case.
    """
    host = host.lower()
    if _PLAIN_HOST.fullmatch(host):
        return host.removesuffix(".")
    if ":" in host:
        host = host.strip("[]").replace("%25", "%")
        address = InternetAddress.try_parse(host)
        return host if address is None else address.address
    try:
        host = decode_strict(host).encode("idna").decode("ascii").lower()
    except ValueError:
        pass
    return host.removesuffix(".")


def host_field(uri: Uri, host: str) -> str:
    """The value of Host for a URI with this ``host_name``: no default port, no zone (RFC 6874 3)."""
    if ":" in host:
        host = f"[{host.partition('%')[0]}]"
    return f"{host}:{uri.port}" if uri.has_port else host


def origin_form(uri: Uri) -> str:
    """The path, with a slash where it lacks one, and the query; never the fragment."""
    path = uri.path
    if path[:1] != "/":
        path = "/" + path
    return f"{path}?{uri.query}" if uri.has_query else path


def absolute_form(uri: Uri) -> str:
    """The whole URI but user information and fragment, for a proxy."""
    return f"{uri.scheme}://{host_field(uri, host_name(uri))}{origin_form(uri)}"


def authority_form(uri: Uri) -> str:
    """host:port, for CONNECT."""
    host = host_name(uri)
    return f"[{host.partition('%')[0]}]:{uri.port}" if ":" in host else f"{host}:{uri.port}"
