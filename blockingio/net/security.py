"""Certificates, keys and trust, and the ssl contexts that are made from them.

Takes PEM (certificates in DER too) as files or bytes; gives ``ssl.SSLContext``.  Files are read when they
are named and not again, so a process may give up the right to read them afterwards.  Raises the system's
OSError for a file that cannot be read, and ssl.SSLError (an OSError) for contents that cannot be used; both
name the file.  It opens no socket and does no handshake.

Importing this module imports ssl, about ten milliseconds: code that needs it only at times imports it then.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import re
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from blockingio.net.self_signed import make_self_signed
from blockingio.stream.fork import begin_anew_in_child
from blockingio.net.x509 import X509Certificate
from blockingio.values.known_attributes import KnownAttributes

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SecurityContext", "X509Certificate"]

_CERTIFICATE_RE: Final = re.compile(
    b"-----BEGIN (?:X509 )?CERTIFICATE-----(.*?)-----END (?:X509 )?CERTIFICATE-----", re.DOTALL)
_PRIVATE_KEY_RE: Final = re.compile(b"-----BEGIN (?:RSA |DSA |EC |ENCRYPTED )?PRIVATE KEY-----")
# PKCS#8 says it in its label, the older formats in a header (RFC 1421 4.6.1.1).
_ENCRYPTED_RE: Final = re.compile(b"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)

# What OpenSSL calls it when a certificate and a private key do not belong together.
_MISMATCHES: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH")

_PKCS12: Final = " PKCS#12 must be converted (openssl pkcs12 -in FILE -out FILE.pem)"

_DESCRIPTORS: Final = "/proc/self/fd"
_HAS_MEMORY_FILES: Final = hasattr(os, "memfd_create") and os.path.isdir(_DESCRIPTORS)

_MAX_ALPN_PROTOCOL: Final = 255  # bytes: its length goes in one (RFC 7301 3.1)


class _Secret(NamedTuple):
    """A private key as PEM, what opens it (None where nothing has to), and what to call it in an error."""

    pem: bytes
    password: str | None
    name: str

    def __repr__(self) -> str:  # without what a log or a traceback must not show
        return f"<private key {self.name!r}>"


class _Chain(NamedTuple):
    """Certificates as PEM, the owner's first, and what to call them in an error."""

    pem: bytes
    name: str


class SecurityContext(KnownAttributes):
    """Certificates, keys and trust for TLS, on either side of it; an ``ssl.SSLContext`` serves as well.

    With ``with_trusted_roots`` it trusts the authorities that the system trusts, without it none until
    it is given some.  Every method may be called at any time, from any thread: contexts that were made before
    stay as they are, those made afterwards have the change.  Follows dart:io's SecurityContext, except
    that certificates and keys are PEM (certificates DER too) and not PKCS#12, which Python cannot read.

        context = SecurityContext()
        context.use_certificate_chain("server.crt")
        context.use_private_key("server.key")
        server = HttpServer.bind_secure("0.0.0.0", 443, context)
    """

    DEFAULT_CONTEXT: ClassVar[SecurityContext]

    def __init__(self, *, with_trusted_roots: bool = False) -> None:
        self._with_trusted_roots = with_trusted_roots
        # All below is guarded by the lock.
        self._lock = threading.RLock()
        begin_anew_in_child(self, SecurityContext._begin_anew)
        self._chain: _Chain | None = None
        self._key: _Secret | None = None
        self._key_in_chain: _Secret | None = None
        self._trusted: list[bytes] = []  # DER
        self._client_authorities: list[bytes] = []  # DER
        self._alpn_protocols: dict[bool, list[str]] = {True: [], False: []}  # by is_server
        self._made: dict[str, ssl.SSLContext] = {}  # emptied by every change
        # What the context shows, while self_signed made that: set before any other thread has the context.
        self._self_signed: X509Certificate | None = None

    def _begin_anew(self) -> None:
        """This is a forked child: another thread of the parent's may have had the lock."""
        self._lock = threading.RLock()

    @classmethod
    def self_signed(cls, hosts: Sequence[str] = ("localhost", "127.0.0.1", "::1"), *,
                    days: int = 30) -> SecurityContext:
        """A server's context with a new P-256 key and a certificate of its own making for these hosts.

        ``hosts`` are names (of any letters: IDNA), "*.name" or IP addresses.  Clients that were given
        ``certificate_pem`` trust it; it can vouch for no other certificate.  No file is left.

        For development only: no authority vouches for it, people who get used to a browser's warning pass over the
        one that counts, and it is made by Python's integers, whose time tells of their values.

        ValueError for a host that is neither name nor address, for none, and for ``days`` below 1.
        """
        made = make_self_signed(hosts, days)
        certificate = X509Certificate.from_der(made.der)
        context = cls()
        context.use_certificate_chain_bytes(certificate.pem.encode("ascii"))
        context.use_private_key_bytes(made.key_pem.encode("ascii"))
        context._self_signed = certificate
        return context

    @property
    def certificate_pem(self) -> str:
        """The certificate of ``self_signed``, which is what a client is to trust; "" of any other context."""
        certificate = self._self_signed
        return certificate.pem if certificate is not None else ""

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate of ``self_signed`` as browsers show it, "AB:CD:..."; "" of any other."""
        certificate = self._self_signed
        return fingerprint_of(certificate.der) if certificate is not None else ""

    def use_certificate_chain(self, file: str | Path, *, password: str | None = None) -> None:
        """Present the certificates in ``file`` to the peer: one's own first, then on towards the root.

        A private key in the same file is used too, with ``password``, unless ``use_private_key`` gives
        another.  OSError where the file cannot be read or holds no certificate.
        """
        self._use_certificate_chain(_read(file), password, str(file))

    def use_certificate_chain_bytes(self, chain: bytes, *, password: str | None = None) -> None:
        """Like ``use_certificate_chain``, with the contents of the file."""
        self._use_certificate_chain(_bytes(chain), password, "the certificate chain")

    def use_private_key(self, file: str | Path, *, password: str | None = None) -> None:
        """Use the private key in ``file``, opened by ``password``, with the certificate chain.

        It may come before or after the chain.  OSError where the file cannot be read, holds no private key,
        or the password is missing or wrong (the last as soon as there is a chain as well).
        """
        self._use_private_key(_read(file), password, str(file))

    def use_private_key_bytes(self, key: bytes, *, password: str | None = None) -> None:
        """Like ``use_private_key``, with the contents of the file."""
        self._use_private_key(_bytes(key), password, "the private key")

    def set_trusted_certificates(self, file: str | Path, *, password: str | None = None) -> None:
        """Trust the certificates in ``file``, root or not, in addition to those trusted already.

        ``password`` is for PKCS#12 in dart:io; certificates in PEM or DER have none, and it is not used.
        OSError where the file cannot be read or holds no certificate.
        """
        self._trust(self._trusted, _read(file), str(file))

    def set_trusted_certificates_bytes(self, certificates: bytes, *, password: str | None = None) -> None:
        """Like ``set_trusted_certificates``, with the contents of the file."""
        self._trust(self._trusted, _bytes(certificates), "the trusted certificates")

    def set_client_authorities(self, file: str | Path, *, password: str | None = None) -> None:
        """Accept, as a server, client certificates that those in ``file`` vouch for, as the trusted ones do.

        Parameters and errors as for ``set_trusted_certificates``.  dart:io also tells the client these names
        when it asks for a certificate; Python's ssl cannot, and leaves the choice to the client.
        """
        self._trust(self._client_authorities, _read(file), str(file))

    def set_client_authorities_bytes(self, authorities: bytes, *, password: str | None = None) -> None:
        """Like ``set_client_authorities``, with the contents of the file."""
        self._trust(self._client_authorities, _bytes(authorities), "the client authorities")

    def set_alpn_protocols(self, protocols: Sequence[str], is_server: bool) -> None:
        """Offer (as a client) or accept (as a server) these application protocols, the preferred one first.

        RFC 7301; none switches it off, as at the start.  ValueError for a name that is not 1 to 255 ASCII characters.
        """
        for protocol in protocols:
            if not protocol.isascii() or not 1 <= len(protocol) <= _MAX_ALPN_PROTOCOL:
                raise ValueError(f"not an ALPN protocol of 1 to {_MAX_ALPN_PROTOCOL} ASCII characters:"
                                 f" {protocol!r}")
        with self._lock:
            self._alpn_protocols[is_server] = list(protocols)
            self._made.clear()

    def server_context(self) -> ssl.SSLContext:
        """What ``bind_secure`` serves with: TLS 1.2 and up; the same object until something is changed.

        ssl.SSLError where there is no certificate chain, no private key, or they do not belong together.
        """
        return self._context("server", self._make_server_context)

    def client_context(self) -> ssl.SSLContext:
        """What a client connects with: TLS 1.2 and up, the server's certificate and name verified.

        The same object until something is changed.  The chain and the private key, where they are set, are
        for a server that asks for a client certificate; ssl.SSLError as in ``server_context``.
        """
        return self._context("client", self.make_client_context)

    def certificate_requesting_context(self) -> ssl.SSLContext:
        """``server_context`` that asks for a client certificate: none will do, a wrong one will not."""
        return self._context("requesting server", self._make_requesting_context)

    def __repr__(self) -> str:
        with self._lock:
            chain = self._chain and self._chain.name
            return (f"<SecurityContext chain={chain!r} trusted_roots={self._with_trusted_roots}"
                    f" trusted={len(self._trusted)} client_authorities={len(self._client_authorities)}>")

    def _use_certificate_chain(self, data: bytes, password: str | None, name: str) -> None:
        pem = "".join(map(ssl.DER_cert_to_PEM_cert, _certificates(data, name)))
        has_key = _PRIVATE_KEY_RE.search(data) and (password is not None or not _ENCRYPTED_RE.search(data))
        key = _Secret(data, password, name) if has_key else None
        with self._lock:
            self._set_pair(_Chain(pem.encode("ascii"), name), self._key, key)

    def _use_private_key(self, data: bytes, password: str | None, name: str) -> None:
        if not _PRIVATE_KEY_RE.search(data):
            raise _error(f"{name}: no private key, expected PEM (BEGIN PRIVATE KEY);{_PKCS12}")
        if password is None and _ENCRYPTED_RE.search(data):
            raise _error(f"{name}: the private key is encrypted, expected a password")
        with self._lock:
            self._set_pair(self._chain, _Secret(data, password, name), self._key_in_chain)

    def _set_pair(self, chain: _Chain | None, key: _Secret | None, key_in_chain: _Secret | None) -> None:
        """Take these, unless both halves are there and OpenSSL cannot read them."""
        secret = key or key_in_chain
        if chain and secret:
            try:
                _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), chain, secret)
            except ssl.SSLError as error:
                # A renewal replaces one after the other; server_context() tells, if it is still so then.
                if error.reason not in _MISMATCHES:
                    raise _explained(error, chain, secret) from None
        self._chain, self._key, self._key_in_chain = chain, key, key_in_chain
        self._self_signed = None
        self._made.clear()

    def _trust(self, certificates: list[bytes], data: bytes, name: str) -> None:
        ders = _certificates(data, name)
        with self._lock:
            certificates.extend(ders)
            self._made.clear()

    def _context(self, kind: str, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        with self._lock:
            context = self._made.get(kind)
            if context is None:
                context = self._made[kind] = make()
            return context

    def _make_server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A client could make the server do the costly part of a handshake over and over (CVE-2011-1473).
        context.options |= ssl.OP_NO_RENEGOTIATION
        if not self._chain and not self._key:
            raise _error("a server without a certificate: expected use_certificate_chain() and use_private_key()")
        trusted = self._trusted + self._client_authorities
        self._finish(context, ssl.Purpose.CLIENT_AUTH, trusted, is_server=True)
        return context

    def _make_requesting_context(self) -> ssl.SSLContext:
        context = self._make_server_context()
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def make_client_context(self) -> ssl.SSLContext:
        """A new one like ``client_context``, for a caller that changes it; from any thread, errors as there."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and host name
        context.hostname_checks_common_name = False  # "MUST NOT be used by clients" (RFC 9110 4.3.4)
        # A trusted certificate that is no root means that one, not the root above it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        with self._lock:  # ``client_context`` holds it already
            self._finish(context, ssl.Purpose.SERVER_AUTH, self._trusted, is_server=False)
        return context

    def _finish(self, context: ssl.SSLContext, purpose: ssl.Purpose, trusted: list[bytes], *, is_server: bool) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # 1.0 and 1.1 are forbidden (RFC 8996)
        if self._with_trusted_roots:
            context.load_default_certs(purpose)
        if trusted:
            context.load_verify_locations(cadata=b"".join(trusted))
        if self._alpn_protocols[is_server]:
            context.set_alpn_protocols(self._alpn_protocols[is_server])
        self._load_own(context)

    def _load_own(self, context: ssl.SSLContext) -> None:
        chain, secret = self._chain, self._key or self._key_in_chain
        if chain and secret:
            try:
                _load(context, chain, secret)
            except ssl.SSLError as error:
                raise _explained(error, chain, secret) from None
        elif chain:
            raise _error(f"{chain.name}: no private key for it, expected use_private_key()")
        elif secret:
            raise _error(f"{secret.name}: no certificate for it, expected use_certificate_chain()")


SecurityContext.DEFAULT_CONTEXT = SecurityContext(with_trusted_roots=True)


def fingerprint_of(der: bytes) -> str:
    """The SHA-256 of a certificate in DER, as browsers and openssl show it: "AB:CD:..."."""
    return hashlib.sha256(der).digest().hex(":").upper()


def _read(file: str | Path) -> bytes:
    with open(file, "rb") as contents:
        return contents.read()


def _bytes(data: bytes) -> bytes:
    try:
        return bytes(memoryview(data))  # of a number bytes() would make zeros
    except TypeError:
        raise TypeError(f"expected the bytes of PEM or DER, not {type(data).__name__}") from None


def _error(message: str) -> ssl.SSLError:
    return ssl.SSLError(ssl.SSL_ERROR_SSL, message)


def _certificates(data: bytes, name: str) -> list[bytes]:
    """The certificates in ``data`` (PEM, or one in DER) as DER; OpenSSL has judged them."""
    blocks = _CERTIFICATE_RE.findall(data)
    try:
        ders = [binascii.a2b_base64(block) for block in blocks] or [data]
        judge = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for der in ders:
            judge.load_verify_locations(cadata=der)
    except (binascii.Error, ValueError, ssl.SSLError):
        raise _error(f"{name}: no X.509 certificate, expected PEM (BEGIN CERTIFICATE) or one in DER;{_PKCS12}") from None
    return ders


def _load(context: ssl.SSLContext, chain: _Chain, secret: _Secret) -> None:
    with _as_file(chain.pem) as chain_file, _as_file(secret.pem) as key_file:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(chain_file, key_file, secret.password or "")


def _explained(error: ssl.SSLError, chain: _Chain, secret: _Secret) -> ssl.SSLError:
    """What OpenSSL had against the two, with their names and, where it is known, what was expected."""
    if error.reason in _MISMATCHES:
        return _error(f"{secret.name}: not the private key of the first certificate in {chain.name}")
    reason = f" ({error.reason})" if error.reason else ""
    if _ENCRYPTED_RE.search(secret.pem):
        return _error(f"{secret.name}: the password does not open this private key{reason}")
    return _error(f"{secret.name}: OpenSSL does not take it as the private key of {chain.name}{reason}")


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """The path of a file with these contents that no other user can read, until the block ends.

    ``load_cert_chain`` takes nothing but paths.  Where the system has files in memory no key touches a disk.
    """
    if _HAS_MEMORY_FILES:
        with open(os.memfd_create("pem"), "wb") as file:
            file.write(data)
            file.flush()
            yield f"{_DESCRIPTORS}/{file.fileno()}"
    else:
        number, path = tempfile.mkstemp()  # made with mode 0600
        try:
            with open(number, "wb") as file:
                file.write(data)
            yield path
        finally:
            os.unlink(path)
