"""HeaderValue and ContentType: ``value; name=param; other="quoted param"`` <-> objects.

Parsing is as lenient as dart:io's, since the text comes from peers: only a quoted string that
never ends, and a parameter that runs into the next without a separator, are ValueErrors.
What controls may stand in a field is not judged here: HttpHeaders does when the text is set.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from functools import lru_cache
from re import Pattern
from types import MappingProxyType
from typing import ClassVar, Final

from blockingio.values.grammar import QUOTED_STRING, TOKEN_RE, quoted
from blockingio.values.kept import kept

_NO_PARAMETERS: Final[Mapping[str, str | None]] = MappingProxyType({})

# Distinct Content-Type texts met by one process are few; each costs some 10 µs to parse.  Their number, and characters
# of one at most.
_CONTENT_TYPES_KEPT = 128, 256

# That of text without a charset, by Python's name for it: latin-1, as dart:io has it.
DEFAULT_CODEC = "iso8859-1"


class HeaderValue:
    """A field value with parameters, immutable; follows dart:io's HeaderValue.

    A parameter without '=' has the value None.

        HeaderValue.parse('form-data; name="file"').parameters["name"]  # "file"
    """

    __slots__ = ("_value", "_parameters", "_text")

    def __init__(self, value: str = "", parameters: Mapping[str, str | None] = _NO_PARAMETERS) -> None:
        if not isinstance(value, str):
            raise TypeError(f"expected a str as value, not {type(value).__name__}")
        self._value = value
        self._parameters = _checked(parameters)
        self._text: str | None = None  # str(self), once it was asked for

    @staticmethod
    def parse(value: str, *, parameter_separator: str = ";", value_separator: str | None = None,
              preserve_backslash: bool = False) -> HeaderValue:
        """Parse "value; name=param"; what follows ``value_separator`` is left out.

        The value ends at a blank or a separator; parameter names become lower-case.  With
        ``preserve_backslash`` a quoted string keeps every backslash but that before a quote.
        ValueError for a quoted string without end, or parameters without separator.
        """
        result = HeaderValue.__new__(HeaderValue)
        patterns = _patterns(parameter_separator, value_separator)
        result._value, result._parameters = _parse(value, patterns, preserve_backslash)
        result._text = None
        return result

    @property
    def value(self) -> str:
        """What stands before the parameters."""
        return self._value

    @property
    def parameters(self) -> Mapping[str, str | None]:
        """The parameters by name, read-only."""
        return MappingProxyType(self._parameters)

    def __str__(self) -> str:
        if self._text is None:
            text = self._value
            for name, value in self._parameters.items():
                if value is None:
                    text += f"; {name}"
                elif TOKEN_RE.fullmatch(value):
                    text += f"; {name}={value}"
                else:
                    text += f"; {name}={quoted(value)}"
            self._text = text
        return self._text

    def __repr__(self) -> str:
        return f"{type(self).__name__}.parse({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HeaderValue):
            return NotImplemented
        return self._value == other._value and self._parameters == other._parameters

    def __hash__(self) -> int:
        return hash((self._value, frozenset(self._parameters.items())))


class ContentType(HeaderValue):
    """A media type with its parameters, immutable (RFC 9110 8.3); follows dart:io's ContentType.

    The types, the names of parameters and the charset are lower-case.

        response.headers.content_type = ContentType("text", "csv", charset="utf-8")
    """

    __slots__ = ()

    TEXT: ClassVar[ContentType]
    HTML: ClassVar[ContentType]
    JSON: ClassVar[ContentType]
    BINARY: ClassVar[ContentType]

    def __init__(self, primary_type: str, sub_type: str, *, charset: str | None = None,
                 parameters: Mapping[str, str | None] = _NO_PARAMETERS) -> None:
        """``charset`` goes before one in ``parameters``.  ValueError for a type that is no token."""
        for part in (primary_type, sub_type):
            if not isinstance(part, str):
                raise TypeError(f"expected a str as type, not {type(part).__name__}")
            if part and not TOKEN_RE.fullmatch(part):
                raise ValueError(f"a media type is made of tokens, found {part!r}")
        self._value = f"{primary_type}/{sub_type}".lower()
        self._parameters = {name.lower(): value for name, value in _checked(parameters).items()}
        if charset is not None:
            self._parameters |= _checked({"charset": charset})
        _lower_charset(self._parameters)
        self._text = None

    @staticmethod
    def parse(value: str) -> ContentType:  # type: ignore[override]
        """Parse a Content-Type field's value.

        One without a slash has an empty ``sub_type``.  The first of two parameters with one name counts,
        a charset above all, as browsers have it.  ValueError as for HeaderValue.
        """
        if not isinstance(value, str):
            raise TypeError(f"expected a str, not {type(value).__name__}")
        return _parse_content_type(value)

    @property
    def mime_type(self) -> str:
        """"type/subtype", without parameters."""
        value = self._value
        return value if "/" in value else value + "/"

    @property
    def primary_type(self) -> str:
        """The "text" of text/html."""
        return self._value.partition("/")[0]

    @property
    def sub_type(self) -> str:
        """The "html" of text/html; may be empty."""
        return self._value.partition("/")[2]

    @property
    def charset(self) -> str | None:
        """The charset parameter in lower case, None where there is none."""
        return self._parameters.get("charset")


def _checked(parameters: Mapping[str, str | None]) -> dict[str, str | None]:
    for name, value in parameters.items():
        if not isinstance(name, str) or not isinstance(value, (str, type(None))):
            raise TypeError(f"expected str names with str or None as parameters, found {name!r}: {value!r}")
        if not TOKEN_RE.fullmatch(name):
            raise ValueError(f"a parameter's name is a token, found {name!r}")
    return dict(parameters)


def _lower_charset(parameters: dict[str, str | None]) -> None:
    charset = parameters.get("charset")
    if charset is not None:
        parameters["charset"] = charset.lower()


@kept(*_CONTENT_TYPES_KEPT)
def codec_of_type(content_type: str) -> str | None:
    """Python's name for the charset that a Content-Type names, latin-1 where it names none; None for an unknown one."""
    try:
        return codecs.lookup(_parse_content_type(content_type).charset or DEFAULT_CODEC).name
    except LookupError:
        return None
    except ValueError:
        return DEFAULT_CODEC


@kept(*_CONTENT_TYPES_KEPT)
def _parse_content_type(value: str) -> ContentType:
    result = ContentType.__new__(ContentType)
    text, result._parameters = _parse(value, _patterns(";", None), False, first_counts=True)
    result._value = text.lower()
    _lower_charset(result._parameters)
    result._text = None
    return result


@lru_cache(maxsize=16)
def _patterns(parameter_separator: str, value_separator: str | None) -> tuple[Pattern[str], Pattern[str]]:
    """The patterns (of the value, of one parameter) for these separators."""
    for separator in (parameter_separator, value_separator):
        if separator is not None and (len(separator) != 1 or separator in '= \t"\\'):
            raise ValueError(f"a separator is one character, and not = \" \\ or a blank; found {separator!r}")
    after, beyond = re.escape(parameter_separator), re.escape(value_separator or "")
    # Between the value and the first parameter the separator may be missing, as after the
    # scheme of a challenge: Digest realm="x", nonce="y".
    value = re.compile(rf"[ \t]*+([^ \t{after}{beyond}]*+)[ \t]*+{after}?+")
    parameter = re.compile(
        rf"[ \t]*+(?P<name>[^ \t={after}{beyond}]*+)[ \t]*+"
        rf"(?P<assigned>=[ \t]*+(?:{QUOTED_STRING}|(?P<unclosed>\")|(?P<plain>[^ \t{after}{beyond}]*+)))?+"
        rf"[ \t]*+(?P<end>{after}|\Z" + (rf"|(?={beyond})" if beyond else "") + ")?+", re.DOTALL)
    return value, parameter


def _parse(text: str, patterns: tuple[Pattern[str], Pattern[str]], preserve_backslash: bool, *,
           first_counts: bool = False) -> tuple[str, dict[str, str | None]]:
    if not isinstance(text, str):
        raise TypeError(f"expected a str, not {type(text).__name__}")
    value_pattern, parameter_pattern = patterns
    match = value_pattern.match(text)
    assert match is not None  # both patterns match the empty text
    value = match[1]
    at, end = match.end(), len(text)
    parameters: dict[str, str | None] = {}
    while at < end:
        match = parameter_pattern.match(text, at)
        assert match is not None
        name, assigned, quoted, unclosed, plain, ended = match.groups()
        if unclosed:
            raise ValueError(f"a quoted string has no end in {text[:200]!r}")
        if ended is None:
            raise ValueError(f"expected a separator at character {match.end()} of {text[:200]!r}")
        if quoted is not None:
            plain = _unescape(quoted, preserve_backslash) if "\\" in quoted else quoted
        if (assigned is not None or name) and not (first_counts and name.lower() in parameters):
            parameters[name.lower()] = plain
        if not ended:
            break
        at = match.end()
    return value, parameters


def _unescape(quoted: str, preserve_backslash: bool) -> str:
    if preserve_backslash:
        return re.sub(r'\\(.)', lambda pair: '"' if pair[1] == '"' else pair[0], quoted, flags=re.DOTALL)
    return re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)


ContentType.TEXT = ContentType("text", "plain", charset="utf-8")
ContentType.HTML = ContentType("text", "html", charset="utf-8")
ContentType.JSON = ContentType("application", "json", charset="utf-8")
ContentType.BINARY = ContentType("application", "octet-stream")
