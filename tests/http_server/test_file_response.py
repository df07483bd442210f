"""How VirtualDirectory sends a file: types, validators, preconditions, ranges, compression, size."""
from __future__ import annotations

import gzip
import os
import re
from email.parser import BytesParser
from pathlib import Path

import pytest

from blockingio.http_server import VirtualDirectory
from blockingio.net import system
from tests.http_server.sites import send, site
from tests.peers import RawClient, TlsContexts, eventually, serving, to_the_end

THEN = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"

# Larger than what is sent in one write, and than what a socket holds.
LARGE = 9_000_003


@pytest.fixture
def large(root: Path) -> bytes:
    content = os.urandom(1000) * (LARGE // 1000) + b"end"
    (root / "large.bin").write_bytes(content)
    return content


# ------------------------------------------------------------ types


@pytest.mark.parametrize(("name", "content", "media_type"), [
    ("a.js", b"", "text/javascript; charset=utf-8"),
    ("a.JSON", b"", "application/json"),
    ("a.tar.gz", b"", "application/gzip"),
    ("README", b"Hello\n", "text/plain; charset=utf-8"),
    ("picture", b"\x89PNG\r\n\x1a\n", "image/png"),
    ("page.unknown", b"<!doctype html>", "text/html; charset=utf-8"),
    ("data.", b"\0\1", "application/octet-stream"),
    ("empty", b"", "application/octet-stream"),
    (".profile", b"x", "text/plain; charset=utf-8"),
])
def test_types(root: Path, name: str, content: bytes, media_type: str) -> None:
    (root / name).write_bytes(content)
    with site(root) as client:
        response = client.get(f"/{name}")
        assert (response.status, response.body) == (200, content)
        assert response.header("content-type") == media_type
        assert response.header("x-content-type-options") == "nosniff"


# ------------------------------------------------------------ validators


def test_what_is_said_of_a_file(root: Path) -> None:
    os.utime(root / "hello.txt", (THEN, THEN))
    with site(root) as client:
        response = client.get("/hello.txt")
        assert response.header("last-modified") == DATE
        assert re.fullmatch(r'"[0-9a-f]+-d"', response.header("etag") or "")
        assert response.header("accept-ranges") == "bytes"
        assert response.header("content-length") == "13"
        assert response.header("vary") is None


def test_the_etag_changes_with_the_file(root: Path) -> None:
    file = root / "hello.txt"
    tags = set()
    with site(root) as client:
        for content, nanoseconds in ((b"a", 0), (b"b", 1), (b"bc", 1), (b"bc", 10**9)):
            file.write_bytes(content)
            os.utime(file, ns=(0, 10**18 + nanoseconds))
            tags.add(client.get("/hello.txt").header("etag"))
    assert len(tags) == 4


@pytest.mark.parametrize("modified", [2**33, -1, 0])
def test_dates_that_are_no_past(root: Path, modified: int) -> None:
    os.utime(root / "hello.txt", (modified, modified))
    with site(root) as client:
        response = client.get("/hello.txt")
        if modified > 0:
            # Never later than Date (RFC 9110 8.8.2.1); the second may have changed in between.
            dates = response.header("date"), client.get("/hello.txt").header("date")
            assert response.header("last-modified") in dates
        else:
            assert response.header("last-modified") == "Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.parametrize(("fields", "status"), [
    (("If-None-Match: {etag}",), 304),
    (("If-None-Match: W/{etag}",), 304),
    (('If-None-Match: "x", {etag}',), 304),
    (('If-None-Match: "x"', "If-None-Match: {etag}"), 304),
    (("If-None-Match: *",), 304),
    (('If-None-Match: "x"',), 200),
    (("If-Modified-Since: " + DATE,), 304),
    (("If-Modified-Since: " + BEFORE,), 200),
    (("If-Modified-Since: whenever",), 200),
    (('If-None-Match: "x"', "If-Modified-Since: " + DATE), 200),
    (("If-Match: {etag}",), 200),
    (("If-Match: W/{etag}",), 412),
    (('If-Match: "x"',), 412),
    (("If-Match: *",), 200),
    (("If-Unmodified-Since: " + DATE,), 200),
    (("If-Unmodified-Since: " + BEFORE,), 412),
    (("If-Match: {etag}", "If-Unmodified-Since: " + BEFORE), 200),
    (("If-Match: {etag}", "If-None-Match: {etag}"), 304),
    (("If-None-Match: {etag}", "Range: bytes=0-1"), 304),
    (('If-Match: "x"', "Range: bytes=0-1"), 412),
    (("If-Match: {etag}", "Range: bytes=0-1"), 206),
])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_preconditions(root: Path, method: str, fields: tuple[str, ...], status: int) -> None:
    os.utime(root / "hello.txt", (THEN, THEN))
    with site(root) as client:
        etag = client.get("/hello.txt").header("etag")
        response = send(client, method, "/hello.txt", *[field.format(etag=etag) for field in fields])
        if method == "HEAD" and status == 206:
            status = 200
        assert response.status == status
        if status == 304:
            assert response.header("etag") == etag
            assert response.header("content-type") is None
            assert response.body == b""
            assert client.get("/hello.txt").body == b"Hello, world!"


# ------------------------------------------------------------ ranges


@pytest.mark.parametrize(("field", "content_range", "body"), [
    ("bytes=0-4", "bytes 0-4/13", b"Hello"),
    ("bytes=7-", "bytes 7-12/13", b"world!"),
    ("bytes=-6", "bytes 7-12/13", b"world!"),
    ("bytes=-99", "bytes 0-12/13", b"Hello, world!"),
    ("bytes=12-99", "bytes 12-12/13", b"!"),
    ("bytes=99-,0-0", "bytes 0-0/13", b"H"),
])
def test_one_range(root: Path, field: str, content_range: str, body: bytes) -> None:
    with site(root) as client:
        response = client.get("/hello.txt", f"Range: {field}")
        assert (response.status, response.body) == (206, body)
        assert response.header("content-range") == content_range
        assert response.header("content-length") == str(len(body))
        assert response.header("content-type") == "text/plain; charset=utf-8"
        assert response.header("etag") and response.header("last-modified")


def parts_of(content_type: str | None, body: bytes) -> list[tuple[str, str, bytes]]:
    """Content-Type, Content-Range and bytes of each part, by Python's own parser of mail."""
    message = BytesParser().parsebytes(b"content-type: %b\r\n%b" % ((content_type or "").encode(), body))
    assert message.get_content_type() == "multipart/byteranges"
    found = []
    for part in message.get_payload():
        assert not isinstance(part, str)
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        found.append((part["content-type"], part["content-range"], payload))
    return found


def test_several_ranges(root: Path) -> None:
    (root / "digits.txt").write_bytes(b"0123456789" * 10)
    with site(root) as client:
        response = client.get("/digits.txt", "Range: bytes=90-94, 0-4,-1")
        assert response.status == 206
        assert response.header("content-range") is None
        assert response.header("content-length") == str(len(response.body))
        assert parts_of(response.header("content-type"), response.body) == [
            ("text/plain; charset=utf-8", "bytes 90-94/100", b"01234"),
            ("text/plain; charset=utf-8", "bytes 0-4/100", b"01234"),
            ("text/plain; charset=utf-8", "bytes 99-99/100", b"9"),
        ]
        assert response.body.endswith(b"--\r\n")
        assert client.get("/digits.txt").status == 200


def test_ranges_of_a_large_file(root: Path, large: bytes) -> None:
    with site(root) as client:
        response = client.get("/large.bin", "Range: bytes=100000-8999999")
        assert response.body == large[100000:9000000]
        response = client.get("/large.bin", "Range: bytes=0-9,100000-4999999,5000000-8999999,-3")
        assert [body for _, _, body in parts_of(response.header("content-type"), response.body)] == \
            [large[:10], large[100000:5000000], large[5000000:9000000], b"end"]
        assert client.get("/large.bin").body == large


@pytest.mark.parametrize("field", ["bytes=13-", "bytes=99-100", "bytes=-0"])
def test_nothing_of_the_range_is_there(root: Path, field: str) -> None:
    with site(root) as client:
        response = client.get("/hello.txt", f"Range: {field}")
        assert response.status == 416
        assert response.header("content-range") == "bytes */13"
        assert b"416" in response.body


@pytest.mark.parametrize("field", [
    "bytes=0-4,4-5", "bytes=0-,0-", "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 99, 2)), "bytes=4-3",
    "lines=1-2", "x",
])
def test_silly_ranges_get_the_whole(root: Path, field: str) -> None:
    with site(root) as client:
        response = client.get("/hello.txt", f"Range: {field}")
        assert (response.status, response.body) == (200, b"Hello, world!")
        assert response.header("content-range") is None


def test_if_range(root: Path) -> None:
    os.utime(root / "hello.txt", (THEN, THEN))
    with site(root) as client:
        etag = client.get("/hello.txt").header("etag")
        for validator, status in ((etag, 206), (f"W/{etag}", 200), ('"x"', 200),
                                  (DATE, 206), (BEFORE, 200), ("x", 200)):
            response = client.get("/hello.txt", "Range: bytes=0-4", f"If-Range: {validator}")
            assert response.status == status
            # One that fails makes a 416 impossible, too (RFC 9110 14.2).
            response = client.get("/hello.txt", "Range: bytes=99-", f"If-Range: {validator}")
            assert response.status == (416 if status == 206 else 200)


def test_an_empty_file(root: Path) -> None:
    (root / "empty.txt").write_bytes(b"")
    with site(root) as client:
        for fields, status in (((), 200), (("Range: bytes=0-",), 416), (("Range: bytes=-5",), 200)):
            response = client.get("/empty.txt", *fields)
            assert response.status == status
            if status == 200:
                assert (response.body, response.header("content-length")) == (b"", "0")


# ------------------------------------------------------------ compression


def test_a_precompressed_neighbour(root: Path) -> None:
    packed = gzip.compress(b"Hello, world!", mtime=0)
    with site(root) as client:
        assert client.get("/hello.txt", "Accept-Encoding: gzip").header("vary") is None
        (root / "hello.txt.gz").write_bytes(packed)
        plain = client.get("/hello.txt")
        assert (plain.body, plain.header("vary")) == (b"Hello, world!", "Accept-Encoding")
        assert plain.header("content-encoding") is None
        for accepts in ("gzip", "GZIP", "br, gzip;q=0.1", "*", "x-gzip"):
            response = client.get("/hello.txt", f"Accept-Encoding: {accepts}")
            assert (response.status, response.body) == (200, packed)
            assert response.header("content-encoding") == "gzip"
            assert response.header("content-type") == "text/plain; charset=utf-8"
            assert response.header("vary") == "Accept-Encoding"
            assert response.header("etag") != plain.header("etag")
        for accepts in ("gzip;q=0", "identity", "*;q=0", "br", "gzipped", "gzip;q=0.000, *"):
            assert client.get("/hello.txt", f"Accept-Encoding: {accepts}").body == b"Hello, world!"


def test_the_coding_that_the_client_likes_best(root: Path) -> None:
    """By the weights (RFC 9110 12.5.3); of codings that it likes equally the one with the smallest file."""
    for ending, size in ((".br", 5), (".zst", 6), (".gz", 7)):
        (root / f"hello.txt{ending}").write_bytes(bytes(size))
    sent = {"br": 5, "zstd": 6, "gzip": 7, None: 13}
    with site(root) as client:
        tags = {client.get("/hello.txt", f"Accept-Encoding: {coding}").header("etag") for coding in sent}
        assert len(tags) == 4
        for accepts, coding in (
                ("br", "br"), ("zstd", "zstd"), ("gzip", "gzip"), ("gzip, deflate, br, zstd", "br"), ("BR", "br"),
                ("br;q=0.1, gzip;q=0.5, zstd;q=0.3", "gzip"), ("br;q=0, *", "zstd"), ("*;q=0.5, br;q=0", "zstd"),
                ("identity;q=0.5, br;q=0.4", None), ("identity;q=0.5, br;q=0.5", "br"), ("identity;q=0, zstd", "zstd"),
                ("br;q=x", None), ("deflate", None), ("", None), ("*;q=0", None), ("brotli", None)):
            response = client.get("/hello.txt", f"Accept-Encoding: {accepts}")
            assert (response.header("content-encoding"), len(response.body)) == (coding, sent[coding]), accepts
            assert response.header("vary") == "Accept-Encoding"
            assert response.header("content-type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize(("ending", "coding"), [(".gz", "gzip"), (".br", "br"), (".zst", "zstd")])
def test_each_coding_has_its_validator_and_its_ranges(root: Path, ending: str, coding: str) -> None:
    packed = gzip.compress(b"Hello, world!", mtime=0)
    (root / f"hello.txt{ending}").write_bytes(packed)
    accept = f"Accept-Encoding: {coding}"
    with site(root) as client:
        plain = client.get("/hello.txt").header("etag")
        encoded = client.get("/hello.txt", accept).header("etag")
        response = client.get("/hello.txt", accept, f"If-None-Match: {encoded}")
        assert (response.status, response.header("vary")) == (304, "Accept-Encoding")
        assert client.get("/hello.txt", accept, f"If-None-Match: {plain}").status == 200
        assert client.get("/hello.txt", f"If-None-Match: {encoded}").status == 200
        response = client.get("/hello.txt", accept, "Range: bytes=0-9", f"If-Range: {encoded}")
        assert (response.status, response.body) == (206, packed[:10])
        assert response.header("content-encoding") == coding
        assert response.header("content-range") == f"bytes 0-9/{len(packed)}"


def test_what_is_compressed_already_has_no_neighbour(root: Path) -> None:
    (root / "a.gz").write_bytes(b"one")
    for name in ("a.gz.gz", "a.gz.br", "a.br.gz"):
        (root / name).write_bytes(b"two")
    (root / "a.br").write_bytes(b"four")
    (root / "b").write_bytes(b"three")
    (root / "b.gz").mkdir()
    with site(root) as client:
        assert client.get("/a.gz", "Accept-Encoding: gzip, br").body == b"one"
        assert client.get("/a.br", "Accept-Encoding: gzip, br").body == b"four"
        assert client.get("/a.gz", "Accept-Encoding: gzip").header("content-encoding") is None
        assert client.get("/b", "Accept-Encoding: gzip").body == b"three"
        assert client.get("/c", "Accept-Encoding: gzip").status == 404


@pytest.mark.parametrize("size", [1000, LARGE])
def test_a_server_that_compresses(root: Path, size: int) -> None:
    text = (b"All work and no play. " * (size // 22 + 1))[:size]
    (root / "text.txt").write_bytes(text)
    with site(root, server={"auto_compress": True}) as client:
        response = client.get("/text.txt", "Accept-Encoding: gzip")
        assert response.header("content-encoding") == "gzip"
        assert gzip.decompress(response.body) == text
        etag = response.header("etag") or ""
        assert etag.startswith("W/")  # other bytes each time
        assert client.get("/text.txt", "Accept-Encoding: gzip", f"If-None-Match: {etag}").status == 304
        assert client.get("/text.txt").body == text
        response = client.get("/text.txt", "Accept-Encoding: gzip", "Range: bytes=0-9")
        assert (response.status, response.body, response.header("content-encoding")) == (206, text[:10], None)


@pytest.mark.parametrize("size", [10, 1000, LARGE])
@pytest.mark.parametrize("neighbour", [False, True], ids=["", "with a neighbour"])
@pytest.mark.parametrize("name", ["text.txt", "picture.png"])
@pytest.mark.parametrize("fields", [["Accept-Encoding: gzip"], ["Accept-Encoding: br"], []],
                         ids=["gzip", "another", "none"])
def test_what_was_negotiated_is_in_each_answer(root: Path, fields: list[str], name: str, neighbour: bool,
                                               size: int) -> None:
    """HEAD, 304 and 206 have what the 200 to GET has (RFC 9110 8.6, 9.3.2, 15.3.7, 15.4.5)."""
    text = (b"All work and no play. " * (size // 22 + 1))[:size]
    (root / name).write_bytes(text)
    if neighbour:
        (root / f"{name}.gz").write_bytes(gzip.compress(text, mtime=0))
    with site(root, server={"auto_compress": True}) as client:
        for _ in range(2):  # by the second time it may be in memory
            full = client.get(f"/{name}", *fields)
            varies = neighbour or name == "text.txt"
            assert full.status == 200 and (full.header("vary") == "Accept-Encoding") == varies
            compresses = fields == ["Accept-Encoding: gzip"] and (neighbour or (name == "text.txt" and size > 100))
            assert full.header("content-encoding") == ("gzip" if compresses else None)
            head = send(client, "HEAD", f"/{name}", *fields)
            for field in ("vary", "etag", "content-encoding", "content-type", "last-modified", "accept-ranges"):
                assert head.get_all(field) == full.get_all(field)
            assert head.header("content-length") in (None, full.header("content-length"))
            for method in ("GET", "HEAD"):
                kept = send(client, method, f"/{name}", *fields, f"If-None-Match: {full.header('etag')}")
                assert kept.status == 304 and kept.header("content-type") is None
                assert [kept.get_all(field) for field in ("vary", "etag")] == \
                    [full.get_all(field) for field in ("vary", "etag")]
            for ranges in ("bytes=0-2", "bytes=0-2,5-7"):
                part = client.get(f"/{name}", *fields, f"Range: {ranges}")
                assert part.status == 206 and part.get_all("vary") == full.get_all("vary")


# ------------------------------------------------------------ size


@pytest.mark.parametrize("size", [0, 1, 65534, 65535, 65536, 65537, 300_000])
def test_sizes(root: Path, size: int) -> None:
    content = os.urandom(size)
    (root / "it.bin").write_bytes(content)
    with site(root) as client:
        for _ in range(3):
            response = client.get("/it.bin")
            assert response.body == content
            assert response.header("content-length") == str(size)
            assert response.header("transfer-encoding") is None



@pytest.mark.parametrize("auto_compress", [False, True])
def test_an_svgz_is_svg_in_gzip(root: Path, auto_compress: bool) -> None:
    packed = gzip.compress(b"<svg xmlns='http://www.w3.org/2000/svg'/>" * 100, mtime=0)
    for name in ("a.svgz", "B.SVGZ", "svgz"):
        (root / name).write_bytes(packed)
    (root / "a.svgz.gz").write_bytes(b"not this")
    with site(root, server={"auto_compress": auto_compress}) as client:
        for accept in ("gzip", "br", "gzip;q=0"):
            for target in ("/a.svgz", "/B.SVGZ"):
                response = client.get(target, f"Accept-Encoding: {accept}")
                assert (response.header("content-type"), response.header("content-encoding")) == \
                    ("image/svg+xml", "gzip")
                assert (response.body, response.header("vary")) == (packed, None)
        head = send(client, "HEAD", "/a.svgz")
        assert (head.header("content-encoding"), head.header("content-length")) == ("gzip", str(len(packed)))
        part = client.get("/a.svgz", "Range: bytes=0-9")
        assert (part.status, part.header("content-encoding"), part.body) == (206, "gzip", packed[:10])
        assert client.get("/a.svgz", f"If-None-Match: {head.header('etag')}").status == 304
        assert client.get("/svgz").header("content-encoding") is None
        assert client.get("/svgz").header("content-type") == "application/gzip"


def test_over_tls(root: Path, large: bytes, tls_contexts: TlsContexts) -> None:
    directory = VirtualDirectory(root)
    with serving(directory.serve_request, context=tls_contexts.server) as server:
        with RawClient(server.port, context=tls_contexts.client) as client:
            assert client.get("/hello.txt").body == b"Hello, world!"
            assert client.get("/large.bin").body == large
            assert client.get("/large.bin", "Range: bytes=5-8000004").body == large[5:8000005]


def test_pipelined(root: Path, large: bytes) -> None:
    request = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with site(root) as client:
        client.send(request % b"large.bin" + request % b"hello.txt" + request % b"large.bin")
        assert [client.read_response().body for _ in range(3)] == [large, b"Hello, world!", large]


def test_a_slow_client_holds_up_nobody(root: Path, large: bytes) -> None:
    """One worker serves everybody, and those who read their large files later do not keep it."""
    directory = VirtualDirectory(root)
    with serving(directory.serve_request) as server:
        slow = [RawClient(server.port) for _ in range(4)]
        try:
            for client in slow:
                client.send(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with RawClient(server.port) as client:
                assert client.get("/hello.txt").body == b"Hello, world!"
            for client in slow:
                assert client.read_response().body == large
        finally:
            for client in slow:
                client.close()


def test_a_client_that_goes_away(root: Path, large: bytes) -> None:
    directory = VirtualDirectory(root)
    with serving(directory.serve_request) as server:
        with RawClient(server.port) as client:
            assert client.get("/hello.txt").status == 200
            before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            client = RawClient(server.port)
            client.send(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n").read_exactly(1000)
            client.reset()
        with RawClient(server.port) as client:
            assert client.get("/hello.txt").status == 200
        eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_a_file_that_shrinks_ends_the_connection(root: Path, large: bytes) -> None:
    """The head promised more than there is: nobody must wait for it, nor take the next answer for the rest."""
    request = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with site(root) as client:
        client.send(request % b"large.bin" + request % b"hello.txt")
        client.read_exactly(1000)
        os.truncate(root / "large.bin", 100)
        rest = to_the_end(client)
        assert len(rest) < LARGE
        assert b"Hello, world!" not in rest


@pytest.mark.parametrize("fields", [(), ("Range: bytes=0-10",)])
def test_a_small_file_that_shrinks_before_it_is_read(root: Path, monkeypatch: pytest.MonkeyPatch,
                                                     fields: tuple[str, ...]) -> None:
    reading = system.read_at

    def shrink(descriptor: int, count: int, offset: int) -> bytes:
        os.truncate(root / "hello.txt", 3)
        return reading(descriptor, count, offset)

    with site(root) as client:
        monkeypatch.setattr(system, "read_at", shrink)
        client.send("\r\n".join(["GET /hello.txt HTTP/1.1", "Host: localhost", *fields, "", ""]).encode())
        assert client.is_ended()
        monkeypatch.undo()


def test_a_file_that_grows_is_sent_as_it_was_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = system.read_at

    def grow(descriptor: int, count: int, offset: int) -> bytes:
        with open(root / "hello.txt", "ab") as file:
            file.write(b"more")
        return reading(descriptor, count, offset)

    with site(root) as client:
        monkeypatch.setattr(system, "read_at", grow)
        assert client.get("/hello.txt").body == b"Hello, world!"
        monkeypatch.undo()
