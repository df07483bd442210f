"""The command's options: what there is, and what is wrong with those given, each in one line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

import blockingio
from blockingio.net.system import AF_UNIX, CAN_WRITE_BELOW
from blockingio.server.hosts import AllowedHosts

DEFAULT_PORT = 8000
LAST_PORT = 65535
_DEFAULT_WORKERS = 8


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, where argparse would print the usage as well."""
        self.exit(2, f"{self.prog}: {message}\n")


def make_parser() -> argparse.ArgumentParser:
    """All options, with their help."""
    parser = _Parser(prog=_program(), description="Serve a directory over HTTP.",
                     allow_abbrev=False,
                     epilog="Ctrl-C or SIGTERM ends it, once answers in progress are out or five seconds "
                            "are over; a second one at once.")
    parser.add_argument("directory", nargs="?", type=Path, default=Path("."), metavar="DIRECTORY",
                        help="what to serve (the current directory)")
    parser.add_argument("-b", "--bind", default="127.0.0.1", metavar="ADDRESS",
                        help="address or host name to listen on; 0.0.0.0 or :: for all (127.0.0.1)")
    parser.add_argument("-p", "--port", type=_number,
                        help="0 for any that is free (8000, or the next one that is free)")
    parser.add_argument("--unix", type=Path, metavar="PATH",
                        help="listen on a Unix-domain socket instead of an address and port")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.add_argument("--no-listing", dest="listing", action="store_false", help="list no directories")
    parser.add_argument("--zip", action=argparse.BooleanOptionalAction, default=True,
                        help="let folders that are listed be downloaded as a ZIP (on)")
    parser.add_argument("--index", action=argparse.BooleanOptionalAction, default=True,
                        help="serve a directory's index.html, where it has one (on)")
    parser.add_argument("--spa", action="store_true",
                        help="unknown paths get the top directory's index.html, where a browser is to show a page")
    parser.add_argument("--dotfiles", action="store_true",
                        help="serve and list also what begins with a dot, as .git and .env; without it only "
                             "/.well-known/")
    parser.add_argument("--cors", action="store_true", help="let pages of any origin read the files")
    parser.add_argument("--cache", type=_number, metavar="SECONDS",
                        help="browsers may use what they have for so long without asking")
    parser.add_argument("--gzip", action=argparse.BooleanOptionalAction, default=True,
                        help="compress text and listings for clients that take it (on)")
    parser.add_argument("--upload", action="store_true",
                        help="save files that are sent into the directory, never over others; the form for it is "
                             "on the listing, so give --no-index where there is an index.html")
    parser.add_argument("--auth", metavar="USER:PASSWORD",
                        help="let in only who knows these (use it with HTTPS)")
    parser.add_argument("--https", action="store_true",
                        help="serve HTTPS with a certificate made on the spot, for development; it is kept for 30 "
                             "days, so that what a browser was told of it lasts")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="serve HTTPS with this PEM chain")
    parser.add_argument("--key", type=Path, metavar="FILE",
                        help="its private key, where it is in a file of its own")
    parser.add_argument("--host", action="append", default=[], metavar="NAME",
                        help="answer for this name as well, or with *.NAME for all below it; without it, for IP "
                             "addresses, localhost, this machine's names and that of --bind")
    parser.add_argument("--workers", type=_number, default=_DEFAULT_WORKERS, metavar="NUMBER",
                        help="requests that are worked on at once (8)")
    parser.add_argument("--quiet", action="store_true",
                        help="no line for each request (client, time, request, status, bytes, seconds; 'cut' "
                             "where that was not all)")
    parser.add_argument("--version", action="version", version=f"blockingio {blockingio.__version__}")
    return parser


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Raise SystemExit, with a line on stderr, for values that do not go, or not together."""
    directory = options.directory
    if not directory.is_dir():
        hint = f"; for a port: --port {directory}" if str(directory).isdecimal() else ""
        what = "is no directory" if directory.exists() else "does not exist"
        parser.error(f"cannot serve {directory}: it {what}{hint}")
    if not os.access(directory, os.R_OK | os.X_OK):
        parser.error(f"cannot serve {directory}: it may not be read")
    if options.port is not None and options.port > LAST_PORT:
        parser.error(f"argument -p/--port: expected a number from 0 to {LAST_PORT}, found {options.port}")
    if not options.workers:
        parser.error("argument --workers: expected at least 1")
    if options.auth is not None and ":" not in options.auth:
        parser.error("argument --auth: expected USER:PASSWORD, found no colon")
    if options.auth is not None and options.auth.startswith(":"):
        parser.error("argument --auth: expected USER:PASSWORD, found no user")
    try:
        AllowedHosts(options.host)
    except ValueError as error:
        parser.error(f"argument --host: {error}")
    if options.key is not None and options.certificate is None:
        parser.error("argument --key: expected --certificate with it")
    if options.https and options.certificate is not None:
        parser.error("argument --https: it makes a certificate of its own, so expected no --certificate with it")
    if options.unix is not None and options.port is not None:
        parser.error("argument --unix: a socket without ports, so expected no --port with it")
    if options.unix is not None and options.open:
        parser.error("argument --open: no browser opens a Unix-domain socket, so expected no --unix with it")
    if options.unix is not None and AF_UNIX is None:
        parser.error("argument --unix: this system has no Unix-domain sockets (AF_UNIX)")
    if options.upload and not CAN_WRITE_BELOW:
        parser.error("argument --upload: this system cannot make files relative to an open directory (dir_fd)")


def _program() -> str:
    """What the user has called: the console script, or the module."""
    name = os.path.basename(sys.argv[0])
    return "blockingio" if os.path.splitext(name)[0] == "blockingio" else "python -m blockingio"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise argparse.ArgumentTypeError(f"expected a whole number, found {text!r}")
    return int(text)
