"""Challenges: the text of WWW-Authenticate and its kin <-> schemes and parameters (RFC 9110 11).

Takes the values of the field as received, in which commas separate challenges as well as the parameters of one; gives a
list, in the server's order.  It raises nothing: what cannot be understood is passed over up to the next comma, and what
follows still counts.  It knows no scheme and no secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from blockingio.values.grammar import QUOTED_STRING, TOKEN

_SEPARATORS = re.compile(r"[ \t,]*+")

# challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]               RFC 9110 11.3
_SCHEME = re.compile(rf"({TOKEN})(?=[ \t,]|\Z)[ \t]*+")

# token68 = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="    RFC 9110 11.2; what follows
# tells it from a parameter
_TOKEN68 = re.compile(r"([A-Za-z0-9\-._~+/]++=*+)[ \t]*+(?=,|\Z)")

# auth-param = token BWS "=" BWS ( token / quoted-string )                 RFC 9110 11.2; a value that is
# neither is taken up to the comma
_PARAMETER = re.compile(rf"({TOKEN})[ \t]*+=[ \t]*+(?:{QUOTED_STRING}|([^,]*+))")

_TO_COMMA = re.compile(r"[^,]*+")
_QUOTED_PAIR = re.compile(r"\\(.)")


class Challenge(NamedTuple):
    """A scheme as the server spells it, and its parameters by lower-case name, unquoted."""

    scheme: str
    parameters: dict[str, str]

    @property
    def realm(self) -> str | None:
        return self.parameters.get("realm")


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """The challenges of all fields of that name, in order; a token68 is left out, nothing here reads one."""
    challenges = []
    for text in values:
        current: Challenge | None = None
        at = _skip(text, 0)
        while at < len(text):
            if found := _PARAMETER.match(text, at):
                if current is not None:
                    current.parameters.setdefault(found[1].lower(), _value(found))
            elif found := _SCHEME.match(text, at):
                current = Challenge(found[1], {})
                challenges.append(current)
                found = _TOKEN68.match(text, found.end()) or found
                if found.re is _SCHEME:
                    at = found.end()
                    continue
            else:
                found = _TO_COMMA.match(text, at)
            at = _skip(text, found.end() if found else len(text))
    return challenges


def parse_parameters(text: str) -> dict[str, str]:
    """The parameters of a field that has nothing else, as Authentication-Info (RFC 9110 11.6.3)."""
    parameters: dict[str, str] = {}
    at = _skip(text, 0)
    while at < len(text):
        found = _PARAMETER.match(text, at)
        if found:
            parameters.setdefault(found[1].lower(), _value(found))
        else:
            found = _TO_COMMA.match(text, at)
        at = _skip(text, found.end() if found else len(text))
    return parameters


def quoted(text: str) -> str:
    """The text as a quoted-string (RFC 9110 5.6.4)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _skip(text: str, at: int) -> int:
    found = _SEPARATORS.match(text, at)
    return found.end() if found else at


def _value(found: re.Match[str]) -> str:
    if found[2] is not None:
        return _QUOTED_PAIR.sub(r"\1", found[2])
    return str(found[3]).strip(" \t")
