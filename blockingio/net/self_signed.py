"""A certificate that vouches for itself, made of integers and hashlib: the standard library has no maker.

Takes names and days; gives the certificate in DER and its private key as PEM (PKCS#8).  The key is one on the
curve P-256 (SEC 2 2.4.2, FIPS 186-5), the signature ECDSA with SHA-256.  ValueError for what cannot stand in a
certificate.  No file, no socket, no ssl.

It is for development.  Only a program that was given the certificate has a reason to trust it; and how long
Python's integers take depends on their values, so an attacker that can time the making could learn of the key.
It signs this one thing, once: every signature of a handshake is made by OpenSSL.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Final, NamedTuple

from blockingio.net.address import InternetAddress
from blockingio.net.x509 import BIT_STRING, GENERALIZED_TIME, INTEGER, SEQUENCE, SET, UTC_TIME, pem

# The curve y^2 = x^3 - 3x + b over the integers modulo P; its generator has the order N (SEC 2 2.4.2).
_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G: Final = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
             0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)

_WINDOW: Final = 4  # bits of the factor that are taken at once: 15 multiples in a table for each four bits

# Identifier octets (X.690 8.1.2).
_BOOLEAN: Final = 0x01
_OCTET_STRING: Final = 0x04
_UTF8_STRING: Final = 0x0C
_CONTEXT: Final = 0x80  # [0] of a primitive type, [1] is one more and so on
_CONTEXT_CONSTRUCTED: Final = 0xA0

_DNS_NAME: Final = 2  # of GeneralName (RFC 5280 4.2.1.6)
_IP_ADDRESS: Final = 7

_FIRST_GENERALIZED_YEAR: Final = 2050  # dates before it are UTCTime (RFC 5280 4.1.2.5)
_MAX_COMMON_NAME: Final = 64  # characters (RFC 5280 A.1, ub-common-name)
_MAX_NAME: Final = 253  # characters of a host name (RFC 1035 2.3.4)
_SERIAL_BITS: Final = 158  # at most 20 octets, and positive (RFC 5280 4.1.2.2)

# The clock of the client may be behind.
_BEFORE: Final = timedelta(hours=1)

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME_RE: Final = re.compile(rf"(?:\*\.(?=.))?{_LABEL}(?:\.{_LABEL})*")

# X, Y and Z of a point's Jacobian coordinates: x = X / Z^2, y = Y / Z^3.  Z is 0 at infinity.
_Point = tuple[int, int, int]
_INFINITY: Final[_Point] = (1, 1, 0)


class SelfSigned(NamedTuple):
    """A certificate in DER and its private key as PEM."""

    der: bytes
    key_pem: str

    def __repr__(self) -> str:  # without what a log or a traceback must not show
        return f"<SelfSigned certificate of {len(self.der)} bytes>"


def make_self_signed(hosts: Sequence[str], days: int) -> SelfSigned:
    """A new key with a certificate for these hosts, valid from an hour ago for so many days from now.

    ``hosts`` are names (those of other letters by IDNA), "*.name", or IP addresses.  TypeError for a str
    alone, ValueError for none, for what is neither name nor address, and for days below 1 or past the year 9999.
    """
    names = canonical_hosts(hosts)
    now = datetime.now(timezone.utc).replace(microsecond=0)
    try:
        end = now + timedelta(days=days)
    except OverflowError:
        end = None
    if days < 1 or end is None:
        raise ValueError(f"expected from 1 day to the year 9999, found {days} days")
    key = secrets.randbelow(_N - 1) + 1
    x, y = _affine(_times_generator(key))
    public = b"\4" + x.to_bytes(32) + y.to_bytes(32)
    signed = _to_be_signed(names, now - _BEFORE, end, public)
    certificate = _sequence(signed, _ECDSA_WITH_SHA256, _bits(_signature(key, signed)))
    return SelfSigned(certificate, _private_key(key, public))


def canonical_hosts(hosts: Iterable[str]) -> list[str]:
    """The hosts as a certificate has them, each once: names by IDNA in lower case, addresses in their canonical form.

    Raises what ``make_self_signed`` does.
    """
    if isinstance(hosts, (str, bytes)):
        raise TypeError(f"expected a list of hosts, found the one {type(hosts).__name__} {hosts!r}")
    names = list(dict.fromkeys(map(_canonical, hosts)))
    if not names:
        raise ValueError("expected at least one host")
    return names


def _canonical(host: str) -> str:
    if not isinstance(host, str):
        raise TypeError(f"expected a str as host, found {host!r}")
    address = InternetAddress.try_parse(host)
    if address is not None and "%" not in host:
        return address.address
    try:
        name = (host if host.isascii() else host.encode("idna").decode("ascii")).lower()
    except UnicodeError:
        name = ""
    # Digits alone in the last label would be an address, and this is none (RFC 3696 2).
    if len(name) > _MAX_NAME or not _NAME_RE.fullmatch(name) or name.rpartition(".")[2].isdigit():
        raise ValueError(f"expected a name as a.example or *.example, or an IP address, found {host[:255]!r}")
    return name


# ---------------------------------------------------------------- the certificate (RFC 5280 4.1)


def _to_be_signed(names: Sequence[str], start: datetime, end: datetime, public: bytes) -> bytes:
    """TBSCertificate."""
    serial = secrets.randbits(_SERIAL_BITS) | 1 << _SERIAL_BITS
    # Its names stand in subjectAltName; this is for people, and because some want it not to be empty.
    subject = _attribute("2.5.4.10", "blockingio, for development")
    if len(names[0]) <= _MAX_COMMON_NAME:
        subject += _attribute("2.5.4.3", names[0])
    name = _sequence(subject)
    return _sequence(
        _der(_CONTEXT_CONSTRUCTED, _integer(2)),  # version 3
        _integer(serial),
        _ECDSA_WITH_SHA256,
        name,
        _sequence(_time(start), _time(end)),
        name,
        _sequence(_EC_KEY_ON_P256, _bits(public)),
        _der(_CONTEXT_CONSTRUCTED + 3, _sequence(*_extensions(names, public))))


def _extensions(names: Sequence[str], public: bytes) -> Iterable[bytes]:
    key_id = hashlib.sha256(public).digest()[:20]  # RFC 7093 2 (1)
    yield _extension("2.5.29.19", _sequence(), critical=True)  # basicConstraints: no authority
    yield _extension("2.5.29.15", _der(BIT_STRING, b"\7\x80"), critical=True)  # keyUsage: digitalSignature
    yield _extension("2.5.29.37", _sequence(_oid("1.3.6.1.5.5.7.3.1")))  # extKeyUsage: serverAuth
    yield _extension("2.5.29.17", _sequence(*map(_general_name, names)))  # subjectAltName
    yield _extension("2.5.29.14", _der(_OCTET_STRING, key_id))  # subjectKeyIdentifier
    yield _extension("2.5.29.35", _sequence(_der(_CONTEXT, key_id)))  # authorityKeyIdentifier: its own


def _extension(kind: str, value: bytes, *, critical: bool = False) -> bytes:
    flag = _der(_BOOLEAN, b"\xff") if critical else b""
    return _sequence(_oid(kind), flag, _der(_OCTET_STRING, value))


def _general_name(name: str) -> bytes:
    address = InternetAddress.try_parse(name)
    if address is not None:
        return _der(_CONTEXT + _IP_ADDRESS, address.raw_address)
    return _der(_CONTEXT + _DNS_NAME, name.encode("ascii"))


def _attribute(kind: str, value: str) -> bytes:
    return _der(SET, _sequence(_oid(kind), _der(_UTF8_STRING, value.encode("utf-8"))))


def _private_key(key: int, public: bytes) -> str:
    """PrivateKeyInfo (RFC 5958) around ECPrivateKey (RFC 5915), as PEM."""
    inner = _sequence(_integer(1), _der(_OCTET_STRING, key.to_bytes(32)), _der(_CONTEXT_CONSTRUCTED + 1, _bits(public)))
    document = _sequence(_integer(0), _EC_KEY_ON_P256, _der(_OCTET_STRING, inner))
    return pem(document, "PRIVATE KEY")


# ---------------------------------------------------------------- DER (X.690)


def _der(tag: int, contents: bytes) -> bytes:
    size = len(contents)
    if size < 0x80:
        return bytes((tag, size)) + contents
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 + len(octets))) + octets + contents


def _sequence(*parts: bytes) -> bytes:
    return _der(SEQUENCE, b"".join(parts))


def _integer(number: int) -> bytes:
    """One that is not negative: a first bit of 1 would say that it is."""
    return _der(INTEGER, number.to_bytes(number.bit_length() // 8 + 1))


def _bits(octets: bytes) -> bytes:
    return _der(BIT_STRING, b"\0" + octets)


def _oid(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    octets = bytearray()
    for number in (40 * first + second, *rest):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        octets += bytes(reversed(groups))
    return _der(0x06, bytes(octets))


def _time(date: datetime) -> bytes:
    if date.year < _FIRST_GENERALIZED_YEAR:
        return _der(UTC_TIME, f"{date:%y%m%d%H%M%S}Z".encode("ascii"))
    return _der(GENERALIZED_TIME, f"{date:%Y%m%d%H%M%S}Z".encode("ascii"))


# AlgorithmIdentifier of the signature, and of the key: ecPublicKey on prime256v1 (RFC 5758 3.2, RFC 5480 2.1).
_ECDSA_WITH_SHA256: Final = _sequence(_oid("1.2.840.10045.4.3.2"))
_EC_KEY_ON_P256: Final = _sequence(_oid("1.2.840.10045.2.1"), _oid("1.2.840.10045.3.1.7"))


# ---------------------------------------------------------------- the signature (FIPS 186-5 6.4)


def _signature(key: int, message: bytes) -> bytes:
    """ECDSA-Sig-Value (RFC 3279 2.2.3) of the message's SHA-256."""
    digest = int.from_bytes(hashlib.sha256(message).digest())
    while True:
        nonce = secrets.randbelow(_N - 1) + 1
        r = _affine(_times_generator(nonce))[0] % _N
        s = pow(nonce, -1, _N) * (digest + r * key) % _N
        if r and s:  # else there is nothing to verify, once in 2^256
            return _sequence(_integer(r), _integer(s))


def _times_generator(factor: int) -> _Point:
    """The generator added to itself so many times; ``factor`` from 1 to N - 1."""
    point = _INFINITY
    for multiples in _table():
        digit = factor & (1 << _WINDOW) - 1
        if digit:
            point = _add(point, multiples[digit - 1])
        factor >>= _WINDOW
    return point


@lru_cache(maxsize=1)
def _table() -> list[list[_Point]]:
    """The generator's multiples by 1 to 15, and by sixteen times, 256 times ... as much: no doubling is left to do."""
    table = []
    base: _Point = (*_G, 1)
    for _ in range(0, 256, _WINDOW):
        multiples = [base]
        for _ in range((1 << _WINDOW) - 2):
            multiples.append(_add(multiples[-1], base))
        table.append(multiples)
        base = _add(multiples[-1], base)
    return table


def _add(one: _Point, other: _Point) -> _Point:
    """The sum of two points; they may be the same."""
    if not one[2]:
        return other
    if not other[2]:
        return one
    x1, y1, z1 = one
    x2, y2, z2 = other
    z1z1, z2z2 = z1 * z1 % _P, z2 * z2 % _P
    u1, u2 = x1 * z2z2 % _P, x2 * z1z1 % _P
    s1, s2 = y1 * z2 * z2z2 % _P, y2 * z1 * z1z1 % _P
    h, r = u2 - u1, s2 - s1
    if not h % _P:
        return _double(one) if not r % _P else _INFINITY
    hh = h * h % _P
    hhh = h * hh % _P
    v = u1 * hh % _P
    x3 = (r * r - hhh - 2 * v) % _P
    return x3, (r * (v - x3) - s1 * hhh) % _P, z1 * z2 * h % _P


def _double(point: _Point) -> _Point:
    x, y, z = point
    delta, gamma = z * z % _P, y * y % _P
    beta = x * gamma % _P
    alpha = 3 * (x - delta) * (x + delta) % _P
    x3 = (alpha * alpha - 8 * beta) % _P
    z3 = 2 * y * z % _P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % _P, z3


def _affine(point: _Point) -> tuple[int, int]:
    """x and y."""
    x, y, z = point
    inverse = pow(z, -1, _P)
    square = inverse * inverse % _P
    return x * square % _P, y * square * inverse % _P
