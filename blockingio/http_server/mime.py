"""A file's media type, from its name or its first bytes.

The web's types come from the table below, whatever a system's registry calls them; other extensions from that registry
(``mimetypes``); names that neither knows from the content, for the common types.  Text goes out as UTF-8.
"""

from __future__ import annotations

import codecs
import mimetypes
import re
from functools import lru_cache

# Bytes that ``sniff`` looks at: a tar archive is recognised by what stands at byte 257.
SNIFF_SIZE = 512

BINARY = "application/octet-stream"

_TEXT_CHARSET = "; charset=utf-8"

# By extension: what browsers load, play, show or save, and source text that they can show.
_TYPES = {extension: f"{kind}/{extension}" for kind, extensions in {
    # types that are called as the extension is; fonts by RFC 8081
    "application": "json pdf rtf wasm xml zip",
    "audio": "aac flac wav",
    "font": "otf ttf woff woff2",
    "image": "apng avif bmp gif heic jpeg jxl png tiff webp",
    "text": "css csv html markdown vcard vtt",
    "video": "mp4 webm",
}.items() for extension in extensions.split()} | {
    extension: media_type
    for media_type, extensions in {
        # pages and what they are made of
        "text/html": "htm shtml",
        "application/xhtml+xml": "xhtml xht",
        "text/javascript": "js mjs cjs",  # RFC 9239
        "application/json": "map topojson",
        "application/ld+json": "jsonld",
        "application/geo+json": "geojson",
        "application/manifest+json": "webmanifest",
        "application/xml": "xsd xsl",
        "application/xslt+xml": "xslt",
        "application/rss+xml": "rss",
        "application/atom+xml": "atom",
        "text/cache-manifest": "appcache",
        # text
        "text/plain": "txt text log conf cfg ini toml lock diff patch c h cc cpp hpp rs go py pyi java kt rb "
                      "pl sh bash ts tsx jsx dart sql tex bat ps1 nfo srt env",
        "text/markdown": "md",
        "text/x-rst": "rst",
        "text/tab-separated-values": "tsv",
        "text/calendar": "ics",
        "text/vcard": "vcf",
        "application/yaml": "yaml yml",  # RFC 9512
        # images
        "image/jpeg": "jpg jpe jfif",
        "image/svg+xml": "svg svgz",
        "image/x-icon": "ico cur",
        "image/tiff": "tif",
        # sound and pictures that move
        "audio/mpeg": "mp3",
        "audio/mp4": "m4a",
        "audio/ogg": "oga ogg opus",
        "audio/webm": "weba",
        "audio/midi": "mid midi",
        "video/mp4": "m4v",
        "video/ogg": "ogv",
        "video/quicktime": "mov",
        "video/x-matroska": "mkv",
        "video/x-msvideo": "avi",
        "video/mpeg": "mpg mpeg",
        "video/mp2t": "m2ts",
        "application/vnd.apple.mpegurl": "m3u8",
        "application/dash+xml": "mpd",
        # fonts and documents
        "font/collection": "ttc",
        "application/vnd.ms-fontobject": "eot",
        "application/epub+zip": "epub",
        "application/msword": "doc",
        "application/vnd.ms-excel": "xls",
        "application/vnd.ms-powerpoint": "ppt",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
        "application/vnd.oasis.opendocument.text": "odt",
        "application/vnd.oasis.opendocument.spreadsheet": "ods",
        "application/vnd.oasis.opendocument.presentation": "odp",
        # archives, and what is to be saved whatever it may look like
        "application/gzip": "gz tgz",
        "application/x-bzip2": "bz2",
        "application/x-xz": "xz",
        "application/zstd": "zst",
        "application/x-brotli": "br",
        "application/x-compress": "z",
        "application/x-tar": "tar",
        "application/x-7z-compressed": "7z",
        "application/vnd.rar": "rar",
        "application/java-archive": "jar",
        "application/x-sqlite3": "sqlite sqlite3",
        "application/vnd.android.package-archive": "apk",
        "application/vnd.debian.binary-package": "deb",
        "application/x-rpm": "rpm",
        BINARY: "bin exe dll so dmg iso img msi dat pyc o a",
    }.items()
    for extension in extensions.split()
}

# Extensions of files that are their type in a coding (RFC 9110 8.4.1): the Content-Encoding.
_CODINGS = {"svgz": "gzip"}

# How files begin: a type's signature and the byte where it stands.
_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"\x00asm", "application/wasm"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"OTTO", "font/otf"),
    (0, b"\x00\x01\x00\x00\x00", "font/ttf"),
    (0, b"\x00\x00\x01\x00", "image/x-icon"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"SQLite format 3\x00", "application/x-sqlite3"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypM4A ", "audio/mp4"),
    (4, b"ftypqt  ", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
    (257, b"ustar", "application/x-tar"),
)

_HTML = re.compile(rb"(?i:<!doctype html|<html)[\s>]")
_XML = re.compile(rb"<\?xml\s")
_SVG = re.compile(rb"<svg[\s>]")
# Controls that no text has: all but HT, LF, FF, CR and ESC.
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


@lru_cache(maxsize=512)
def type_of_extension(extension: str) -> str | None:
    """The Content-Type for names that end in "." and this, in any case; None where none is known."""
    extension = extension.lower()
    media_type = _TYPES.get(extension)
    if media_type is None:
        media_type, encoding = mimetypes.guess_type(f"name.{extension}", strict=False)
        if encoding is not None:
            # "x.Z" is no longer what it was before it was compressed.
            media_type = BINARY
    return with_charset(media_type) if media_type is not None else None


def coding_of_name(name: str) -> str | None:
    """The Content-Encoding that a file of this name is in as it is; None for most."""
    _, dot, extension = name.rpartition(".")
    return _CODINGS.get(extension.lower()) if dot else None


def sniff(data: bytes) -> str:
    """The Content-Type of content that begins so (the first SNIFF_SIZE bytes are enough)."""
    for offset, signature, media_type in _SIGNATURES:
        if data.startswith(signature, offset) and (offset != 8 or data.startswith(b"RIFF")):
            return media_type
    if not data:
        return BINARY
    text = data.removeprefix(codecs.BOM_UTF8).lstrip(b" \t\r\n\f")
    if _NO_TEXT.search(data) or not _is_utf8(data):
        return BINARY
    if _HTML.match(text):
        return with_charset("text/html")
    if _SVG.match(text) or _XML.match(text) and _SVG.search(text):
        return "image/svg+xml"
    return "application/xml" if _XML.match(text) else with_charset("text/plain")


def with_charset(media_type: str) -> str:
    """The type with charset=utf-8 where it is text."""
    return media_type + _TEXT_CHARSET if media_type.startswith("text/") else media_type


def _is_utf8(data: bytes) -> bool:
    try:
        # final=False: a character may be cut at the end.
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True
