"""X509Certificate against certificates by trustme and against ones put together here, byte by byte.

OpenSSL's own reading of the same bytes is the judge where there is one: ssl._ssl._test_decode_cert, which
CPython keeps for its tests.
"""
from __future__ import annotations

import copy
import hashlib
import pickle
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import trustme

from blockingio.net.x509 import X509Certificate

CN, O, C = b"\x55\x04\x03", b"\x55\x04\x0a", b"\x55\x04\x06"  # 2.5.4.3, 2.5.4.10, 2.5.4.6
UTF8, NUMERIC, PRINTABLE, T61, IA5, VISIBLE, UNIVERSAL, BMP = 0x0C, 0x12, 0x13, 0x14, 0x16, 0x1A, 0x1C, 0x1E
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18


def tlv(tag: int, *contents: bytes) -> bytes:
    value = b"".join(contents)
    if len(value) < 0x80:
        return bytes([tag, len(value)]) + value
    length = len(value).to_bytes((len(value).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + value


def sequence(*contents: bytes) -> bytes:
    return tlv(0x30, *contents)


def attribute(kind: bytes, tag: int, value: bytes) -> bytes:
    return sequence(tlv(0x06, kind), tlv(tag, value))


def rdn(*attributes: bytes) -> bytes:
    return tlv(0x31, *attributes)


def common_name(tag: int, value: bytes) -> bytes:
    return sequence(rdn(attribute(CN, tag, value)))


SHA256_WITH_RSA = sequence(tlv(0x06, bytes.fromhex("2a864886f70d01010b")), tlv(0x05))
KEY = sequence(sequence(tlv(0x06, bytes.fromhex("2a864886f70d010101")), tlv(0x05)),
               tlv(0x03, b"\0", sequence(tlv(0x02, b"\x03"), tlv(0x02, b"\x03"))))
VERSION = tlv(0xA0, tlv(0x02, b"\x02"))
SERIAL = tlv(0x02, b"\x01")
NAME = common_name(UTF8, b"localhost")
START = tlv(UTC_TIME, b"260101000000Z")
END = tlv(UTC_TIME, b"460102030405Z")


def certificate(subject: bytes = NAME, *, issuer: bytes = NAME, start: bytes = START, end: bytes = END,
                version: bytes = VERSION) -> bytes:
    signed = sequence(version, SERIAL, SHA256_WITH_RSA, issuer, sequence(start, end), subject, KEY)
    return sequence(signed, SHA256_WITH_RSA, tlv(0x03, b"\0signature"))


def by_openssl(der: bytes, directory: Path) -> dict[str, Any]:
    file = directory / "certificate.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(der))
    decoded: dict[str, Any] = ssl._ssl._test_decode_cert(str(file))  # type: ignore[attr-defined]
    return decoded


def dates_by_openssl(der: bytes, directory: Path) -> list[datetime]:
    decoded = by_openssl(der, directory)
    seconds = [ssl.cert_time_to_seconds(decoded[name]) for name in ("notBefore", "notAfter")]
    return [datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=since) for since in seconds]


@pytest.fixture(scope="module")
def leaf() -> trustme.LeafCert:
    return trustme.CA().issue_cert("localhost", common_name="localhost",
                                   organization_name="J\xfcrgen & S\xf6hne")


def test_a_certificate_by_another_maker(leaf: trustme.LeafCert, tmp_path: Path) -> None:
    pem = leaf.cert_chain_pems[0].bytes().decode()
    der = ssl.PEM_cert_to_DER_cert(pem)
    found = X509Certificate.from_der(der)
    decoded = by_openssl(der, tmp_path)
    short = {"organizationName": "O", "organizationalUnitName": "OU", "commonName": "CN"}
    for line, names in (found.subject, decoded["subject"]), (found.issuer, decoded["issuer"]):
        assert line == "".join(f"/{short[name]}={value}" for (name, value), in names)
    assert found.subject.startswith("/O=J\xfcrgen & S\xf6hne/")
    assert found.subject.endswith("/CN=localhost")
    assert [found.start_validity, found.end_validity] == dates_by_openssl(der, tmp_path)
    assert found.der == der
    assert found.pem == ssl.DER_cert_to_PEM_cert(der)
    assert found.sha1 == hashlib.sha1(der).digest()
    assert repr(found).startswith(
        f"<X509Certificate subject={found.subject!r} issuer={found.issuer!r} valid from 2")


@pytest.mark.parametrize("size", range(60, 70))
def test_pem_has_lines_of_64_characters(size: int) -> None:
    der = certificate(common_name(UTF8, b"x" * size))
    assert X509Certificate.from_der(der).pem == ssl.DER_cert_to_PEM_cert(der)


def test_a_certificate_is_a_value() -> None:
    one, same = X509Certificate.from_der(certificate()), X509Certificate.from_der(certificate())
    other = X509Certificate.from_der(certificate(common_name(UTF8, b"other")))
    assert one == same != other
    assert len({one, same, other}) == 2
    assert one != one.der
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError):
        one.subject = ""  # type: ignore[misc]


@pytest.mark.parametrize("tag, value, text", [
    (UTF8, "Z\xfcrich \u6771\u4eac".encode(), "Z\xfcrich \u6771\u4eac"),
    (NUMERIC, b"0123 4", "0123 4"),
    (PRINTABLE, b"Example (1)", "Example (1)"),
    (T61, b"Z\xfcrich", "Z\xfcrich"),
    (IA5, b"info@example.org", "info@example.org"),
    (VISIBLE, b"visible", "visible"),
    (UNIVERSAL, "Z\xfcrich".encode("utf-32-be"), "Z\xfcrich"),
    (BMP, "Z\xfcrich \u6771".encode("utf-16-be"), "Z\xfcrich \u6771"),
    (UTF8, b"", ""),
    (UTF8, b"A/S=B+C", "A/S=B+C"),
])
def test_each_type_of_string(tag: int, value: bytes, text: str, tmp_path: Path) -> None:
    der = certificate(common_name(tag, value))
    found = X509Certificate.from_der(der)
    assert found.subject == f"/CN={text}"
    if tag != VISIBLE:  # which OpenSSL does not take in a name
        assert by_openssl(der, tmp_path)["subject"] == (((("commonName", text),),))


@pytest.mark.parametrize("tag, value, text", [
    (UTF8, b"a\nb\r\0\x7f", r"a\x0Ab\x0D\x00\x7F"),
    (UTF8, "a\u202eb\u2028".encode(), r"a\xE2\x80\xAEb\xE2\x80\xA8"),
    (UTF8, b"not \xff utf-8", r"not \xFF utf-8"),
    (PRINTABLE, b"Z\xfcrich\n", r"Z\xFCrich\x0A"),
    (BMP, b"\0a\0", r"\x00a\x00"),
    (BMP, b"\xd8\x00", r"\xD8\x00"),
    (UNIVERSAL, b"\x00\x11\x00\x00", r"\x00\x11\x00\x00"),
    (0x02, b"\x07", r"\x07"),
    (0x04, b"octets\xff", r"octets\xFF"),
])
def test_what_does_not_print_is_escaped(tag: int, value: bytes, text: str) -> None:
    assert X509Certificate.from_der(certificate(common_name(tag, value))).subject == f"/CN={text}"


def test_the_order_and_the_elements_of_a_name() -> None:
    name = sequence(
        rdn(attribute(C, PRINTABLE, b"NL")),
        rdn(attribute(O, UTF8, b"Example"), attribute(CN, UTF8, b"localhost")),
        rdn(attribute(CN, UTF8, b"again")))
    found = X509Certificate.from_der(certificate(name, issuer=sequence()))
    assert found.subject == "/C=NL/O=Example+CN=localhost/CN=again"
    assert found.issuer == ""


@pytest.mark.parametrize("kind, name", [
    ("2a864886f70d010901", "emailAddress"),
    ("0992268993f22c640119", "DC"),
    ("0992268993f22c640101", "UID"),
    ("550405", "serialNumber"),
    ("55047f", "2.5.4.127"),
    ("2a0304", "1.2.3.4"),
    ("00", "0.0"),
    ("27", "0.39"),
    ("28", "1.0"),
    ("883703", "2.999.3"),
    ("69" + "ff" * 17 + "7f", f"2.25.{2 ** 126 - 1}"),
])
def test_the_type_of_an_attribute(kind: str, name: str) -> None:
    subject = sequence(rdn(attribute(bytes.fromhex(kind), UTF8, b"x")))
    assert X509Certificate.from_der(certificate(subject)).subject == f"/{name}=x"


@pytest.mark.parametrize("time, date", [
    (tlv(UTC_TIME, b"491231235959Z"), datetime(2049, 12, 31, 23, 59, 59)),
    (tlv(UTC_TIME, b"500101000000Z"), datetime(1950, 1, 1)),
    (tlv(UTC_TIME, b"991231235959Z"), datetime(1999, 12, 31, 23, 59, 59)),
    (tlv(UTC_TIME, b"000229120000Z"), datetime(2000, 2, 29, 12)),
    (tlv(GENERALIZED_TIME, b"20500101000000Z"), datetime(2050, 1, 1)),
    (tlv(GENERALIZED_TIME, b"99991231235959Z"), datetime(9999, 12, 31, 23, 59, 59)),
])
def test_both_forms_of_a_date(time: bytes, date: datetime, tmp_path: Path) -> None:
    der = certificate(start=time, end=time)
    found = X509Certificate.from_der(der)
    assert found.start_validity == found.end_validity == date.replace(tzinfo=timezone.utc)
    assert found.start_validity.tzinfo is timezone.utc
    assert dates_by_openssl(der, tmp_path) == [found.start_validity, found.end_validity]


def test_a_certificate_of_version_1() -> None:
    assert X509Certificate.from_der(certificate(version=b"")).subject == "/CN=localhost"


@pytest.mark.parametrize("time", [
    tlv(UTC_TIME, b"2601010000Z"), tlv(UTC_TIME, b"260101000000"), tlv(UTC_TIME, b"260101000000+0100"),
    tlv(UTC_TIME, b"260230000000Z"), tlv(UTC_TIME, b"260101240000Z"), tlv(UTC_TIME, b"260101000060Z"),
    tlv(UTC_TIME, b"20260101000000Z"), tlv(UTC_TIME, b""), tlv(UTC_TIME, b"+60101000000Z"),
    tlv(UTC_TIME, b"260101000000Z\n"), tlv(GENERALIZED_TIME, b"260101000000Z"),
    tlv(GENERALIZED_TIME, b"20260101000000.5Z"), tlv(GENERALIZED_TIME, b"00000101000000Z"),
    tlv(0x16, b"260101000000Z"), b"",
])
def test_what_is_no_date(time: bytes) -> None:
    with pytest.raises(ValueError, match="not an X.509 certificate in DER: "):
        X509Certificate.from_der(certificate(end=time))


@pytest.mark.parametrize("subject", [
    pytest.param(tlv(0x31), id="no sequence"),
    pytest.param(sequence(attribute(CN, UTF8, b"x")), id="no set"),
    pytest.param(sequence(rdn(tlv(0x06, CN))), id="no attribute"),
    pytest.param(sequence(rdn(sequence())), id="attribute without type"),
    pytest.param(sequence(rdn(sequence(tlv(0x06, CN)))), id="attribute without value"),
    pytest.param(sequence(rdn(sequence(tlv(0x06, CN), tlv(UTF8, b"x"), tlv(UTF8, b"y")))), id="two values"),
    pytest.param(sequence(rdn(attribute(b"", UTF8, b"x"))), id="empty type"),
    pytest.param(sequence(rdn(attribute(b"\x55\x84", UTF8, b"x"))), id="unfinished type"),
    pytest.param(sequence(rdn(attribute(b"\xff" * 100_000 + b"\x7f", UTF8, b"x"))), id="endless type"),
])
def test_what_is_no_name(subject: bytes) -> None:
    with pytest.raises(ValueError, match="not an X.509 certificate in DER: "):
        X509Certificate.from_der(certificate(subject))


WHOLE = certificate()
PARTS = WHOLE[3:]  # without its tag and the two octets of its length


@pytest.mark.parametrize("der, found", [
    pytest.param(b"", "the end at byte 0", id="nothing"),
    pytest.param(b"\x30", "the end at byte 1, expected a length", id="no length"),
    pytest.param(b"\x30\x80\0\0", "no DER length at byte 1", id="indefinite length"),
    pytest.param(b"\x30\x81\x05hello", "no DER length at byte 1", id="long form of a short length"),
    pytest.param(b"\x30\x82\0\x85" + bytes(0x85), "no DER length at byte 1", id="leading zero"),
    pytest.param(b"\x30\x84\x01", "no DER length at byte 1", id="cut length"),
    pytest.param(b"\x30\xff" + b"\x01" * 127, "bytes at byte 129", id="longest length"),
    pytest.param(b"\x30\x05", "0 bytes at byte 2, expected 5", id="no contents"),
    pytest.param(b"\x3f\x30\0", "tag 0x3f at byte 0, expected tag 0x30", id="long tag"),
    pytest.param(WHOLE + b"\0", "1 bytes too many before byte", id="bytes after it"),
    pytest.param(sequence(WHOLE), "expected tag", id="one inside another"),
    pytest.param(sequence(sequence(), SHA256_WITH_RSA, tlv(0x03)), "the end at byte", id="empty inside"),
    pytest.param(sequence(PARTS, tlv(0x05)), "too many", id="a fourth element"),
    pytest.param(b"-----BEGIN CERTIFICATE-----", "tag 0x2d at byte 0", id="PEM"),
])
def test_what_is_no_certificate(der: bytes, found: str) -> None:
    with pytest.raises(ValueError, match="not an X.509 certificate in DER: ") as raised:
        X509Certificate.from_der(der)
    assert found in str(raised.value)


def test_no_part_of_a_certificate_is_one() -> None:
    for size in range(len(WHOLE)):
        with pytest.raises(ValueError, match="not an X.509 certificate in DER: "):
            X509Certificate.from_der(WHOLE[:size])


def test_a_damaged_certificate_is_read_or_refused(leaf: trustme.LeafCert) -> None:
    """Any octet may be any other: the answer is a certificate or a ValueError, nothing else."""
    whole = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    refused = 0
    for at in range(len(whole)):
        for octet in {0x00, 0x7F, 0x80, 0xFF, whole[at] ^ 1}:
            try:
                found = X509Certificate.from_der(whole[:at] + bytes([octet]) + whole[at + 1:])
            except ValueError:
                refused += 1
            else:
                assert found.subject.isprintable()
                assert found.issuer.isprintable()
    assert refused > 100
