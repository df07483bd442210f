"""SecurityContext.self_signed: certificates of our own making, judged by OpenSSL, requests, curl and cryptography."""
from __future__ import annotations

import os
import ssl
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
from cryptography import x509  # trustme brings it along
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from blockingio import HttpClient, SecurityContext
from blockingio.net.self_signed import canonical_hosts
from tests.net.tls import handshake
from tests.peers import PATIENCE, serving


def parsed(context: SecurityContext) -> x509.Certificate:
    return x509.load_pem_x509_certificate(context.certificate_pem.encode())


def trusting(context: SecurityContext) -> ssl.SSLContext:
    """As strict as Python can be made, and as its newer versions are by themselves."""
    client = ssl.create_default_context(cadata=context.certificate_pem)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    return client


def test_what_it_says() -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    context = SecurityContext.self_signed(["a.example", "*.B.example", "bücher.example", "192.0.2.7", "2001:DB8::1"],
                                          days=7)
    certificate = parsed(context)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    assert usage.critical and usage.value == x509.KeyUsage(True, *[False] * 8)
    assert list(extended.value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert list(names.value) == [
        x509.DNSName("a.example"), x509.DNSName("*.b.example"), x509.DNSName("xn--bcher-kva.example"),
        x509.IPAddress(ip_address("192.0.2.7")), x509.IPAddress(ip_address("2001:db8::1"))]
    assert certificate.version == x509.Version.v3 and certificate.subject.rdns
    assert certificate.not_valid_before_utc <= before
    end = certificate.not_valid_after_utc - timedelta(days=7)
    assert before <= end <= datetime.now(timezone.utc)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    assert context.fingerprint == certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def test_each_has_a_key_and_a_serial_of_its_own_and_a_signature_that_holds() -> None:
    """Often enough that numbers with a leading zero octet, or a leading one bit, are among them."""
    made = [parsed(SecurityContext.self_signed()) for _ in range(100)]
    for certificate in made:
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    assert len({certificate.serial_number for certificate in made}) == len(made)
    assert len({certificate.fingerprint(hashes.SHA256()) for certificate in made}) == len(made)
    assert all(0 < certificate.serial_number < 1 << 159 for certificate in made)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_handshake_with_who_trusts_it_strictly(host: str) -> None:
    context = SecurityContext.self_signed()
    server, client = handshake(context.server_context(), trusting(context), host)
    assert client.getpeercert(True) == ssl.PEM_cert_to_DER_cert(context.certificate_pem)
    assert server.version() == "TLSv1.3"


@pytest.mark.parametrize(("hosts", "host"), [
    (["a.example"], "b.example"), (["*.a.example"], "a.example"), (["*.a.example"], "x.y.a.example"),
    (["127.0.0.1"], "127.0.0.2"), (["127.0.0.1"], "localhost")])
def test_it_is_for_its_hosts_alone(hosts: list[str], host: str) -> None:
    context = SecurityContext.self_signed(hosts)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(context.server_context(), trusting(context), host)


def test_it_vouches_for_no_other() -> None:
    one, other = SecurityContext.self_signed(), SecurityContext.self_signed()
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(one.server_context(), trusting(other))


def test_real_clients(tmp_path: Path) -> None:
    """The openssl command, requests, curl and our own client, over sockets."""
    context = SecurityContext.self_signed()
    file = tmp_path / "certificate.pem"
    file.write_text(context.certificate_pem)
    subprocess.run(["openssl", "verify", "-x509_strict", "-check_ss_sig", "-verify_hostname", "localhost",
                    "-CAfile", file, file], check=True, capture_output=True, timeout=PATIENCE)
    with serving(lambda request: request.response.close(), context=context.server_context()) as server:
        for host in ("localhost", "127.0.0.1"):
            url = f"https://{host}:{server.port}/"
            assert requests.get(url, verify=str(file), timeout=PATIENCE).status_code == 200
            subprocess.run(["curl", "--silent", "--fail", "--noproxy", "*", "--cacert", file, url], check=True,
                           timeout=PATIENCE)
            with pytest.raises(requests.exceptions.SSLError):
                requests.get(url, timeout=PATIENCE)
        trust = SecurityContext()
        trust.set_trusted_certificates(file)
        with HttpClient(context=trust) as client:
            assert client.get_url(url).close().status_code == 200


@pytest.mark.parametrize("days", [1, 30, 36500])
def test_days(days: int) -> None:
    """Past 2049 dates are written in another way."""
    left = parsed(SecurityContext.self_signed(days=days)).not_valid_after_utc - datetime.now(timezone.utc)
    assert timedelta(days=days - 1) < left <= timedelta(days=days)


@pytest.mark.parametrize("host", [
    "", " ", "a b", "a..b", ".a", "a.", "-a", "a-", "*", "*.", "*.*.a", "a.*", "*a.example", "a:80", "https://a",
    "[::1]",
    "1.2.3", "1.2.3.4.5", "256.1.1.1", "*.1.2.3.4", "fe80::1%eth0", "a" * 64, "a." * 127 + "a", "\0", "a\n", "ü" * 64,
    "/tmp/socket"])
def test_what_is_neither_name_nor_address(host: str) -> None:
    with pytest.raises(ValueError, match="expected a name as"):
        SecurityContext.self_signed(["localhost", host])


@pytest.mark.parametrize(("hosts", "error"), [([], ValueError), ("localhost", TypeError), (b"a", TypeError),
                                              ([b"a"], TypeError)])
def test_what_is_no_list_of_hosts(hosts: list[str], error: type[Exception]) -> None:
    with pytest.raises(error, match="expected"):
        SecurityContext.self_signed(hosts)


@pytest.mark.parametrize("days", [0, -1, 10_000_000, 10**12])
def test_days_that_no_certificate_has(days: int) -> None:
    with pytest.raises(ValueError, match="expected from 1 day"):
        SecurityContext.self_signed(days=days)


def test_hosts_are_each_there_once() -> None:
    assert canonical_hosts(["A.example", "a.example", "::1", "0:0::1"]) == ["a.example", "::1"]


def test_a_long_first_name_is_no_common_name() -> None:
    long = ".".join(["a" * 60, "b" * 60, "example"])
    context = SecurityContext.self_signed([long])
    handshake(context.server_context(), trusting(context), long)


def test_another_certificate_is_none_of_its_own(tmp_path: Path) -> None:
    context, other = SecurityContext(), SecurityContext.self_signed()
    assert (context.certificate_pem, context.fingerprint) == ("", "")
    context.use_certificate_chain_bytes(other.certificate_pem.encode())
    assert (context.certificate_pem, context.fingerprint) == ("", "")
    other.use_certificate_chain_bytes(SecurityContext.self_signed().certificate_pem.encode())
    assert (other.certificate_pem, other.fingerprint) == ("", "")


def test_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    SecurityContext.self_signed().server_context()
    assert os.listdir(tmp_path) == []
