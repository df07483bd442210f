"""Certificates and keys in files, and handshakes that go through memory: no socket, no thread."""
from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple

import trustme
from cryptography.hazmat.primitives.serialization import (  # trustme brings it along
    BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key)

from blockingio.net.security import SecurityContext, X509Certificate

PASSWORD = "s\xe9cret"


class Files(NamedTuple):
    """Certificates for localhost and other.example by one authority, and for localhost by another, in PEM."""

    chain: Path
    key: Path
    encrypted_key: Path
    traditional_key: Path
    both: Path
    authority: Path
    other_chain: Path
    other_key: Path
    foreign_chain: Path
    foreign_key: Path
    foreign_authority: Path


def make_files(directory: Path) -> Files:
    files = Files(*(directory / f"{name}.pem" for name in Files._fields))
    authority, foreign = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("localhost", common_name="localhost")
    other = authority.issue_cert("other.example")
    stranger = foreign.issue_cert("localhost")
    for issued, chain, key in ((certificate, files.chain, files.key),
                               (other, files.other_chain, files.other_key),
                               (stranger, files.foreign_chain, files.foreign_key)):
        chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
    files.encrypted_key.write_bytes(encrypted(files.key, PrivateFormat.PKCS8))
    files.traditional_key.write_bytes(encrypted(files.key, PrivateFormat.TraditionalOpenSSL))
    files.both.write_bytes(files.encrypted_key.read_bytes() + files.chain.read_bytes())
    files.authority.write_bytes(authority.cert_pem.bytes())
    files.foreign_authority.write_bytes(foreign.cert_pem.bytes())
    return files


def encrypted(key: Path, form: PrivateFormat) -> bytes:
    return load_pem_private_key(key.read_bytes(), None).private_bytes(
        Encoding.PEM, form, BestAvailableEncryption(PASSWORD.encode()))


def serving(files: Files) -> SecurityContext:
    context = SecurityContext()
    context.use_certificate_chain(files.chain)
    context.use_private_key(files.key)
    return context


def trusting(authority: Path) -> SecurityContext:
    context = SecurityContext()
    context.set_trusted_certificates(authority)
    return context


def handshake(server_context: ssl.SSLContext, client_context: ssl.SSLContext, host: str = "localhost",
              ) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """The server's and the client's end once both are content; the error of the first that is not."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host)
    unfinished = [client, server]
    for _ in range(10):
        for end in unfinished[:]:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            unfinished.remove(end)
        if not unfinished:
            # In TLS 1.3 a client certificate is refused after the client is done, and this shows it.
            server.write(b"x")
            client.read()
            return server, client
    raise AssertionError(f"no end to the handshake for {unfinished}")


def name_of(end: ssl.SSLObject) -> str:
    """The subject of the certificate that the other end has shown."""
    der = end.getpeercert(binary_form=True)
    return X509Certificate.from_der(der).subject if der else ""
