"""The productions of RFC 3986, 6265, 9110 and 9112 that this package reads by, as patterns.

A name ending in ``_RE`` is compiled; the others are sources to build with, or for what is rare (``re.fullmatch(SOURCE,
text)`` compiles them on first use, which keeps the import short).  Nothing here takes more than linear time:
repetitions are possessive, alternatives start with different characters.  Text is what ``bytes.decode("latin-1")``
gave; ``[0-9]`` and never ``\\d``, which also takes digits that are not ASCII.
"""

from __future__ import annotations

import re
from typing import Final

# OWS = *( SP / HTAB )                                                    RFC 9110 5.6.3
OWS: Final = " \t"

# token = 1*tchar                                                         RFC 9110 5.6.2
TCHAR: Final = r"!#$%&'*+\-.^_`|~0-9A-Za-z"
TOKEN: Final = rf"[{TCHAR}]++"
TOKEN_RE: Final = re.compile(TOKEN)

# field-value = *field-content, as characters: HTAB, SP, VCHAR, obs-text  RFC 9110 5.5
FIELD_VALUE: Final = "[\t\x20-\x7e\x80-\xff]*+"
FIELD_VALUE_RE: Final = re.compile(FIELD_VALUE)

# quoted-string, from the mark that opens it; group 1 is what is between the marks, still with
# its backslashes                                                         RFC 9110 5.6.4
QUOTED_STRING: Final = r'"((?:[^"\\]|\\.)*+)"'


def quoted(text: str) -> str:
    """The text as a quoted-string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# Content-Length = 1*DIGIT; RFC 9110 8.6 asks to foresee large values.  18 digits are an exabyte,
# and a 64-bit integer everywhere.
CONTENT_LENGTH_RE: Final = re.compile("[0-9]{1,18}+")

# IMF-fixdate, as "Sun, 06 Nov 1994 08:49:37 GMT"                         RFC 9110 5.6.7
_TIME = "([0-9]{2}):([0-9]{2}):([0-9]{2})"
_MONTH = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
IMF_FIXDATE_RE: Final = re.compile(
    f"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{{2}}) {_MONTH} ([0-9]{{4}}) {_TIME} GMT")
# rfc850-date, as "Sunday, 06-Nov-94 08:49:37 GMT"
RFC850_DATE: Final = f"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, ([0-9]{{2}})-{_MONTH}-([0-9]{{2}}) {_TIME} GMT"
# asctime-date, as "Sun Nov  6 08:49:37 1994"
ASCTIME_DATE: Final = f"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} ([0-9]{{2}}| [0-9]) {_TIME} ([0-9]{{4}})"

# cookie-value = *cookie-octet / ( DQUOTE *cookie-octet DQUOTE )          RFC 6265 4.1.1
_COOKIE_OCTET = r"[!#-+\--:<-\[\]-~]"
COOKIE_VALUE_RE: Final = re.compile(f'(?:{_COOKIE_OCTET}*+|"{_COOKIE_OCTET}*+")')
# path-value, av-octet: any character but CTLs and ";"
COOKIE_ATTRIBUTE: Final = r"[\x20-:<-~]*+"

# A cookie-date is tokens between delimiters, and what a token is shows by its form; anything may
# follow behind a non-digit                                               RFC 6265 5.1.1
COOKIE_DATE_DELIMITERS: Final = r"[\t\x20-/;-@\[-`{-~]++"
COOKIE_TIME: Final = r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])"
COOKIE_DAY: Final = r"([0-9]{1,2})(?![0-9])"
COOKIE_YEAR: Final = r"([0-9]{2,4})(?![0-9])"

# RFC 3986.  Classes of characters without their brackets; percent-encoded octets come on top.
UNRESERVED: Final = r"A-Za-z0-9\-._~"                                   # 2.3
SUB_DELIMS: Final = r"!$&'()*+,;="                                      # 2.2
PCHAR: Final = UNRESERVED + SUB_DELIMS + ":@"                           # 3.3
PATH_CHARACTERS: Final = PCHAR + "/"
QUERY_CHARACTERS: Final = PCHAR + "/?"                                  # 3.4, 3.5
USER_INFO_CHARACTERS: Final = UNRESERVED + SUB_DELIMS + ":"             # 3.2.1
REG_NAME_CHARACTERS: Final = UNRESERVED + SUB_DELIMS                    # 3.2.2
PERCENT_ENCODED: Final = "%[0-9A-Fa-f]{2}"                              # 2.1


def percent_encodable(characters: str) -> str:
    """The pattern of any text of these characters and percent-encoded octets."""
    return f"[{characters}]*+(?:{PERCENT_ENCODED}[{characters}]*+)*+"


PATH: Final = percent_encodable(PATH_CHARACTERS)
QUERY: Final = percent_encodable(QUERY_CHARACTERS)
USER_INFO: Final = percent_encodable(USER_INFO_CHARACTERS)
REG_NAME: Final = percent_encodable(REG_NAME_CHARACTERS)
SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.\-]*+"                            # 3.1
# IP-literal, between its brackets: what looks like IPv6, with a zone, or IPvFuture.  The "%"
# before a zone should be "%25" but is accepted bare                      RFC 6874 2, 3
IPV6_LITERAL: Final = rf"([0-9A-Fa-f:.]++)(?:%(?:25)?+((?:[{UNRESERVED}]|{PERCENT_ENCODED})++))?+"
IPV_FUTURE: Final = rf"[vV][0-9A-Fa-f]++\.[{REG_NAME_CHARACTERS}:]++"

# The parts of any reference, as its appendix B finds them, with the authority's own parts;
# groups: scheme, authority, path, query, fragment
REFERENCE: Final = r"(?:([^:/?#]++):)?+(?://([^/?#]*+))?+([^?#]*+)(?:\?([^#]*+))?+(?:#(.*+))?+"
# Groups: user_info, host, port
AUTHORITY: Final = r"(?:([^@]*+)@)?+(\[[^\]]*+\]|[^:\[\]@]*+)(?::([0-9]*+))?+"

# The same for a reference that needs nothing done to it: scheme and host in lower case, no character to encode.
# Groups: scheme, user_info, host, port, path, query, fragment.  The look-aheads hold that "//" always begins an
# authority, and that a ":" in the first segment always ends a scheme (4.2).
NORMAL_REFERENCE_RE: Final = re.compile(
    r"(?:([a-z][a-z0-9+.\-]*+):|(?![^/?#:]*+:))"
    rf"(?://(?:({USER_INFO})@)?+([a-z0-9\-._~{SUB_DELIMS}]*+)(?::([1-9][0-9]{{0,4}}))?+(?![^/?#])|(?!//))"
    rf"({PATH})(?:\?({QUERY}))?+(?:#({QUERY}))?+")
# origin-form = absolute-path [ "?" query ] (RFC 9112 3.2.1), of which a server meets most
ORIGIN_FORM_RE: Final = re.compile(rf"(/{PATH})(?:\?({QUERY}))?+")
