"""Cookies: Set-Cookie and Cookie fields <-> objects (RFC 6265).

A name or value that the grammar does not allow is a ValueError before it is written; those of a request's Cookie field
are taken as they stand there, to be read.  An attribute that makes no sense is passed over when it comes from the peer
(5.2) and a ValueError when the program sets it, so that nothing can be smuggled into the field behind a ";".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from enum import Enum

from blockingio.values.date import HttpDate, parse_cookie_date
from blockingio.values.grammar import COOKIE_ATTRIBUTE, COOKIE_VALUE_RE, OWS, TOKEN_RE

# A Max-Age beyond this many digits is cut to the largest number that has them.
_MAX_AGE_DIGITS = 18


class SameSite(Enum):
    """To which requests from other sites a cookie is added; follows dart:io's SameSite."""

    LAX = "Lax"
    STRICT = "Strict"
    NONE = "None"


_SAME_SITE = {same_site.value.lower(): same_site for same_site in SameSite}


def cookie_pairs(values: list[str]) -> list[tuple[str, str]]:
    """Names and values in a request's Cookie fields, in order: one from each ";", as it stands, if it has a name.

    Many servers and scripts set what the grammar does not allow, and browsers send it back (RFC 6265 5.4).
    Quotation marks around a value are part of it, as in dart:io.
    """
    pairs = []
    for value in values:
        for pair in value.split(";"):
            name, equals, text = pair.partition("=")
            name = name.strip(OWS)
            if equals and name:
                pairs.append((name, text.strip(OWS)))
    return pairs


class Cookie:
    """A cookie; ``str(cookie)`` is a Set-Cookie value.  Follows dart:io's Cookie.

    ``secure``: browsers send it on TLS only; False until set.  ``http_only``: it is out of reach for scripts; True
    until switched off.  ValueError for a name, value or attribute that cannot be written, TypeError for the wrong type.

        cookie = Cookie("language", "de")
        cookie.max_age = 365 * 24 * 60 * 60
        request.response.cookies.append(cookie)
    """

    __slots__ = ("_name", "_value", "_expires", "_max_age", "_domain", "_path", "_same_site", "secure", "http_only")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value
        self._set_no_attributes()

    def _set_no_attributes(self) -> None:
        self._expires: datetime | None = None
        self._max_age: int | None = None
        self._domain: str | None = None
        self._path: str | None = None
        self._same_site: SameSite | None = None
        self.secure = False
        self.http_only = True

    @staticmethod
    def from_set_cookie_value(value: str) -> Cookie:
        """Parse the value of a Set-Cookie field (RFC 6265 5.2).

        ValueError where it has no "=", or its name or value is not of the grammar; attributes
        that are unknown or make no sense are ignored, the last of several counts.
        """
        if not isinstance(value, str):
            raise TypeError(f"expected a str, not {type(value).__name__}")
        pair, *attributes = value.split(";")
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"expected name=value in a Set-Cookie field, found {pair[:80]!r}")
        cookie = Cookie(name.strip(OWS), text.strip(OWS))
        cookie.http_only = False
        for attribute in attributes:
            key, _, text = attribute.partition("=")
            cookie._take_attribute(key.strip(OWS).lower(), text.strip(OWS))
        return cookie

    def _take_attribute(self, key: str, text: str) -> None:
        if key == "expires":
            self._expires = parse_cookie_date(text) or self._expires
        elif key == "max-age":
            if re.fullmatch("-?[0-9]+", text):
                digits = text.lstrip("-")
                age = int(digits) if len(digits) <= _MAX_AGE_DIGITS else 10 ** _MAX_AGE_DIGITS - 1
                self._max_age = -age if text[0] == "-" else age
        elif key == "domain":
            domain = text.removeprefix(".").lower()
            if domain and re.fullmatch(COOKIE_ATTRIBUTE, domain):
                self._domain = domain
        elif key == "path":
            # 5.2.4: what does not begin with a slash is the default path, which needs the URI.
            self._path = text if text[:1] == "/" and re.fullmatch(COOKIE_ATTRIBUTE, text) else None
        elif key == "secure":
            self.secure = True
        elif key == "httponly":
            self.http_only = True
        elif key == "samesite":
            self._same_site = _SAME_SITE.get(text.lower(), self._same_site)

    @staticmethod
    def parse_cookie_header(values: list[str]) -> list[Cookie]:
        """The cookies of a request's Cookie fields, in order: as ``cookie_pairs`` has them."""
        return Cookie.of_pairs(cookie_pairs(values))

    @staticmethod
    def of_pairs(pairs: list[tuple[str, str]]) -> list[Cookie]:
        """A cookie for each of ``cookie_pairs``: unchecked, as it stands there."""
        cookies = []
        for name, value in pairs:
            cookie = Cookie.__new__(Cookie)
            cookie._name, cookie._value = name, value
            cookie._set_no_attributes()
            cookies.append(cookie)
        return cookies

    @property
    def name(self) -> str:
        """The name, a token."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        _check_name(name)
        self._name = name

    @property
    def value(self) -> str:
        """The value: visible ASCII but for comma, semicolon, backslash, and quotes except around it.

        In request.cookies whatever the client sent, in latin-1.
        """
        return self._value

    @value.setter
    def value(self, value: str) -> None:
        _check_value(value)
        self._value = value

    @property
    def expires(self) -> datetime | None:
        """When it ends, an aware datetime; None: with the session."""
        return self._expires

    @expires.setter
    def expires(self, expires: datetime | None) -> None:
        if expires is not None:
            HttpDate.format(expires)
        self._expires = expires

    @property
    def max_age(self) -> int | None:
        """Seconds until it ends, which go before ``expires``; 0 or less: at once; None: not set."""
        return self._max_age

    @max_age.setter
    def max_age(self, max_age: int | None) -> None:
        if max_age is not None and not isinstance(max_age, int):
            raise TypeError(f"expected an int or None as max_age, not {type(max_age).__name__}")
        self._max_age = max_age

    @property
    def domain(self) -> str | None:
        """The host whose subdomains get it too; None: only the host that set it."""
        return self._domain

    @domain.setter
    def domain(self, domain: str | None) -> None:
        self._domain = _attribute("domain", domain)

    @property
    def path(self) -> str | None:
        """The path below which it is sent; None: that of the request that set it."""
        return self._path

    @path.setter
    def path(self, path: str | None) -> None:
        self._path = _attribute("path", path)

    @property
    def same_site(self) -> SameSite | None:
        """To which requests from other sites it is added; None: the browser's default."""
        return self._same_site

    @same_site.setter
    def same_site(self, same_site: SameSite | None) -> None:
        if same_site is not None and not isinstance(same_site, SameSite):
            raise TypeError(f"expected a SameSite or None, not {type(same_site).__name__}")
        self._same_site = same_site

    def pair(self) -> str:
        """``name=value``, as a Cookie field has it.

        ValueError where a client sent what cannot be written (``HttpRequest.cookies``).
        """
        _check_name(self._name)
        _check_value(self._value)
        return f"{self._name}={self._value}"

    def __str__(self) -> str:
        return self.pair() + self._attributes()

    def _attributes(self) -> str:
        text = ""
        if self._expires is not None:
            text += f"; Expires={HttpDate.format(self._expires)}"
        if self._max_age is not None:
            text += f"; Max-Age={int(self._max_age)}"
        if self._domain is not None:
            text += f"; Domain={self._domain}"
        if self._path is not None:
            text += f"; Path={self._path}"
        if self.secure:
            text += "; Secure"
        if self.http_only:
            text += "; HttpOnly"
        if self._same_site is not None:
            text += f"; SameSite={self._same_site.value}"
        return text

    def __repr__(self) -> str:
        return f"Cookie.from_set_cookie_value({f'{self._name}={self._value}{self._attributes()}'!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cookie):
            return NotImplemented
        return all(getattr(self, slot) == getattr(other, slot) for slot in Cookie.__slots__)

    __hash__ = None  # type: ignore[assignment]


def checked_cookies(cookies: Iterable[Cookie]) -> Iterable[Cookie]:
    """The same; TypeError where text is among them, which would go out as it is, with CR and LF."""
    for cookie in cookies:
        if not isinstance(cookie, Cookie):
            raise TypeError(f"expected a Cookie in cookies, as Cookie(name, value), not {type(cookie).__name__}")
    return cookies


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"expected a str as cookie name, not {type(name).__name__}")
    if not TOKEN_RE.fullmatch(name):
        raise ValueError(f"a cookie's name is a token (RFC 6265 4.1.1), found {name[:80]!r}")


def _check_value(value: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"expected a str as cookie value, not {type(value).__name__}")
    if not COOKIE_VALUE_RE.fullmatch(value):
        raise ValueError("a cookie's value is visible ASCII without comma, semicolon, backslash and "
                         f"inner quotes (RFC 6265 4.1.1), found {value[:80]!r}")


def _attribute(name: str, text: str | None) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError(f"expected a str or None as {name}, not {type(text).__name__}")
    if not re.fullmatch(COOKIE_ATTRIBUTE, text):
        raise ValueError(f"a cookie's {name} is printable ASCII without semicolon, found {text[:80]!r}")
    return text.strip(OWS)
