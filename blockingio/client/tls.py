"""TLS on a client's connection: verified, or as the user decides.

Takes a function that makes a connection to the server, and gives a TlsChannel on one.  Raises OSError
(ssl.SSLError is one), its message naming host and port.  It knows nothing of HTTP or of proxies.

A handshake that fails verification ends before Python lets anyone see the certificate.  So where
bad_certificate_callback is set, a second connection is made without verification, its certificate is shown to the
callback, and that same connection is kept if the callback says so; nothing has been sent on it before.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from blockingio.client.connection import Connection
from blockingio.client.connect import Deadline, named
from blockingio.client.keylog import key_log_of
from blockingio.net.channel import TlsChannel
from blockingio.net.security import SecurityContext
from blockingio.stream.fork import begin_anew_in_child
from blockingio.net.x509 import X509Certificate


class TlsHooks(NamedTuple):
    """What the user wants to be asked and told during a handshake."""

    bad_certificate_callback: Callable[[X509Certificate, str, int], bool] | None
    key_log: Callable[[str], object] | None


class ClientTls:
    """The TLS of one client, for all of its threads.  ``context`` None: the system's roots."""

    def __init__(self, context: SecurityContext | ssl.SSLContext | None) -> None:
        if context is not None and not isinstance(context, (SecurityContext, ssl.SSLContext)):
            raise TypeError(f"expected a SecurityContext or ssl.SSLContext, not {type(context).__name__}")
        self._given = context if context is not None else SecurityContext.DEFAULT_CONTEXT
        self._lock = Lock()
        # The rest is guarded by _lock: what the SecurityContext gave last, and one like it of our own.
        self._shared: ssl.SSLContext | None = None
        self._own: ssl.SSLContext | None = None
        begin_anew_in_child(self, ClientTls._begin_anew)

    def _begin_anew(self) -> None:
        """This is a forked child: another thread of the parent's may have had the lock."""
        self._lock = Lock()

    def open(self, connect: Callable[[], socket.socket], connection: Connection, host: str, port: int,
             deadline: Deadline, hooks: TlsHooks) -> TlsChannel:
        """A connection with TLS on it, its handshake done; held by ``connection``."""
        context = self._context(is_logged=hooks.key_log is not None)
        handshake = _Handshake(connection, context, host, port, deadline)
        if hooks.key_log is None:
            return self._open(connect, handshake, hooks)
        log = key_log_of(context)
        try:
            return self._open(connect, handshake, hooks)
        finally:
            for line in log.new_lines():
                hooks.key_log(line)

    def _open(self, connect: Callable[[], socket.socket], handshake: _Handshake, hooks: TlsHooks) -> TlsChannel:
        ask = hooks.bad_certificate_callback
        try:
            return handshake.shake(connect(), handshake.context)
        except ssl.SSLCertVerificationError as error:
            if ask is None:
                raise
            refusal = error
        channel = handshake.unverified(connect())
        try:
            certificate = _certificate_of(channel)
            if certificate is not None and ask(certificate, handshake.host, handshake.port):
                return channel
            raise refusal
        except BaseException:
            handshake.connection.drop(channel)
            raise

    def _context(self, *, is_logged: bool) -> ssl.SSLContext:
        given = self._given
        if isinstance(given, ssl.SSLContext):
            return given
        shared = given.client_context()
        if not is_logged:
            return shared
        # A log is a setting of the context, and other clients may have the same one.
        with self._lock:
            if self._own is None or self._shared is not shared:
                self._shared = shared
                self._own = given.make_client_context()
            return self._own


def _certificate_of(channel: TlsChannel) -> X509Certificate | None:
    """The server's; None for one that cannot be read: the user cannot be asked about that."""
    try:
        return X509Certificate.from_der(channel.socket.getpeercert(True))  # type: ignore[attr-defined]
    except ValueError:
        return None


class _Handshake(NamedTuple):
    connection: Connection
    context: ssl.SSLContext
    host: str
    port: int
    deadline: Deadline

    def unverified(self, sock: socket.socket) -> TlsChannel:
        """A handshake that succeeds whatever the certificate; else as the context has it."""
        context = self.context
        lenient = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        lenient.check_hostname = False
        lenient.verify_mode = ssl.CERT_NONE
        lenient.options = context.options
        lenient.minimum_version = context.minimum_version
        lenient.maximum_version = context.maximum_version
        ciphers = [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"]
        if ciphers:
            lenient.set_ciphers(":".join(ciphers) + f":@SECLEVEL={context.security_level}")
        return self.shake(sock, lenient)

    def shake(self, sock: socket.socket, context: ssl.SSLContext) -> TlsChannel:
        timeout = sock.gettimeout()
        name = self.host.partition("%")[0].rstrip(".")
        try:
            name.encode("idna")  # as ssl does, which then loses the socket
        except UnicodeError as error:
            # An empty label, or one that is too long.  Where the system looks names up, this is its answer.
            unknown = socket.gaierror(socket.EAI_NONAME, f"not a host name: {error}")
            raise named(unknown, self.host, self.port) from None
        self.connection.pass_on(sock)
        try:
            tls = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
        except BaseException as error:
            sock.close()
            if isinstance(error, OSError):
                raise named(error, self.host, self.port) from None
            raise
        channel = TlsChannel(tls)
        self.connection.hold(channel)
        if self.connection.tap is not None:
            self.connection.tap.is_tls = True
        try:
            if context is not self.context:
                # The verify mode stays as it was made with; the client's own certificate comes from here.
                tls.context = self.context
            channel.handshake(self.deadline.left())
            channel.set_receive_timeout(timeout)
        except BaseException as error:
            self.connection.drop(channel)
            if isinstance(error, OSError):
                raise named(error, self.host, self.port) from None
            raise
        return channel
