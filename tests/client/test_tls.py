"""TLS: who is trusted, what the user is asked and told, certificates both ways."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from blockingio import HttpClient, SecurityContext, Uri, X509Certificate
from blockingio.client.keylog import KeyLog
from tests.client.servers import OK, Asked, Peer, Server, always, answering, scripted
from tests.peers import PATIENCE, Certificates


def url(server: Server, host: str = "localhost") -> str:
    return f"https://{host}:{server.port}/"


def get(client: HttpClient, url: str) -> bytes:
    client.find_proxy = None
    return client.get_url(url).close().read()


@pytest.fixture
def server(certificates: Certificates) -> Iterator[Server]:
    with scripted(always(lambda asked: OK), context=certificates.server_context()) as server:
        yield server


# ------------------------------------------------------------------ who is trusted


def test_the_systems_roots_do_not_know_a_private_authority(server: Server) -> None:
    with HttpClient() as client:
        with pytest.raises(
            ssl.SSLCertVerificationError,
            match=f"CERTIFICATE_VERIFY_FAILED.*address = localhost, port = {server.port}",
        ):
            get(client, url(server))
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_the_error_of_the_system_is_whole(server: Server) -> None:
    with HttpClient() as client:
        with pytest.raises(OSError) as caught:
            get(client, url(server))
    assert isinstance(caught.value, ssl.SSLCertVerificationError)
    assert caught.value.reason == "CERTIFICATE_VERIFY_FAILED"
    assert caught.value.verify_code == 20  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    assert "issuer" in caught.value.verify_message


def test_the_default_context_is_the_default(
    server: Server, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = SecurityContext()
    trusting.set_trusted_certificates_bytes(certificates.authority.cert_pem.bytes())
    monkeypatch.setattr(SecurityContext, "DEFAULT_CONTEXT", trusting)
    with HttpClient() as client:
        assert get(client, url(server)) == b"ok"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_security_context(server: Server, certificates: Certificates, host: str) -> None:
    context = SecurityContext()
    context.set_trusted_certificates_bytes(certificates.authority.cert_pem.bytes())
    with HttpClient(context=context) as client:
        assert get(client, url(server, host)) == b"ok"


def test_an_ssl_context(server: Server, certificates: Certificates) -> None:
    with HttpClient(context=certificates.client_context()) as client:
        assert get(client, url(server)) == b"ok"


def test_a_change_of_a_security_context_counts_for_new_connections(
    server: Server, certificates: Certificates
) -> None:
    context = SecurityContext()
    with HttpClient(context=context) as client:
        with pytest.raises(ssl.SSLCertVerificationError):
            get(client, url(server))
        context.set_trusted_certificates_bytes(certificates.authority.cert_pem.bytes())
        assert get(client, url(server)) == b"ok"


def wrong_host(port: int) -> Any:
    """connection_factory: every host is this machine's server."""
    return lambda url, proxy_host, proxy_port: socket.create_connection(("127.0.0.1", port))


def test_the_host_name_is_checked(server: Server, certificates: Certificates) -> None:
    with HttpClient(context=certificates.client_context()) as client:
        client.connection_factory = wrong_host(server.port)
        with pytest.raises(
            ssl.SSLCertVerificationError, match="Hostname mismatch.*address = other.example, port = 443"
        ):
            get(client, "https://other.example/")


def test_the_ip_address_is_checked(server: Server, certificates: Certificates) -> None:
    with HttpClient(context=certificates.client_context()) as client:
        client.connection_factory = wrong_host(server.port)
        with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
            get(client, "https://127.0.0.2/")


@pytest.mark.parametrize(
    "host, name",
    [
        ("localhost.", "localhost"),
        ("LOCALHOST", "localhost"),
        ("b%C3%BCcher.example", "xn--bcher-kva.example"),
        ("127.0.0.1", None),
    ],
)
def test_the_server_is_told_the_name(certificates: Certificates, host: str, name: str | None) -> None:
    """Server Name Indication (RFC 6066 3): no address, no trailing dot, IDNA."""
    seen = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificates.authority.issue_cert("localhost", "127.0.0.1", "xn--bcher-kva.example").configure_cert(
        context
    )
    context.sni_callback = lambda sock, name, context: seen.append(name)
    with (
        scripted(answering(OK), context=context) as server,
        HttpClient(context=certificates.client_context()) as client,
    ):
        client.connection_factory = wrong_host(server.port)
        assert get(client, f"https://{host}/") == b"ok"
        client.close()
    assert seen == [name]


def test_a_server_that_speaks_no_tls(certificates: Certificates) -> None:
    def plain(peer: Peer) -> None:
        peer.socket.recv(65536)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with scripted(plain) as server, HttpClient(context=certificates.client_context()) as client:
        with pytest.raises(ssl.SSLError, match=f"address = localhost, port = {server.port}"):
            get(client, url(server))


def test_a_server_that_ends_in_the_handshake(certificates: Certificates) -> None:
    with (
        scripted(lambda peer: peer.socket.recv(1)) as server,
        HttpClient(context=certificates.client_context()) as client,
    ):
        with pytest.raises(OSError, match=f"address = localhost, port = {server.port}"):
            get(client, url(server))


def test_a_context_that_cannot_be_a_clients(server: Server) -> None:
    with HttpClient(context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) as client:
        with pytest.raises(ssl.SSLError, match="address = localhost"):
            get(client, url(server))
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


# ------------------------------------------------------------------ certificates


def test_the_certificate_of_the_server(server: Server, certificates: Certificates) -> None:
    with HttpClient(context=certificates.client_context()) as client:
        client.find_proxy = None
        response = client.get_url(url(server)).close()
        response.read()
    certificate = response.certificate  # it outlives the connection
    assert isinstance(certificate, X509Certificate)
    assert (
        certificate.pem.split() == certificates.server_certificate.cert_chain_pems[0].bytes().decode().split()
    )
    assert response.certificate is certificate


@pytest.mark.parametrize("with_certificate", [True, False])
def test_a_client_certificate(certificates: Certificates, with_certificate: bool) -> None:
    seen = []

    def script(peer: Peer) -> None:
        assert isinstance(peer.socket, ssl.SSLSocket)
        seen.append(peer.socket.getpeercert(True))
        answering_ok(peer)

    context = certificates.server_context()
    context.verify_mode = ssl.CERT_OPTIONAL
    mine = SecurityContext()
    mine.set_trusted_certificates_bytes(certificates.authority.cert_pem.bytes())
    if with_certificate:
        mine.use_certificate_chain_bytes(certificates.client_certificate.cert_chain_pems[0].bytes())
        mine.use_private_key_bytes(certificates.client_certificate.private_key_pem.bytes())
    with scripted(script, context=context) as server, HttpClient(context=mine) as client:
        assert get(client, url(server)) == b"ok"
        client.close()
    assert bool(seen[0]) is with_certificate


def answering_ok(peer: Peer) -> None:
    while peer.ask() is not None:
        peer.send(OK)


# ------------------------------------------------------------------ bad certificates


def test_a_bad_certificate_is_shown_and_taken(server: Server, certificates: Certificates) -> None:
    shown = []

    def callback(certificate: X509Certificate, host: str, port: int) -> bool:
        shown.append((certificate, host, port))
        return True

    with HttpClient() as client:
        client.bad_certificate_callback = callback
        client.find_proxy = None
        for _ in range(2):
            response = client.get_url(url(server)).close()
            assert response.read() == b"ok"
        certificate, host, port = shown[0]
        assert response.certificate is not None and response.certificate.der == certificate.der
    assert (len(shown), host, port) == (1, "localhost", server.port)  # once: the connection was kept
    assert "Testing cert" in certificate.subject and "Testing CA" in certificate.issuer
    assert certificate.start_validity < datetime.now(timezone.utc) < certificate.end_validity


def test_a_bad_certificate_is_shown_and_refused(server: Server) -> None:
    with HttpClient() as client:
        client.bad_certificate_callback = lambda certificate, host, port: False
        with pytest.raises(ssl.SSLCertVerificationError, match=f"address = localhost, port = {server.port}"):
            get(client, url(server))
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


def test_a_good_certificate_is_not_shown(server: Server, certificates: Certificates) -> None:
    with HttpClient(context=certificates.client_context()) as client:
        client.bad_certificate_callback = lambda certificate, host, port: pytest.fail("it is good")
        assert get(client, url(server)) == b"ok"


def test_a_name_that_does_not_fit_is_a_bad_certificate(server: Server, certificates: Certificates) -> None:
    with HttpClient(context=certificates.client_context()) as client:
        client.connection_factory = wrong_host(server.port)
        client.bad_certificate_callback = lambda certificate, host, port: (
            (host, port) == ("other.example", 443)
        )
        assert get(client, "https://other.example/") == b"ok"


def taking(shown: list[X509Certificate]) -> Any:
    """A bad_certificate_callback that takes them all, and keeps what it was shown."""

    def callback(certificate: X509Certificate, host: str, port: int) -> bool:
        shown.append(certificate)
        return True

    return callback


def test_an_expired_certificate_tells_its_dates(certificates: Certificates) -> None:
    expired = datetime.now(timezone.utc) - timedelta(days=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificates.authority.issue_cert("localhost", not_after=expired).configure_cert(context)
    shown: list[X509Certificate] = []
    with (
        scripted(always(lambda asked: OK), context=context) as server,
        HttpClient(context=certificates.client_context()) as client,
    ):
        client.bad_certificate_callback = taking(shown)
        assert get(client, url(server)) == b"ok"
        client.close()
    assert shown[0].end_validity == expired.replace(microsecond=0)


def test_nothing_is_sent_before_the_callback_has_decided(certificates: Certificates) -> None:
    heard: list[Asked | None] = []
    decided = threading.Event()

    def script(peer: Peer) -> None:
        try:
            asked = peer.ask()
        except OSError:
            return
        if asked is not None:
            assert decided.is_set()
        heard.append(asked)
        peer.send(OK)

    def callback(certificate: X509Certificate, host: str, port: int) -> bool:
        decided.set()
        return True

    with scripted(script, context=certificates.server_context()) as server, HttpClient() as client:
        client.bad_certificate_callback = callback
        client.find_proxy = None
        request = client.get_url(url(server))
        request.headers.set("authorization", "secret")
        request.close().read()
        client.close()
    assert [asked.line for asked in heard if asked is not None] == ["GET / HTTP/1.1"]


def test_the_certificate_asked_about_is_that_of_the_connection_kept(certificates: Certificates) -> None:
    """The server shows another certificate at the second connection: that one is asked about, and used."""
    others = [
        certificates.authority.issue_cert("first.example"),
        certificates.authority.issue_cert("second.example"),
    ]
    contexts = []
    for other in others:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        other.configure_cert(context)
        contexts.append(context)

    def first(peer: Peer) -> None:
        try:
            peer.secure(contexts[0])
        except ssl.SSLError:
            pass

    def second(peer: Peer) -> None:
        peer.secure(contexts[1])
        answering_ok(peer)

    shown: list[X509Certificate] = []
    with scripted(first, second) as server, HttpClient(context=certificates.client_context()) as client:
        client.bad_certificate_callback = taking(shown)
        client.find_proxy = None
        response = client.get_url(url(server)).close()
        response.read()
        client.close()
    assert response.certificate is not None
    assert shown == [response.certificate]
    assert response.certificate.pem.split() == others[1].cert_chain_pems[0].bytes().decode().split()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_goes_to_a_server_that_is_taken_all_the_same(
    certificates: Certificates, version: ssl.TLSVersion
) -> None:
    seen = []

    def script(peer: Peer) -> None:
        assert isinstance(peer.socket, ssl.SSLSocket)
        try:
            asked = peer.ask()
        except OSError:
            return  # verification failed at the other side
        if asked is not None:
            seen.append((peer.socket.version(), peer.socket.getpeercert(True)))
            peer.send(OK)

    context = certificates.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    mine = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody
    certificates.client_certificate.configure_cert(mine)
    mine.maximum_version = version
    with scripted(script, context=context) as server, HttpClient(context=mine) as client:
        client.bad_certificate_callback = lambda certificate, host, port: True
        assert get(client, url(server)) == b"ok"
        client.close()
    ((name, der),) = seen
    assert (name, bool(der)) == ({"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name], True)


def test_an_unreadable_certificate_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(der: bytes) -> X509Certificate:
        raise ValueError("not an X.509 certificate")

    with HttpClient() as client:
        client.bad_certificate_callback = lambda certificate, host, port: True
        monkeypatch.setattr(X509Certificate, "from_der", unreadable)
        with pytest.raises(ssl.SSLCertVerificationError):
            get(client, url(server))


def test_an_exception_in_the_callback_is_the_users(server: Server) -> None:
    def callback(certificate: X509Certificate, host: str, port: int) -> bool:
        raise LookupError("who knows")

    with HttpClient() as client:
        client.bad_certificate_callback = callback
        with pytest.raises(LookupError, match="who knows"):
            get(client, url(server))
        assert repr(client) == "<HttpClient 0 active, 0 idle, 0 waiting>"


# ------------------------------------------------------------------ key log


def in_order(lines: list[str]) -> list[str]:
    return [line.split(" ")[0] for line in lines]


@pytest.mark.parametrize("kind", ["SecurityContext", "SSLContext"])
def test_key_log(server: Server, certificates: Certificates, kind: str) -> None:
    context: SecurityContext | ssl.SSLContext
    if kind == "SecurityContext":
        context = SecurityContext()
        context.set_trusted_certificates_bytes(certificates.authority.cert_pem.bytes())
    else:
        context = certificates.client_context()
    lines: list[str] = []
    with HttpClient(context=context) as client:
        client.key_log = lines.append
        assert get(client, url(server)) == b"ok"
        first = list(lines)
        assert sorted(in_order(first)) == [
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            "CLIENT_TRAFFIC_SECRET_0",
            "EXPORTER_SECRET",
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            "SERVER_TRAFFIC_SECRET_0",
        ]
        for line in first:
            label, random, secret = line.split(" ")
            assert len(bytes.fromhex(random)) == 32 and bytes.fromhex(secret.strip()) and line.endswith("\n")
        assert get(client, url(server)) == b"ok"  # the same connection: no new keys
        assert lines == first
        assert get(client, url(server, "127.0.0.1")) == b"ok"
        assert len(lines) == 10 and len(set(lines)) == 10


def test_key_log_of_tls_1_2(server: Server, certificates: Certificates) -> None:
    context = certificates.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    lines: list[str] = []
    with HttpClient(context=context) as client:
        client.key_log = lines.append
        get(client, url(server))
    assert in_order(lines) == ["CLIENT_RANDOM"]


def test_the_key_log_of_one_client_is_not_anothers(server: Server, certificates: Certificates) -> None:
    context = SecurityContext()
    context.set_trusted_certificates_bytes(certificates.authority.cert_pem.bytes())
    lines: list[str] = []
    with HttpClient(context=context) as logging, HttpClient(context=context) as silent:
        logging.key_log = lines.append
        get(logging, url(server))
        get(silent, url(server))
        get(logging, url(server, "127.0.0.1"))
    assert len(lines) == 10
    assert context.client_context().keylog_filename is None


def test_a_context_that_logs_into_a_file_already(
    server: Server, certificates: Certificates, tmp_path: Path
) -> None:
    context = certificates.client_context()
    file = tmp_path / "keys"
    context.keylog_filename = str(file)
    file.write_text("CLIENT_RANDOM old old\n")
    lines: list[str] = []
    with HttpClient(context=context) as client:
        client.key_log = lines.append
        get(client, url(server))
    assert len(lines) == 5
    assert file.read_text() == "CLIENT_RANDOM old old\n" + "".join(lines)


def test_where_an_open_file_keeps_its_name_no_key_is_logged(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows: the secrets would stay in a file."""
    unlink = os.unlink

    def unlink_what_is_closed(path: str) -> None:
        numbers = os.listdir("/proc/self/fd")
        if os.path.realpath(path) in {os.path.realpath(f"/proc/self/fd/{number}") for number in numbers}:
            raise PermissionError(errno.EACCES, "it is open", path)
        unlink(path)

    context = certificates.client_context()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "unlink", unlink_what_is_closed)
    with pytest.raises(OSError, match="^.Errno 13. key_log: this system keeps the name .* keylog_filename is a file"):
        KeyLog(context)
    assert context.keylog_filename is None and not os.listdir(tmp_path)


def test_the_keys_are_in_no_file_that_has_a_name(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    log = KeyLog(certificates.client_context())
    assert list(tmp_path.iterdir()) == []
    assert log.new_lines() == []


def test_the_keys_of_a_handshake_that_failed(server: Server) -> None:
    lines: list[str] = []
    with HttpClient() as client:
        client.key_log = lines.append
        with pytest.raises(ssl.SSLCertVerificationError):
            get(client, url(server))
    assert "SERVER_HANDSHAKE_TRAFFIC_SECRET" in in_order(lines)


def test_the_keys_of_a_server_that_is_taken_all_the_same(server: Server) -> None:
    lines: list[str] = []
    with HttpClient() as client:
        client.key_log = lines.append
        client.bad_certificate_callback = lambda certificate, host, port: True
        get(client, url(server))
    assert "CLIENT_TRAFFIC_SECRET_0" in in_order(lines)


# ------------------------------------------------------------------ bodies


def test_a_large_body_both_ways(certificates: Certificates) -> None:
    data = bytes(range(256)) * 4096

    def echo(asked: Asked) -> bytes:
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(asked.body), asked.body)

    with (
        scripted(always(echo), context=certificates.server_context()) as server,
        HttpClient(context=certificates.client_context()) as client,
    ):
        client.find_proxy = None
        request = client.post_url(url(server))
        request.add(data)
        response = request.close()
        assert b"".join(response) == data
        client.close()


@pytest.mark.parametrize("is_clean", [True, False])
def test_a_response_ended_by_close(certificates: Certificates, is_clean: bool) -> None:
    """Many servers end without TLS's own end; like browsers, the client takes that."""

    def script(peer: Peer) -> None:
        peer.demand()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        if is_clean:
            assert isinstance(peer.socket, ssl.SSLSocket)
            peer.socket.settimeout(PATIENCE)
            try:
                peer.socket.unwrap()
            except OSError:
                pass  # the client does not answer it

    with (
        scripted(script, context=certificates.server_context()) as server,
        HttpClient(context=certificates.client_context()) as client,
    ):
        assert get(client, url(server)) == b"all of it"


def test_a_factory_is_called_again_for_a_bad_certificate(server: Server) -> None:
    calls = []

    def factory(url: Uri, host: str | None, port: int | None) -> socket.socket:
        calls.append(str(url))
        return socket.create_connection(("127.0.0.1", server.port))

    with HttpClient() as client:
        client.connection_factory = factory
        client.bad_certificate_callback = lambda certificate, host, port: True
        assert get(client, "https://localhost/") == b"ok"
    assert calls == ["https://localhost/"] * 2
