"""HttpHeaders: header fields with the properties that dart:io gives them.

Each property reads the field's text when asked, and writes it when set, so that the two are
never out of step.  Text from the peer that makes no sense reads as if the field were absent.
"""

from __future__ import annotations

import re
from datetime import datetime

from blockingio.errors import HttpException
from blockingio.values.checks import check, is_flag
from blockingio.values.date import HttpDate
from blockingio.values.grammar import CONTENT_LENGTH_RE
from blockingio.values.header_names import HeaderNames
from blockingio.values.header_store import HeaderStore, field_texts
from blockingio.values.header_value import ContentType

# What dart:io takes for the port where the Host field names none.
_DEFAULT_PORT = 80

# The port of a Host field: uri-host [ ":" port ] (RFC 9110 7.2), behind the bracket of an IP-literal.
_HOST_AND_PORT = r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?"


class HttpHeaders(HeaderNames, HeaderStore):
    """Header fields; names compare case-insensitively, several values a name.

    As a mapping a name stands for one string, its values joined by ", " (RFC 9110 5.2);
    ``headers[n] = v`` is ``set``, ``del headers[n]`` is ``remove_all`` (KeyError when absent).  Names go out in lower
    case unless ``preserve_header_case``.  Those of a received message, and those whose message has begun to go out, are
    immutable: HttpException.  Follows dart:io's HttpHeaders.

        headers = HttpHeaders()
        headers.content_type = ContentType.HTML
        headers.add("vary", "accept-encoding")
        headers["cache-control"] = "no-cache"
    """

    __slots__ = ()

    @property
    def date(self) -> datetime | None:
        """The Date field (RFC 9110 6.6.1), None where there is none or it is no date.

        Setting None removes it; ValueError for a datetime without a timezone.
        """
        return self._get_date("date")

    @date.setter
    def date(self, date: datetime | None) -> None:
        self._set_date("date", date)

    @property
    def expires(self) -> datetime | None:
        """The Expires field (RFC 9111 5.3); as ``date``."""
        return self._get_date("expires")

    @expires.setter
    def expires(self, date: datetime | None) -> None:
        self._set_date("expires", date)

    @property
    def if_modified_since(self) -> datetime | None:
        """The If-Modified-Since field (RFC 9110 13.1.3); as ``date``."""
        return self._get_date("if-modified-since")

    @if_modified_since.setter
    def if_modified_since(self, date: datetime | None) -> None:
        self._set_date("if-modified-since", date)

    def _get_date(self, lower: str) -> datetime | None:
        values = self.by_name.get(lower)
        if values is None:
            return None
        try:
            return HttpDate.parse(values[0])
        except ValueError:
            return None

    def _set_date(self, lower: str, date: datetime | None) -> None:
        self._check_mutable()
        if date is None:
            self.discard(lower)
        else:
            self.set_trusted(lower, HttpDate.format(date))

    @property
    def host(self) -> str | None:
        """The Host field without its port (RFC 9110 7.2), None where there is none; None removes it.

        An IPv6 address has its brackets; one that is set without them gets them.  Setting it raises
        ValueError for what can be no host.
        """
        return self._host_and_port()[0]

    @host.setter
    def host(self, host: str | None) -> None:
        self._check_mutable()
        if host is None:
            self.discard("host")
            return
        if not isinstance(host, str):
            raise TypeError(f"expected a str or None as host, not {type(host).__name__}")
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        if not re.fullmatch(r"\[[0-9A-Za-z:.%_~\-]+\]|[^\x00-\x20\x7f-\U0010ffff/?#@,\\:\[\]]*", host):
            raise ValueError(f"expected a host name or address, found {host[:255]!r}")
        port = self._host_and_port()[1] if "host" in self.by_name else self._port
        self._write_host(host, port)

    @property
    def port(self) -> int | None:
        """The port in the Host field, 80 where it names none, None without a host or a legible port.

        Setting 80 or None writes none; one that is set before there is a host waits for it.  Setting
        it raises ValueError outside of 0 to 65535.
        """
        return self._host_and_port()[1]

    @port.setter
    def port(self, port: int | None) -> None:
        self._check_mutable()
        if port is not None:
            if not isinstance(port, int):
                raise TypeError(f"expected an int or None as port, not {type(port).__name__}")
            if not 0 <= port <= 65535:
                raise ValueError(f"expected a port from 0 to 65535, found {port}")
        host = self._host_and_port()[0]
        if host is None:
            self._port = port
        else:
            self._write_host(host, port)

    def _write_host(self, host: str, port: int | None) -> None:
        self._port = None
        self.set_trusted("host", host if port is None or port == _DEFAULT_PORT else f"{host}:{port}")

    def _host_and_port(self) -> tuple[str | None, int | None]:
        values = self.by_name.get("host")
        if values is None:
            return None, self._port
        match = re.fullmatch(_HOST_AND_PORT, values[0], re.DOTALL)
        if match is None:
            return values[0], None
        host, port = match.groups()
        if not port:
            return host, _DEFAULT_PORT
        return host, int(port) if re.fullmatch("[0-9]{1,5}", port) else None

    @property
    def content_type(self) -> ContentType | None:
        """The Content-Type field (RFC 9110 8.3), None where there is none; None removes it.

        Setting it raises TypeError for what is no ContentType, a str too: for that there is ``set``.
        """
        values = self.by_name.get("content-type")
        if values is None:
            return None
        try:
            return ContentType.parse(values[0])
        except ValueError:
            return None

    @content_type.setter
    def content_type(self, content_type: ContentType | None) -> None:
        self._check_mutable()
        if content_type is None:
            self.discard("content-type")
        elif isinstance(content_type, ContentType):
            self._put_type(field_texts(str(content_type)))
        else:
            raise TypeError(f"expected a ContentType or None, as ContentType.HTML or ContentType.parse('text/html'), not "
                            f"{type(content_type).__name__}")

    @property
    def content_length(self) -> int:
        """The Content-Length field in bytes (RFC 9110 8.6), -1 where there is none; -1 removes it.

        Setting a length takes "chunked" out of Transfer-Encoding; ValueError below -1.
        """
        values = self.by_name.get("content-length")
        if values is None or not CONTENT_LENGTH_RE.fullmatch(values[0]):
            return -1
        return int(values[0])

    @content_length.setter
    def content_length(self, length: int) -> None:
        self._check_mutable()
        if not isinstance(length, int):
            raise TypeError(f"expected an int as content length, not {type(length).__name__}")
        if length == -1:
            self.discard("content-length")
        else:
            self._put("content-length", [str(int(length))])

    @property
    def chunked_transfer_encoding(self) -> bool:
        """Whether Transfer-Encoding is, or ends in, chunked (RFC 9112 7.1).

        Switching it on removes Content-Length.  HttpException in HTTP/1.0, which has no such field.
        """
        return self._tokens("transfer-encoding")[-1:] == ["chunked"]

    @chunked_transfer_encoding.setter
    def chunked_transfer_encoding(self, chunked: bool) -> None:
        self._check_mutable()
        if not chunked:
            self._remove_chunked()
        elif self._version == "1.0":
            raise HttpException("HTTP/1.0 knows no Transfer-Encoding")
        elif not self.chunked_transfer_encoding:
            self._remove_chunked()
            self._put("transfer-encoding", [*self.by_name.get("transfer-encoding", ()), "chunked"])

    @property
    def persistent_connection(self) -> bool:
        """Whether the connection stays open behind this message (RFC 9112 9.3).

        In HTTP/1.1 it does unless Connection says close, in HTTP/1.0 if it says keep-alive.
        """
        if "connection" not in self.by_name:
            return self._version != "1.0"
        tokens = self._tokens("connection")
        return "close" not in tokens and (self._version != "1.0" or "keep-alive" in tokens)

    @persistent_connection.setter
    def persistent_connection(self, persistent: bool) -> None:
        self._check_mutable()
        check("persistent_connection", persistent, is_flag)
        persistent = bool(persistent)
        if persistent == self.persistent_connection:
            return
        self._without("connection", "close" if persistent else "keep-alive")
        if persistent != self.persistent_connection:
            word = "keep-alive" if persistent else "close"
            self._put("connection", [*self.by_name.get("connection", ()), word])
