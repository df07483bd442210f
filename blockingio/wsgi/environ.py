"""The environ of a request (PEP 3333, RFC 3875 4.1), and its wsgi.input.

Two kinds of fields are left out: names with an underscore, which would pass for those with a hyphen, and Proxy, which
would be HTTP_PROXY, a setting of HTTP clients.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

from blockingio.server.request import HttpRequest
from blockingio.server.slots import Slots
from blockingio.values.headers import HttpHeaders
from blockingio.values.kept import keep
from blockingio.wsgi.file_wrapper import FileWrapper

# Header sections whose part of the environ is kept, and characters of one at most: clients repeat theirs, and the
# server keeps them too.
_MOST_KEPT = 64
_LONGEST_KEPT = 4096

_DEFAULT_PORTS = {"http": "80", "https": "443"}

_SCRIPT_NAME_RE = re.compile(r"(?:/[^/?#\x00-\x20\x7f]+)*")


class Environs:
    """Makes an application's environs.  Any thread may ask."""

    def __init__(self, script_name: str, multiprocess: bool) -> None:
        if not isinstance(script_name, str) or not _SCRIPT_NAME_RE.fullmatch(script_name):
            raise ValueError(f"script_name is {script_name!r}, expected '' or the like of '/x', without a slash behind")
        self._script_name = script_name.encode("utf-8").decode("latin-1")
        self._below = self._script_name + "/"
        self._same: dict[str, Any] = {
            "SCRIPT_NAME": self._script_name, "wsgi.version": (1, 0), "wsgi.multithread": True,
            "wsgi.multiprocess": multiprocess, "wsgi.run_once": False, "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileWrapper,
        }
        # By the id of the headers, which are kept too, so that no other object has that id; with the authority and the
        # scheme that the environ was made for.
        self._kept: dict[int, tuple[HttpHeaders, str, str, dict[str, Any]]] = {}

    def of(self, request: HttpRequest, slots: Slots | None) -> dict[str, Any] | None:
        """That of a request; None where its path is not below ``script_name``."""
        headers = request.headers
        scheme, authority, address = request.addressing
        kept = self._kept.get(id(headers))
        if kept is None or kept[0] is not headers or kept[1] is not authority or kept[2] != scheme:
            kept = self._keep(headers, scheme, authority, request.protocol_version)
        environ = kept[3].copy()
        target = request.target
        if target[:1] == "/":
            path, _, query = target.partition("?")
        else:  # absolute-form, authority-form, "*"
            uri = request.uri
            path, query = "" if target == "*" else uri.path or "/", uri.query
            if uri.scheme:
                environ["HTTP_HOST"] = uri.authority.rpartition("@")[2]  # which goes before Host (RFC 9112 3.2.2)
        if "%" in path:
            path = unquote_to_bytes(path).decode("latin-1")
        if self._script_name and path:
            if path != self._script_name and not path.startswith(self._below):
                return None
            path = path[len(self._script_name):]
        environ["REQUEST_METHOD"] = request.method
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        environ["REMOTE_ADDR"] = address
        environ["wsgi.input"] = Input(request, slots) if request.content_length else _NO_INPUT
        environ["wsgi.errors"] = sys.stderr
        return environ

    def _keep(self, headers: HttpHeaders, scheme: str, authority: str,
              version: str) -> tuple[HttpHeaders, str, str, dict[str, Any]]:
        """What of an environ is kept.  ``version`` is no part of the key: headers are never those of two versions."""
        environ = self._same.copy()
        name, _, port = authority.rpartition(":")
        if not name or port == "0" or not port.isdecimal():
            name, port = "localhost", _DEFAULT_PORTS[scheme]  # a Unix-domain socket
        environ["SERVER_PROTOCOL"] = "HTTP/" + version
        environ["SERVER_NAME"] = name
        environ["SERVER_PORT"] = port
        environ["wsgi.url_scheme"] = scheme
        size = 0
        for name in headers:
            if "_" in name or name.lower() == "proxy":
                continue
            key = name.upper().replace("-", "_")
            # Cookie is the one field whose members no comma separates (RFC 6265 5.4).
            value = "; ".join(headers.get_all(name)) if key == "COOKIE" else headers[name]
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key] = value
            size += len(key) + len(value)
        made = headers, authority, scheme, environ
        if size <= _LONGEST_KEPT:
            keep(self._kept, id(headers), made, _MOST_KEPT)
        return made


class _NoBody:
    """What Input asks of a request, of one without a body."""

    content_length = 0

    def read(self, size: int = -1) -> bytes:
        return b""

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


class Input:
    """wsgi.input: the request's body, streamed; chunked ones too, and with an end of its own.

    Reading raises HttpException where the client went away, was too slow or broke the framing.
    """

    __slots__ = ("_request", "_slots", "_read_ahead")

    def __init__(self, request: HttpRequest | _NoBody, slots: Slots | None) -> None:
        self._request = request
        self._slots = slots
        self._read_ahead = b""  # behind a line

    def read(self, size: int | None = -1) -> bytes:
        """So many bytes, fewer only at the end; all for None and below 0."""
        ahead = self._read_ahead
        if size is None or size < 0:
            self._read_ahead = b""
            return ahead + self._receive(self._request.read)
        self._read_ahead = ahead[size:]
        if size <= len(ahead):
            return ahead[:size]
        return ahead + self._receive(partial(self._request.read, size - len(ahead)))

    def readline(self, size: int | None = -1) -> bytes:
        """Through the next newline, but no more than ``size`` bytes where that is not below 0."""
        limit = sys.maxsize if size is None or size < 0 else size
        pieces: list[bytes] = []  # without a newline
        length, piece = 0, self._read_ahead
        while (end := piece.find(b"\n")) < 0 and length + len(piece) < limit:
            pieces.append(piece)
            length += len(piece)
            piece = self._receive(partial(next, iter(self._request), b""))  # what is there, or comes next
            if not piece:
                break
        end = min(end + 1 if end >= 0 else len(piece), limit - length)
        self._read_ahead = piece[end:]
        return b"".join([*pieces, piece[:end]]) if length else piece[:end]

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """All lines; at least ``hint`` bytes of them where that is above 0."""
        lines, size = [], 0
        for line in self:
            lines.append(line)
            size += len(line)
            if hint is not None and 0 < hint <= size:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def _receive(self, read: Callable[[], bytes]) -> bytes:
        """What ``read`` gives.  The thread waits for its client: without a slot."""
        slots = self._slots
        if slots is None or not self._request.content_length:
            return read()
        slots.leave()
        try:
            return read()
        finally:
            slots.enter()


# That of all requests without a body: it has nothing that a read would change.
_NO_INPUT = Input(_NoBody(), None)
