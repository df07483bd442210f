"""mime.py: the web's types by extension, the common ones by content."""
from __future__ import annotations

import mimetypes

import pytest

from blockingio.http_server.mime import SNIFF_SIZE, sniff, type_of_extension


@pytest.mark.parametrize(("extension", "media_type"), [
    ("html", "text/html; charset=utf-8"),
    ("HTM", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("txt", "text/plain; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("json", "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("wasm", "application/wasm"),
    ("svg", "image/svg+xml"),
    ("SVGZ", "image/svg+xml"),
    ("PNG", "image/png"),
    ("jpeg", "image/jpeg"),
    ("avif", "image/avif"),
    ("woff2", "font/woff2"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("gz", "application/gzip"),
    ("zip", "application/zip"),
    ("", None),
    ("no-such-type", None),
    ("/../x", None),
])
def test_by_extension(extension: str, media_type: str | None) -> None:
    assert type_of_extension(extension) == media_type


def test_a_registry_that_says_otherwise_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_, **__: ("text/plain", None))
    type_of_extension.cache_clear()
    try:
        assert type_of_extension("js") == "text/javascript; charset=utf-8"
    finally:
        type_of_extension.cache_clear()


@pytest.mark.parametrize(("guess", "media_type"), [
    (("application/x-of-the-registry", None), "application/x-of-the-registry"),
    (("text/x-of-the-registry", None), "text/x-of-the-registry; charset=utf-8"),
    (("application/x-tar", "of another kind"), "application/octet-stream"),
    ((None, None), None),
])
def test_the_registry_knows_the_rest(monkeypatch: pytest.MonkeyPatch, guess: tuple[str | None, str | None],
                                     media_type: str | None) -> None:
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_, **__: guess)
    type_of_extension.cache_clear()
    try:
        assert type_of_extension("of-the-registry") == media_type
    finally:
        type_of_extension.cache_clear()


@pytest.mark.parametrize(("data", "media_type"), [
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
    (b"GIF89a\1\0", "image/gif"),
    (b"%PDF-1.7\n", "application/pdf"),
    (b"PK\x03\x04\x14\0", "application/zip"),
    (b"\x1f\x8b\x08\0", "application/gzip"),
    (b"\0asm\1\0\0\0", "application/wasm"),
    (b"wOF2\0\1", "font/woff2"),
    (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
    (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
    (b"text at 8WEBP", "text/plain; charset=utf-8"),
    (b"\0\0\0\x20ftypavif", "image/avif"),
    (b"\0\0\0\x20ftypisom", "video/mp4"),
    (b"a" * 100 + b"\0" * 157 + b"ustar\0" + b"00", "application/x-tar"),
    (b"<!DOCTYPE html>\n<title>x</title>", "text/html; charset=utf-8"),
    (b"\xef\xbb\xbf\n <html lang=en>", "text/html; charset=utf-8"),
    (b"<htmlx>", "text/plain; charset=utf-8"),
    (b'<?xml version="1.0"?><a/>', "application/xml"),
    (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "image/svg+xml"),
    (b"<svg width='1'>", "image/svg+xml"),
    (b"#!/bin/sh\necho\n", "text/plain; charset=utf-8"),
    ("Grüße\n".encode(), "text/plain; charset=utf-8"),
    (("ü" * 300).encode()[:SNIFF_SIZE - 1], "text/plain; charset=utf-8"),  # cut within a character
    ("Grüße\n".encode("latin-1"), "application/octet-stream"),
    (b"\x1b[31mred\x1b[0m", "text/plain; charset=utf-8"),
    (b"\0\1\2\3", "application/octet-stream"),
    (b"", "application/octet-stream"),
])
def test_by_content(data: bytes, media_type: str) -> None:
    assert sniff(data) == media_type
