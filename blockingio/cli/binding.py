"""Where a command listens: the port that it was given, or the first that is free; a Unix-domain socket; or a socket
that a service manager has opened for it (systemd's socket activation).

``open_server`` is for a command: it tells its user what is wrong.  ``bind`` raises OSError as HttpServer.bind does,
``explain`` puts it into the user's words.
"""

from __future__ import annotations

import argparse
import socket
from collections.abc import Iterator, Sequence
from errno import EACCES, EADDRINUSE, EINVAL, EPERM
from typing import NamedTuple

from blockingio import HttpServer, InternetAddress, InternetAddressType, SecurityContext
from blockingio.cli.addresses import own_addresses, server_urls
from blockingio.cli.kept_certificate import KeptCertificate, kept_certificate
from blockingio.cli.options import DEFAULT_PORT
from blockingio.cli.output import on_one_line, say
from blockingio.cli.permission import machine_names
from blockingio.net.self_signed import canonical_hosts
from blockingio.processes import inherited_sockets
from blockingio.values.reference import LAST_PORT

# Ports that are tried where none was asked for: 8000 to 8009.
_TRIES = 10


class Opened(NamedTuple):
    """What a command serves."""

    server: HttpServer
    inherited: socket.socket | None  # that the server listens on; it is the caller's to close
    kept: KeptCertificate | None  # of --https


def open_server(parser: argparse.ArgumentParser, options: argparse.Namespace,
                context: SecurityContext | None = None) -> Opened | None:
    """Bound where the options say, with ``context`` or with --https; None where that does not go, which is said.

    Raises SystemExit where the address itself is wrong.
    """
    try:
        inherited = inherited_socket(options)
    except OSError as error:
        parser.error(str(error.strerror or error))
    kept = None
    try:
        if options.https:
            kept = kept_certificate(certificate_hosts(options))
            context = kept.context
        server = bind(options, context, inherited)
    except OSError as error:
        text = explain(error, options)
        if text is None:
            name = "-b/--bind" if options.unix is None else "--unix"
            parser.error(f"argument {name}: {error.strerror or error}")  # that names the address
        say(f"{parser.prog}: {text}", "stderr")
        return None
    if inherited is not None:
        say("A socket was inherited (LISTEN_FDS), and is served: --bind and --port are ignored", "stderr")
    if kept is not None and kept.file is None:
        say(f"The certificate is new, and will be again next time, as it cannot be kept: {kept.trouble}", "stderr")
    return Opened(server, inherited, kept)


def inherited_socket(options: argparse.Namespace) -> socket.socket | None:
    """The first socket that was inherited (LISTEN_FDS), the others closed; None where there is none.

    The options are as if they had asked for its address from now on.  Raises OSError where it does not listen.
    """
    sockets = inherited_sockets()
    for other in sockets[1:]:
        other.close()
    if not sockets:
        return None
    inherited = sockets[0]
    if inherited.type != socket.SOCK_STREAM or not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        inherited.close()
        raise OSError(EINVAL, "the first descriptor of LISTEN_FDS is no stream socket that listens")
    address = InternetAddress.from_socket_address(inherited.family, inherited.getsockname())
    if address.type is InternetAddressType.UNIX:
        options.unix, options.port = address.address, None
    else:
        options.unix, options.bind, options.port = None, address.address, inherited.getsockname()[1]
    return inherited


def bind(options: argparse.Namespace, context: SecurityContext | None,
         inherited: socket.socket | None = None) -> HttpServer:
    """A server that listens where the options say, or on the inherited socket; with TLS where there is a context."""
    if inherited is not None:
        return HttpServer.listen_on(inherited, context=context)
    if options.unix is not None:
        return _bind(InternetAddress(str(options.unix), InternetAddressType.UNIX), 0, context)
    if options.port is not None:
        return _bind(options.bind, options.port, context)
    for port in range(DEFAULT_PORT, DEFAULT_PORT + _TRIES - 1):
        try:
            return _bind(options.bind, port, context)
        except OSError as error:
            if error.errno != EADDRINUSE:
                raise
    return _bind(options.bind, DEFAULT_PORT + _TRIES - 1, context)


def _bind(address: str | InternetAddress, port: int, context: SecurityContext | None) -> HttpServer:
    if context is None:
        return HttpServer.bind(address, port)
    return HttpServer.bind_secure(address, port, context)


def explain(error: OSError, options: argparse.Namespace) -> str | None:
    """Why that did not go, and what would; None where the error says it all."""
    address, port = options.bind, options.port
    if options.unix is not None:
        return f"{options.unix} is there already: choose another path for --unix" if error.errno == EADDRINUSE else None
    if error.errno == EADDRINUSE and port is None:
        last = DEFAULT_PORT + _TRIES - 1
        return f"ports {DEFAULT_PORT} to {last} on {address} are taken: choose another, or --port 0 for any"
    if error.errno == EADDRINUSE:
        other = port + 1 if port < LAST_PORT else DEFAULT_PORT
        return f"port {port} on {address} is taken: choose another, as --port {other}, or --port 0 for any"
    if error.errno in (EACCES, EPERM):
        return f"port {port} on {address} is not for everybody: choose one from 1024 on, as --port {DEFAULT_PORT}"
    return None


def urls_of(server: HttpServer, options: argparse.Namespace, scheme: str) -> list[str]:
    """Where browsers find it, the nearest first; none on a Unix-domain socket."""
    if options.unix is not None:
        return []
    return server_urls(scheme, options.bind, server.address, server.port)


def listening_lines(urls: Sequence[str], options: argparse.Namespace) -> Iterator[str]:
    """Where it listens, for the user: these URLs, or the path of the Unix-domain socket."""
    for url in urls:
        yield f"Listening on {url}"
    if options.unix is not None:
        yield f"Listening on {socket_text(options.unix)}"


def certificate_lines(kept: KeptCertificate | None) -> Iterator[str]:
    """How the certificate of --https is recognised."""
    if kept is not None:
        yield f"Certificate, by its SHA-256 fingerprint: {kept.fingerprint}"
        if kept.file is not None:
            yield f"It is kept in {on_one_line(kept.file)}"


def socket_text(path: object) -> str:
    """A Unix-domain socket's path for a terminal; an abstract name with "@" for its NUL, as ss(8) shows it."""
    return on_one_line(str(path).replace("\0", "@", 1))


def certificate_hosts(options: argparse.Namespace) -> list[str]:
    """What the certificate of --https is for: this machine, by its names and by the addresses that it is bound to.

    Raises OSError where --bind is a name without an address.
    """
    hosts = ["localhost", "127.0.0.1", "::1", *machine_names(), *options.host]
    if options.unix is None:
        bound = InternetAddress.lookup(options.bind)
        if InternetAddress.ANY_IP_V6 in bound:
            bound += own_addresses()
        elif InternetAddress.ANY_IP_V4 in bound:
            bound += [address for address in own_addresses() if address.type is InternetAddressType.IPV4]
        hosts += [options.bind, *(address.address for address in bound)]
    return [host for host in hosts if _can_stand_in_a_certificate(host)]


def _can_stand_in_a_certificate(host: str) -> bool:
    try:
        canonical_hosts([host])
    except ValueError:
        return False  # a link-local address with its zone, or a machine's name that can be none
    return True
