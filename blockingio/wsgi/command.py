"""python -m blockingio.wsgi MODULE:APPLICATION: serve a WSGI application.

Ends with status 0 on Ctrl-C or SIGTERM, 2 where options or the application are wrong, 1 where the port cannot be had.
"""

from __future__ import annotations

import argparse
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from blockingio import HttpServer, SecurityContext
from blockingio.processes import inherited_sockets, run as run_processes
from blockingio.wsgi.handler import WsgiHandler


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, where argparse would print the usage as well."""
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> _Parser:
    parser = _Parser(prog="python -m blockingio.wsgi", description="Serve a WSGI application.", allow_abbrev=False)
    parser.add_argument("application", metavar="MODULE:APPLICATION", help="or MODULE:FACTORY() for what that returns")
    parser.add_argument("-b", "--bind", default="127.0.0.1", metavar="ADDRESS", help="to listen on (127.0.0.1)")
    parser.add_argument("-p", "--port", type=int, default=8000, help="0 for any that is free (8000)")
    parser.add_argument("--workers", type=int, default=8, metavar="NUMBER",
                        help="requests that a process works on at once (8)")
    parser.add_argument("--processes", type=int, default=1, metavar="NUMBER", help="that share the port (1)")
    parser.add_argument("--trusted-proxies", metavar="ADDRESSES",
                        help="those in front that are believed, between commas: 127.0.0.1,10.0.0.0/8,unix")
    parser.add_argument("--https", action="store_true", help="with a certificate of its own, for development")
    parser.add_argument("--quiet", action="store_true", help="no line for each request")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; the exit status.  Raises SystemExit for what is wrong with the arguments."""
    parser = _parser()
    options = parser.parse_args(arguments)
    for name in ("workers", "processes"):
        if getattr(options, name) < 1:
            parser.error(f"argument --{name}: expected at least 1, found {getattr(options, name)}")
    if not 0 <= options.port <= 65535:
        parser.error(f"argument --port: expected a number from 0 to 65535, found {options.port}")
    sys.path.insert(0, os.getcwd())
    handler = WsgiHandler(_load(parser, options.application), multiprocess=options.processes > 1)
    try:
        server = _open(options)
    except OSError as error:
        print(f"{parser.prog}: {error.strerror or error}", file=sys.stderr)
        return 1
    with server:
        try:
            if options.trusted_proxies is not None:
                server.trusted_proxies = [part.strip() for part in options.trusted_proxies.split(",")]
        except ValueError as error:
            parser.error(str(error))
        if not options.quiet:
            server.access_log = _print
        scheme = "https" if options.https else "http"
        where = f"{scheme}://{options.bind}:{server.port}/" if server.port else str(server.address)
        print(f"Serving {options.application}\nListening on {where}", flush=True)
        run_processes(lambda ours: ours.for_each(handler, workers=options.workers), server, options.processes)
    return 0


def _print(record: object) -> None:
    print(record, flush=True)


def _open(options: argparse.Namespace) -> HttpServer:
    context = SecurityContext.self_signed() if options.https else None
    sockets = inherited_sockets()
    if sockets:
        print("The socket that was inherited (LISTEN_FDS) is served: --bind and --port are ignored", file=sys.stderr)
        return HttpServer.listen_on(sockets[0], context=context)
    if context is None:
        return HttpServer.bind(options.bind, options.port)
    return HttpServer.bind_secure(options.bind, options.port, context)


def _load(parser: _Parser, spec: str) -> Any:
    """The application.  What importing its module raises goes up, with its own traceback, as status 2."""
    module, colon, name = spec.partition(":")
    if not (module and colon and name):
        parser.error(f"expected MODULE:APPLICATION, found {spec!r}")
    try:
        pkgutil.resolve_name(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            _show()
        parser.error(f"there is no module {module!r} here")
    except (Exception, SystemExit):
        _show()
    found: Any = sys.modules[module]
    for part in name.removesuffix("()").split("."):
        if not hasattr(found, part):
            parser.error(f"there is no {name.removesuffix('()')!r} in {module!r}")
        found = getattr(found, part)
    if name.endswith("()"):
        try:
            found = found()
        except Exception:
            _show()
    if not callable(found):
        parser.error(f"{spec} is no application, expected something to call, found {type(found).__name__}")
    return found


def _show() -> NoReturn:
    sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    raise SystemExit(2)


def run() -> None:
    """The program: ``main`` with the command line's arguments; ends the process."""
    sys.exit(main())
