"""--https: the certificate that is kept, who takes it, and where it cannot be kept."""
from __future__ import annotations

import os
import re
import ssl
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests

from blockingio.cli import kept_certificate as kept_module
from blockingio.cli.kept_certificate import kept_certificate
from blockingio.net.x509 import X509Certificate
from tests.cli.command import Command, port_of
from tests.peers import PATIENCE, RawClient

HOSTS = ["localhost", "127.0.0.1", "a.example"]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def environment(cache: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(cache)}


def kept(cache: Path, hosts: list[str] = HOSTS) -> str:
    """The fingerprint of what is kept there now."""
    found = kept_certificate(hosts, environment(cache))
    assert found.file == cache / "blockingio" / "https.pem" and not found.trouble
    return found.fingerprint


def fingerprint_line(command: Command) -> str:
    return command.line().removeprefix("Certificate, by its SHA-256 fingerprint: ")


def test_in_one_flag(directory: Path, cache: Path) -> None:
    """Two that run one after the other show one certificate, which requests and curl take."""
    fingerprints = set()
    for _ in range(2):
        with Command(directory, "--port", "0", "--https", "--quiet", XDG_CACHE_HOME=str(cache)) as command:
            url = command.start(directory)
            fingerprints.add(fingerprint_line(command))
            file = command.line().removeprefix("It is kept in ")
            assert url.startswith("https://127.0.0.1:") and file == str(cache / "blockingio" / "https.pem")
            for host in ("127.0.0.1", "localhost"):
                there = url.replace("127.0.0.1", host) + "hello.txt"
                assert requests.get(there, verify=file, timeout=PATIENCE).text == "Hello, world!"
                subprocess.run(["curl", "--silent", "--fail", "--noproxy", "*", "--cacert", file, there], check=True,
                               capture_output=True, timeout=PATIENCE)
            pem = ssl.get_server_certificate(("127.0.0.1", port_of(url)), timeout=PATIENCE)
            assert command.interrupt() == (0, "", "")
    shown = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256"], input=pem, text=True, check=True,
                           capture_output=True, timeout=PATIENCE).stdout
    assert fingerprints == {shown.strip().partition("=")[2]}
    assert [(path.name, path.stat().st_mode & 0o777) for path in sorted((cache / "blockingio").iterdir())] == [
        ("https.lock", 0o600), ("https.pem", 0o600)]


@pytest.mark.needs("fcntl")
def test_two_that_start_together_leave_one_key(directory: Path, cache: Path) -> None:
    commands = [Command(directory, "--port", "0", "--https", "--quiet", XDG_CACHE_HOME=str(cache)) for _ in range(4)]
    try:
        fingerprints = set()
        for command in commands:
            command.start(directory)
            fingerprints.add(fingerprint_line(command))
        assert fingerprints == {kept(cache, ["localhost"])}
    finally:
        for command in commands:
            command.__exit__()


def test_http_is_sent_on(directory: Path, cache: Path) -> None:
    with Command(directory, "--port", "0", "--https", "--quiet", XDG_CACHE_HOME=str(cache)) as command:
        port = port_of(command.start(directory))
        with RawClient(port) as client:
            response = client.get("/hello.txt?x", f"X-Host: localhost:{port}")
            assert (response.status, response.header("location")) == (308, f"https://localhost:{port}/hello.txt?x")
        fingerprint_line(command), command.line()
        assert command.interrupt() == (0, "", "")


def test_it_is_for_the_names_and_addresses_that_it_listens_on(directory: Path, cache: Path) -> None:
    with Command(directory, "--port", "0", "--https", "--bind", "127.0.0.7", "--host", "my.example", "--host",
                 "*.our.example", "--quiet", XDG_CACHE_HOME=str(cache)) as command:
        url = command.start(directory)
        fingerprint_line(command)
        file = command.line().removeprefix("It is kept in ")
        assert requests.get(url, verify=file, timeout=PATIENCE).status_code == 200
        hosts = re.findall("^Hosts: (.*)$", Path(file).read_text(), re.MULTILINE)[0].split()
        assert {"localhost", "127.0.0.1", "::1", "127.0.0.7", "my.example", "*.our.example"} <= set(hosts)


def test_it_is_made_anew_when_its_names_no_longer_fit(cache: Path) -> None:
    first = kept(cache)
    assert kept(cache) == kept(cache, HOSTS[:1]) == first
    other = kept(cache, [*HOSTS, "192.0.2.1"])
    assert other != first and kept(cache) == other


def test_it_lasts_thirty_days(cache: Path) -> None:
    kept(cache)
    text = (cache / "blockingio" / "https.pem").read_text()
    certificate = X509Certificate.from_der(ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERT"):]
                                                                    .partition("-----BEGIN PRIV")[0]))
    left = certificate.end_validity - datetime.now(timezone.utc)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)


def test_it_is_made_anew_when_it_ends(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as soon:
        soon.setattr(kept_module, "DAYS", 1)
        first = kept(cache)
    second = kept(cache)
    assert second != first and kept(cache) == second


def become_a_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("spoil", [
    lambda file: file.write_text("nonsense"), lambda file: file.write_bytes(b""),
    lambda file: file.write_bytes(b"\xff"),
    lambda file: file.write_text(file.read_text().replace("PRIVATE KEY", "PUBLIC KEY")),
    lambda file: file.write_text(file.read_text().replace("MI", "XX", 1)),
    lambda file: file.chmod(0o644), lambda file: file.chmod(0o620),
    lambda file: (file.rename(file.with_name("elsewhere")), file.symlink_to("elsewhere")),
    become_a_fifo])
def test_what_is_spoilt_or_open_to_others_is_not_used(cache: Path, spoil: object) -> None:
    first = kept(cache)
    file = cache / "blockingio" / "https.pem"
    assert callable(spoil)
    spoil(file)
    second = kept(cache)
    assert second not in (first, "") and kept(cache) == second
    assert not file.is_symlink() and file.stat().st_mode & 0o777 == 0o600
    certificate = ssl.PEM_cert_to_DER_cert("-----BEGIN" + file.read_text().split("-----BEGIN")[1])
    assert X509Certificate.from_der(certificate).subject


def test_where_nothing_can_be_kept(directory: Path, cache: Path) -> None:
    cache.write_text("a file, where a directory was to be")
    with Command(directory, "--port", "0", "--https", "--quiet", XDG_CACHE_HOME=str(cache)) as command:
        url = command.start(directory)
        fingerprint = fingerprint_line(command)
        assert re.fullmatch("[0-9A-F]{2}(:[0-9A-F]{2}){31}", fingerprint)
        assert ssl.get_server_certificate(("127.0.0.1", port_of(url)), timeout=PATIENCE)
        status, output, errors = command.interrupt()
    assert (status, output) == (0, "")
    assert errors == ("The certificate is new, and will be again next time, as it cannot be kept: "
                      f"{cache}/blockingio: Not a directory\n")


def test_where_there_is_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "nowhere")
    for given in ({}, {"XDG_CACHE_HOME": "relative"}):
        found = kept_certificate(HOSTS, given)
        assert found.file is None and "no home directory" in found.trouble and found.fingerprint
