"""SecurityContext: the certificate and the key that it shows, the protocols, and when a context is made."""
from __future__ import annotations

import os
import re
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blockingio.net import security
from blockingio.net.security import SecurityContext
from tests.net.tls import PASSWORD, Files, handshake, name_of, serving, trusting
from tests.peers import PATIENCE


@pytest.mark.parametrize("setup", [
    pytest.param(lambda c, f: (c.use_certificate_chain(f.chain), c.use_private_key(f.key)), id="chain, key"),
    pytest.param(lambda c, f: (c.use_private_key(f.key), c.use_certificate_chain(f.chain)), id="key, chain"),
    pytest.param(lambda c, f: (c.use_certificate_chain(str(f.chain)),
                               c.use_private_key(str(f.key))), id="str"),
    pytest.param(lambda c, f: (c.use_certificate_chain_bytes(f.chain.read_bytes()),
                               c.use_private_key_bytes(f.key.read_bytes())), id="bytes"),
    pytest.param(lambda c, f: (c.use_certificate_chain_bytes(bytearray(f.chain.read_bytes())),
                               c.use_private_key_bytes(memoryview(f.key.read_bytes()))), id="bytes-like"),
    pytest.param(lambda c, f: (c.use_certificate_chain_bytes(ssl.PEM_cert_to_DER_cert(f.chain.read_text())),
                               c.use_private_key(f.key)), id="DER"),
    pytest.param(lambda c, f: (c.use_certificate_chain(f.chain),
                               c.use_private_key(f.encrypted_key, password=PASSWORD)), id="encrypted"),
    pytest.param(lambda c, f: (c.use_private_key_bytes(f.traditional_key.read_bytes(), password=PASSWORD),
                               c.use_certificate_chain(f.chain)), id="encrypted, traditional"),
    pytest.param(lambda c, f: c.use_certificate_chain(f.both, password=PASSWORD), id="both in one"),
    pytest.param(lambda c, f: (c.use_certificate_chain(f.both),
                               c.use_private_key(f.both, password=PASSWORD)), id="both in one, twice"),
    pytest.param(lambda c, f: (c.use_private_key(f.key),
                               c.use_certificate_chain(f.both, password=PASSWORD)), id="the key, then both"),
])
def test_a_server_shows_its_certificate(
        setup: Callable[[SecurityContext, Files], object], files: Files) -> None:
    context = SecurityContext()
    setup(context, files)
    server, client = handshake(context.server_context(), trusting(files.authority).client_context())
    assert name_of(client).endswith("/CN=localhost")
    assert name_of(server) == ""
    assert client.version() == "TLSv1.3"


def test_without_files_in_memory_a_private_temporary_file_is_used(
        files: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[tuple[str, int]] = []
    mkstemp = tempfile.mkstemp

    def watched() -> tuple[int, str]:
        number, path = mkstemp(dir=tmp_path)
        made.append((path, os.stat(path).st_mode & 0o777))
        return number, path

    monkeypatch.setattr(security, "_HAS_MEMORY_FILES", False)
    monkeypatch.setattr(tempfile, "mkstemp", watched)
    handshake(serving(files).server_context(), trusting(files.authority).client_context())
    context = SecurityContext()
    context.use_private_key(files.other_key)
    context.use_certificate_chain(files.chain)
    with pytest.raises(ssl.SSLError):
        context.server_context()
    assert made
    assert {mode for _, mode in made} == {0o600}
    assert not any(os.path.exists(path) for path, _ in made)


def test_files_are_read_once(files: Files, tmp_path: Path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(files.chain.read_bytes())
    key.write_bytes(files.key.read_bytes())
    context = SecurityContext()
    context.use_certificate_chain(chain)
    context.use_private_key(key)
    chain.unlink()
    key.unlink()
    handshake(context.server_context(), trusting(files.authority).client_context())


READERS = ("use_certificate_chain", "use_private_key", "set_trusted_certificates", "set_client_authorities")


@pytest.mark.parametrize("method", READERS)
def test_a_file_that_cannot_be_read_is_named(method: str, tmp_path: Path) -> None:
    read = getattr(SecurityContext(), method)
    with pytest.raises(FileNotFoundError, match="missing.pem"):
        read(tmp_path / "missing.pem")
    with pytest.raises(OSError, match=tmp_path.name):
        read(str(tmp_path))


@pytest.mark.parametrize("method", READERS)
@pytest.mark.parametrize("contents", [
    pytest.param(b"", id="empty"),
    pytest.param(b"Dear Sir,\n", id="text"),
    pytest.param(b"0\x82\x05\x21\x02\x01\x03" + bytes(1310), id="PKCS#12"),
    pytest.param(b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", id="no base64"),
    pytest.param(b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n", id="bad base64"),
    pytest.param(b"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n", id="other DER"),
    pytest.param(b"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n", id="no end"),
    pytest.param(b"-----BEGIN PUBLIC KEY-----\nMAMCAQE=\n-----END PUBLIC KEY-----\n", id="public key"),
])
def test_a_file_of_something_else_is_named(method: str, contents: bytes, tmp_path: Path) -> None:
    file = tmp_path / "other.pem"
    file.write_bytes(contents)
    expected = "no private key" if method == "use_private_key" else "no X.509 certificate"
    context = SecurityContext()
    with pytest.raises(ssl.SSLError) as raised:
        getattr(context, method)(file)
    assert str(raised.value).startswith(f"{file}: {expected}, expected PEM (BEGIN ")
    with pytest.raises(ssl.SSLError, match=f"the .*: {expected}, expected PEM"):
        getattr(context, f"{method}_bytes")(contents)
    assert repr(context) == "<SecurityContext chain=None trusted_roots=False trusted=0 client_authorities=0>"


@pytest.mark.parametrize("method", READERS)
@pytest.mark.parametrize("value", ["text", None, 5])
def test_bytes_are_bytes(method: str, value: object) -> None:
    with pytest.raises(TypeError):
        getattr(SecurityContext(), f"{method}_bytes")(value)


@pytest.mark.parametrize("name", ["encrypted_key", "traditional_key"])
@pytest.mark.parametrize("password, message", [
    (None, ": the private key is encrypted, expected a password"),
    ("wrong", ": the password does not open this private key"),
    ("", ": the password does not open this private key"),
])
def test_a_bad_password_is_told_at_once(name: str, password: str | None, message: str, files: Files) -> None:
    """And OpenSSL never asks the terminal for one."""
    file: Path = getattr(files, name)
    context = SecurityContext()
    context.use_certificate_chain(files.chain)
    with pytest.raises(ssl.SSLError) as raised:
        context.use_private_key(file, password=password)
    assert str(raised.value).startswith(f"{file}{message}")
    context.use_private_key(file, password=PASSWORD)
    handshake(context.server_context(), trusting(files.authority).client_context())


def test_a_bad_password_is_told_when_the_chain_comes_second(files: Files) -> None:
    context = SecurityContext()
    context.use_private_key(files.encrypted_key, password="wrong")
    with pytest.raises(ssl.SSLError, match="encrypted_key.pem: the password does not open this private key"):
        context.use_certificate_chain(files.chain)


def test_a_damaged_private_key_is_named(files: Files) -> None:
    context = SecurityContext()
    context.use_certificate_chain(files.chain)
    message = "the private key: OpenSSL does not take it as the private key of .*chain.pem"
    with pytest.raises(ssl.SSLError, match=message):
        context.use_private_key_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def test_a_key_of_another_certificate(files: Files) -> None:
    context = SecurityContext()
    context.use_certificate_chain(files.chain)
    context.use_private_key(files.other_key)
    for make in context.server_context, context.client_context:
        with pytest.raises(ssl.SSLError, match="other_key.pem: not the private key of .* in .*/chain.pem"):
            make()


def test_a_renewal_replaces_one_after_the_other(files: Files) -> None:
    context = serving(files)
    before = context.server_context()
    context.use_certificate_chain(files.other_chain)
    context.use_private_key(files.other_key)
    trust = trusting(files.authority).client_context()
    handshake(context.server_context(), trust, "other.example")
    handshake(before, trust, "localhost")


@pytest.mark.parametrize("kind", ["server_context", "client_context", "make_client_context"])
def test_a_change_waits_for_a_context_that_is_being_made(files: Files, monkeypatch: pytest.MonkeyPatch,
                                                         kind: str) -> None:
    """So it is made of one state, whatever other threads do."""
    context = serving(files)
    changer = threading.Thread(target=context.set_alpn_protocols, args=(["http/1.1"], False))
    load = security._load

    def load_while_another_changes(made: ssl.SSLContext, *more: Any) -> None:
        changer.start()
        changer.join(0.1)
        assert changer.is_alive()
        load(made, *more)

    monkeypatch.setattr(security, "_load", load_while_another_changes)
    getattr(context, kind)()
    changer.join(PATIENCE)
    assert not changer.is_alive()


def test_a_caller_may_change_a_context_that_was_made_for_it(files: Files) -> None:
    context = trusting(files.authority)
    own, shared = context.make_client_context(), context.client_context()
    assert own is not shared and own is not context.make_client_context()
    own.keylog_filename = os.devnull
    assert shared.keylog_filename is None
    handshake(serving(files).server_context(), own, "localhost")


def test_half_a_pair_is_not_enough(files: Files) -> None:
    with pytest.raises(ssl.SSLError, match="a server without a certificate: expected use_certificate_chain"):
        SecurityContext().server_context()
    chain_only, key_only = SecurityContext(), SecurityContext()
    chain_only.use_certificate_chain(files.chain)
    key_only.use_private_key(files.key)
    for context, message in ((chain_only, "chain.pem: no private key for it, expected use_private_key()"),
                             (key_only, "key.pem: no certificate for it, expected use_certificate_chain()")):
        for make in context.server_context, context.client_context:
            with pytest.raises(ssl.SSLError, match=re.escape(message)):
                make()


@pytest.mark.parametrize("accepted, offered, chosen", [
    (["http/1.1"], ["h2", "http/1.1"], "http/1.1"),
    (["h2", "http/1.1"], ["http/1.1", "h2"], "h2"),
    (["http/1.1"], ["h2"], None),
    ([], ["http/1.1"], None),
    (["http/1.1"], [], None),
])
def test_alpn(accepted: list[str], offered: list[str], chosen: str | None, files: Files) -> None:
    server, client = serving(files), trusting(files.authority)
    server.set_alpn_protocols(accepted, True)
    server.set_alpn_protocols(["of a client"], False)
    client.set_alpn_protocols(offered, False)
    client.set_alpn_protocols(["of a server"], True)
    ends = handshake(server.server_context(), client.client_context())
    assert [end.selected_alpn_protocol() for end in ends] == [chosen, chosen]


@pytest.mark.parametrize("protocol", ["", "x" * 256, "h\xe9"])
def test_what_is_no_alpn_protocol(protocol: str) -> None:
    with pytest.raises(ValueError, match="not an ALPN protocol") as raised:
        SecurityContext().set_alpn_protocols(["http/1.1", protocol], True)
    assert repr(protocol) in str(raised.value)


def test_tls_1_2_and_up(files: Files) -> None:
    server, client = serving(files).server_context(), trusting(files.authority).client_context()
    for context in server, client:
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.maximum_version is ssl.TLSVersion.MAXIMUM_SUPPORTED
    assert server.options & ssl.OP_NO_RENEGOTIATION
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(server, client)[1].version() == "TLSv1.2"
    too_old = trusting(files.authority).client_context()
    too_old.set_ciphers("DEFAULT@SECLEVEL=0")
    too_old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        too_old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="(?i)protocol|version"):
        handshake(server, too_old)


@pytest.mark.parametrize("change", [
    lambda c, f: c.use_certificate_chain(f.chain),
    lambda c, f: c.use_private_key(f.key),
    lambda c, f: c.set_trusted_certificates(f.authority),
    lambda c, f: c.set_client_authorities(f.authority),
    lambda c, f: c.set_alpn_protocols(["http/1.1"], True),
])
def test_a_context_is_made_once_until_something_changes(
        change: Callable[[SecurityContext, Files], object], files: Files) -> None:
    context = serving(files)
    makers = (context.server_context, context.client_context, context.certificate_requesting_context)
    before = [make() for make in makers]
    assert [make() for make in makers] == before
    change(context, files)
    after = [make() for make in makers]
    assert not set(map(id, before)) & set(map(id, after))


def test_threads_get_the_same_context(files: Files) -> None:
    context = serving(files)
    made: list[ssl.SSLContext] = []
    threads = [threading.Thread(target=lambda: made.append(context.server_context())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [context.server_context()] * 8


def test_repr_shows_what_is_set_and_no_secret(files: Files) -> None:
    context = SecurityContext(with_trusted_roots=True)
    context.use_certificate_chain(files.chain)
    context.use_private_key(files.encrypted_key, password=PASSWORD)
    assert repr(context) == (f"<SecurityContext chain={str(files.chain)!r} trusted_roots=True"
                             " trusted=0 client_authorities=0>")
    assert PASSWORD not in repr(vars(context)["_key"])
