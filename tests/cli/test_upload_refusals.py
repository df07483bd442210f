"""What is said of an upload that is refused, on the page and to a program: what was not done, and why."""
from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.sites import make_directory, send, site
from tests.peers import RawClient, RawResponse

pytestmark = pytest.mark.needs("dir_fd")

FORM = "Content-Type: multipart/form-data; boundary=b"
BODY = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nx\r\n--b--\r\n'
NOTHING_CHOSEN = BODY.replace(b"a.txt", b"")

FOREIGN = ("Nothing was saved: the request does not come from a page of this server, and no other page may send files "
           "here.")
NAME = ("What was sent for {} was not taken: a file is to be called {!r}, expected a visible name of up to 240 bytes, "
        "without a dot in front, spaces at its ends, backslashes and control characters.")


class Refused(NamedTuple):
    """A request, and what is said of it."""

    method: str
    target: str
    fields: tuple[str, ...]
    status: int
    sentence: str
    body: bytes = BODY


REFUSED = [
    Refused("POST", "/", (FORM, "Origin: http://evil.example"), 403, FOREIGN),
    Refused("PUT", "/a.txt", ("Sec-Fetch-Site: cross-site",), 403, FOREIGN),
    Refused("POST", "/.well-known/", (FORM,), 403,
            "Nothing can be saved below /.well-known/: what stands there speaks for the whole host."),
    Refused("PUT", "/.well-known/x", (), 403,
            "Nothing can be saved below /.well-known/: what stands there speaks for the whole host."),
    Refused("PUT", "/a%0Ab", (), 403, NAME.format("/a\nb", "a\nb")),
    Refused("PUT", "/a%5Cb", (), 403, NAME.format("/a\\b", "a\\b")),
    # A hidden folder that is there, one that is not, and one that nothing hides.
    *(Refused(method, f"/{folder}/{name}", fields, 404,
              f"There is no folder here that is called /{folder}/, so nothing can be saved in it.")
      for folder in (".git", ".none", "none") for method, name, fields in (("POST", "", (FORM,)), ("PUT", "x", ()))),
    Refused("PUT", "/sub/.bashrc", (), 404,
            "Nothing can be saved as /sub/.bashrc: a name that begins with a dot is hidden here."),
    Refused("POST", "/hello.txt", (FORM,), 405,
            "Files are sent to a folder, whose path ends in a slash, and /hello.txt is none."),
    Refused("POST", "/sub", (FORM,), 405, "Files are sent to a folder, whose path ends in a slash, and /sub is none."),
    Refused("PUT", "/sub/", (), 405, "PUT saves a file, and /sub/ names a folder: the file's name goes behind it."),
    Refused("PUT", "/hello.txt/x", (), 405, "/hello.txt/ is no folder, so nothing can be saved in it."),
    Refused("PUT", "/hello.txt", (), 409, "The name /hello.txt is taken, and nothing is saved over another."),
    Refused("PUT", "/hello.txt", ("If-None-Match: *",), 412,
            "The name /hello.txt is taken, and nothing is saved over another."),
    Refused("PUT", "/new.txt", ("If-Match: *",), 412,
            "If-Match asks to replace /new.txt, and nothing is saved over another."),
    Refused("PUT", "/a", ("Content-Encoding: gzip",), 415,
            "What was sent for /a was not taken: a file came compressed, expected it as it is."),
    Refused("PUT", "/a", ("Content-Range: bytes 0-2/5",), 400,
            "What was sent for /a was not taken: a part of a file came, expected the whole."),
    Refused("POST", "/", (), 415,
            "What was sent for / was not taken: expected a form with files, or a file with its name in Slug."),
    Refused("POST", "/", (FORM,), 400, "What was sent for / was not taken: the form brought no file.", NOTHING_CHOSEN),
    Refused("POST", "/", ("Content-Type: multipart/form-data",), 400,
            "What was sent for / was not taken: its Content-Type names no boundary between the parts of the form."),
]


def said(response: RawResponse) -> tuple[str, ...]:
    """The sentence, of a page or of JSON."""
    if response.header("content-type") == "application/json; charset=utf-8":
        return json.loads(response.body)["message"],
    found: Any = re.search("<p>(.*?)</p>", response.body.decode(), re.DOTALL)
    return unescape(found[1]),


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = make_directory(tmp_path)
    for name in (".git", ".well-known"):
        (directory / name).mkdir()
    return directory


def refuse_all(client: RawClient, *all_of_them: Refused) -> None:
    """To a program by JSON; where a form was sent by a browser, on a page."""
    for method, target, fields, status, sentence, body in all_of_them:
        for accept in ("application/json", "text/html"):
            response = send(client, method, target, *fields, f"Accept: {accept}", body=body)
            assert (response.status, *said(response)) == (status, sentence), (method, target, fields)
            is_page = accept == "text/html" and method == "POST"
            assert response.header("content-type") == f"{'text/html' if is_page else 'application/json'}; charset=utf-8"


def test_it_is_said_what_was_refused_and_why(directory: Path) -> None:
    with site(directory, upload=True) as client:
        refuse_all(client, *REFUSED)


def test_a_letterbox_says_where_and_how_files_are_handed_in(directory: Path) -> None:
    with site(directory, drop=True) as client:
        refuse_all(client,
                   Refused("POST", "/sub/", (FORM,), 404, "Files are handed in at /, and nowhere else."),
                   Refused("PUT", "/a.txt", (), 405,
                           "Files are handed in by POST: one that is to have a certain name is not taken."))


def test_files_from_a_user_who_may_not_send_any(directory: Path) -> None:
    with site(directory, upload=True, auth="ann:a", upload_auth="bob:b") as client:
        for fields in ([FORM], [FORM, "Authorization: Basic YW5uOmE="]):  # ann:a
            refuse_all(client, Refused("POST", "/", tuple(fields), 401,
                                       "POST / needs a user and a password that are known here."))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize("target", ["/", "/sub/"])
def test_a_folder_that_the_server_may_not_write_to(directory: Path, monkeypatch: pytest.MonkeyPatch, target: str,
                                                   number: int) -> None:
    """Its owner forbids it, or the file system does; not in the words for what may not be read."""
    open_as_it_is: Callable[..., int] = os.open

    def refuse(path: Any, flags: int, *more: Any, **keywords: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(number, os.strerror(number))
        return open_as_it_is(path, flags, *more, **keywords)

    monkeypatch.setattr(os, "open", refuse)
    sentence = f"Nothing can be saved in {target}: the server may not write there."
    with site(directory, upload=True) as client:
        refuse_all(client, Refused("POST", target, (FORM,), 403, sentence),
                   Refused("PUT", f"{target}a.txt", (), 403, sentence))
