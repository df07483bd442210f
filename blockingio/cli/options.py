"""The command's options: what there is, and what is wrong with those given, each in one line."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NoReturn

import blockingio
from blockingio.cli.cache_times import parse_cache_time
from blockingio.cli.environment import read_environment
from blockingio.cli.log_format import LOG_FORMATS
from blockingio.cli.output import on_one_line
from blockingio.cli.share_limits import parse_duration
from blockingio.cli.site import MOST_UPLOADED
from blockingio.net.system import AF_UNIX, CAN_FORK, CAN_WRITE_BELOW
from blockingio.server.hosts import AllowedHosts
from blockingio.values.arguments import OneLineParser, whole_number
from blockingio.values.headers import HttpHeaders
from blockingio.values.reference import LAST_PORT

DEFAULT_PORT = 8000
_DEFAULT_WORKERS = 8

# Threads and processes that a command may be asked for: more is a slip, which would leave the system without room.
_MOST = {"workers": 10_000, "processes": 1_000}

# What an answer says of its content and its connection: of another value not a single answer would be true.
_OF_THE_ANSWER = frozenset((
    "connection", "content-encoding", "content-length", "content-range", "content-type", "date", "etag", "keep-alive",
    "last-modified", "trailer", "transfer-encoding", "upgrade"))

# Options each of which does not go with any of others, and why not.
_APART = (
    ("https", "it makes a certificate of its own", "certificate"),
    ("unix", "a socket without ports", "port"),
    ("open", "no browser opens a Unix-domain socket", "unix"),
    ("drop", "nothing is served then", "spa reload once after"),
    ("once", "it is --after 1", "after"),
    ("once after for", "it is one process that counts", "processes"),
    ("reload", "it is one process that looks", "processes"),
    ("reload", "pages would come from the browser's cache", "cache"),
)

_Add = Callable[..., object]

_DESCRIPTION = "Serve a directory over HTTP, for a look, for the phone or for a colleague."

_EPILOG = """\
examples:
  {0}
      Show this folder in a browser on this computer, and to nobody else.
  {0} --bind 0.0.0.0 --https --auth me:secret ~/Pictures
      Let every device in the network that has the password see the pictures.
  {0} --bind 0.0.0.0 --once --for 50m Report
      Until somebody has downloaded the report, and for 50 minutes at most.

Options can stand in the environment too: BLOCKINGIO_PORT=8080 is --port 8080,
BLOCKINGIO_UPLOAD=1 is --upload, BLOCKINGIO_ZIP=0 is --no-zip; of what may be
given several times each has a line.  The command line goes over them.
Ctrl-C or SIGTERM ends the server, once answers in progress are out or five
seconds are over; a second one at once.
"""


class Parser(OneLineParser):
    """The options of the command line, and those that the environment adds."""

    # As python -m http.server has them.
    foreign = {**dict.fromkeys(("-d", "--directory"), "the DIRECTORY, without an option"),
               "--tls-cert": "--certificate", "--tls-key": "--key"}

    def __init__(self, environment: Mapping[str, str]) -> None:
        program = _program()
        super().__init__(prog=program, usage="%(prog)s [OPTION ...] [DIRECTORY]", description=_DESCRIPTION,
                         epilog=_EPILOG.format(program), allow_abbrev=False,
                         formatter_class=argparse.RawDescriptionHelpFormatter)
        self._environment = environment
        self._options: list[argparse.Action] = []
        self._given: dict[str, str] = {}  # options that stand in the environment, each with its variable
        #: Variables that look like an option's and are none.
        self.unknown_variables: list[str] = []

    def add(self, title: str, fill: Callable[[_Add], object]) -> None:
        """A group of options; ``fill`` is given what adds one to it."""
        group = self.add_argument_group(title)
        fill(lambda *names, **settings: self._options.append(group.add_argument(*names, **settings)))

    def parse(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """The options, the environment's first.  Raises SystemExit for what is wrong with them."""
        try:
            found = read_environment(self._options, self._environment)
        except ValueError as error:
            self.error(str(error))
        self._given = found.options
        self.unknown_variables = found.unknown
        return self.parse_args([*found.arguments, *(sys.argv[1:] if arguments is None else arguments)])

    def error(self, message: str) -> NoReturn:
        """One line, where argparse would print the usage as well; with the variables that may be the reason."""
        named = [variable for option, variable in self._given.items()
                 if re.search(rf"{option}(?![\w-])", message.partition(": did you mean ")[0])]
        note = f" ({', '.join(named)} {'are' if len(named) > 1 else 'is'} set)" if named else ""
        self.exit(2, f"{self.prog}: {on_one_line(message)}{note}\n")


def make_parser(environment: Mapping[str, str] = os.environ) -> Parser:
    """All options, with their help."""
    parser = Parser(environment)
    parser.add_argument("directory", nargs="?", type=_path, default=Path("."), metavar="DIRECTORY",
                        help="what to serve (the current directory)")
    parser.add_argument("--version", action="version", version=f"blockingio {blockingio.__version__}")
    parser.add("where it listens", _add_address)
    parser.add("what it shows", _add_content)
    parser.add("who may do what", _add_permission)
    parser.add("HTTPS", _add_https)
    parser.add("when it ends", _add_end)
    parser.add("how it answers", _add_answers)
    parser.add("what it tells", _add_log)
    return parser


def _add_address(add: _Add) -> None:
    add("-b", "--bind", default="127.0.0.1", metavar="ADDRESS",
        help="address or host name to listen on; 0.0.0.0 or :: for all (127.0.0.1: this computer alone)")
    add("-p", "--port", type=whole_number, help="0 for any that is free (8000, or the next one that is free)")
    add("--unix", type=_path, metavar="PATH", help="listen on a Unix-domain socket instead of an address and port")
    add("--host", action="append", default=[], metavar="NAME",
        help="answer for this name as well, or with *.NAME for all below it; without it, for IP addresses, localhost, "
             "this machine's names and that of --bind")
    add("--open", action="store_true", help="open it in the browser")


def _add_content(add: _Add) -> None:
    add("--no-listing", dest="listing", action="store_false", help="list no directories")
    add("--zip", action=argparse.BooleanOptionalAction, default=True,
        help="let folders that are listed be downloaded as a ZIP (on)")
    add("--index", action=argparse.BooleanOptionalAction, default=True,
        help="serve a directory's index.html, where it has one (on)")
    add("--spa", action="store_true",
        help="unknown paths get the top directory's index.html, where a browser is to show a page")
    add("--dotfiles", action="store_true",
        help="serve and list also what begins with a dot, as .git and .env; without it only /.well-known/")
    add("--reload", action="store_true",
        help="pages that are open load again when a file that they were made of changes; a style sheet is exchanged")


def _add_permission(add: _Add) -> None:
    add("--auth", metavar="USER:PASSWORD", help="let in only those who know these (use it with HTTPS)")
    add("--upload", action="store_true",
        help="save files that are sent into the directory, never over others: by the form on the listing (so give "
             "--no-index where there is an index.html), or as curl -T FILE URL does")
    add("--upload-auth", metavar="USER:PASSWORD",
        help="save files only for those who know these, and --auth is for reading alone")
    add("--max-upload", type=_size, default=MOST_UPLOADED, metavar="SIZE",
        help="bytes of an upload at most, as 500M or 2G, where K is 1024 and kB 1000 (1G)")
    add("--drop", action="store_true",
        help="a letterbox: save files that are sent, and list and serve nothing; each gets a receipt with its SHA-256")
    add("--cors", action="store_true", help="let pages of any origin read the files")


def _add_https(add: _Add) -> None:
    add("--https", action="store_true",
        help="serve HTTPS with a certificate made on the spot, for development; it is kept for 30 days, so that what "
             "a browser was told of it lasts")
    add("--certificate", type=_path, metavar="FILE", help="serve HTTPS with this PEM chain")
    add("--key", type=_path, metavar="FILE", help="its private key, where it is in a file of its own")


def _add_end(add: _Add) -> None:
    add("--once", action="store_true", help="after one download that is complete: of a file, or of a folder as a ZIP")
    add("--after", type=whole_number, metavar="NUMBER", help="after so many of them; one that was cut does not count")
    add("--for", dest="time", type=parse_duration, metavar="TIME", help="after this time, as 50m, 90s, 2h, 1h30m or 2d")


def _add_answers(add: _Add) -> None:
    add("--cache", action="append", default=[], type=parse_cache_time, metavar="[TYPE=]SECONDS",
        help="browsers may use what they have for so long without asking (they ask each time); several times for "
             "several types, as image/*=86400, and without one for all others")
    add("--gzip", action=argparse.BooleanOptionalAction, default=True,
        help="compress text and listings for clients that take it (on)")
    add("--header", action="append", default=[], type=_header, metavar="NAME:VALUE",
        help="send this with every answer, and not what is sent else under that name (lists and error pages keep their "
             "Content-Security-Policy); may be given several times")
    add("--workers", type=whole_number, default=_DEFAULT_WORKERS, metavar="NUMBER",
        help="requests that are worked on at once, in each process (8)")
    add("--processes", type=whole_number, default=1, metavar="NUMBER",
        help="that share the port and the work; one that dies is replaced, and SIGHUP replaces all (1)")


def _add_log(add: _Add) -> None:
    add("--log", choices=sorted(LOG_FORMATS), default="common", metavar="FORMAT",
        help="the line for each request: common (client, time, request, status, bytes, seconds), combined (with the "
             "page before and the browser, for log readers), json or short; 'cut' marks an answer that did not go "
             "out whole (common)")
    add("--log-file", type=_path, metavar="FILE", help="add the lines to this file instead of showing them")
    add("--quiet", action="store_true", help="show no line for each request")
    add("--wire", action="store_true",
        help="show on stderr what goes over the wire, byte for byte, with credentials and cookies masked")


def check(parser: Parser, options: argparse.Namespace) -> None:
    """Raise SystemExit, with a line on stderr, for values that do not go, or not together."""
    directory = options.directory
    if not directory.is_dir():
        hint = f"; for a port: --port {directory}" if str(directory).isdecimal() else ""
        what = "is no directory" if directory.exists() else "does not exist"
        parser.error(f"cannot serve {directory}: it {what}{hint}")
    if not os.access(directory, os.R_OK | os.X_OK):
        parser.error(f"cannot serve {directory}: it may not be read")
    check_numbers(parser, options)
    if options.processes > 1 and not CAN_FORK:
        parser.error("argument --processes: this system has no fork, so expected 1")
    if options.after == 0:
        parser.error("argument --after: expected at least 1")
    _check_permission(parser, options)
    for names, reason, others in _APART:
        for name, other in product(names.split(), others.split()):
            if _is_given(name, parser, options) and _is_given(other, parser, options):
                parser.error(f"argument --{name}: {reason}, so expected no --{other} with it")
    if options.once:
        options.after = 1
    try:
        AllowedHosts(options.host)
    except ValueError as error:
        parser.error(f"argument --host: {error}")
    if options.key is not None and options.certificate is None:
        parser.error("argument --key: expected --certificate with it")
    if options.unix is not None and AF_UNIX is None:
        parser.error("argument --unix: this system has no Unix-domain sockets (AF_UNIX)")


def _is_given(name: str, parser: Parser, options: argparse.Namespace) -> bool:
    name = "time" if name == "for" else name
    given: bool = getattr(options, name) != parser.get_default(name)
    return given


def check_numbers(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Of --port, --workers and --processes, which are whole numbers already."""
    if options.port is not None and options.port > LAST_PORT:
        parser.error(f"argument -p/--port: expected a number from 0 to {LAST_PORT}, found {options.port}")
    for name, most in _MOST.items():
        number = getattr(options, name)
        if not number:
            parser.error(f"argument --{name}: expected at least 1")
        if number > most:
            parser.error(f"argument --{name}: expected {most:,} at most, found {number:,}")


def _check_permission(parser: Parser, options: argparse.Namespace) -> None:
    for name, value in (("--auth", options.auth), ("--upload-auth", options.upload_auth)):
        if value is None:
            continue
        if ":" not in value:
            parser.error(f"argument {name}: expected USER:PASSWORD, found no colon")
        if value.startswith(":"):
            parser.error(f"argument {name}: expected USER:PASSWORD, found no user")
        # No browser can send these (RFC 7617 2): a carriage return, for one, behind a line that was read from a file.
        if strange := re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", value):
            parser.error(f"argument {name}: expected no control character and what UTF-8 has, found {strange[0]!r}")
    if options.upload_auth is not None and not (options.upload or options.drop):
        parser.error("argument --upload-auth: expected --upload or --drop with it")
    if (options.upload or options.drop) and not CAN_WRITE_BELOW:
        name = "--upload" if options.upload else "--drop"
        parser.error(f"argument {name}: this system cannot make files relative to an open directory (dir_fd)")


def _program() -> str:
    """What the user has called: the console script, or the module."""
    name = os.path.basename(sys.argv[0])
    return "blockingio" if os.path.splitext(name)[0] == "blockingio" else "python -m blockingio"


def _size(text: str) -> int:
    """Bytes: digits and a unit, as the power of 1024 that it is unless a B alone is behind it, as in kB."""
    match = re.fullmatch(r"([0-9]{1,15})(?:([KMGT])(iB|B)?|B)?", text, re.IGNORECASE | re.ASCII)
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"expected a size as 500M or 2G, found {text!r}")
    base = 1000 if (match[3] or "").upper() == "B" else 1024
    power: int = "KMGT".index(match[2].upper()) + 1 if match[2] else 0
    return int(match[1]) * int(base ** power)


def _path(text: str) -> Path:
    """An empty one, as a shell makes it of a variable that is not set, would be the current directory."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, found ''")
    return Path(text)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    name, value = name.strip(" "), value.strip(" \t")
    if not colon:
        raise argparse.ArgumentTypeError(f"expected NAME:VALUE, found {text!r}")
    if name.lower() in _OF_THE_ANSWER:
        raise argparse.ArgumentTypeError(f"{name} is the server's own to say, expected another name")
    try:
        HttpHeaders().add(name, value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return name, value
