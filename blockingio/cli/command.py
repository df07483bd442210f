"""python -m blockingio [DIRECTORY]: serve a directory.

Ends with status 0 on Ctrl-C or SIGTERM, or when what was to be shared has been; 2 after a wrong option or directory;
1 where the port cannot be had.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path

from blockingio import HttpServer, SecurityContext
from blockingio.cli.binding import certificate_lines, listening_lines, open_server, urls_of
from blockingio.cli.browser import open_browser
from blockingio.cli.downloads import Downloads
from blockingio.cli.kept_certificate import KeptCertificate
from blockingio.cli.log_file import LogFile
from blockingio.cli.log_format import LOG_FORMATS
from blockingio.cli.options import DEFAULT_PORT, check, make_parser
from blockingio.cli.output import on_one_line, reason_of, run_program, say
from blockingio.cli.request_log import RequestLog
from blockingio.cli.share_limits import downloads_text, duration_text
from blockingio.cli.shutdown import FAREWELL, GRACE, Ending, Shutdown
from blockingio.cli.site import Site, SiteOptions
from blockingio.cli.upload_page import limit_text
from blockingio.processes import run as run_processes
from blockingio.values.terminal import wants_colour
from blockingio.wire_view import WireView


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; the exit status.  Raises SystemExit for what is wrong with the arguments, and
    KeyboardInterrupt."""
    parser = make_parser()
    options = parser.parse(arguments)
    check(parser, options)
    try:
        context = _security_context(options.certificate, options.key)
    except (OSError, ValueError) as error:
        parser.error(f"cannot use --certificate {options.certificate}"
                     f"{f' with --key {options.key}' if options.key else ''}: {reason_of(error)}")
    opened = open_server(parser, options, context)
    if opened is None:
        return 1
    server, inherited, kept = opened
    for name in parser.unknown_variables:
        say(f"{name} in the environment is no option, and changes nothing", "stderr")
    with server, inherited or nullcontext():
        try:
            log_file = None if options.log_file is None else LogFile(options.log_file)
        except OSError as error:
            parser.error(f"argument --log-file: cannot write {options.log_file}: {error.strerror or error}")
        return _serve(server, options, "https" if context or kept else "http", kept, log_file)


def _serve(server: HttpServer, options: argparse.Namespace, scheme: str, kept: KeptCertificate | None,
           log_file: LogFile | None) -> int:
    server.auto_compress = options.gzip
    if options.wire:
        server.wire_log = WireView()
    _add_headers(server, options)
    urls = urls_of(server, options, scheme)
    with Shutdown() as shutdown:
        say("\n".join(_greeting(options, urls, kept)))
        for line in _warnings(server, options):
            say(line, "stderr")
        if options.processes > 1:
            return _serve_in_processes(server, options, urls, log_file)
        downloads = None if options.after is None else Downloads(partial(_end_after, options, shutdown))
        service = _Service(server, options, log_file, downloads)
        server.listen(service.site.handle, workers=options.workers, on_done=shutdown.server_ended)
        if options.open and urls:
            open_browser(urls[0])
        ending = shutdown.wait(options.time) or Ending(0, f"Ended after {duration_text(options.time)} (--for)")
        service.site.let_go()
        with closing(service):
            shutdown.let_finish(server)
    if ending.why:
        say(ending.why)
    return ending.status


def _end_after(options: argparse.Namespace, shutdown: Shutdown, complete: int) -> None:
    """End the share once so many downloads are complete as were asked for."""
    if complete == options.after:
        name = "--once" if options.once else "--after"
        shutdown.share_ended(f"Ended after {downloads_text(complete)} ({name})")


def _serve_in_processes(server: HttpServer, options: argparse.Namespace, urls: Sequence[str],
                        log_file: LogFile | None) -> int:
    def work(ours: HttpServer) -> None:
        with closing(_Service(ours, options, log_file)) as service:
            ours.for_each(service.site.handle, workers=options.workers)

    if options.open and urls:
        open_browser(urls[0]).join(FAREWELL)  # a fork is best made while no other thread runs
    run_processes(work, server, options.processes, grace=GRACE)
    if log_file is not None:
        log_file.close()
    return 0


class _Service:
    """The site, and the log of its server; made in the process that serves, since both have threads."""

    def __init__(self, server: HttpServer, options: argparse.Namespace, log_file: LogFile | None,
                 downloads: Downloads | None = None) -> None:
        self.site = Site(options.directory, SiteOptions(
            listing=options.listing, zip=options.zip, index_page=options.index, spa=options.spa, cors=options.cors,
            cache=dict(options.cache).get(""), cache_types=tuple(time for time in options.cache if time[0]),
            reload=options.reload, upload=options.upload, drop=options.drop,
            max_upload=options.max_upload, auth=options.auth, upload_auth=options.upload_auth,
            dotfiles=options.dotfiles, hosts=(options.bind, *options.host),
            headers=frozenset(name.lower() for name, _ in options.header)), downloads)
        self._server = server
        self._downloads = downloads
        server.access_log = self._log = _open_log(options, log_file)

    def close(self) -> None:
        """The end: what still goes on is cut."""
        self.site.close()  # first: what is cut off must not leave anything
        Shutdown.cut(self._server)  # a download may have hours to go
        if self._downloads is not None:
            self._downloads.close()
        if self._log is not None:
            self._log.close(FAREWELL)


def _add_headers(server: HttpServer, options: argparse.Namespace) -> None:
    """What --header says, instead of the server's own fields of these names."""
    headers = server.default_response_headers
    for name, _ in options.header:
        headers.remove_all(name)
    for name, value in options.header:
        headers.add(name, value)


def _open_log(options: argparse.Namespace, file: LogFile | None) -> RequestLog | None:
    """The access log, None where no line is wanted."""
    if file is None and options.quiet:
        return None
    user, sender = (auth.partition(":")[0] if auth else None for auth in (options.auth, options.upload_auth))
    return RequestLog(file or sys.stdout, colour=file is None and wants_colour(sys.stdout), user=user, sender=sender,
                      line_of=LOG_FORMATS[options.log])


def _greeting(options: argparse.Namespace, urls: Sequence[str], kept: KeptCertificate | None) -> Iterator[str]:
    """What is served, where, and with --https how its certificate is recognised."""
    yield f"Serving {on_one_line(options.directory.resolve())}"
    yield from listening_lines(urls, options)
    if options.after is not None or options.time is not None:
        limits = [] if options.after is None else [downloads_text(options.after)]
        limits += [] if options.time is None else [duration_text(options.time)]
        yield f"It ends after {' or '.join(limits)}"
    yield from certificate_lines(kept)


def _warnings(server: HttpServer, options: argparse.Namespace) -> Iterator[str]:
    """What the user may not have meant, each in a line."""
    if options.port is None and options.unix is None and server.port != DEFAULT_PORT:
        yield f"Port {DEFAULT_PORT} is taken, so this is {server.port}: --port asks for a certain one"
    if options.spa and not (options.directory / "index.html").is_file():
        yield "There is no index.html yet: until then --spa answers unknown paths with 404"
    is_free = (options.upload or options.drop) and options.auth is None and options.upload_auth is None
    if is_free and not server.address.is_loopback and options.unix is None:
        yield (f"Anybody who reaches {server.address} can save files here, each of up to "
               f"{limit_text(options.max_upload)}, until the disk is full: --auth USER:PASSWORD asks for a "
               f"password, --upload-auth USER:PASSWORD for uploads alone")


def _security_context(certificate: Path | None, key: Path | None) -> SecurityContext | None:
    if certificate is None:
        return None
    context = SecurityContext()
    context.use_certificate_chain(certificate)
    context.use_private_key(key or certificate)
    context.server_context()  # reads them: what is wrong with them shows now
    return context


def run() -> None:
    """The program: ``main`` with the command line's arguments; ends the process.  Raises KeyboardInterrupt."""
    run_program(main)
