"""Credentials, where they apply, and which of them answers a challenge (RFC 9110 11).

Takes what add_credentials was given; gives the value of Authorization or Proxy-Authorization
for a request, and says after a 401 or 407 whether another try makes sense.  Raises ValueError for
a name, password or token that cannot be sent.  It opens no socket and calls no callback.

A store belongs to a client and is shared by its threads; its lock is held only to decide.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable, Iterable
from threading import Lock
from typing import NamedTuple

from blockingio.client.challenge import Challenge, parse_challenges, parse_parameters
from blockingio.client.digest import DigestSession, strength
from blockingio.client.target import host_key
from blockingio.stream.fork import begin_anew_in_child
from blockingio.values.percent import decode_lenient
from blockingio.values.uri import Uri

# user-id and password have no control character, and user-id no colon (RFC 7617 2).
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# More than b64token (RFC 6750 2.1), since issuers send more; but nothing that would end the value.
_BEARER_TOKEN = re.compile(r"[\x21-\x7e]++")

# How often a request is tried with credentials: a callback that always says yes must end somewhere.
MOST_TRIES = 20

# From the challenge one would rather answer to the one that gives most away.
_BEST, _BEARER, _BASIC = 100, 10, 0


class HttpClientCredentials:
    """What proves to a server which user this is; see the three kinds.  Follows dart:io's HttpClientCredentials."""

    _scheme = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # never the secret


class HttpClientBasicCredentials(HttpClientCredentials):
    """A user's name and password for the Basic scheme, sent as UTF-8 (RFC 7617).

    ValueError for a colon in the name, or a control character in either.
    """

    _scheme = "basic"

    def __init__(self, username: str, password: str) -> None:
        self._authorization = basic_authorization(username, password)


class HttpClientBearerCredentials(HttpClientCredentials):
    """A token for the Bearer scheme (RFC 6750).

    ValueError for one with blanks, controls or characters beyond ASCII.
    """

    _scheme = "bearer"

    def __init__(self, token: str) -> None:
        if not _BEARER_TOKEN.fullmatch(token):
            raise ValueError("a Bearer token is visible ASCII characters only")
        self._authorization = f"Bearer {token}"


class HttpClientDigestCredentials(HttpClientCredentials):
    """A user's name and password for the Digest scheme (RFC 7616): MD5 and SHA-256, qop none or auth.

    ValueError for a control character in either.
    """

    _scheme = "digest"

    def __init__(self, username: str, password: str) -> None:
        _check_text(username, password)
        self._username = username
        self._password = password


def basic_authorization(username: str, password: str) -> str:
    """The value of Authorization in the Basic scheme (RFC 7617 2)."""
    _check_text(username, password)
    if ":" in username:
        raise ValueError("a user name for the Basic scheme has no colon")
    return "Basic " + b2a_base64(f"{username}:{password}".encode(), newline=False).decode("ascii")


def user_authorization(user_info: str) -> str | None:
    """The value of Authorization for a URL's user information, percent-encoded as it is; None for none.

    ValueError where the Basic scheme cannot have it.
    """
    if not user_info:
        return None
    username, _, password = user_info.partition(":")
    return basic_authorization(decode_lenient(username), decode_lenient(password))


def _check_text(*texts: str) -> None:
    for text in texts:
        found = _CONTROL.search(text)
        if found:
            raise ValueError(f"a user name or password contains the control character {found[0]!r}")


class ProtectionSpace(NamedTuple):
    """Where credentials apply: a URL and what is below it, or a proxy (whose scheme is "proxy").

    ``host`` is in the one spelling that hosts are compared in.
    """

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, uri: Uri) -> ProtectionSpace:
        return cls(uri.scheme, host_key(uri.host), uri.port, uri.path)

    @classmethod
    def of_proxy(cls, host: str, port: int) -> ProtectionSpace:
        return cls("proxy", host_key(host), port, "")

    def covers(self, other: ProtectionSpace) -> bool:
        """Whether ``other`` is this or below it, by whole segments: /a covers /a/b, not /ab."""
        if self[:3] != other[:3]:
            return False
        path = self.path
        if path in ("", "/") or other.path == path:
            return True
        return other.path.startswith(path if path.endswith("/") else path + "/")


class StoredCredentials:
    """Credentials for a space; ``session`` is set once a Digest challenge came.

    Guarded by the store's lock.
    """

    def __init__(self, space: ProtectionSpace, realm: str, credentials: HttpClientCredentials) -> None:
        self.space = space
        self.realm = realm
        self.credentials = credentials
        self.session: DigestSession | None = None

    def fits(self, challenge: Challenge) -> bool:
        return self.credentials._scheme == challenge.scheme.lower() and challenge.realm in (None, self.realm)


class Attempt(NamedTuple):
    """What one request was sent with."""

    authorization: str
    entry: StoredCredentials | None  # None: from the URL's user information
    is_proof: bool  # a refusal without stale=true shows the credentials to be wrong


class CredentialStore:
    """All credentials of a client for servers, or for proxies."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: list[StoredCredentials] = []  # guarded by _lock
        begin_anew_in_child(self, CredentialStore._begin_anew)

    def _begin_anew(self) -> None:
        """This is a forked child: another thread of the parent's may have had the lock."""
        self._lock = Lock()

    @property
    def is_empty(self) -> bool:
        return not self._entries

    def add(self, space: ProtectionSpace, realm: str, credentials: HttpClientCredentials) -> None:
        """Add them; those of the same scheme for the same place are replaced."""
        if not isinstance(credentials, HttpClientCredentials) or not credentials._scheme:
            raise TypeError(f"expected Basic, Bearer or Digest credentials, not {type(credentials).__name__}")
        if not isinstance(realm, str):
            raise TypeError(f"a realm is a str, not {type(realm).__name__}")
        with self._lock:
            self._entries = [entry for entry in self._entries
                             if (entry.space, entry.realm, entry.credentials._scheme)
                             != (space, realm, credentials._scheme)]
            self._entries.append(StoredCredentials(space, realm, credentials))

    def authorize(self, space: ProtectionSpace, method: str, target: str, chosen: StoredCredentials | None = None
                  ) -> Attempt | None:
        """What to send with a request: of ``chosen``, else of the closest entry that can be sent at once."""
        with self._lock:
            entry = chosen or self._closest(space)
            if entry is None:
                return None
            credentials = entry.credentials
            if isinstance(credentials, (HttpClientBasicCredentials, HttpClientBearerCredentials)):
                return Attempt(credentials._authorization, entry, True)
            session = entry.session
            if session is None:
                return None
            value = session.authorization(method, target)
            return Attempt(value, entry, session.is_challenged and session.count == 1)

    def answer(self, space: ProtectionSpace, challenges: Iterable[Challenge], failed: Attempt | None
               ) -> StoredCredentials | None:
        """The entry to try again with, the strongest scheme first; None where there is none.

        ``failed`` is what the request had been sent with.  Credentials that were refused are
        forgotten, unless the server says that only the nonce was stale.
        """
        ranked = sorted(challenges, key=_rank, reverse=True)
        with self._lock:
            refused = failed.entry if failed is not None and failed.is_proof else None
            for challenge in ranked:
                if _rank(challenge) < 0:
                    break
                for entry in self._covering(space):
                    if not entry.fits(challenge):
                        continue
                    credentials = entry.credentials
                    if entry is refused and challenge.parameters.get("stale", "").lower() != "true":
                        self._entries = [other for other in self._entries if other is not entry]
                        continue
                    if isinstance(credentials, HttpClientDigestCredentials):
                        entry.session = DigestSession(credentials._username, credentials._password, challenge)
                    return entry
        return None

    def answer_or_ask(self, space: ProtectionSpace, values: Iterable[str], failed: Attempt | None,
                      ask: Callable[..., bool] | None, *place: object) -> StoredCredentials | None:
        """``answer`` to the values of a WWW-Authenticate or Proxy-Authenticate field.

        Where there is none, ``ask`` is called with ``place``, scheme and realm, and may add some; then once more.
        """
        challenges = parse_challenges(values)
        entry = self.answer(space, challenges, failed)
        # The strongest; where none can be answered, the server's first.
        best = max(challenges, key=_rank, default=None)
        if entry is None and ask is not None and best is not None and ask(*place, best.scheme, best.realm):
            entry = self.answer(space, challenges, None)
        return entry

    def take_info(self, attempt: Attempt, fields: Iterable[str]) -> None:
        """Take the nextnonce from Authentication-Info or Proxy-Authentication-Info fields (RFC 7616 3.5)."""
        for field in fields:
            nonce = parse_parameters(field).get("nextnonce")
            if nonce and attempt.entry is not None:
                with self._lock:
                    if attempt.entry.session is not None:
                        attempt.entry.session.use_nonce(nonce)

    def _covering(self, space: ProtectionSpace) -> list[StoredCredentials]:
        """The entries that apply, the closest first."""
        found = [entry for entry in self._entries if entry.space.covers(space)]
        return sorted(found, key=lambda entry: -len(entry.space.path))

    def _closest(self, space: ProtectionSpace) -> StoredCredentials | None:
        """Of those that can be sent at once."""
        return next((entry for entry in self._covering(space)
                     if entry.session is not None or entry.credentials._scheme != "digest"), None)


def _rank(challenge: Challenge) -> int:
    scheme = challenge.scheme.lower()
    if scheme == "digest":
        found = strength(challenge)
        return -1 if found is None else _BEST + found
    return {"bearer": _BEARER, "basic": _BASIC}.get(scheme, -1)
