"""URIs as programs write them: a Uri, or a str in which what no URI can hold is percent-encoded.

For each place where a program names a URI that then goes out: a redirect's Location, the URL of a request.  One way
for ASCII and others.  ``Uri.parse`` is stricter: it judges text that came over the wire.
"""

from __future__ import annotations

import re

from blockingio.values.grammar import PATH_CHARACTERS, QUERY_CHARACTERS, REFERENCE, USER_INFO_CHARACTERS
from blockingio.values.percent import escape
from blockingio.values.uri import Uri

_BREAK = re.compile(r"[\r\n\0]")


def written_uri(uri: Uri | str) -> Uri:
    """The URI or relative reference that was written.

    Blanks, controls, quotes, letters beyond ASCII and a "%" without its digits are encoded in user information,
    path, query and fragment.  ValueError for CR, LF and NUL, which are always a mistake, and for what cannot be a
    scheme, host or port: those name something, and another spelling would name something else.
    """
    if isinstance(uri, Uri):
        return uri
    if isinstance(uri, str):
        try:
            return Uri.parse(uri)  # which lets no CR, LF or NUL through
        except ValueError:
            pass
        check_one_line(uri)
        return Uri.parse(_escaped(uri))
    raise TypeError(f"expected a Uri or a str, not {type(uri).__name__}")


def check_one_line(text: str) -> None:
    """Raise ValueError where there is a CR, LF or NUL in what is to be part of a URI."""
    if found := _BREAK.search(text):
        raise ValueError(f"expected no CR, LF or NUL in a URI, found {found[0]!r} behind {found.start()} characters")


def _escaped(text: str) -> str:
    match = re.fullmatch(REFERENCE, text, re.DOTALL)
    assert match is not None  # the pattern matches any text
    scheme, authority, path, query, fragment = match.groups()
    text = "" if scheme is None else f"{scheme}:"
    if authority is not None:
        user_info, at, host = authority.rpartition("@")
        text += f"//{escape(user_info, USER_INFO_CHARACTERS)}{at}{host}"
    text += escape(path, PATH_CHARACTERS)
    if query is not None:
        text += f"?{escape(query, QUERY_CHARACTERS)}"
    if fragment is not None:
        text += f"#{escape(fragment, QUERY_CHARACTERS)}"
    return text
