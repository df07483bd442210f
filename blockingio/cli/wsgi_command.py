"""python -m blockingio.wsgi MODULE:APPLICATION: serve a WSGI application.

Ends with status 0 on Ctrl-C or SIGTERM, 2 where options or the application are wrong, 1 where the port cannot be had.

Each process that serves imports the application for itself, so that it has its own threads, connections and files,
and SIGHUP brings what has changed.  Before, a process that ends at once tries whether it can be imported.  With
--reload a process that sees a change has itself replaced, from the same socket.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from blockingio import HttpServer
from blockingio.cli.application import NoApplication, load, show
from blockingio.cli.binding import certificate_lines, listening_lines, open_server, urls_of
from blockingio.cli.kept_certificate import KeptCertificate
from blockingio.cli.log_format import LOG_FORMATS
from blockingio.cli.options import check_numbers
from blockingio.cli.output import run_program, say
from blockingio.cli.request_log import RequestLog
from blockingio.cli.shutdown import FAREWELL
from blockingio.cli.source_watch import SourceWatch
from blockingio.processes import run as run_processes
from blockingio.server.proxies import TrustedProxies
from blockingio.values.arguments import OneLineParser, whole_number
from blockingio.values.terminal import wants_colour
from blockingio.wsgi.handler import WsgiHandler

# Seconds that requests in progress have to come to their end: once a signal has asked for that, and with --reload
# once a file has changed.
_GRACE = 30.0
_RELOAD_GRACE = 2.0


def _parser() -> OneLineParser:
    parser = OneLineParser(prog="python -m blockingio.wsgi", allow_abbrev=False,
                           description="Serve a WSGI application.")
    parser.add_argument("application", metavar="MODULE:APPLICATION", help="or MODULE:FACTORY() for what that returns")
    parser.add_argument("-b", "--bind", default="127.0.0.1", metavar="ADDRESS", help="to listen on (127.0.0.1)")
    parser.add_argument("-p", "--port", type=whole_number, default=8000, help="0 for any that is free (8000)")
    parser.add_argument("--workers", type=whole_number, default=8, metavar="NUMBER",
                        help="requests that a process works on at once (8)")
    parser.add_argument("--processes", type=whole_number, default=1, metavar="NUMBER",
                        help="that share the port; SIGHUP replaces them one after the other (1)")
    parser.add_argument("--trusted-proxies", metavar="ADDRESSES",
                        help="those in front that are believed, between commas: 127.0.0.1,10.0.0.0/8,unix")
    parser.add_argument("--https", action="store_true", help="with a certificate of its own, for development")
    parser.add_argument("--reload", action="store_true",
                        help="start the application again when a file of its source changes, for development")
    parser.add_argument("--log", choices=sorted(LOG_FORMATS), default="common", metavar="FORMAT",
                        help="the line for each request: common, combined, json or short (common)")
    parser.add_argument("--quiet", action="store_true", help="show no line for each request")
    # What binding asks for as well.
    parser.set_defaults(unix=None, host=[])
    return parser


def _check(parser: OneLineParser, options: argparse.Namespace) -> None:
    """Raise SystemExit, with a line on stderr, for values that do not go, or not together."""
    check_numbers(parser, options)
    if options.reload and options.processes > 1:
        parser.error("argument --reload: it is for development, in one process, so expected no --processes with it")
    if options.trusted_proxies is not None:
        options.trusted_proxies = [part.strip() for part in options.trusted_proxies.split(",") if part.strip()]
        try:
            TrustedProxies(options.trusted_proxies)
        except ValueError as error:
            parser.error(f"argument --trusted-proxies: {error}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; the exit status.  Raises SystemExit for what is wrong with the arguments, and
    KeyboardInterrupt."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    # A second is all that compiled files tell of their source's age: too little for two changes in one.
    sys.dont_write_bytecode = sys.dont_write_bytecode or options.reload
    _do_in_a_child(partial(_load_or_exit, parser, options.application))
    opened = open_server(parser, options)
    if opened is None:
        return 1
    server, inherited, kept = opened
    with server, inherited or nullcontext():
        server.trusted_proxies = options.trusted_proxies
        say("\n".join(_greeting(server, options, kept)))
        work = partial(_serve_reloading, parent=os.getpid()) if options.reload else _serve
        run_processes(partial(work, parser=parser, options=options), server, options.processes,
                      grace=_RELOAD_GRACE if options.reload else _GRACE)
    return 0


def _greeting(server: HttpServer, options: argparse.Namespace, kept: KeptCertificate | None) -> Iterator[str]:
    yield f"Serving {options.application}"
    yield from listening_lines(urls_of(server, options, "http" if kept is None else "https"), options)
    yield from certificate_lines(kept)


def _load_or_exit(parser: OneLineParser, spec: str, load: Callable[[str], Any] = load) -> Any:
    try:
        return load(spec)
    except NoApplication as error:
        parser.error(str(error))
    except (Exception, SystemExit) as error:
        show(error)
        raise SystemExit(2) from None


def _do_in_a_child(action: Callable[[], object]) -> None:
    """In a process of its own, so that nothing of it stays here.  Raises SystemExit with its status, but for 0."""
    pid = os.fork()
    if not pid:
        status: Any = 1
        try:
            action()
            status = 0
        except SystemExit as error:
            status = error.code
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise SystemExit(status)


# ---------------------------------------------------------------- in the processes that serve

def _serve(server: HttpServer, *, parser: OneLineParser, options: argparse.Namespace) -> None:
    """The work of one process."""
    _serve_application(server, _load_or_exit(parser, options.application), options)


def _serve_application(server: HttpServer, application: Any, options: argparse.Namespace) -> None:
    log = None
    if not options.quiet:
        server.access_log = log = RequestLog(sys.stdout, colour=wants_colour(sys.stdout),
                                             line_of=LOG_FORMATS[options.log])
    try:
        server.for_each(WsgiHandler(application, multiprocess=options.processes > 1), workers=options.workers)
    finally:
        if log is not None:
            log.close(FAREWELL)


def _serve_reloading(server: HttpServer, *, parser: OneLineParser, options: argparse.Namespace, parent: int) -> None:
    """The same, until a source file changes; also where the application cannot be imported just now."""
    watch = SourceWatch()
    watch.begin()

    def load_watched(spec: str) -> Any:
        try:
            return load(spec)
        except BaseException:
            watch.begin_with_folders()  # before the error is told: what is mended because of it is seen
            raise

    try:
        application = _load_or_exit(parser, options.application, load_watched)
    except SystemExit:
        application = _not_there

    def start_again(path: str) -> None:
        say(f"{os.path.relpath(path)} has changed: the application is started again", "stderr")
        if os.getppid() == parent:  # else no process is left to replace this one
            os.kill(parent, signal.SIGHUP)

    watch.tell_once(start_again)
    _serve_application(server, application, options)


def _not_there(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Stands in for an application that could not be imported."""
    start_response("500 Internal Server Error", [("Content-Type", "text/plain; charset=utf-8"),
                                                 ("Cache-Control", "no-store")])
    return [b"The application could not be imported; the terminal shows why. The next change of a file is tried.\n"]


def run() -> None:
    """The program: ``main`` with the command line's arguments; ends the process.  Raises KeyboardInterrupt."""
    run_program(main)
