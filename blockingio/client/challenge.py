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

# challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]                              RFC 9110 11.3
# token68 = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="                   RFC 9110 11.2; what follows
# tells it from a parameter
_SCHEME = rf"(?P<scheme>{TOKEN})(?=[ \t,]|\Z)[ \t]*+(?:[A-Za-z0-9\-._~+/]++=*+[ \t]*+(?=,|\Z))?"

# auth-param = token BWS "=" BWS ( token / quoted-string )                                RFC 9110 11.2; a value that is
# neither is taken up to the comma.  Groups: name, quoted, bare
_PARAMETER = rf"({TOKEN})[ \t]*+=[ \t]*+(?:{QUOTED_STRING}|([^,]*+))"

# Between separators; what is none of the two goes up to the comma.
_PARAMETER_RE = re.compile(rf"{_PARAMETER}|[^ \t,][^,]*+")
_PIECE_RE = re.compile(rf"{_PARAMETER}|{_SCHEME}|[^ \t,][^,]*+")

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
        for found in _PIECE_RE.finditer(text):
            if found["scheme"] is not None:
                current = Challenge(found["scheme"], {})
                challenges.append(current)
            elif current is not None:
                _take_parameter(found, current.parameters)
    return challenges


def parse_parameters(text: str) -> dict[str, str]:
    """The parameters of a field that has nothing else, as Authentication-Info (RFC 9110 11.6.3)."""
    parameters: dict[str, str] = {}
    for found in _PARAMETER_RE.finditer(text):
        _take_parameter(found, parameters)
    return parameters


def _take_parameter(found: re.Match[str], parameters: dict[str, str]) -> None:
    """The first of a name counts."""
    name, in_quotes, bare = found.group(1, 2, 3)
    if name is not None:
        value = bare.strip(" \t") if in_quotes is None else _QUOTED_PAIR.sub(r"\1", in_quotes)
        parameters.setdefault(name.lower(), value)
