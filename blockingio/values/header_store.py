"""Header fields as they are kept: names without case, a list of texts each, in order.

Takes any value and keeps its text; gives texts, and the bytes of the section.  ValueError for a
name or text that cannot go on the wire, HttpException for a change once they are frozen.
What single fields mean is HttpHeaders' (headers.py), but for what couples Content-Length and
Transfer-Encoding: a message has one of them at most (RFC 9112 6.2).

An object belongs to one thread at a time.  The lists in ``by_name`` are never changed in place,
only replaced: so a copy shares them.  Each field keeps its lines as they go on the wire, so that a
copy with one field more encodes that field and no other.

The names without an underscore below "for the package" are for messages on their way, not for users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from datetime import datetime
from typing import Any, Final, Self

from blockingio.errors import HttpException
from blockingio.values.date import HttpDate
from blockingio.values.grammar import CONTENT_LENGTH_RE, FIELD_VALUE_RE, OWS
from blockingio.values.header_value import DEFAULT_CODEC, codec_of_type
from blockingio.values.header_names import SINGLE_VALUED, known_names, lower_name

RECEIVED: Final = "the headers of a received message cannot be changed"

# Fields that the sender of a message writes by itself: how it is framed, and what becomes of the connection.
FRAMING_NAMES: Final = frozenset(("connection", "content-length", "transfer-encoding"))

# Types that one section keeps, and characters of one: a handler whose types are always new gains nothing.
_TYPES_KEPT = 16
_LONGEST_KEPT = 256


class Section:
    """The lines of a header section as bytes; immutable, but for what it keeps.

    ``by_type`` keeps what becomes of it with another Content-Type, by that field's text: nearly all answers begin with
    the same fields, and have one of a few types.  None: nothing is kept.  Any thread may read it and put into it.
    """

    __slots__ = ("data", "has_framing", "has_origin", "is_usual", "codec", "by_type")

    by_type: dict[str, Section] | None

    def __init__(self, lines: dict[str, str], content_types: list[str] | None) -> None:
        self.codec = DEFAULT_CODEC if content_types is None else codec_of_type(content_types[0])
        self.data = "".join(lines.values()).encode("latin-1")
        self.has_framing = "content-length" in lines or "transfer-encoding" in lines or "connection" in lines
        self.has_origin = "date" in lines or "server" in lines  # which a server else writes by itself
        self.is_usual = not (self.has_framing or self.has_origin)
        self.by_type = {}

    def keep(self, content_type: str, section: Section) -> None:
        """What becomes of this with that type, where it may be met again.  It keeps no others by itself."""
        if self.by_type is not None and len(self.by_type) < _TYPES_KEPT and len(content_type) <= _LONGEST_KEPT:
            self.by_type[content_type] = section
            section.by_type = None


class HeaderStore(MutableMapping[str, str]):
    """Fields by name; see HttpHeaders, the one subclass."""

    __slots__ = ("by_name", "_lines", "_version", "_locked", "kept_section", "_case", "_unfolded", "_port")

    by_name: dict[str, list[str]]       # lower-case name -> its texts, never empty; elsewhere for reading alone
    _lines: dict[str, str] | None       # lower-case name -> its lines; None: made from by_name when asked for
    _version: str                       # "1.0" or "1.1": what a missing Connection field means
    _locked: str | None                 # why they cannot be changed, None while they can
    kept_section: Section | None        # what section() gave, until the next change; elsewhere for reading alone
    _case: dict[str, str] | None        # lower-case name -> as preserve_header_case wants it written
    _unfolded: frozenset[str] | None    # names that no_folding was called for
    _port: int | None                   # a port that was set before there is a host

    def __init__(self) -> None:
        self.by_name = {}
        self._lines = {}
        self._version = "1.1"
        self._locked = self.kept_section = self._case = self._unfolded = self._port = None

    @classmethod
    def from_fields(cls, fields: list[tuple[str, str]], version: str = "1.1") -> Self:
        """The fields of a received message, checked by the parser, immutable."""
        self = cls.__new__(cls)
        values = {field.lower(): [text] for field, text in fields}
        if len(values) < len(fields):
            values = {}
            for field, text in fields:
                values.setdefault(field.lower(), []).append(text)
        self.by_name = values
        self._version = version
        self._locked = RECEIVED
        self._lines = self.kept_section = self._case = self._unfolded = self._port = None
        return self

    # ------------------------------------------------------------ for the package

    def copy(self) -> Self:
        """A copy that can be changed."""
        copy = self.__class__.__new__(self.__class__)
        copy.by_name = self.by_name.copy()
        lines = self._lines
        copy._lines = None if lines is None else lines.copy()
        copy._version = self._version
        copy._locked = None
        copy.kept_section = self.kept_section
        copy._case = self._case and self._case.copy()
        copy._unfolded = self._unfolded
        copy._port = self._port
        return copy

    def freeze(self, reason: str) -> None:
        """From now on every change raises HttpException with this message."""
        self._locked = reason

    def set_trusted(self, lower: str, text: str) -> None:
        """Set a field to text that the library made: a lower-case name, nothing is checked."""
        self._put_texts(lower, [text])

    def discard(self, lower: str) -> None:
        """Remove the field with this lower-case name; nothing if it is absent."""
        if lower in self.by_name:
            if self._lines is not None:
                self._lines.pop(lower)
            del self.by_name[lower]
            self.kept_section = None
        if self._case is not None:
            self._case.pop(lower, None)

    def section(self) -> Section:
        """Their bytes and what of them a sender must know; kept until the next change."""
        section = self.kept_section
        if section is None:
            lines = self._all_lines() if self._lines is None else self._lines
            self.kept_section = section = Section(lines, self.by_name.get("content-type"))
        return section

    def encode(self) -> bytes:
        """"name: value\\r\\n" for every field, without the blank line."""
        return (self.kept_section or self.section()).data

    def encode_without(self, names: frozenset[str]) -> bytes:
        """``encode()`` without the fields of these lower-case names."""
        lines = self._all_lines()
        if names.isdisjoint(lines):
            return self.encode()
        return "".join([line for lower, line in lines.items() if lower not in names]).encode("latin-1")

    def _check_mutable(self) -> None:
        if self._locked is not None:
            raise HttpException(self._locked)

    # ------------------------------------------------------------ reading

    def __getitem__(self, key: str, /) -> str:
        values = self.by_name.get(_folded(key))
        if values is None:
            raise KeyError(key)
        return values[0] if len(values) == 1 else ", ".join(values)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self.by_name

    def __iter__(self) -> Iterator[str]:
        if self._case is None:
            return iter(self.by_name)
        return iter([self._case.get(name, name) for name in self.by_name])

    def __len__(self) -> int:
        return len(self.by_name)

    def value(self, name: str) -> str | None:
        """The one value of the field, None where it is absent; HttpException where there are several."""
        values = self.by_name.get(_folded(name))
        if values is None:
            return None
        if len(values) > 1:
            raise HttpException(f"expected one value for the field {name!r}, found {len(values)}")
        return values[0]

    def get_all(self, name: str) -> list[str]:
        """The values of the field in order, as a new list; empty where it is absent."""
        return list(self.by_name.get(_folded(name), ()))

    def for_each(self, action: Callable[[str, list[str]], object]) -> None:
        """Call ``action`` with the name and the values of each field."""
        for name, values in list(zip(self, self.by_name.values())):
            action(name, list(values))

    # ------------------------------------------------------------ changing

    def add(self, name: str, value: object, *, preserve_header_case: bool = False) -> None:
        """Append a value, or replace it where the field takes only one (RFC 9110 5.3).

        A datetime is written as an HTTP date, a list adds each of its items, other objects are ``str(value)``.  With
        ``preserve_header_case`` the name is written as it is spelled here.  ValueError for what cannot go on the wire,
        TypeError for bytes and None, HttpException once the headers are immutable.
        """
        if self._locked is not None:
            raise HttpException(self._locked)
        lower = known_names.get(name) or lower_name(name)
        texts = field_texts(value)
        if texts:
            if lower in SINGLE_VALUED:
                texts = texts[-1:]
            elif lower in self.by_name:
                texts = self.by_name[lower] + texts
            self._put(lower, texts)
        if preserve_header_case or self._case is not None:
            self._spell(lower, name, preserve_header_case)

    def set(self, name: str, value: object, *, preserve_header_case: bool = False) -> None:
        """Remove the values of the field, then ``add`` this one; nothing is removed if that raises."""
        if self._locked is not None:
            raise HttpException(self._locked)
        lower = known_names.get(name) or lower_name(name)
        texts = field_texts(value)
        if not texts:
            self.discard(lower)
        elif len(texts) > 1 and lower in SINGLE_VALUED:
            self._put(lower, texts[-1:])
        else:
            self._put(lower, texts)
        if preserve_header_case or self._case is not None:
            self._spell(lower, name, preserve_header_case)

    def __setitem__(self, key: str, value: Any, /) -> None:
        self.set(key, value)

    def remove(self, name: str, value: object) -> None:
        """Remove one value of the field, compared as ``add`` would write it; nothing if it is absent."""
        self._check_mutable()
        lower = known_names.get(name) or lower_name(name)
        left = list(self.by_name.get(lower, ()))
        for text in field_texts(value):
            if text in left:
                left.remove(text)
        if left:
            self._put(lower, left)
        else:
            self.discard(lower)

    def remove_all(self, name: str) -> None:
        """Remove the field; nothing if it is absent."""
        self._check_mutable()
        self.discard(known_names.get(name) or lower_name(name))

    def __delitem__(self, key: str, /) -> None:
        self._check_mutable()
        if key not in self:
            raise KeyError(key)
        self.discard(key.lower())

    def no_folding(self, name: str) -> None:
        """Write each value of the field on a line of its own; Set-Cookie always is."""
        self._check_mutable()
        lower = known_names.get(name) or lower_name(name)
        self._unfolded = (self._unfolded or frozenset()) | {lower}
        if lower in self.by_name:
            self._put_texts(lower, self.by_name[lower])

    def clear(self) -> None:
        """Remove all fields."""
        self._check_mutable()
        self.by_name = {}
        self._lines = {}
        self.kept_section = self._case = self._port = None

    def _put(self, lower: str, texts: list[str]) -> None:
        if lower == "content-length":
            if not CONTENT_LENGTH_RE.fullmatch(texts[0]):
                raise ValueError(f"Content-Length is 1 to 18 digits, found {texts[0][:80]!r}")
            texts = [str(int(texts[0]))]
            self._remove_chunked()
        elif lower == "transfer-encoding":
            if self._version == "1.0":
                raise HttpException("HTTP/1.0 knows no Transfer-Encoding")
            self.discard("content-length")
        elif lower == "content-type":
            self._put_type(texts)
            return
        self._put_texts(lower, texts)

    def _put_type(self, texts: list[str]) -> None:
        """Content-Type, where the section that comes of it may be known."""
        before = self.kept_section
        self._put_texts("content-type", texts)
        if before is not None and before.by_type is not None and self._case is None:
            text = texts[0]
            self.kept_section = before.by_type.get(text)
            if self.kept_section is None:
                before.keep(text, self.section())

    def _put_texts(self, lower: str, texts: list[str]) -> None:
        self.by_name[lower] = texts
        self.kept_section = None
        lines = self._lines
        if lines is None:
            return
        if len(texts) == 1 and self._case is None:
            lines[lower] = f"{lower}: {texts[0]}\r\n"
        else:
            lines[lower] = self._lines_of(lower, texts)

    def _all_lines(self) -> dict[str, str]:
        lines = self._lines
        if lines is None:
            self._lines = lines = {lower: self._lines_of(lower, texts) for lower, texts in self.by_name.items()}
        return lines

    def _lines_of(self, lower: str, texts: list[str]) -> str:
        name = lower if self._case is None else self._case.get(lower, lower)
        if len(texts) == 1:
            return f"{name}: {texts[0]}\r\n"
        if lower == "set-cookie" or (self._unfolded is not None and lower in self._unfolded):
            return "".join([f"{name}: {text}\r\n" for text in texts])
        # RFC 9110 5.3; a Cookie field is no list, its pairs are joined by ";" (RFC 6265 4.2).
        return f"{name}: {('; ' if lower == 'cookie' else ', ').join(texts)}\r\n"

    def _spell(self, lower: str, name: str, preserve: bool) -> None:
        if self._case is None:
            self._case = {}
        if preserve and lower in self.by_name:
            self._case[lower] = name
        else:
            self._case.pop(lower, None)
        if lower in self.by_name:
            self._put_texts(lower, self.by_name[lower])

    def _tokens(self, lower: str) -> list[str]:
        """The members of a list-valued field, in lower case."""
        return [token for text in self.by_name.get(lower, ())
                for member in text.split(",") if (token := member.strip(OWS).lower())]

    def _without(self, lower: str, token: str) -> None:
        """Remove one member from a list-valued field, wherever it stands."""
        left = []
        for text in self.by_name.get(lower, ()):
            members = [member.strip(OWS) for member in text.split(",")]
            kept = [member for member in members if member and member.lower() != token]
            if len(kept) == len(members):
                left.append(text)
            elif kept:
                left.append(", ".join(kept))
        if left:
            self._put_texts(lower, left)
        else:
            self.discard(lower)

    def _remove_chunked(self) -> None:
        if "transfer-encoding" in self.by_name:
            self._without("transfer-encoding", "chunked")

    # ------------------------------------------------------------ the section as a whole

    def __str__(self) -> str:
        return "".join(self._all_lines().values()).replace("\r\n", "\n")

    def __repr__(self) -> str:
        state = "" if self._locked is None else ", immutable"
        return f"<{type(self).__name__} {dict(zip(self, self.by_name.values()))}{state}>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, HeaderStore):
            return self.by_name == other.by_name
        if isinstance(other, Mapping):
            lowered = {name.lower(): text for name, text in other.items() if isinstance(name, str)}
            return len(lowered) == len(other) and {name: self[name] for name in self.by_name} == lowered
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    __copy__ = copy

    def __deepcopy__(self, memo: object) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.by_name, self._version, self._case, self._unfolded, self._port)


def _restore(cls: type[HeaderStore], values: dict[str, list[str]], version: str,
             case: dict[str, str] | None, unfolded: frozenset[str] | None, port: int | None) -> HeaderStore:
    self = cls()
    self.by_name, self._version = values, version
    self._case, self._unfolded, self._port = case, unfolded, port
    self._lines = None
    return self


def _folded(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a field name is a str, not {type(name).__name__}")
    return name.lower()


def first_member(headers: Mapping[str, str], name: str) -> str:
    """The first member of a field that is a list of them (RFC 9110 5.6.1); "" where there is none."""
    return headers[name].partition(",")[0].strip(OWS) if name in headers else ""


def field_texts(value: object) -> list[str]:
    """The texts of a value, checked, without blanks around them."""
    if type(value) is str:
        # Printable ASCII is nearly all there is, and these two are faster than any pattern.
        if value.isascii() and value.isprintable():
            return [value.strip()]
        return [_checked(value)]
    if isinstance(value, str):
        return [_checked(str.__str__(value))]
    if isinstance(value, datetime):
        return [HttpDate.format(value)]
    if value is None or isinstance(value, (bytes, bytearray, memoryview, Mapping)):
        raise TypeError(f"a field value cannot be {type(value).__name__}, expected a str, a number, a date, or a list of "
                        "them")
    if isinstance(value, Iterable):
        return [text for item in value for text in field_texts(item)]
    return [_checked(str(value))]


def _checked(text: str) -> str:
    if FIELD_VALUE_RE.fullmatch(text):
        return text.strip(OWS)
    end = FIELD_VALUE_RE.match(text).end()  # type: ignore[union-attr]
    expected = "latin-1 text" if text[end] > "\xff" else "no control character but HTAB"
    raise ValueError(f"expected {expected} in a field value, found {text[end]!r} at character {end}")
