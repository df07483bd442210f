"""An exchange as the command of curl that repeats its request."""

from __future__ import annotations

import re
import shlex

from blockingio.wire_view.exchange import Exchange

# What curl makes itself from the URL and the body.
_ITS_OWN = frozenset(("host", "content-length", "transfer-encoding"))

# What curl sends unasked.
_UNASKED = ("Accept", "User-Agent")


def curl_command(exchange: Exchange, *, insecure: bool) -> str:
    """For a POSIX shell; with the secrets that were sent, since without them it would be another request."""
    request = exchange.request
    method = request.first.partition(" ")[0]
    words = ["curl", "--http1.1"]
    if insecure:
        words.append("--insecure")
    if re.search(r"[\[\]{}]", exchange.url):
        words.append("--globoff")
    if "/." in exchange.url:
        words.append("--path-as-is")
    if method == "HEAD":
        words.append("--head")
    elif method != ("POST" if request.body else "GET"):
        words += ["--request", shlex.quote(method)]
    sent = {name.lower() for name, _ in request.fields}
    for name, value in request.fields:
        if name.lower() not in _ITS_OWN:
            # curl takes "name:" for its order to leave it away, and "name;" for an empty one.
            words += ["--header", _quoted((f"{name}: {value}" if value else f"{name};").encode("latin-1"))]
    for name in (*_UNASKED, "Content-Type") if request.body else _UNASKED:
        if name.lower() not in sent:
            words += ["--header", _quoted(f"{name}:".encode())]
    url = shlex.quote(exchange.url)
    if request.body and not _is_text(request.body):  # the shell's words are no place for it
        return f"printf %b {_octal(request.body)} | {' '.join([*words, '--data-binary', '@-', url])}"
    if request.body:
        words += ["--data-raw", shlex.quote(request.body.decode())]
    return " ".join([*words, url])


def _is_text(data: bytes) -> bool:
    try:
        return data.decode().replace("\n", "").replace("\t", "").isprintable()
    except UnicodeDecodeError:
        return False


def _quoted(line: bytes) -> str:
    """A field as one word."""
    return shlex.quote(line.decode()) if _is_text(line) else f'"$(printf %b {_octal(line)})"'


def _octal(data: bytes) -> str:
    """For printf's %b (POSIX)."""
    return "'" + "".join(f"\\0{byte:03o}" for byte in data) + "'"
