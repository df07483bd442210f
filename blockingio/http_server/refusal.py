"""What a page says of a request that is refused: a sentence with what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockingio.values.percent import decode_lenient

if TYPE_CHECKING:
    from blockingio.server.request import HttpRequest

# Characters of a path that a sentence repeats.
_MAX_SHOWN = 200

# By status; {path} and {method} are the request's.
_SENTENCES = {
    400: "What was sent for {path} could not be understood.",
    401: "{method} {path} needs a user and a password that are known here.",
    403: "Nobody may do that here: {method} {path}.",
    404: "There is nothing here that is called {path}.",
    405: "{method} cannot be asked of {path}.",
    409: "What was to be saved in {path} has a name that is taken, and so are all that are like it.",
    412: "{path} has changed since.",
    413: "What was sent for {path} is larger than is taken here.",
    415: "What was sent for {path} is of a kind that is not taken here.",
    416: "{path} has no such part.",
    500: "The server failed at {path}.  Its log says more.",
    503: "The server has too much to do for {path}: try again in a moment.",
    507: "There is no room left to save in {path}.",
}


def sentence_for(status: int, request: HttpRequest) -> str:
    """As text, not yet HTML."""
    path = decode_lenient(request.uri.path) or "/"
    if len(path) > _MAX_SHOWN:
        path = f"{path[:_MAX_SHOWN]}…"
    if status == 403 and request.method in ("GET", "HEAD"):
        return f"The server may not read {path}."
    return _SENTENCES.get(status, "{method} {path} was refused.").format(path=path, method=request.method)
