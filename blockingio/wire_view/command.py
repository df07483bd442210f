"""python -m blockingio.wire_view URL: make one request and show it.

Ends with status 0 once a response came, whatever it says; 2, with a line on stderr, for bad arguments, where the
server cannot be reached, and where no whole response comes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from blockingio import HttpClient, HttpClientRequest, HttpException
from blockingio.errors import shown_uri
from blockingio.net.wire_record import WireRecord
from blockingio.values.arguments import OneLineParser, whole_number
from blockingio.wire_view.curl import curl_command
from blockingio.wire_view.exchange import Exchange, exchange_of
from blockingio.wire_view.har import har_of
from blockingio.wire_view.view import WireView

_PATIENCE = 60.0  # seconds, to connect, for the response's head and for each gap in its body
_FORM = "application/x-www-form-urlencoded"


def _parser() -> OneLineParser:
    parser = OneLineParser(prog="python -m blockingio.wire_view", allow_abbrev=False,
                     description="Make one request and show what goes over the wire.  Redirects are not followed.")
    parser.add_argument("url", metavar="URL", help="http://127.0.0.1:8000/ or https://...; without a scheme it is http")
    parser.add_argument("-X", "--request", metavar="METHOD", help="GET, and POST where there is data, unless given")
    parser.add_argument("-H", "--header", action="append", default=[], metavar="LINE",
                        help="'Name: value'; 'Name:' leaves one away, 'Name;' sends it empty; more than once for "
                             "several")
    parser.add_argument("-d", "--data", action="append", default=[], metavar="DATA",
                        help="the body, of type application/x-www-form-urlencoded unless -H says otherwise; @FILE "
                             "without its line ends, @- from stdin; several are joined by &")
    parser.add_argument("-k", "--insecure", action="store_true", help="take any certificate")
    parser.add_argument("--secrets", action="store_true", help="show credentials and cookies as they are, also in HAR")
    parser.add_argument("--body-limit", type=whole_number, default=1024, metavar="NUMBER",
                        help="characters of a body that are shown (1024)")
    parser.add_argument("--har", metavar="FILE", help="write the exchange as HAR 1.2 instead; - for stdout")
    parser.add_argument("--curl", action="store_true",
                        help="print the command of curl that repeats it instead, secrets included")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask and show; the exit status.  Raises SystemExit for what is wrong with the arguments."""
    parser = _parser()
    options = parser.parse_args(arguments)
    url = options.url if "://" in options.url else f"http://{options.url}"
    try:
        fields, body = _fields(options.header), _body(options.data)
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"argument -d/--data: cannot read {error.filename}: {error.strerror or error}")
    shows = options.har is None and not options.curl
    log = _Log(WireView(sys.stdout, secrets=options.secrets, body_limit=options.body_limit) if shows else None)
    try:
        exchange = _exchange(url, options, fields, body, log)
    except (HttpException, ValueError) as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"{shown_uri(options.url)} cannot be reached: {error.strerror or error}")
    if options.har is not None:
        try:
            _write(options.har, json.dumps(har_of(exchange, secrets=options.secrets), indent=1) + "\n")
        except OSError as error:
            parser.error(f"cannot write {options.har}: {error.strerror or error}")
    if options.curl:
        print(curl_command(exchange, insecure=options.insecure))
    return 0


class _Log:
    """Keeps what it is told, and shows it where there is a view and its output is read."""

    def __init__(self, view: WireView | None) -> None:
        self.records: list[WireRecord] = []
        self.opened_at = 0.0  # the last connection, on the monotonic clock
        self._view = view

    def __call__(self, record: WireRecord) -> None:
        self.records.append(record)
        if record.direction == "open":
            self.opened_at = time.monotonic()
        if self._view is not None:
            try:
                self._view(record)
            except BrokenPipeError:  # behind ``| head``, say
                self._view = None
                sys.stdout = None  # which would be flushed, and complain, at the end


def _exchange(url: str, options: argparse.Namespace, fields: Sequence[tuple[str, str | None]], body: bytes | None,
              log: _Log) -> Exchange:
    """Make the request.  Raises OSError, HttpException, ValueError."""
    with HttpClient() as client:
        client.wire_log = log
        client.connection_timeout = client.response_timeout = _PATIENCE
        if options.insecure:
            client.bad_certificate_callback = lambda certificate, host, port: True
        started, began = datetime.now(timezone.utc), time.monotonic()
        request = client.open_url(options.request or ("GET" if body is None else "POST"), url)
        request.follow_redirects = False
        _set_headers(request, fields, has_body=body is not None)
        if body is not None:
            request.content_length = len(body)
            request.write(body)
        content = request.close().read()
    return exchange_of(url, started, log.opened_at - began, log.records, content)


def _fields(lines: Sequence[str]) -> list[tuple[str, str | None]]:
    """As curl takes them; None: to be left away.  Raises ValueError."""
    fields: list[tuple[str, str | None]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        if colon:
            fields.append((name, value or None))
        elif line.endswith(";"):
            fields.append((line[:-1], ""))
        else:
            raise ValueError(f"argument -H/--header: expected 'Name: value', found {line!r}")
    return fields


def _set_headers(request: HttpClientRequest, fields: Sequence[tuple[str, str | None]], *, has_body: bool) -> None:
    """Those of -H, and the type that a body has without.  Raises ValueError."""
    if has_body:
        request.headers.set("content-type", _FORM)
    seen: set[str] = set()
    for name, value in fields:
        if value is None:
            request.headers.remove_all(name)
            continue
        if name.lower() in seen:
            request.headers.add(name, value, preserve_header_case=True)
            request.headers.no_folding(name)
        else:
            request.headers.set(name, value, preserve_header_case=True)
        seen.add(name.lower())


def _body(pieces: Sequence[str]) -> bytes | None:
    """What -d says, joined; None without -d.  Raises OSError."""
    return b"&".join(map(_piece, pieces)) if pieces else None


def _piece(text: str) -> bytes:
    if not text.startswith("@"):
        return text.encode("utf-8", "surrogateescape")
    data = sys.stdin.buffer.read() if text == "@-" else Path(text[1:]).read_bytes()
    return data.translate(None, b"\r\n\0")


def _write(name: str, text: str) -> None:
    if name == "-":
        sys.stdout.write(text)
    else:
        Path(name).write_text(text, encoding="utf-8")


def run() -> None:
    """The program: ``main`` with the command line's arguments; ends the process.  Raises KeyboardInterrupt."""
    sys.exit(main())
