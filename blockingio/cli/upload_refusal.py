"""Why an upload is refused, in a sentence for people: what was not done, and why, as far as the client may know.

A place that is hidden is refused in the words for one that is not there.
"""

from __future__ import annotations

from blockingio.cli.upload_page import limit_text
from blockingio.http_server.page import sentence_for, shown_folder, shown_path
from blockingio.server.request import HttpRequest

OTHER_PAGE = ("Nothing was saved: the request does not come from a page of this server, and no other page may send "
              "files here.")
NOT_WELL_KNOWN = "Nothing can be saved below /.well-known/: what stands there speaks for the whole host."
HAND_IN_AT_TOP = "Files are handed in at /, and nowhere else."
NO_PUT = "Files are handed in by POST: one that is to have a certain name is not taken."
# Characters of a reason, which may repeat what a client has sent.
_MAX_REASON = 300

NO_FILE = "the form brought no file"
NO_BOUNDARY = "its Content-Type names no boundary between the parts of the form"


def hidden_name(request: HttpRequest) -> str:
    """For a name that would not be seen."""
    return f"Nothing can be saved as {shown_path(request)}: a name that begins with a dot is hidden here."


def wrong_target(request: HttpRequest) -> str:
    """For what is there and takes no such upload: PUT wants the path of a file, POST that of a folder."""
    path = shown_path(request)
    if request.method == "POST":
        return f"Files are sent to a folder, whose path ends in a slash, and {path} is none."
    if path.endswith("/"):
        return f"PUT saves a file, and {path} names a folder: the file's name goes behind it."
    return f"{shown_folder(request)} is no folder, so nothing can be saved in it."


def not_taken(request: HttpRequest, reason: str) -> str:
    """For a request that is no upload as it should be; ``reason`` says what was found or expected."""
    return f"What was sent for {shown_path(request)} was not taken: {reason[:_MAX_REASON]}."


def sentence_of_upload(status: int, request: HttpRequest, most: int) -> str:
    """For a status that has one reason alone; ``most`` bytes of files are taken."""
    path, folder = shown_path(request), shown_folder(request)
    if status == 403:
        return f"Nothing can be saved in {folder}: the server may not write there."
    if status == 404:
        return f"There is no folder here that is called {folder}, so nothing can be saved in it."
    if status == 409 and request.method == "PUT":
        return f"The name {path} is taken, and nothing is saved over another."
    if status == 412:
        if "if-match" in request.headers:
            return f"If-Match asks to replace {path}, and nothing is saved over another."
        return f"The name {path} is taken, and nothing is saved over another."
    sentence = sentence_for(status, request)
    return f"{sentence.rstrip('.')}: {limit_text(most)} at most." if status == 413 else sentence
