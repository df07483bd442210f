"""HttpBodyHandler: a message's body, read whole and as what its Content-Type says it is.

text/* becomes a str, application/json and +json what ``json.loads`` gives, both kinds of form a dict, anything else
bytes.  A request with a broken body is answered 400, and the HttpException goes on to the caller; a response with one
is the HttpException alone.  How much a body may be is the server's ``max_body_size``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from blockingio.errors import BadMessage, HttpException
from blockingio.http_server.form_data import HttpMultipartFormData
from blockingio.http_server.gather import form_encoding, gather_bytes, gather_file, gather_text
from blockingio.http_server.multipart import MimeMultipart, MimeMultipartTransformer
from blockingio.http_server.spool import Spool, SpooledFile, check_spool, gather_or_spool
from blockingio.stream.stream import Stream, StreamTransformer
from blockingio.values import percent
from blockingio.values.header_value import ContentType
from blockingio.values.headers import HttpHeaders

if TYPE_CHECKING:
    from blockingio.client.response import HttpClientResponse
    from blockingio.server.request import HttpRequest


class HttpBody:
    """A body and what it was taken for.

    ``type`` is "text" (``body`` is a str), "json" (what ``json.loads`` gave), "form" (a dict of
    str and HttpBodyFileUpload by name) or "binary" (bytes).  Follows package:http_server's HttpBody.
    """

    __slots__ = ("type", "body")

    def __init__(self, type: str, body: Any) -> None:
        self.type = type
        self.body = body

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.type!r}, {self.body!r})"


class HttpRequestBody(HttpBody):
    """A request's body, with the ``request`` that it came in.

    A context manager where files were spooled: leaving it closes them, as ``close`` does.  Without it they are closed
    when the last reference to them goes, which the body itself has.  Follows package:http_server's HttpRequestBody.
    """

    __slots__ = ("request",)

    def __init__(self, request: HttpRequest, type: str, body: Any) -> None:
        super().__init__(type, body)
        self.request = request

    def close(self) -> None:
        """Close the temporary files of a form, which are gone then.  Idempotent."""
        if self.type == "form":
            _close_files(self.body)

    def __enter__(self) -> HttpRequestBody:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class HttpClientResponseBody(HttpBody):
    """A response's body, with its ``response``.  Follows package:http_server's HttpClientResponseBody."""

    __slots__ = ("response",)

    def __init__(self, response: HttpClientResponse, type: str, body: Any) -> None:
        super().__init__(type, body)
        self.response = response


class HttpBodyFileUpload:
    """A file in a form.

    ``filename`` is what the client calls it, "" where it gives no name: not to be trusted as a path.  ``content_type``
    is the type that it gives, or None.  ``content`` is a str for text/*, application/json and where no type is given,
    but bytes where the file is not in the charset that its type names (without one, the form's default), or that
    charset is not known; bytes for all other types.

    With ``spool``, a file above 1 MiB is in a temporary file: ``content`` is an open binary file then, at its
    beginning, to be read and sought in, whatever the type is; text is not decoded.  It has no name, and goes with the
    body: closed by the body's ``close``, or when the last reference to it goes.  Follows package:http_server's
    HttpBodyFileUpload.
    """

    __slots__ = ("filename", "content_type", "content")

    def __init__(self, filename: str, content_type: ContentType | None, content: str | bytes | BinaryIO) -> None:
        self.filename = filename
        self.content_type = content_type
        self.content = content

    def __repr__(self) -> str:
        content = self.content
        size = f"{len(content)} long" if isinstance(content, (str, bytes)) else "in a file"
        return f"HttpBodyFileUpload({self.filename!r}, {self.content_type!r}, {size})"


class HttpBodyHandler(StreamTransformer["HttpRequest", HttpRequestBody]):
    """Turns requests into their bodies: ``server.transform(HttpBodyHandler())``.

    ``default_encoding`` is that of text and forms whose type names no charset; ``spool`` is as for ``process_request``.
    A request with a broken body is answered and passed over.  Follows package:http_server's HttpBodyHandler.

        for body in server.transform(HttpBodyHandler()):
            body.request.response.write(f"{body.type}: {body.body!r}")
            body.request.response.close()
    """

    def __init__(self, *, default_encoding: str = "utf-8", spool: Spool = None) -> None:
        check_spool(spool)
        self._default_encoding = default_encoding
        self._spool = spool

    def bind(self, stream: Iterable[HttpRequest]) -> Stream[HttpRequestBody]:
        """The bodies of the requests, each read when it is asked for."""
        return Stream.from_iterable(_Bodies(stream, self._default_encoding, self._spool))

    @staticmethod
    def process_request(request: HttpRequest, *, default_encoding: str = "utf-8",
                        spool: Spool = None) -> HttpRequestBody:
        """Read a request's body.

        ``spool`` is for the files of a multipart/form-data body that are above 1 MiB: a directory
        to keep them in as temporary files (see HttpBodyFileUpload), or True for the system's own;
        None keeps all in memory.  Everything else is kept in memory in any case.

        Raises HttpException where the body is broken; the request has been answered then: 400, or
        the status that its framing asks for (413 for one over ``max_body_size``), with the reason for a client on this
        machine.  A handler may let it pass: ``for_each`` does not log it, as it is the client's doing.  Raises OSError
        where a temporary file cannot be written; that is the caller's to answer.
        """
        check_spool(spool)
        try:
            return HttpRequestBody(request, *_process(request, request.headers, default_encoding, spool))
        except HttpException as error:
            _refuse(request, error)

    @staticmethod
    def process_response(response: HttpClientResponse, *, default_encoding: str = "utf-8") -> HttpClientResponseBody:
        """Read a response's body.  Raises HttpException where it is broken."""
        return HttpClientResponseBody(response, *_process(response, response.headers, default_encoding))


class _Bodies(Iterator[HttpRequestBody]):
    """Keeps no request while it waits for the next one, so that a dropped one is noticed."""

    def __init__(self, requests: Iterable[HttpRequest], default_encoding: str, spool: Spool) -> None:
        self._requests = iter(requests)
        self._default_encoding = default_encoding
        self._spool = spool

    def __next__(self) -> HttpRequestBody:
        while True:
            try:
                return HttpBodyHandler.process_request(
                    next(self._requests), default_encoding=self._default_encoding, spool=self._spool)
            except HttpException:
                continue  # answered already


def _refuse(request: HttpRequest, error: HttpException) -> NoReturn:
    known = error if isinstance(error, BadMessage) else None
    request.response.fail(400 if known is None else known.status, known)
    error.is_of_peer = True
    if error.uri is None:
        error.uri = request.uri
    raise error


def _process(chunks: Iterable[bytes], headers: HttpHeaders, default_encoding: str,
             spool: Spool = None) -> tuple[str, Any]:
    content_type = headers.content_type
    if content_type is None:
        return "binary", gather_bytes(chunks)
    primary, sub = content_type.primary_type, content_type.sub_type
    charset = content_type.charset or default_encoding
    if primary == "multipart" and sub == "form-data":
        return "form", _read_form(chunks, content_type.parameters.get("boundary"), default_encoding, spool)
    if primary == "text":
        return "text", gather_text(chunks, charset)
    if primary == "application" and sub == "json" or sub.endswith("+json"):
        # RFC 8259 8.1: UTF-8, whatever the default is.
        return "json", _parse_json(gather_text(chunks, content_type.charset or "utf-8"))
    if primary == "application" and sub == "x-www-form-urlencoded":
        # What stands there raw is as good as percent-encoded, as it is in a request's target.
        encoded = percent.encode_bytes(gather_bytes(chunks), "\0-\x7f")
        return "form", percent.decode_query(encoded, form_encoding(charset))
    return "binary", gather_bytes(chunks)


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"the body is no JSON: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _read_form(chunks: Iterable[bytes], boundary: str | None, default_encoding: str, spool: Spool) -> dict[str, Any]:
    try:
        parts = MimeMultipartTransformer(boundary or "").bind(chunks)
    except ValueError as error:
        raise BadMessage(f"the Content-Type is multipart/form-data: {error}") from error
    form: dict[str, Any] = {}
    try:
        for part in parts:
            name, value = _read_field(part, default_encoding, spool)
            form[name] = value
    except BaseException:
        _close_files(form)
        raise
    return form


def _read_field(part: MimeMultipart, default_encoding: str, spool: Spool) -> tuple[str, str | HttpBodyFileUpload]:
    field = HttpMultipartFormData.parse(part, default_encoding=default_encoding)
    parameters = field.content_disposition.parameters
    name = parameters.get("name")
    if name is None:
        raise BadMessage(f"a part's Content-Disposition is {field.content_disposition}, expected a name in it")
    filename = parameters.get("filename")
    if filename is None and field.is_text:
        return name, gather_text(part, field.charset)
    # RFC 7578 4.2 leaves a file's name to the client: what is no text is a file all the same.
    return name, HttpBodyFileUpload(filename or "", field.content_type, _read_file(part, field, spool))


def _read_file(part: MimeMultipart, field: HttpMultipartFormData, spool: Spool) -> str | bytes | SpooledFile:
    chunks: Iterable[bytes] = part
    if spool is not None and spool is not False:
        content = gather_or_spool(part, spool)
        if isinstance(content, SpooledFile):
            return content
        chunks = (content,)
    return gather_file(chunks, field.charset) if field.is_text else gather_bytes(chunks)


def _close_files(form: dict[str, Any]) -> None:
    for value in form.values():
        if isinstance(value, HttpBodyFileUpload) and isinstance(value.content, SpooledFile):
            value.content.close()
