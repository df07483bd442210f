"""The parts of a URI reference (RFC 3986): split, checked, put together, resolved.

Functions on texts, for Uri; all raise ValueError for what no reference can have.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from blockingio.values.grammar import (
    AUTHORITY, IPV6_LITERAL, IPV_FUTURE, PATH_CHARACTERS, PERCENT_ENCODED, QUERY_CHARACTERS,
    REFERENCE, REG_NAME, REG_NAME_CHARACTERS, SCHEME, UNRESERVED, USER_INFO_CHARACTERS)
from blockingio.values.percent import encode, escape

# The schemes whose ports are known, as in dart's Uri.
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
LAST_PORT: Final = 65535


class Parts(NamedTuple):
    """A reference in its parts, each of them clean: what is written is what is meant.

    ``host`` has the brackets of an IP-literal, and is None where there is no authority at all;
    ``port`` is None where it is the scheme's own; ``query`` and ``fragment`` are None where there is no "?" or "#".
    """

    scheme: str
    user_info: str
    host: str | None
    port: int | None
    path: str
    query: str | None
    fragment: str | None


def split(text: str) -> Parts:
    """The parts of a reference as people and browsers write them.

    Characters that may not stand there raw are percent-encoded in path, query and fragment,
    a lone "%" in the latter two.
    """
    if match := re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError(f"expected no blank or control character in a URI, found {_shown(text)}")
    match = re.fullmatch(REFERENCE, text, re.DOTALL)
    assert match is not None  # the pattern matches any text, if with all of it as the path
    scheme, authority, path, query, fragment = match.groups()
    if scheme is None and ":" in path.partition("/")[0]:
        raise ValueError(f"expected a scheme before the first ':' in {_shown(text)}")
    user_info, host, port = "", None, None
    if authority is not None:
        try:
            user_info, host, port = split_authority(authority)
        except ValueError:
            if "@" not in text:
                raise
            # A password with "/" in it ends the authority early: what seems to be a port may be half of it.
            raise ValueError(f"expected [user@]host[:port] behind '//', found {_shown(text)}") from None
    if lone := re.search("%(?![0-9A-Fa-f]{2})", path):
        raise ValueError(f"expected two hexadecimal digits behind '%', found {path[lone.start():][:3]!r} "
                         f"in the path of {_shown(text)}")
    return Parts(clean_scheme(scheme or ""), user_info, host, port, escape(path, PATH_CHARACTERS),
                 clean_query(query), clean_query(fragment))


def split_authority(authority: str) -> tuple[str, str, int | None]:
    """User information, host and port, clean."""
    match = re.fullmatch(AUTHORITY, authority, re.DOTALL)
    if match is None:
        _, at, host = authority.rpartition("@")
        raise ValueError(f"expected [user@]host[:port], found {_shown(f'***@{host}' if at else host)}")
    user_info, host, port = match.groups()
    return clean_user_info(user_info or ""), clean_host(host), clean_port(port)


def clean_scheme(scheme: str) -> str:
    """The scheme in lower case."""
    if scheme and not re.fullmatch(SCHEME, scheme):
        raise ValueError("expected a scheme, a letter and then letters, digits, '+', '-' or '.', "
                         f"found {_shown(scheme)}")
    return scheme.lower()


def clean_user_info(user_info: str) -> str:
    """The user information with what may not stand there encoded."""
    return escape(user_info, USER_INFO_CHARACTERS)


def clean_query(query: str | None) -> str | None:
    """The query, or the fragment, with what may not stand there encoded."""
    return None if query is None else escape(query, QUERY_CHARACTERS)


def check_port(port: object) -> None:
    """TypeError for a port that is no int, which could only be found out late, or never."""
    if not hasattr(port, "__index__"):
        raise TypeError(f"a port is an int, found the {type(port).__name__} {port!r}")


def clean_port(port: str | int | None) -> int | None:
    """The port as a number, None for one that is not written."""
    if port is None or port == "":
        return None
    if isinstance(port, str):
        if not re.fullmatch("0*+[0-9]{0,5}+", port):
            raise ValueError(f"expected a port from 0 to {LAST_PORT}, found {_shown(port)}")
        port = int(port)
    if not isinstance(port, int):
        raise TypeError(f"expected an int as port, not {type(port).__name__}")
    if not 0 <= port <= LAST_PORT:
        raise ValueError(f"expected a port from 0 to {LAST_PORT}, found {port}")
    return int(port)


def clean_host(host: str) -> str:
    """The host in lower case, an IPv6 address in brackets.

    Letters beyond ASCII are percent-encoded as UTF-8 (RFC 3986 3.2.2); what is encoded without
    need is decoded, so that equal hosts are equal texts.
    """
    bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
    if bare is not host or ":" in host:
        match = re.fullmatch(IPV6_LITERAL, bare)
        if match is not None and is_ipv6(match[1]):
            # A zone is an interface's name, and those have case (RFC 6874).
            zone = "" if match[2] is None else f"%25{match[2]}"
            return f"[{match[1].lower()}{zone}]"
        if bare is not host and re.fullmatch(IPV_FUTURE, bare):
            return host.lower()
        if bare is host and host.count(":") == 1:
            raise ValueError(f"expected a host, and its port by itself, found {_shown(host)}")
        raise ValueError(f"expected an IPv6 address, found {_shown(bare)}")
    host = re.sub(PERCENT_ENCODED, _decode_unreserved, encode(host.lower(), r"\x00-\x7f"))
    if not re.fullmatch(REG_NAME, host):
        odd = re.search(f"[^{REG_NAME_CHARACTERS}]", re.sub(PERCENT_ENCODED, "", host))
        raise ValueError(f"expected a host, found {_shown(host)}" + (f" with {odd[0]!r}" if odd else ""))
    return host


def _decode_unreserved(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    return character.lower() if re.fullmatch(f"[{UNRESERVED}]", character) else match[0].upper()


def is_ipv6(text: str) -> bool:
    """Whether this is an IPv6address (RFC 3986 3.2.2)."""
    head, gap, tail = text.partition("::")
    groups = head.split(":") if head else []
    groups += tail.split(":") if tail else []
    count = len(groups)
    # An IPv4 address may take the place of the last two groups; behind a gap that ends the text there is none.
    if groups and "." in groups[-1] and (tail or not gap):
        octet = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
        if not re.fullmatch(rf"(?:{octet}\.){{3}}{octet}", groups.pop()):
            return False
        count += 1
    if not (count <= 7 if gap else count == 8):
        return False
    return all(re.fullmatch("[0-9A-Fa-f]{1,4}", group) for group in groups)


def join(parts: Parts) -> tuple[str, Parts]:
    """The text of the parts, and the parts as that text has them (RFC 3986 5.3).

    A port that is the scheme's own is left out.  A path that would read as an authority or a
    scheme is kept from it by "/." or "./", as the WHATWG's URL and RFC 3986 4.2 have it.
    """
    scheme, user_info, host, port, path, query, fragment = parts
    if port is not None and port == DEFAULT_PORTS.get(scheme):
        port = None
    if host is not None:
        if path and path[0] != "/":
            path = "/" + path
    elif path[:2] == "//":
        path = "/." + path
    elif not scheme and ":" in path.partition("/")[0]:
        path = "./" + path
    text = scheme + ":" if scheme else ""
    if host is not None:
        text += "//" + join_authority(user_info, host, port)
    text += path
    if query is not None:
        text += "?" + query
    if fragment is not None:
        text += "#" + fragment
    return text, Parts(scheme, user_info, host, port, path, query, fragment)


def join_authority(user_info: str, host: str, port: int | None) -> str:
    """The text of an authority."""
    text = f"{user_info}@{host}" if user_info else host
    return text if port is None else f"{text}:{port}"


def resolve(base: Parts, reference: Parts) -> Parts:
    """What the reference means where ``base`` is read (RFC 3986 5.2.2)."""
    if reference.scheme:
        return reference._replace(path=normalize(reference))
    if reference.host is not None:
        return reference._replace(scheme=base.scheme, path=remove_dot_segments(reference.path))
    if not reference.path:
        query = base.query if reference.query is None else reference.query
        return base._replace(query=query, fragment=reference.fragment)
    if reference.path[0] == "/":
        path = reference.path
    elif base.host is not None and not base.path:
        path = "/" + reference.path
    else:
        path = base.path[:base.path.rfind("/") + 1] + reference.path
    merged = base._replace(path=path, query=reference.query, fragment=reference.fragment)
    return merged._replace(path=normalize(merged))


def normalize(parts: Parts) -> str:
    """The path without dot segments; one that is relative to an unknown base keeps leading ".."."""
    if parts.scheme or parts.host is not None or parts.path[:1] == "/":
        return remove_dot_segments(parts.path)
    return _collapse(parts.path)


def remove_dot_segments(path: str) -> str:
    """RFC 3986 5.2.4, on whole segments."""
    if "." not in path:
        return path
    segments = path.split("/")
    slash = ""
    if not segments[0]:
        slash = "/"
        del segments[0]
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(slash + segment)
            slash = "/"
    if segments[-1] in (".", ".."):
        kept.append(slash)
    return "".join(kept)


def _collapse(path: str) -> str:
    if "." not in path:
        return path
    segments = path.split("/")
    kept: list[str] = []
    for segment in segments:
        if segment == ".." and kept and kept[-1] != "..":
            kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", "..") or not kept:
        kept.append("")
    return "/".join(kept) if kept != [""] else "./"


def _shown(text: str) -> str:
    """For a message: shortened, and without what may be a password."""
    text = re.sub("//.*@", "//***@", text, count=1, flags=re.DOTALL)
    return repr(text if len(text) <= 200 else text[:200] + "...")
