"""X.509 certificates, read from DER without help from outside.

Takes the bytes of one certificate (X.690 DER, RFC 5280 4.1); gives its names, dates and fingerprint.
Raises ValueError where the bytes are no certificate.  It judges no signature, chain or trust: that is
the ssl module's work, which gives a peer's certificate as DER but its contents only once verified.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Final

# Identifier octets (X.690 8.1.2) of what a certificate is made of.
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
_OBJECT_IDENTIFIER: Final = 0x06
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31
_VERSION: Final = 0xA0  # [0] EXPLICIT Version, absent from a version 1 certificate

# The string types of DirectoryString and their kin.  T.61 is what its users made of it: Latin-1.
_ENCODINGS: Final = {
    0x0C: "utf-8",  # UTF8String
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString, also called T61String
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}

# The short names of attribute types, as OpenSSL writes them; another type is written as its numbers.
_ATTRIBUTE_NAMES: Final = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.13": "description",
    "2.5.4.15": "businessCategory",
    "2.5.4.17": "postalCode",
    "2.5.4.20": "telephoneNumber",
    "2.5.4.41": "name",
    "2.5.4.42": "GN",
    "2.5.4.43": "initials",
    "2.5.4.44": "generationQualifier",
    "2.5.4.45": "x500UniqueIdentifier",
    "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
    "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
    "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
    "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

# The only forms that RFC 5280 4.1.2.5 allows: to the second, in UTC, without a fraction.
_UTC_TIME_RE: Final = re.compile(b"([0-9]{2})" + b"([0-9]{2})" * 5 + b"Z")
_GENERALIZED_TIME_RE: Final = re.compile(b"([0-9]{4})" + b"([0-9]{2})" * 5 + b"Z")
_UTC_TIME_PIVOT: Final = 50  # two digits from here on are of the 1900s (RFC 5280 4.1.2.5.1)

# The largest number in an object identifier: a UUID is one (X.667), nothing known is larger.
_MAX_ARC: Final = (1 << 128) - 1

_PEM_LINE: Final = 64  # characters (RFC 7468 2)


class X509Certificate:
    """A certificate: its subject, its issuer, and when it is valid.  Immutable, hashable.

    ``subject`` and ``issuer`` are for people to read, in OpenSSL's one-line form,
    "/C=NL/O=Example/CN=localhost", attributes of one element joined by '+'.  A value may itself contain
    '/' and '=', so do not search them to decide which to trust.  Characters that do not print, and bytes
    that are not in the encoding they claim, are written as ``\\xHH``.  Follows dart:io's X509Certificate.
    """

    __slots__ = ("_der", "_end_validity", "_issuer", "_start_validity", "_subject")

    _der: bytes

    @classmethod
    def from_der(cls, der: bytes) -> X509Certificate:
        """The certificate that these bytes are, whole; ValueError where they are none."""
        self = cls.__new__(cls)
        self._der = der
        try:
            self._read_certificate(_Reader(self._der))
        except ValueError as error:
            raise ValueError(f"not an X.509 certificate in DER: {error}") from None
        return self

    def _read_certificate(self, document: _Reader) -> None:
        # Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }
        certificate = document.enter(SEQUENCE)
        document.expect_end()
        signed = certificate.enter(SEQUENCE)
        certificate.read(SEQUENCE)
        certificate.read(BIT_STRING)
        certificate.expect_end()
        # TBSCertificate: version, serialNumber, signature, issuer, validity, subject, and more not read here
        if signed.next_tag() == _VERSION:
            signed.read(_VERSION)
        signed.read(INTEGER)
        signed.read(SEQUENCE)
        self._issuer = _name(signed.enter(SEQUENCE))
        validity = signed.enter(SEQUENCE)
        self._start_validity = _time(validity)
        self._end_validity = _time(validity)
        validity.expect_end()
        self._subject = _name(signed.enter(SEQUENCE))

    @property
    def der(self) -> bytes:
        """The certificate itself, in DER."""
        return self._der

    @property
    def pem(self) -> str:
        """The certificate as text between BEGIN CERTIFICATE and END CERTIFICATE lines (RFC 7468)."""
        return pem(self._der, "CERTIFICATE")

    @property
    def sha1(self) -> bytes:
        """The 20 bytes of the SHA-1 fingerprint of ``der``: to recognise a certificate, not to prove it."""
        return hashlib.sha1(self._der, usedforsecurity=False).digest()

    @property
    def subject(self) -> str:
        """Whose certificate it is; empty where it says so only in subjectAltName."""
        return self._subject

    @property
    def issuer(self) -> str:
        """The name of the authority that signed it, as its distinguished name."""
        return self._issuer

    @property
    def start_validity(self) -> datetime:
        """The first second at which it is valid, in UTC."""
        return self._start_validity

    @property
    def end_validity(self) -> datetime:
        """The last second at which it is valid, in UTC."""
        return self._end_validity

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, X509Certificate):
            return NotImplemented
        return self._der == other._der

    def __hash__(self) -> int:
        return hash(self._der)

    def __repr__(self) -> str:
        return (f"<X509Certificate subject={self._subject!r} issuer={self._issuer!r}"
                f" valid from {self._start_validity:%Y-%m-%d} to {self._end_validity:%Y-%m-%d}>")


class _Reader:
    """The elements inside one constructed DER element, in order; ValueError for what is not DER.

    ``end`` bounds every read, so a length that lies cannot reach outside the element that contains it.
    """

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._position = start
        self._end = len(data) if end is None else end

    def next_tag(self) -> int | None:
        """The identifier octet of the next element, None at the end."""
        return self._data[self._position] if self._position < self._end else None

    def read(self, tag: int) -> bytes:
        """The contents of the next element, which has that tag."""
        start, end = self._element(tag)
        return self._data[start:end]

    def enter(self, tag: int) -> _Reader:
        """A reader of what is inside the next element, which has that tag."""
        start, end = self._element(tag)
        return _Reader(self._data, start, end)

    def expect_end(self) -> None:
        if self._position < self._end:
            raise ValueError(f"{self._end - self._position} bytes too many before byte {self._end}")

    def _element(self, tag: int) -> tuple[int, int]:
        """Where the contents of the next element begin and end; goes on to the element after it."""
        found = self.next_tag()
        if found != tag:
            what = "the end" if found is None else f"tag 0x{found:02x}"
            raise ValueError(f"{what} at byte {self._position}, expected tag 0x{tag:02x}")
        start, length = self._length(self._position + 1)
        if length > self._end - start:
            raise ValueError(f"{self._end - start} bytes at byte {start}, expected {length}")
        self._position = start + length
        return start, self._position

    def _length(self, position: int) -> tuple[int, int]:
        """The length octets at ``position`` (X.690 8.1.3, 10.1): where they end, and the length."""
        if position == self._end:
            raise ValueError(f"the end at byte {position}, expected a length")
        first = self._data[position]
        position += 1
        if first < 0x80:
            return position, first
        octets = self._data[position:min(position + first - 0x80, self._end)]
        length = int.from_bytes(octets)
        # The shortest form only: not 0x80 (indefinite), no leading zero, nothing that fits the short form.
        if len(octets) != first - 0x80 or not octets or octets[0] == 0 or length < 0x80:
            raise ValueError(f"no DER length at byte {position - 1}")
        return position + len(octets), length


def pem(der: bytes, label: str) -> str:
    """DER as text between BEGIN and END lines with this label (RFC 7468)."""
    text = binascii.b2a_base64(der, newline=False).decode("ascii")
    lines = [text[start:start + _PEM_LINE] for start in range(0, len(text), _PEM_LINE)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def _name(names: _Reader) -> str:
    """Name ::= SEQUENCE OF SET OF SEQUENCE { type, value }, as one line."""
    line = []
    while names.next_tag() is not None:
        attributes = names.enter(SET)
        separator = "/"
        while attributes.next_tag() is not None:
            attribute = attributes.enter(SEQUENCE)
            kind = ".".join(map(str, _numbers(attribute.read(_OBJECT_IDENTIFIER))))
            line.append(f"{separator}{_ATTRIBUTE_NAMES.get(kind, kind)}={_text(attribute)}")
            attribute.expect_end()
            separator = "+"
    return "".join(line)


def _numbers(contents: bytes) -> Iterator[int]:
    """The numbers of an OBJECT IDENTIFIER (X.690 8.19)."""
    if not contents or contents[-1] & 0x80:
        raise ValueError("an object identifier without its end")
    number = 0
    is_first = True
    for octet in contents:
        number = number << 7 | octet & 0x7F
        if number > _MAX_ARC:
            raise ValueError("an object identifier with a number of more than 128 bits")
        if octet & 0x80:
            continue
        if is_first:  # the first two numbers share one: 40 * X + Y, where X is 0, 1 or 2
            top = min(number // 40, 2)
            yield top
            number -= 40 * top
            is_first = False
        yield number
        number = 0


def _text(attribute: _Reader) -> str:
    """The value of an attribute, whatever its type, as printable text."""
    tag = attribute.next_tag()
    if tag is None:
        raise ValueError("an attribute without a value")
    contents = attribute.read(tag)
    try:
        text = contents.decode(_ENCODINGS.get(tag, "ascii"))
    except UnicodeDecodeError:
        return "".join(chr(octet) if 0x20 <= octet < 0x7F else f"\\x{octet:02X}" for octet in contents)
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return "".join(f"\\x{octet:02X}" for octet in char.encode("utf-8"))


def _time(validity: _Reader) -> datetime:
    """Time ::= CHOICE { utcTime, generalTime } (RFC 5280 4.1.2.5)."""
    is_utc_time = validity.next_tag() == UTC_TIME
    contents = validity.read(UTC_TIME if is_utc_time else GENERALIZED_TIME)
    match = (_UTC_TIME_RE if is_utc_time else _GENERALIZED_TIME_RE).fullmatch(contents)
    if match is None:
        raise ValueError(f"no date of the form that RFC 5280 allows: {contents!r}")
    # The pattern has seen to it that these are ASCII digits.
    year, month, day, hour, minute, second = map(int, match.groups())
    if is_utc_time:
        year += 1900 if year >= _UTC_TIME_PIVOT else 2000
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError as error:
        raise ValueError(f"no such date: {contents!r} ({error})") from None
