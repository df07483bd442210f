"""Digest authentication as a client does it (RFC 7616, and RFC 2069 where a server offers no qop).

Takes a challenge, a user's name and password; gives the value of Authorization for one request after the other.  Names
and passwords are hashed as UTF-8, the one charset RFC 7616 4 names, what the server sent as the bytes it sent.  It
opens no socket and has no lock: threads that share a DigestSession guard it.
"""

from __future__ import annotations

import hashlib
import os

from blockingio.client.challenge import Challenge
from blockingio.values.grammar import quoted
from blockingio.values.percent import encode

# The algorithms of RFC 7616 6.1 in upper case -> hashlib's names, strongest last.
_ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_STRENGTHS = {name: strength for strength, name in enumerate(_ALGORITHMS)}

_CNONCE_SIZE = 16  # random bytes: none can be guessed, or comes twice

# attr-char of an ext-value (RFC 8187 3.2.1); all others are percent-encoded.
_ATTR_CHARACTERS = r"!#$&+\-.^_`|~0-9A-Za-z"


def strength(challenge: Challenge) -> int | None:
    """How good the challenge's algorithm is, from 0; None where it cannot be answered."""
    name = _algorithm(challenge).removesuffix("-SESS")
    if name not in _ALGORITHMS or _ALGORITHMS[name] not in hashlib.algorithms_available:
        return None
    qop = challenge.parameters.get("qop", "").lower()
    if qop and "auth" not in [word.strip(" \t") for word in qop.split(",")] or "nonce" not in challenge.parameters:
        return None  # auth-int wants the body hashed before it is sent
    return _STRENGTHS[name]


class DigestSession:
    """What lasts from one challenge to the next: nonce, how often it was used, the secret's hash."""

    def __init__(self, username: str, password: str, challenge: Challenge, *, cnonce: str | None = None) -> None:
        parameters = challenge.parameters
        name = _algorithm(challenge)
        self._hash_name = _ALGORITHMS[name.removesuffix("-SESS")]
        self._algorithm = parameters.get("algorithm") or None  # goes back as it came
        self._realm = parameters.get("realm", "")
        self._opaque = parameters.get("opaque")
        self._has_qop = bool(parameters.get("qop"))  # an empty one is none, as servers mean it that send it
        self._is_sess = name.endswith("-SESS")
        # One for as long as the nonce lasts: then "the first client nonce" of -sess (3.4.2) is every one.
        self._cnonce = cnonce or os.urandom(_CNONCE_SIZE).hex()
        self.nonce = parameters["nonce"]
        self.count = 0  # requests sent with this nonce
        self.is_challenged = True  # the nonce came with the challenge, not with a later nextnonce
        secret = b"%b:%b:%b" % (username.encode(), self._realm.encode("latin-1"), password.encode())
        self._a1 = self._hash(secret)
        if self._is_sess:
            self._a1 = self._hash(f"{self._a1}:{self.nonce}:{self._cnonce}".encode("latin-1"))
        self._user = self._user_parameters(username, parameters.get("userhash", "").lower() == "true")

    def use_nonce(self, nonce: str) -> None:
        """Go on with the nextnonce of an Authentication-Info field (RFC 7616 3.5)."""
        self.nonce = nonce
        self.count = 0
        self.is_challenged = False

    def authorization(self, method: str, target: str) -> str:
        """The value of Authorization for the next request; each call counts as one."""
        self.count += 1
        a2 = self._hash(f"{method}:{target}".encode("latin-1"))
        count = f"{self.count:08x}"
        between = f"{count}:{self._cnonce}:auth:" if self._has_qop else ""
        response = self._hash(f"{self._a1}:{self.nonce}:{between}{a2}".encode("latin-1"))
        fields = [*self._user, f"realm={quoted(self._realm)}", f"nonce={quoted(self.nonce)}", f"uri={quoted(target)}"]
        if self._algorithm is not None:
            fields.append(f"algorithm={self._algorithm}")
        if self._has_qop:
            fields += ["qop=auth", f"nc={count}"]
        if self._has_qop or self._is_sess:
            fields.append(f"cnonce={quoted(self._cnonce)}")
        fields.append(f"response={quoted(response)}")
        if self._opaque is not None:
            fields.append(f"opaque={quoted(self._opaque)}")
        return "Digest " + ", ".join(fields)

    def _user_parameters(self, username: str, is_hashed: bool) -> list[str]:
        """The user's name: hashed (RFC 7616 3.4.4), as it is, or an ext-value where it is not ASCII (3.4)."""
        if is_hashed:
            hashed = self._hash(b"%b:%b" % (username.encode(), self._realm.encode("latin-1")))
            return [f"username={quoted(hashed)}", "userhash=true"]
        if username.isascii():
            return [f"username={quoted(username)}"]
        return [f"username*=UTF-8''{encode(username, _ATTR_CHARACTERS)}"]

    def _hash(self, data: bytes) -> str:
        return hashlib.new(self._hash_name, data, usedforsecurity=False).hexdigest()


def _algorithm(challenge: Challenge) -> str:
    return (challenge.parameters.get("algorithm") or "MD5").upper()
