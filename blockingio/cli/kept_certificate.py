"""The certificate of --https: made on the spot, and kept for the user, so that a browser's exception lasts.

One file in the user's cache directory holds the last one made with its key, for this user's eyes only.  It is used
until a day before it ends, and while it is for every host that is asked for; processes that start together wait for
each other, and find one.
"""

from __future__ import annotations

import os
import re
import secrets
import ssl
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from blockingio.cli.output import reason_of
from blockingio.net.security import SecurityContext, fingerprint_of
from blockingio.net.self_signed import canonical_hosts, make_self_signed
from blockingio.net.system import O_READ, lock_file, open_itself
from blockingio.net.x509 import X509Certificate

DAYS = 30

# One that ends while it is served is of no use.
_LEAST_LEFT = timedelta(days=1)

_MAX_SIZE = 64 * 1024  # bytes: a hundred addresses are 2,000

_FILE = "https.pem"
_LOCK = "https.lock"
_HOSTS_RE = re.compile(r"^Hosts: (.*)$", re.MULTILINE)
_CERTIFICATE_RE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)

_NEW = os.O_WRONLY | os.O_CREAT


class KeptCertificate(NamedTuple):
    """A server's context, with what people need to recognise its certificate.

    ``file`` is where it is kept, None where that could not be; then ``trouble`` says why.
    """

    context: SecurityContext
    fingerprint: str
    file: Path | None
    trouble: str = ""


def kept_certificate(hosts: Sequence[str], environment: Mapping[str, str] = os.environ) -> KeptCertificate:
    """The one that is kept, where it is for all these hosts, else a new one.  Raises ValueError for what is no host."""
    names = canonical_hosts(hosts)
    try:
        directory = _cache_directory(environment)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = directory / _FILE
        with _locked(directory / _LOCK):
            found = _usable(_read(file), names, _LEAST_LEFT)
            if found is None:
                text = _make(names)
                _write(file, text)
                found = _usable(text, names, timedelta())
        assert found is not None
        return found._replace(file=file)
    except OSError as error:
        found = _usable(_make(names), names, timedelta())
        assert found is not None
        return found._replace(trouble=reason_of(error))


def _cache_directory(environment: Mapping[str, str]) -> Path:
    """XDG Base Directory Specification: what is no absolute path counts for nothing.  Raises OSError."""
    given = environment.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):
        return Path(given, "blockingio")
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        raise FileNotFoundError("there is no home directory to keep it in")
    return Path(home, ".cache", "blockingio")


def _make(names: Sequence[str]) -> str:
    made = make_self_signed(names, DAYS)
    return (f"A certificate for development with its private key, made by blockingio --https.\n"
            f"Hosts: {' '.join(names)}\n{X509Certificate.from_der(made.der).pem}{made.key_pem}")


def _usable(text: str, names: Sequence[str], least_left: timedelta) -> KeptCertificate | None:
    """What a file's text holds; None where that is no whole certificate, ends soon or is not for all these names."""
    hosts, certificate = _HOSTS_RE.search(text), _CERTIFICATE_RE.search(text)
    if hosts is None or certificate is None or not set(names) <= set(hosts[1].split()):
        return None
    context = SecurityContext()
    try:
        der = ssl.PEM_cert_to_DER_cert(certificate[0])
        if X509Certificate.from_der(der).end_validity - datetime.now(timezone.utc) < least_left:
            return None
        context.use_certificate_chain_bytes(text.encode("utf-8"))
        context.server_context()
    except (ValueError, ssl.SSLError):
        return None  # it was changed by hand
    return KeptCertificate(context, fingerprint_of(der), None)


def _read(file: Path) -> str:
    """The text of the file; "" where there is none, or one that another user can read, or could have written."""
    try:
        descriptor = open_itself(file, O_READ)
    except OSError:
        return ""
    with open(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not _is_private(status):
            return ""
        return opened.read(_MAX_SIZE).decode("utf-8", "replace")


def _is_private(status: os.stat_result) -> bool:
    return os.name == "nt" or (status.st_uid == os.geteuid() and not status.st_mode & 0o077)


def _write(file: Path, text: str) -> None:
    """Write the file; other processes find the old one or the new one, whole."""
    temporary = file.with_name(f".{secrets.token_hex(8)}.pem")
    descriptor = os.open(temporary, _NEW | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as opened:
            opened.write(text.encode("utf-8"))
        os.replace(temporary, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """No other process is inside at the same time, where the system has such locks."""
    with open(open_itself(file, _NEW, 0o600), "wb") as opened:
        lock_file(opened.fileno())  # given back when it is closed
        yield
