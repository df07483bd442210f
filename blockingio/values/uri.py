"""Uri: an RFC 3986 reference as a value.

Lenient where browsers are (raw characters in path and query are percent-encoded), strict where lenience would change
the meaning (authority, scheme, controls): ValueError.  The parts of it are in reference.py, the encoding in percent.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from blockingio.errors import StateError
from blockingio.values import percent, reference as references
from blockingio.values.file_path import from_file_path, to_file_path
from blockingio.values.grammar import NORMAL_REFERENCE_RE, ORIGIN_FORM_RE, PATH_CHARACTERS, PCHAR, QUERY_CHARACTERS
from blockingio.values.reference import DEFAULT_PORTS, LAST_PORT, Parts

# The parts as a tuple, in the order of Parts.
_Parts = tuple[str, str, str | None, int | None, str, str | None, str | None]


class Uri:
    """An RFC 3986 reference: immutable, hashable, ``str(uri)`` is its text.  Follows dart's Uri.

    Scheme and host are lower-cased, a port that is the scheme's default is left out; the path
    stays as written (``normalize_path`` removes dot segments).

        uri = Uri.parse("http://a.example/people?name=Ann")
        uri.path, uri.query_parameters["name"]  # "/people", "Ann"
        str(uri.resolve("../about"))  # "http://a.example/about"
    """

    __slots__ = ("_text", "_scheme", "_user_info", "_host", "_port", "_path", "_query", "_fragment",
                 "_segments", "_parameters")

    def __init__(self, *, scheme: str = "", user_info: str = "", host: str = "", port: int | None = None,
                 path: str = "", path_segments: Iterable[str] | None = None, query: str | None = None,
                 query_parameters: Mapping[str, str | Iterable[str]] | None = None,
                 fragment: str | None = None) -> None:
        """Put a reference together; what may not stand in a part is percent-encoded there.

        A "%" before two hexadecimal digits is kept as it is, except in ``path_segments`` and
        ``query_parameters``, which are encoded whole.  An empty mapping makes no query.
        ValueError for a scheme, host or port that is none, and for both ways to give one part.
        """
        if path and path_segments is not None:
            raise ValueError("expected path or path_segments, not both")
        if query is not None and query_parameters is not None:
            raise ValueError("expected query or query_parameters, not both")
        if path_segments is not None:
            path = _join_segments(path_segments)
        if query_parameters is not None:
            query = percent.encode_query(query_parameters) if query_parameters else None
        scheme = references.clean_scheme(scheme)
        has_authority = bool(host or user_info) or port is not None or scheme == "file"
        self._take(*references.join(Parts(
            scheme, references.clean_user_info(user_info),
            references.clean_host(host) if has_authority else None, references.clean_port(port),
            percent.escape(path, PATH_CHARACTERS), references.clean_query(query),
            references.clean_query(fragment))))

    def _take(self, text: str, parts: _Parts) -> None:
        self._text = text
        self._scheme, self._user_info, self._host, self._port, self._path, self._query, self._fragment = parts
        self._segments: tuple[str, ...] | None = None  # this and the next are made when asked for
        self._parameters: Mapping[str, str] | None = None

    @classmethod
    def _of(cls, parts: Parts) -> Uri:
        self = cls.__new__(cls)
        self._take(*references.join(parts))
        return self

    @classmethod
    def parse(cls, text: str) -> Uri:
        """Parse an absolute URI or a relative reference.

        Characters that people and browsers write raw in path, query and fragment, though RFC 3986 has no place for
        them, are percent-encoded.  ValueError for a blank or control character, for what cannot be a scheme, host or
        port, and for a "%" in the path that no two hexadecimal digits follow.
        """
        if not isinstance(text, str):
            raise TypeError(f"expected a str as URI, not {type(text).__name__}")
        match = NORMAL_REFERENCE_RE.fullmatch(text)
        if match is not None:
            scheme, user_info, host, digits, path, query, fragment = match.groups()
            port = None if digits is None else int(digits)
            if user_info != "" and (port is None or port <= LAST_PORT and port != DEFAULT_PORTS.get(scheme)):
                self = cls.__new__(cls)
                self._take(text, (scheme or "", user_info or "", host, port, path, query, fragment))
                return self
        return cls._of(references.split(text))

    @classmethod
    def try_parse(cls, text: str) -> Uri | None:
        """As ``parse``, but None for text that is no URI."""
        try:
            return cls.parse(text)
        except ValueError:
            return None

    @classmethod
    def from_target(cls, target: str) -> Uri:
        """The request target that the head's parser let through, in any of its four forms (RFC 9112 3.2).

        Never raises: what is no URI becomes the path.  A target that begins with "/" has no authority, "//" or not.
        """
        self = cls.__new__(cls)
        match = ORIGIN_FORM_RE.fullmatch(target)
        if match is not None:
            path, query = match.groups()
            self._take(target, ("", "", None, None, path, query, None))
        elif target[:1] == "/":
            path, mark, query = target.partition("?")
            path, query = percent.escape(path, PATH_CHARACTERS), percent.escape(query, QUERY_CHARACTERS)
            self._take(path + mark + query, ("", "", None, None, path, query if mark else None, None))
        else:
            try:
                if "://" in target:
                    return cls.parse(target)
                user_info, host, port = references.split_authority(target)
                if user_info or port is None:
                    raise ValueError("authority-form is host and port (RFC 9112 3.2.3)")
                self._take(references.join_authority("", host, port), ("", "", host, port, "", None, None))
            except ValueError:
                path = percent.escape(target, PATH_CHARACTERS)
                self._take(path, ("", "", None, None, path, None, None))
        return self

    @classmethod
    def http(cls, authority: str, path: str = "", query_parameters: Mapping[str, Any] | None = None) -> Uri:
        """The http URI with this authority ("user@host:port"), and a path that is not encoded yet."""
        return cls._web("http", authority, path, query_parameters)

    @classmethod
    def https(cls, authority: str, path: str = "", query_parameters: Mapping[str, Any] | None = None) -> Uri:
        """The https URI with this authority ("user@host:port"), and a path that is not encoded yet."""
        return cls._web("https", authority, path, query_parameters)

    @classmethod
    def _web(cls, scheme: str, authority: str, path: str, query_parameters: Mapping[str, Any] | None) -> Uri:
        user_info, host, port = references.split_authority(authority)
        if not host:
            raise ValueError(f"expected a host in the authority {authority[:200]!r}")
        path = percent.encode(path, PATH_CHARACTERS)
        query = percent.encode_query(query_parameters) if query_parameters else None
        return cls._of(Parts(scheme, user_info, host, port, path, query, None))

    @classmethod
    def file(cls, path: str) -> Uri:
        """The file URI of an absolute path of the system, the relative reference of a relative one."""
        host, encoded = from_file_path(os.fspath(path))
        if host is None:
            return cls._of(Parts("", "", None, None, encoded, None, None))
        return cls._of(Parts("file", "", references.clean_host(host), None, encoded, None, None))

    def replace(self, **parts: Any) -> Uri:
        """This reference with other parts, named as in the constructor; None removes one.

        TypeError for another name.
        """
        unknown = parts.keys() - _REPLACEABLE
        if unknown:
            raise TypeError(f"expected the name of a part, found {', '.join(sorted(unknown))}")
        for name, twin in (("path", "path_segments"), ("query", "query_parameters")):
            if name in parts and twin in parts:
                raise ValueError(f"expected {name} or {twin}, not both")
        new = self._parts()
        if "scheme" in parts:
            new = new._replace(scheme=references.clean_scheme(parts["scheme"] or ""))
        if "user_info" in parts:
            user_info = references.clean_user_info(parts["user_info"] or "")
            new = new._replace(user_info=user_info, host=new.host or "" if user_info else new.host)
        if "host" in parts:
            host = parts["host"]
            new = (new._replace(host=references.clean_host(host)) if host
                   else new._replace(host=None, user_info="", port=None))
        if "port" in parts:
            port = references.clean_port(parts["port"])
            new = new._replace(port=port, host=new.host if port is None else new.host or "")
        if "path" in parts:
            new = new._replace(path=percent.escape(parts["path"] or "", PATH_CHARACTERS))
        if "path_segments" in parts:
            new = new._replace(path=_join_segments(parts["path_segments"] or ()))
        if "query" in parts:
            new = new._replace(query=references.clean_query(parts["query"]))
        if "query_parameters" in parts:
            query_parameters = parts["query_parameters"]
            new = new._replace(query=percent.encode_query(query_parameters) if query_parameters else None)
        if "fragment" in parts:
            new = new._replace(fragment=references.clean_query(parts["fragment"]))
        return self._of(new)

    def resolve(self, reference: str | Uri) -> Uri:
        """What the reference means on the page that this URI names (RFC 3986 5.2)."""
        if not isinstance(reference, Uri):
            reference = Uri.parse(reference)
        return self._of(references.resolve(self._parts(), reference._parts()))

    def normalize_path(self) -> Uri:
        """This reference with "." and ".." segments taken out of its path (RFC 3986 5.2.4)."""
        parts = self._parts()
        return self._of(parts._replace(path=references.normalize(parts)))

    def _parts(self) -> Parts:
        return Parts(self._scheme, self._user_info, self._host, self._port, self._path, self._query, self._fragment)

    @property
    def scheme(self) -> str:
        """In lower case, "" in a relative reference."""
        return self._scheme

    @property
    def user_info(self) -> str:
        """What stands before the "@", still percent-encoded; "" where there is none."""
        return self._user_info

    @property
    def host(self) -> str:
        """In lower case, without the brackets of an IPv6 literal; "" where there is none.

        Letters beyond ASCII are percent-encoded UTF-8.
        """
        host = self._host or ""
        return host[1:-1] if host[:1] == "[" else host

    @property
    def port(self) -> int:
        """The one written, else the scheme's default (80, 443), else 0."""
        return DEFAULT_PORTS.get(self._scheme, 0) if self._port is None else self._port

    @property
    def has_port(self) -> bool:
        """Whether a port is written that is not the scheme's default."""
        return self._port is not None

    @property
    def authority(self) -> str:
        """user_info@host:port, as far as they are there."""
        if self._host is None:
            return ""
        return references.join_authority(self._user_info, self._host, self._port)

    @property
    def origin(self) -> str:
        """scheme://host:port of an http or https URI, StateError for another (RFC 6454 4)."""
        if self._scheme not in DEFAULT_PORTS or not self._host:
            raise StateError(f"expected an http or https URI with a host, found {self._text[:200]!r}")
        return f"{self._scheme}://{references.join_authority('', self._host, self._port)}"

    @property
    def path(self) -> str:
        """The path, still percent-encoded."""
        return self._path

    @property
    def path_segments(self) -> Sequence[str]:
        """What stands between the slashes, decoded (U+FFFD for what is no UTF-8); none for "" and "/"."""
        if self._segments is None:
            path = self._path.removeprefix("/")
            self._segments = tuple(map(percent.decode_lenient, path.split("/"))) if path else ()
        return self._segments

    @property
    def query(self) -> str:
        """The query, still percent-encoded; "" where there is none."""
        return self._query or ""

    @property
    def query_parameters(self) -> Mapping[str, str]:
        """The query's names and values, decoded; the last value of a repeated name."""
        if self._parameters is None:
            self._parameters = MappingProxyType(percent.decode_query(self.query))
        return self._parameters

    @property
    def query_parameters_all(self) -> Mapping[str, list[str]]:
        """The query's names with all of their values, decoded."""
        result: dict[str, list[str]] = {}
        for name, value in percent.query_pairs(self.query):
            result.setdefault(percent.decode_lenient(name), []).append(percent.decode_lenient(value))
        return MappingProxyType(result)

    @property
    def fragment(self) -> str:
        """What stands behind "#", still percent-encoded; "" where there is none."""
        return self._fragment or ""

    @property
    def has_query(self) -> bool:
        """Whether there is a "?"."""
        return self._query is not None

    @property
    def has_fragment(self) -> bool:
        """Whether there is a "#"."""
        return self._fragment is not None

    @property
    def is_absolute(self) -> bool:
        """Whether it has a scheme and no fragment (RFC 3986 4.3)."""
        return bool(self._scheme) and self._fragment is None

    def to_file_path(self) -> str:
        """The system's path for a file URI or a relative reference.

        ValueError for another scheme, a host (but on Windows), a query or fragment, and for a
        segment that cannot be one file's name.
        """
        if self._scheme not in ("", "file") or self._query is not None or self._fragment is not None:
            raise ValueError(f"expected a file URI without query and fragment, found {self._text[:200]!r}")
        return to_file_path(self.host, self._path)

    @staticmethod
    def encode_component(text: str) -> str:
        """Percent-encode all but ASCII letters, digits and -_.!~*'() (as encodeURIComponent)."""
        return percent.encode(text, percent.COMPONENT_CHARACTERS)

    @staticmethod
    def decode_component(text: str) -> str:
        """Undo percent-encoding; ValueError for a "%" without its digits, and for what is no UTF-8."""
        return percent.decode_strict(text)

    @staticmethod
    def encode_query_component(text: str) -> str:
        """Encode for application/x-www-form-urlencoded: a blank is "+"."""
        return percent.encode_query_component(text)

    @staticmethod
    def split_query_string(query: str, *, encoding: str = "utf-8") -> dict[str, str]:
        """The names and values of a query or form; the last value of a repeated name.

        ValueError for a "%" without its digits, and for octets that are not of the encoding.
        """
        return {percent.decode_strict(name, encoding): percent.decode_strict(value, encoding)
                for name, value in percent.query_pairs(query) if name}

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Uri({self._text!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Uri):
            return NotImplemented
        # The target "//a/b" of a request has no authority, though its text reads as if it had.
        return self._text == other._text and self._host == other._host

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._text, tuple(self._parts()))


_REPLACEABLE: Final = frozenset((
    "scheme", "user_info", "host", "port", "path", "path_segments", "query", "query_parameters", "fragment"))


def _join_segments(segments: Iterable[str]) -> str:
    if isinstance(segments, str):
        raise TypeError("expected an Iterable of segments, not a str")
    return "/".join([percent.encode(segment, PCHAR) for segment in segments])


def _restore(text: str, parts: _Parts) -> Uri:
    uri = Uri.__new__(Uri)
    uri._take(text, parts)
    return uri
