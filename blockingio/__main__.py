"""python -m blockingio [DIRECTORY]: serve a directory.

Ends with status 0 on Ctrl-C, 2 after a wrong option or directory, 1 where the port cannot be had.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from errno import EACCES, EADDRINUSE, EPERM
from pathlib import Path
from typing import NoReturn

import blockingio
from blockingio import HttpServer, SecurityContext
from blockingio.cli_addresses import server_urls
from blockingio.cli_log import RequestLog, wants_colour
from blockingio.cli_site import Site, SiteOptions
from blockingio.cli_upload import CAN_UPLOAD
from blockingio.server.hosts import AllowedHosts

_DEFAULT_PORT = 8000
_DEFAULT_WORKERS = 8
_LAST_PORT = 65535


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, where argparse would print the usage as well."""
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; the exit status.  Raises SystemExit for what is wrong with the arguments."""
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return 0  # as asked


def _run(arguments: Sequence[str] | None) -> int:
    parser = _make_parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    try:
        context = _security_context(options.certificate, options.key)
    except (OSError, ValueError) as error:
        parser.error(f"cannot use --certificate {options.certificate}"
                     f"{f' with --key {options.key}' if options.key else ''}: {error}")
    try:
        if context is None:
            server = HttpServer.bind(options.bind, options.port)
        else:
            server = HttpServer.bind_secure(options.bind, options.port, context)
    except OSError as error:
        return _explain(parser, error, options.bind, options.port)
    with server:
        _serve(server, options, "http" if context is None else "https")
    return 0


def _serve(server: HttpServer, options: argparse.Namespace, scheme: str) -> None:
    site = Site(options.directory, SiteOptions(
        listing=options.listing, index_page=options.index, spa=options.spa, cors=options.cors,
        cache=options.cache, upload=options.upload, auth=options.auth,
        dotfiles=options.dotfiles, hosts=(options.bind, *options.host)))
    server.auto_compress = options.gzip
    if not options.quiet:
        user = options.auth.partition(":")[0] if options.auth else None
        server.access_log = RequestLog(sys.stdout, colour=wants_colour(sys.stdout), user=user)
    lines = [f"Serving {options.directory.resolve()}"]
    lines += [f"Listening on {url}" for url in server_urls(scheme, options.bind, server.address, server.port)]
    print("\n".join(lines), flush=True)
    if options.spa and not (options.directory / "index.html").is_file():
        print("There is no index.html yet: until then --spa answers unknown paths with 404", file=sys.stderr)
    try:
        server.for_each(site.handle, workers=options.workers)
    except KeyboardInterrupt:
        server.close(force=True)  # a download may have hours to go
        raise


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m blockingio", description="Serve a directory over HTTP.",
                     allow_abbrev=False,
                     epilog="Ctrl-C ends it.")
    parser.add_argument("directory", nargs="?", type=Path, default=Path("."), metavar="DIRECTORY",
                        help="what to serve (the current directory)")
    parser.add_argument("-b", "--bind", default="127.0.0.1", metavar="ADDRESS",
                        help="address or host name to listen on; 0.0.0.0 or :: for all (127.0.0.1)")
    parser.add_argument("-p", "--port", type=_number, default=_DEFAULT_PORT,
                        help="0 for any that is free (8000)")
    parser.add_argument("--no-listing", dest="listing", action="store_false", help="list no directories")
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
    parser.add_argument("--gzip", action="store_true", help="compress text for clients that take it")
    parser.add_argument("--upload", action="store_true",
                        help="save files that are sent into the directory, never over others; the form for it is "
                             "on the listing, so give --no-index where there is an index.html")
    parser.add_argument("--auth", metavar="USER:PASSWORD",
                        help="let in only who knows these (use it with HTTPS)")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="serve HTTPS with this PEM chain")
    parser.add_argument("--key", type=Path, metavar="FILE",
                        help="its private key, where it is in a file of its own")
    parser.add_argument("--host", action="append", default=[], metavar="NAME",
                        help="answer for this name as well, or with *.NAME for all below it; without it, for IP "
                             "addresses, localhost, this machine's names and that of --bind")
    parser.add_argument("--workers", type=_number, default=_DEFAULT_WORKERS, metavar="NUMBER",
                        help="requests that are worked on at once (8)")
    parser.add_argument("--quiet", action="store_true",
                        help="no line for each request (client, time, request, status, bytes, seconds)")
    parser.add_argument("--version", action="version", version=f"blockingio {blockingio.__version__}")
    return parser


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    directory = options.directory
    if not directory.is_dir():
        hint = f"; for a port: --port {directory}" if str(directory).isdecimal() else ""
        what = "is no directory" if directory.exists() else "does not exist"
        parser.error(f"cannot serve {directory}: it {what}{hint}")
    if not os.access(directory, os.R_OK | os.X_OK):
        parser.error(f"cannot serve {directory}: it may not be read")
    if options.port > _LAST_PORT:
        parser.error(f"argument -p/--port: expected a number from 0 to {_LAST_PORT}, found {options.port}")
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
    if options.upload and not CAN_UPLOAD:
        parser.error("argument --upload: this system cannot create files by an open directory")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise argparse.ArgumentTypeError(f"expected a whole number, found {text!r}")
    return int(text)


def _security_context(certificate: Path | None, key: Path | None) -> SecurityContext | None:
    if certificate is None:
        return None
    context = SecurityContext()
    context.use_certificate_chain(certificate)
    context.use_private_key(key or certificate)
    context.server_context()  # reads them: what is wrong with them shows now
    return context


def _explain(parser: argparse.ArgumentParser, error: OSError, address: str, port: int) -> int:
    if error.errno == EADDRINUSE:
        text = (f"port {port} on {address} is taken: choose another, as --port {_other_port(port)}, "
                f"or --port 0 for any")
    elif error.errno in (EACCES, EPERM):
        text = (f"port {port} on {address} is not for everybody: choose one from 1024 on, "
                f"as --port {_DEFAULT_PORT}")
    else:
        parser.error(str(error.strerror or error))  # it names the address
    print(f"{parser.prog}: {text}", file=sys.stderr)
    return 1


def _other_port(port: int) -> int:
    return port + 1 if port < _LAST_PORT else _DEFAULT_PORT


if __name__ == "__main__":
    # A shell without job control starts what is in the background with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
