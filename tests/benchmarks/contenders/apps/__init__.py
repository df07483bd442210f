"""Servers that each answer one route; argv is ROUTE [tls] [close].

    plain     13 bytes of text              cookie   ... and a Set-Cookie
    html      ... as text/html              json     a query parameter, three fields, json.dumps
    header    ... with one field more       10k 1m   so many bytes in one piece
    missing   ... as a 404                  pieces   ten pieces of 1 KiB, each sent at once
    moved     a 302 with Location           gzip     11 KiB of text, compressed
    read      reads the body, answers its length
    flask     as plain, from a Flask application; of WSGI servers
    compute   as plain, once 1 ms of processor time is spent, 2 ms in ours; of WSGI servers and ours

"tls" serves HTTPS with the tutorials' certificate.  "close" tells the ceiling, which reads no fields, that each
connection has one request.
"""
from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.benchmarks.contenders import BODY, FIELDS

ROUTE = sys.argv[1] if len(sys.argv) > 1 else "plain"
TLS = "tls" in sys.argv
CLOSE = "close" in sys.argv

CERTIFICATES = Path(__file__).parents[4] / "tutorials" / "certificates"
CHAIN, KEY = CERTIFICATES / "server_chain.pem", CERTIFICATES / "server_key.pem"
PASSWORD = "blockingio"

PIECE = b"x" * 1024
PIECES = 10
TEXT = "".join(f"Line {number} of a text that is compressed on its way.\n" for number in range(220)).encode()
CONTENT = {"10k": PIECE * 10, "1m": PIECE * 1024, "gzip": TEXT, "html": b"<p>Hello, world!</p>", "moved": b""}

STATUS = {"missing": 404, "moved": 302}.get(ROUTE, 200)
REASON = {200: "OK", 302: "Found", 404: "Not Found"}[STATUS]


def fields_of(route: str) -> list[tuple[str, str]]:
    """What the answer's head has, but for its length."""
    fields = dict(FIELDS)
    if route == "html":
        fields["content-type"] = "text/html; charset=utf-8"
    elif route == "json":
        fields["content-type"] = "application/json; charset=utf-8"
    elif route == "header":
        fields["x-request-id"] = "4711"
    elif route == "moved":
        fields["location"] = "/elsewhere"
    elif route == "cookie":
        fields["set-cookie"] = "theme=dark; HttpOnly"
    return list(fields.items())


def json_body(name: str, agent: str, language: str, cookie: str) -> bytes:
    return json.dumps({"name": name, "agent": agent, "language": language, "cookie": cookie}).encode()
