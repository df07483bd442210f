"""SecurityContext: whom a client trusts, and a server that asks for a client certificate."""
from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from blockingio.net.security import SecurityContext
from tests.net.tls import Files, handshake, name_of, serving, trusting


def test_nobody_is_trusted_until_told(files: Files) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(serving(files).server_context(), SecurityContext().client_context())


def test_a_name_that_is_not_in_the_certificate(files: Files) -> None:
    server, client = serving(files).server_context(), trusting(files.authority).client_context()
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(server, client, "other.example")


def test_the_common_name_is_no_host_name(files: Files) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("other.example", common_name="localhost")
    server, client = SecurityContext(), SecurityContext()
    server.use_certificate_chain_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    server.use_private_key_bytes(issued.private_key_pem.bytes())
    client.set_trusted_certificates_bytes(authority.cert_pem.bytes())
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(server.server_context(), client.client_context(), "localhost")


def test_trusted_certificates_add_up(files: Files) -> None:
    context = trusting(files.foreign_authority)
    context.set_trusted_certificates_bytes(ssl.PEM_cert_to_DER_cert(files.authority.read_text()))
    context.set_trusted_certificates(files.authority)  # again: no harm
    handshake(serving(files).server_context(), context.client_context())
    assert "trusted=3" in repr(context)


def test_several_in_one_file(files: Files) -> None:
    context = SecurityContext()
    both = files.foreign_authority.read_bytes() + files.authority.read_bytes()
    context.set_trusted_certificates_bytes(both)
    handshake(serving(files).server_context(), context.client_context())


def test_a_certificate_that_is_no_root_can_be_trusted_itself(files: Files) -> None:
    handshake(serving(files).server_context(), trusting(files.chain).client_context())


def test_the_system_s_roots(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's place for them, moved by the environment variable that OpenSSL reads for it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authority))
    server = serving(files).server_context()
    handshake(server, SecurityContext(with_trusted_roots=True).client_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, SecurityContext().client_context())


def test_the_default_context_trusts_the_system_s_roots() -> None:
    default: SecurityContext = SecurityContext.DEFAULT_CONTEXT
    assert isinstance(default, SecurityContext)
    assert "trusted_roots=True" in repr(default)
    assert default.client_context() is default.client_context()


def presenting(chain: Path, key: Path, authority: Path) -> ssl.SSLContext:
    context = trusting(authority)
    context.use_certificate_chain(chain)
    context.use_private_key(key)
    return context.client_context()


@pytest.mark.parametrize("method", ["set_client_authorities", "set_trusted_certificates"])
def test_a_client_certificate_is_asked_for(method: str, files: Files) -> None:
    context = serving(files)
    getattr(context, method)(files.foreign_authority)
    asking = context.certificate_requesting_context()
    with_one = presenting(files.foreign_chain, files.foreign_key, files.authority)
    server, _ = handshake(asking, with_one)
    assert server.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(files.foreign_chain.read_text())
    server, _ = handshake(asking, trusting(files.authority).client_context())
    assert server.getpeercert(binary_form=True) is None
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(asking, presenting(files.chain, files.key, files.authority))


def test_a_client_certificate_is_not_asked_for_unless_wanted(files: Files) -> None:
    context = serving(files)
    context.set_client_authorities_bytes(files.foreign_authority.read_bytes())
    client_context = presenting(files.foreign_chain, files.foreign_key, files.authority)
    server, _ = handshake(context.server_context(), client_context)
    assert name_of(server) == ""
    assert context.server_context() is not context.certificate_requesting_context()


def test_a_client_does_not_trust_the_client_authorities(files: Files) -> None:
    context = SecurityContext()
    context.set_client_authorities(files.authority)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(serving(files).server_context(), context.client_context())
