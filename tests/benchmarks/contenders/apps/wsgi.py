"""What the WSGI servers serve (PEP 3333)."""
from __future__ import annotations

import gzip
import importlib
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from tests.benchmarks.contenders import BODY
from tests.benchmarks.contenders.apps import CONTENT, PIECE, PIECES, REASON, ROUTE, STATUS, fields_of, json_body

FIELDS = fields_of(ROUTE)
# Seconds of processor time that an answer of the route "compute" takes.
COMPUTING = 0.001


def plain_application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    fields = FIELDS
    if ROUTE == "pieces":
        start_response("200 OK", fields)
        return (PIECE for _ in range(PIECES))
    if ROUTE == "compute":
        end = time.thread_time() + COMPUTING
        while time.thread_time() < end:
            pass
    body = CONTENT.get(ROUTE, BODY)
    if ROUTE == "read":
        body = b"%d" % len(environ["wsgi.input"].read())
    elif ROUTE == "json":
        body = json_body(parse_qs(environ["QUERY_STRING"])["name"][0], environ["HTTP_USER_AGENT"],
                         environ["HTTP_ACCEPT_LANGUAGE"],
                         environ["HTTP_COOKIE"].partition(";")[0].partition("=")[2])
    elif ROUTE == "gzip":
        body = gzip.compress(CONTENT["gzip"], 6, mtime=0)
        fields = [*fields, ("content-encoding", "gzip"), ("vary", "Accept-Encoding")]
    start_response(f"{STATUS} {REASON}", [*fields, ("content-length", str(len(body)))])
    return [body]


def flask_application() -> Any:
    flask = importlib.import_module("flask")
    app = flask.Flask("hello")

    app.add_url_rule("/", view_func=lambda: flask.Response(BODY, headers=FIELDS), endpoint="hello")
    return app


application = flask_application() if ROUTE == "flask" else plain_application
