"""HttpMultipartFormData: one part of a multipart/form-data body as a field of a form (RFC 7578).

Takes a MimeMultipart, gives its Content-Disposition, its type, and the content as text or
bytes while it is read.  Raises BadMessage (an HttpException, 400) for a part without a legible
Content-Disposition, in an unknown charset, or with bytes that are not in its charset.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from blockingio.errors import BadMessage
from blockingio.http_server.gather import decode, decoded
from blockingio.http_server.multipart import MimeMultipart
from blockingio.stream.stream import Stream
from blockingio.values.grammar import OWS, TCHAR
from blockingio.values.header_value import ContentType, HeaderValue
from blockingio.values.percent import decode_bytes

# Encodings that leave the bytes as they are; RFC 7578 4.7 wants no others.
_TRANSPARENT = frozenset(("7bit", "8bit", "binary"))

# disposition-type, and each parameter as clients write it (RFC 7578 4.2).
# Between quotes a backslash stands before a quote that is part of the name; but browsers leave the
# name alone, so that one which ends in a backslash has it before the quote that closes.  That is so
# where nothing or another parameter follows.  Without quotes all up to the semicolon is the value.
_TYPE_RE = re.compile(r"[ \t]*+([^ \t;]*+)[ \t]*+;?+")
_CLOSES = rf'"[ \t]*+(?:\Z|;(?:[^"]*+\Z|[ \t;]*+[{TCHAR}]++[ \t]*+=))'
_PARAMETER_RE = re.compile(
    rf'[ \t]*+(?P<name>[^ \t=;]*+)[ \t]*+(?P<assigned>=[ \t]*+(?:'
    rf'"(?P<quoted>(?:[^"\\]|\\(?!{_CLOSES}).)*+(?:\\(?={_CLOSES}))?+)"|(?P<plain>(?!")[^;]*+)))?+[ \t]*+(?:;|\Z)')
# A backslash before a quote goes, any other stays: some browsers send C:\new.txt as it is.
_QUOTED_PAIR_RE = re.compile(r'\\(["\\])')

# ext-value = charset "'" [ language ] "'" value-chars (RFC 8187 3.2.1)
_EXT_VALUE = (r"(?P<charset>[0-9A-Za-z!#$%&+\-^_`{}~]++)'[0-9A-Za-z\-]*+'"
              r"(?P<value>(?:%[0-9A-Fa-f]{2}|[0-9A-Za-z!#$&+.^_`|~\-])*+)")


class HttpMultipartFormData(Stream[Any]):
    """A field of a form: as a stream its content, str where ``is_text``, else bytes.

    ``content_disposition`` is the part's field of that name, ``content_type`` and
    ``content_transfer_encoding`` are None where the part has none.  ``charset`` is what text is in:
    what the type names, else the default.  Follows package:http_server's HttpMultipartFormData.
    """

    def __init__(self, multipart: MimeMultipart, content_disposition: HeaderValue, content_type: ContentType | None,
                 content_transfer_encoding: HeaderValue | None, charset: str) -> None:
        """Use ``parse``."""
        self._multipart = multipart
        self.content_disposition = content_disposition
        self.content_type = content_type
        self.content_transfer_encoding = content_transfer_encoding
        self.charset = charset
        self._content: Iterator[Any] = decoded(multipart, charset) if self.is_text else iter(multipart)

    @staticmethod
    def parse(multipart: MimeMultipart, *, default_encoding: str = "utf-8") -> HttpMultipartFormData:
        """The field that a part is; its content is still to be read.

        ``default_encoding`` is that of text whose type names no charset.  In ``content_disposition`` the parameters
        name and filename are as the user sees them: filename* (RFC 8187) decoded and preferred, backslashes before a
        quote or a backslash gone (but one that ends a name stays), and %22 a quote again, which browsers write so.  A
        file name is what the client says; it may hold a path.  Raises HttpException.
        """
        headers = multipart.headers
        disposition = headers.get("content-disposition")
        if disposition is None:
            raise BadMessage("a part has no Content-Disposition field, expected form-data")
        encoding = _parsed(HeaderValue.parse, headers.get("content-transfer-encoding"))
        if encoding is not None and encoding.value.lower() not in _TRANSPARENT:
            raise BadMessage(f"a part's Content-Transfer-Encoding is {encoding.value!r}, expected 7bit, 8bit or binary")
        content_type = _parsed(ContentType.parse, headers.get("content-type"))
        charset = content_type.charset if content_type is not None else None
        return HttpMultipartFormData(multipart, _parse_disposition(disposition), content_type, encoding,
                                     charset or default_encoding)

    @property
    def is_text(self) -> bool:
        """Whether the content is text: text/*, application/json, or no type given."""
        content_type = self.content_type
        return (content_type is None or content_type.primary_type == "text"
                or content_type.mime_type == "application/json")

    @property
    def is_binary(self) -> bool:
        """Whether the content is bytes: not ``is_text``."""
        return not self.is_text

    def value(self, name: str) -> str | None:
        """The part's header field of that name, None where there is none."""
        return self._multipart.headers.get(name)

    def __iter__(self) -> Iterator[Any]:
        return self._content

    def __repr__(self) -> str:
        return f"HttpMultipartFormData({str(self.content_disposition)!r}, {self.content_type!r})"


def _parsed(parse: Any, text: str | None) -> Any:
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise BadMessage(f"a part has a broken header field: {error}") from error


def _parse_disposition(text: str) -> HeaderValue:
    start = _TYPE_RE.match(text)
    assert start is not None  # it matches the empty text
    parameters: dict[str, str | None] = {}
    at = start.end()
    while at < len(text):
        match = _PARAMETER_RE.match(text, at)
        if match is None:
            raise BadMessage("a part has a broken Content-Disposition field: expected name=value, name=\"value\" "
                             f"and semicolons, found {text[at:at + 80]!r}")
        name, assigned, quoted, plain = match.groups()
        if assigned is not None or name:
            # curl and others double a backslash.
            parameters[name.lower()] = (plain.rstrip(OWS) if plain is not None
                                        else quoted and _QUOTED_PAIR_RE.sub(r"\1", quoted))
        at = match.end()
    for name in ("name", "filename"):
        value = parameters.get(name)
        if value is not None:
            # Browsers have no other way to send a quote.
            parameters[name] = value.replace("%22", '"')
    extended = _decode_ext_value(parameters.get("filename*"))
    if extended is not None:
        parameters["filename"] = extended
    try:
        return HeaderValue(start[1], parameters)
    except ValueError as error:
        raise BadMessage(f"a part has a broken Content-Disposition field: {error}") from error


def _decode_ext_value(text: str | None) -> str | None:
    """An RFC 8187 value's text; None where it is none, so that the plain parameter is taken (4.2)."""
    match = re.fullmatch(_EXT_VALUE, text) if text else None
    if match is None:
        return None
    try:
        return decode(decode_bytes(match["value"]), match["charset"])
    except BadMessage:
        return None
