"""What a request asks to have saved: the files of a form, or its body as it is, which is one file.

The page's script sends each file as it is by POST, with its name in Slug (RFC 5023 9.7).  ``curl -T`` does so by PUT to
the path that the file is to have (RFC 9110 9.3.4).
"""

from __future__ import annotations

from typing import NamedTuple

from blockingio.cli.upload import clean_name
from blockingio.errors import BadMessage
from blockingio.server.request import HttpRequest
from blockingio.values.percent import decode_strict


class Wish(NamedTuple):
    """``name`` None: those that the parts of a form name, which ``boundary`` separates."""

    name: str | None
    is_exact: bool = False  # under this name, or not at all; else under one like it where it is taken
    boundary: str = ""


def is_file_itself(request: HttpRequest) -> bool:
    """Whether a request brings a file as it is: a program's, no form that people fill in."""
    return request.method == "PUT" or ("slug" in request.headers and not _is_form(request))


def wish_of(request: HttpRequest, own_name: str | None) -> Wish:
    """``own_name`` is what its path calls the file that a PUT brings, None for a POST.

    Raises BadMessage with a status: 400, 403 for a name that no upload gets, 415 for what is neither form nor file.
    """
    headers = request.headers
    if own_name is None and _is_form(request):
        content_type = headers.content_type
        assert content_type is not None
        return Wish(None, boundary=content_type.parameters.get("boundary") or "")
    if not is_file_itself(request):
        raise BadMessage("expected a form with files, or a file with its name in Slug", 415, "RFC 9110 15.5.16")
    if "content-encoding" in headers:
        raise BadMessage("a file came compressed, expected it as it is", 415, "RFC 9110 8.4")
    if "content-range" in headers:
        raise BadMessage("a part of a file came, expected the whole", section="RFC 9110 14.5")
    if own_name is None:
        return Wish(clean_name(_name_in_slug(headers.get_all("slug"))))
    if clean_name(own_name) != own_name:
        raise BadMessage(f"a file is to be called {own_name[:80]!r}, expected a visible name of up to 240 bytes, "
                         "without a dot in front, spaces at its ends, backslashes and control characters", 403)
    return Wish(own_name, is_exact=True)


def _is_form(request: HttpRequest) -> bool:
    content_type = request.headers.content_type
    return content_type is not None and content_type.mime_type == "multipart/form-data"


def _name_in_slug(slugs: list[str]) -> str:
    """Percent-encoded UTF-8 (RFC 5023 9.7.1); BadMessage where it is not, and where there is no name or another one."""
    if len(slugs) != 1 or not slugs[0] or not slugs[0].isascii():
        raise BadMessage(f"Slug is {slugs!r}, expected one name, percent-encoded", section="RFC 5023 9.7.1")
    try:
        return decode_strict(slugs[0])
    except ValueError as error:
        raise BadMessage(f"Slug: {error}", section="RFC 5023 9.7.1") from error
