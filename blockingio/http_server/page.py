"""The HTML that this package writes itself: pages in one style, around a title and a body.

Nothing is fetched from elsewhere, no script runs but the one that is named, and the headers say so to the browser.
Text is escaped by the function that puts it in.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from blockingio.values.percent import decode_lenient

if TYPE_CHECKING:
    from blockingio.server.request import HttpRequest

# Markup of another origin cannot come in, were escaping ever forgotten; forms go to us alone.  Icons are in the style.
_POLICY = ("default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; "
           "frame-ancestors 'self'")

_STYLE = """\
:root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--line:#d8dee4;--dim:#59636e;--link:#0860c4;--hover:#f3f6f9}
@media(prefers-color-scheme:dark){:root{--back:#0f1318;--text:#e6edf3;--line:#30363d;--dim:#9aa4ae;--link:#6cb2ff;\
--hover:#ffffff0d}}
*{box-sizing:border-box}
body{background:var(--back);color:var(--text);margin:0 auto;max-width:60rem;padding:1.5rem 1rem 3rem;line-height:1.5;\
font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.25rem;font-weight:600;margin:0 0 .25rem;overflow-wrap:anywhere}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:2px}
p{color:var(--dim);margin:0 0 1rem;overflow-wrap:anywhere}
form{display:flex;flex-wrap:wrap;gap:.75rem;margin:0 0 1rem}
form[method=post]{align-items:center;border:1px solid var(--line);border-radius:.5rem;padding:.75rem}
input{flex:1 1 14rem;font:inherit;max-width:100%;min-width:0}
input[type=search]{background:var(--back);border:1px solid var(--dim);border-radius:.375rem;color:inherit;\
padding:.375rem .625rem}
::placeholder{color:var(--dim);opacity:1}
button{font:inherit;padding:.25rem 1rem}
"""

# Characters of a path that a sentence repeats.
_MAX_SHOWN = 200

# What an error page says, by status; {path} and {method} are the request's.
_SENTENCES = {
    400: "What was sent for {path} could not be understood.",
    401: "{method} {path} needs a user and a password that are known here.",
    403: "The server may not read {path}.",
    404: "There is nothing here that is called {path}.",
    405: "{method} cannot be asked of {path}.",
    409: "What was to be saved in {path} has a name that is taken, and so are all that are like it.",
    412: "{path} has changed since.",
    413: "What was sent for {path} is larger than is taken here.",
    415: "What was sent for {path} is of a kind that is not taken here.",
    416: "{path} has no such part.",
    500: "The server failed at {path}.  Its log says more.",
    503: "The server has too much to do for {path}: try again in a moment.",
    507: "There is no room left to save what was sent for {path}.",
}


class Script(NamedTuple):
    """A script that stands in a page, and what a Content-Security-Policy names it by.

    ``connects`` says whether it asks its own origin for something.
    """

    text: str
    source: str
    connects: bool = False

    @classmethod
    def of(cls, text: str, *, connects: bool = False) -> Script:
        digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
        return cls(text, f"'sha256-{digest}'", connects)


def content_security_policy(script: Script | None = None) -> str:
    """The header's value for a page with this script in it, or none."""
    if script is None:
        return _POLICY
    connections = "; connect-src 'self'" if script.connects else ""
    return f"{_POLICY}{connections}; script-src {script.source}"


def page(title: str, body: str, *, style: str = "", script: Script | None = None) -> str:
    """A page; ``title`` and ``body`` are HTML."""
    code = "" if script is None else f"<script>{script.text}</script>\n"
    return ('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>'
            f"{title}</title>\n<style>\n{_STYLE}{style}</style>\n</head>\n<body>\n{body}{code}</body>\n</html>\n")


# Pages that are kept: browsers and robots ask again and again for the same few files that no site has.
@lru_cache(maxsize=64)
def error_page(title: str, sentence: str, link: str = "", text: str = "Back to the list") -> str:
    """A page that says what went wrong with what; all is text, ``link`` "" for none."""
    title = escape(title)
    back = f'<p><a href="{escape(link)}">{escape(text)}</a></p>\n' if link else ""
    return page(title, f"<main>\n<h1>{title}</h1>\n<p>{escape(sentence)}</p>\n{back}</main>\n")


def escape(text: str) -> str:
    """Text for HTML, between tags and in quoted attributes."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        if character in text:
            text = text.replace(character, entity)
    return text


def shown_path(request: HttpRequest) -> str:
    """What a request was for, in a sentence."""
    return _shortened(decode_lenient(request.uri.path) or "/")


def shown_folder(request: HttpRequest) -> str:
    """The folder that it is in, or is."""
    return _shortened(decode_lenient(request.uri.path).rpartition("/")[0] + "/")


def _shortened(path: str) -> str:
    return path if len(path) <= _MAX_SHOWN else f"{path[:_MAX_SHOWN]}…"


def sentence_for(status: int, request: HttpRequest) -> str:
    """What an error page says of a request that is refused, as text."""
    return _SENTENCES.get(status, "{method} {path} was refused.").format(path=shown_path(request),
                                                                         method=request.method)
