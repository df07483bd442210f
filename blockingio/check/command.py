"""python -m blockingio.check URL: how a server of your own takes HTTP/1.1.

Ends with status 0, with 1 where a MUST is broken, 2 where it cannot be asked: bad arguments, no server there, no HTTP.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import ssl
import sys
from collections.abc import Sequence
from typing import Any

from blockingio import Uri
from blockingio.check.exchange import Target, Unreachable
from blockingio.check.questions import AREAS, MUST
from blockingio.check.report import Row, checked, summary, summary_text
from blockingio.check.verdict import NoHttp, baseline_of
from blockingio.values.arguments import OneLineParser

# Where a server of one's own is (RFC 1918, 4193, 3927, 4291): not all that ipaddress calls private.
_OWN = [ipaddress.ip_network(text) for text in (
    "127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "169.254.0.0/16",
    "fe80::/10")]

_PATIENCE = 2.0  # seconds


def _parser() -> OneLineParser:
    parser = OneLineParser(prog="python -m blockingio.check", allow_abbrev=False,
                     description="Send a server of your own raw requests, most of them wrong, and hold what comes "
                                 "against RFC 9110 and RFC 9112.  Exits 1 where a MUST is broken.")
    parser.add_argument("url", metavar="URL", help="http://127.0.0.1:8000/ or https://...; best a page that takes POST")
    parser.add_argument("--only", action="append", metavar="AREA", choices=AREAS,
                        help=f"one of: {', '.join(AREAS)}; more than once for several")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--patience", type=float, default=_PATIENCE, metavar="SECONDS",
                        help=f"of silence after which nothing more is waited for ({_PATIENCE:g})")
    parser.add_argument("--yes-it-is-mine", action="store_true",
                        help="also ask what is on no loopback or private address")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask and print; the exit status.  Raises SystemExit for what is wrong with the arguments."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not 0 < options.patience < float("inf"):
        parser.error(f"argument --patience: expected seconds above 0, found {options.patience:g}")
    try:
        target = target_of(options.url, options.patience, is_mine=options.yes_it_is_mine)
        baseline = baseline_of(target)
        rows: list[Row] = []
        for row in checked(target, baseline, options.only or AREAS):
            if not options.json:
                _print(row, rows)
            rows.append(row)
    except (ValueError, NoHttp) as error:
        parser.error(str(error))
    except Unreachable as error:
        parser.error(f"{options.url} cannot be reached: {error}")
    counts = summary(rows)
    if options.json:
        print(json.dumps({"url": options.url, "rows": [row.as_json() for row in rows], "summary": counts}, indent=1))
    else:
        print(f"\n{summary_text(counts)}")
    return 1 if counts["all"][MUST] else 0


def _print(row: Row, before: list[Row]) -> None:
    area = row.question.area
    if not before or before[-1].question.area != area:
        print(f"\n{area}\n{'-' * len(area)}" if before else f"{area}\n{'-' * len(area)}")
    print(row.as_text(), flush=True)


def target_of(url: str, patience: float = _PATIENCE, *, is_mine: bool = False) -> Target:
    """Where the server is.  Raises ValueError for what is no URL of a server of one's own, Unreachable."""
    uri = Uri.parse(url) if url.lower().startswith(("http://", "https://")) else None
    if uri is None or not uri.host:
        raise ValueError(f"expected a URL that begins with http:// or https://, found {url!r}")
    tls = None
    if uri.scheme == "https":
        # The server is the user's own, and so may its certificate be: neither name nor issuer is checked.
        tls = ssl.create_default_context()
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    authority = f"{host}:{uri.port}" if uri.has_port else host
    path = (uri.path or "/") + (f"?{uri.query}" if uri.has_query else "")
    targets = [Target(address, family, authority, path, tls, uri.host, patience)
               for family, address in _addresses_of(uri, is_mine)]
    return targets[0] if len(targets) == 1 else _first_there(targets)


def _addresses_of(uri: Uri, is_mine: bool) -> list[tuple[int, tuple[Any, ...]]]:
    """All that the host has.  Raises ValueError where one of them is not the user's, Unreachable where it has none."""
    try:
        infos = socket.getaddrinfo(uri.host, uri.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unreachable(error.strerror or str(error)) from error
    for _, _, _, _, address in infos:
        found = ipaddress.ip_address(str(address[0]).partition("%")[0])
        if not is_mine and not any(found in network for network in _OWN):
            raise ValueError(f"{uri.host} is {found}, on no loopback or private address: these requests are for "
                             "servers of your own; --yes-it-is-mine if it is")
    return [(family, address) for family, _, _, _, address in infos]


def _first_there(targets: list[Target]) -> Target:
    """A name as localhost has two addresses, of which a server often has one.  Raises Unreachable."""
    for target in targets[:-1]:
        try:
            target.connect().close()
            return target
        except Unreachable:
            pass
    return targets[-1]


def run() -> None:
    """The program: ``main`` with the command line's arguments; ends the process.  Raises KeyboardInterrupt."""
    try:
        sys.exit(main())
    except BrokenPipeError:  # the reader of the report has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
