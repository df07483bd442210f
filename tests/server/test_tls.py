"""HTTPS: contexts, versions, certificates of both sides, and the same promises as without TLS."""
from __future__ import annotations

import gc
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from blockingio import HttpException, HttpRequest, HttpServer, SecurityContext
from blockingio.net.channel import Channel
from tests.neighbours import assert_others_are_served
from tests.peers import PATIENCE, Certificates, RawClient, TlsContexts, collecting, eventually, serving
from tests.server.visits import answering, body_length, get, in_background, post, running, small_window, tell

MIB = 1 << 20
#: Seconds of a limit that is to be met.
SOON = 0.5


# ---------------------------------------------------------------------- contexts

def security_context(certificates: Certificates) -> SecurityContext:
    context = SecurityContext()
    certificate = certificates.server_certificate
    context.use_certificate_chain_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    context.use_private_key_bytes(certificate.private_key_pem.bytes())
    context.set_client_authorities_bytes(certificates.client_authority.cert_pem.bytes())
    return context


KINDS = ["SecurityContext", "ssl.SSLContext"]


def context_of(kind: str, contexts: TlsContexts) -> SecurityContext | ssl.SSLContext:
    return security_context(contexts.certificates) if kind == "SecurityContext" else contexts.server


@pytest.mark.parametrize("kind", KINDS)
def test_a_context_of_either_kind(kind: str, tls_contexts: TlsContexts) -> None:
    context = context_of(kind, tls_contexts)
    with running(HttpServer.bind_secure("127.0.0.1", 0, context)) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            for _ in range(3):
                assert client.get("/x").body == b"/x"


@pytest.mark.parametrize("context", [None, "cert.pem", object(), 5])
def test_a_context_that_is_none(context: Any) -> None:
    with pytest.raises(TypeError):
        HttpServer.bind_secure("127.0.0.1", 0, context)


def test_a_context_without_a_certificate() -> None:
    with pytest.raises(OSError):
        HttpServer.bind_secure("127.0.0.1", 0, SecurityContext())


def test_requests_trusts_it(tls_contexts: TlsContexts, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    tls_contexts.certificates.authority.cert_pem.write_to_path(str(path))
    with serving(body_length, context=tls_contexts.server) as server, requests.Session() as session:
        for data in (b"", b"x" * 100_000):
            response = session.post(f"https://localhost:{server.port}/", data=data, verify=str(path),
                                    timeout=PATIENCE)
            assert response.text == str(len(data))


@pytest.mark.parametrize("version, expected", [
    (ssl.TLSVersion.TLSv1_3, "TLSv1.3"), (ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_1, None),
    (ssl.TLSVersion.TLSv1, None),
])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
def test_versions(kind: str, version: ssl.TLSVersion, expected: str | None,
                  tls_contexts: TlsContexts) -> None:
    context = context_of(kind, tls_contexts)
    client_context = tls_contexts.client
    client_context.set_ciphers("DEFAULT:@SECLEVEL=0")
    client_context.minimum_version = client_context.maximum_version = version
    with running(HttpServer.bind_secure("127.0.0.1", 0, context)) as server:
        if expected is None:
            with pytest.raises(OSError):
                RawClient(server.port, context=client_context)
        else:
            with RawClient(server.port, context=client_context) as client:
                assert client.get("/x").body == b"/x"
                assert isinstance(client.socket, ssl.SSLSocket) and client.socket.version() == expected


# ------------------------------------------------------------------------ requests

def test_what_a_request_says_over_tls(tls_contexts: TlsContexts) -> None:
    seen: list[Any] = []

    def handler(request: HttpRequest) -> None:
        seen.append((str(request.requested_uri), request.certificate, request.connection_info))
        tell(request)

    with serving(handler, context=tls_contexts.server) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            assert client.get("/x?y").status == 200
            assert client.send(b"GET /z HTTP/1.0\r\n\r\n").read_response().status == 200
            port = client.socket.getsockname()[1]
        assert [uri for uri, _, _ in seen] == ["https://localhost/x?y", f"https://127.0.0.1:{server.port}/z"]
        assert seen[0][1] is None and seen[0][2].remote_port == port


def test_keep_alive_and_pipelines(tls_contexts: TlsContexts) -> None:
    raw = get("/1") + post(b"abc") + get("/2") + get("/3", "Connection: close")

    def handler(request: HttpRequest) -> None:
        request.response.write(f"{request.uri.path}{request.read().decode()}")
        request.response.close()

    with serving(handler, context=tls_contexts.server) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            for _ in range(20):
                assert client.get("/x").body == b"/x"
            client.send(raw)
            assert [client.read_response().body for _ in range(4)] == [b"/1", b"/abc", b"/2", b"/3"]
            assert client.is_ended()  # with a close_notify, or the client would have raised


def test_an_idle_connection_ends_cleanly(tls_contexts: TlsContexts) -> None:
    """With close_notify: the client can tell it from an attacker's cut (RFC 8446 6.1)."""
    with serving(tell, context=tls_contexts.server, idle_timeout=SOON) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            began = time.monotonic()
            assert client.get("/x").body == b"/x"
            assert client.read_until_eof() == b""
            assert SOON * 0.9 < time.monotonic() - began < SOON + PATIENCE


@pytest.mark.parametrize("size", [0, 1, 16384, 5 * MIB])
def test_bodies_of_every_size(size: int, tls_contexts: TlsContexts) -> None:
    def handler(request: HttpRequest) -> None:
        body = request.read()
        request.response.write(body)
        request.response.close()

    with serving(handler, context=tls_contexts.server) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            for _ in range(2):
                assert len(client.send(post(b"x" * size)).read_response().body) == size


def test_an_unread_body_is_drained(tls_contexts: TlsContexts) -> None:
    with serving(tell, context=tls_contexts.server) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            for _ in range(2):
                assert client.send(post(b"x" * 100_000)).read_response().status == 200


def test_a_slow_body_gets_408(tls_contexts: TlsContexts) -> None:
    def handler(request: HttpRequest) -> None:
        with pytest.raises(HttpException):
            request.read()
        request.response.close()

    with serving(handler, context=tls_contexts.server, body_timeout=SOON) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            response = client.send(post(b"abc")[:-1]).read_response()
            assert (response.status, response.header("connection")) == (408, "close")
            assert client.is_ended()


@pytest.mark.parametrize("raw, status", [(b"nonsense\r\n\r\n", 400), (b"GET / HT", 408)])
def test_error_answers(raw: bytes, status: int, tls_contexts: TlsContexts) -> None:
    with serving(tell, context=tls_contexts.server, header_timeout=SOON) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            response = client.send(raw).read_response()
            assert (response.status, response.header("connection")) == (status, "close")
            assert client.is_ended()


def test_an_echo_to_a_client_that_first_sends_all(tls_contexts: TlsContexts) -> None:
    """The server reads while it still has to write; OpenSSL has to be asked for one at a time."""
    chunk = bytes(range(256)) * 256
    count = 128

    def handler(request: HttpRequest) -> None:
        for data in request:
            request.response.write(data)
        request.response.close()

    with serving(handler, context=tls_contexts.server) as server:
        client = small_window(server.port, tls_contexts.client)
        with client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (count * len(chunk)))
            for _ in range(count // 8):  # less than what both sides can hold; nothing is read meanwhile
                client.send(chunk)
            client.exchange(chunk * (count - count // 8), b"\r\n0\r\n\r\n")
            assert client.read_response().body == chunk * count


# ------------------------------------------------------------- client certificates

@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("has", [True, False])
def test_a_client_certificate(kind: str, asks: bool, has: bool, tls_contexts: TlsContexts) -> None:
    context = context_of(kind, tls_contexts)
    seen: list[HttpRequest] = []
    server = HttpServer.bind_secure("127.0.0.1", 0, context, request_client_certificate=asks)
    client_context = tls_contexts.client_with_certificate if has else tls_contexts.client
    with running(server, answering("x", seen)), RawClient(server.port, context=client_context) as client:
        assert client.get().status == 200
    certificate = seen[0].certificate
    if asks and has:
        assert certificate and "a client" in certificate.subject
        assert certificate.pem.startswith("-----BEGIN CERTIFICATE-----")
    else:
        assert certificate is None


@pytest.mark.parametrize("has", [True, False])
def test_a_client_certificate_that_is_a_must(has: bool, tls_contexts: TlsContexts) -> None:
    """The context says so; asking for one does not soften it."""
    tls_contexts.server.verify_mode = ssl.CERT_REQUIRED
    server = HttpServer.bind_secure("127.0.0.1", 0, tls_contexts.server, request_client_certificate=True)
    with running(server):
        context = tls_contexts.client_with_certificate if has else tls_contexts.client
        if has:
            with RawClient(server.port, context=context) as client:
                assert client.get("/x").body == b"/x"
        else:
            with pytest.raises((OSError, EOFError)):
                with RawClient(server.port, context=context) as client:
                    client.get("/x")


def test_a_client_certificate_of_a_stranger(tls_contexts: TlsContexts) -> None:
    """The authority has to be known: the handshake fails, the server goes on."""
    stranger = Certificates().client_certificate
    context = tls_contexts.certificates.client_context()
    stranger.configure_cert(context)
    server = HttpServer.bind_secure("127.0.0.1", 0, tls_contexts.server, request_client_certificate=True)
    with running(server):
        with pytest.raises((OSError, EOFError)):
            with RawClient(server.port, context=context) as client:
                client.get("/x")
        with RawClient(server.port, context=tls_contexts.client) as client:
            assert client.get("/x").body == b"/x"


# ---------------------------------------------------------------- the end of a server

@pytest.mark.parametrize("force", [False, True])
def test_close_with_idle_connections(force: bool, tls_contexts: TlsContexts) -> None:
    with serving(tell, context=tls_contexts.server) as server:
        with RawClient(server.port, context=tls_contexts.client) as client, RawClient(server.port) as stuck:
            assert client.get().status == 200
            eventually(lambda: server.connections_info().total == 2)
            began = time.monotonic()
            server.close(force=force)
            assert time.monotonic() - began < PATIENCE
            assert stuck.is_ended()
            try:
                assert client.read_until_eof() == b""
            except ssl.SSLError:
                pass  # cut short without a close_notify: there was nothing to lose


def test_detach_socket(tls_contexts: TlsContexts) -> None:
    """Of TLS too: what is handed over is encrypted still."""
    def handler(request: HttpRequest) -> None:
        with request.response.detach_socket(write_headers=False) as sock:
            sock.settimeout(PATIENCE)
            assert isinstance(sock, ssl.SSLSocket)
            sock.sendall(b"by hand: " + sock.recv(100))

    with serving(handler, context=tls_contexts.server) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            client.send(get("/", "Connection: Upgrade", "Upgrade: x"))
            client.send(b"abc")
            assert client.read_exactly(12) == b"by hand: abc"


@pytest.mark.parametrize("early", [True, False])
def test_detach_socket_with_early_data(early: bool, tls_contexts: TlsContexts) -> None:
    def handler(request: HttpRequest) -> None:
        with request.response.detach_socket() as sock:
            sock.settimeout(PATIENCE)
            data = b""
            while len(data) < 6:
                data += sock.recv(100)
            sock.sendall(data.upper())

    with serving(handler, context=tls_contexts.server) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            client.send(get() + b"abc" * early)
            if not early:
                client.send(b"abc")
            client.send(b"def")
            assert client.read_until_eof().endswith(b"\r\n\r\nABCDEF")


def test_a_handshake_in_the_way_of_nobody(tls_contexts: TlsContexts) -> None:
    """Fifty that never end, and as many that do."""
    with serving(tell, context=tls_contexts.server, workers=2) as server:
        stuck = [RawClient(server.port).send(b"\x16\x03\x01") for _ in range(50)]

        def ask() -> None:
            for _ in range(5):
                assert_others_are_served(server, tls_contexts.client)

        with in_background(ask), in_background(ask):
            pass
        for client in stuck:
            client.close()


def test_what_came_in_one_record_is_not_waited_for(tls_contexts: TlsContexts) -> None:
    """However much of it fits what is received at once; short messages before it and behind it."""
    with serving(body_length, context=tls_contexts.server) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            for size in (1, 4095, 4096, 4097, 8192, 40000):
                assert client.get("/").body == b"0"
                whole = get("/") * 3
                raw = whole + get("/", "X: " + "x" * max(size - len(whole) - len(get("/", "X: ")), 1))
                client.send(raw).send(raw)
                assert [client.read_response().body for _ in range(8)] == [b"0"] * 8
                client.send(post(b"x" * size) + post(b"x" * size))
                assert [client.read_response().body for _ in range(2)] == [b"%d" % size] * 2


@pytest.mark.parametrize("is_told", [False, True])
@pytest.mark.parametrize("is_tls", [False, True])
def test_what_a_connection_has_goes_with_its_end(is_tls: bool, is_told: bool, tls_contexts: TlsContexts) -> None:
    """And not with the next collection of garbage: OpenSSL has tens of kilobytes of each."""
    def channels() -> list[object]:
        return [found for found in gc.get_objects() if isinstance(found, Channel) and id(found) not in known]

    with serving(answering("ok"), context=tls_contexts.server if is_tls else None,
                 wire_log=(lambda record: None) if is_told else None) as server:
        known: set[int] = set()
        gc.collect()
        gc.disable()
        try:
            known = {id(found) for found in channels()}
            with RawClient(server.port, context=tls_contexts.client if is_tls else None) as client:
                assert client.get("/x").status == 200
                assert channels()
            with collecting():
                eventually(lambda: not channels())
        finally:
            gc.enable()
