"""File paths of both kinds of system <-> file URIs."""
from __future__ import annotations

import os
from pathlib import PurePosixPath

import pytest

from blockingio.values.file_path import from_file_path, to_file_path
from blockingio.values.uri import Uri

posix_only = pytest.mark.skipif(os.name == "nt", reason="the paths of POSIX")


@posix_only
@pytest.mark.parametrize("path, text", [
    ("/", "file:///"), ("/etc/hosts", "file:///etc/hosts"),
    ("/a b/\u00fc%41?#", "file:///a%20b/%C3%BC%2541%3F%23"),
    ("/a/", "file:///a/"), ("//a/b", "file:////a/b"), ("a/b", "a/b"), ("a:b", "./a:b"), ("", ""),
    ("../x", "../x"),
    ("/a\\b", "file:///a%5Cb"), ("/\udcff", "file:///%FF"),
])
def test_file(path: str, text: str) -> None:
    uri = Uri.file(path)
    assert str(uri) == text
    assert uri.to_file_path() == path if path != "a:b" else "./a:b"


@posix_only
def test_file_takes_a_path_object() -> None:
    assert str(Uri.file(PurePosixPath("/a"))) == "file:///a"  # type: ignore[arg-type]


@posix_only
def test_to_file_path_of_localhost() -> None:
    assert Uri.parse("file://localhost/a").to_file_path() == "/a"


@posix_only
@pytest.mark.parametrize("text", [
    "http://h/a", "file://h/a", "file:///a?b", "file:///a#b", "/a?b", "file:///a%2Fb", "file:///a%2fb",
    "file:///a%00"])
def test_to_file_path_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Uri.parse(text).to_file_path()


@pytest.mark.parametrize("path, host, encoded", [
    ("C:\\a b\\c", "", "/C:/a%20b/c"), ("C:/a", "", "/C:/a"), ("\\\\server\\share\\x", "server", "/share/x"),
    ("a\\b", None, "a/b"), ("\\a", "", "/a"), ("C:a", None, "C:a"), ("\\\\server", "server", "/"),
])
def test_paths_of_windows(path: str, host: str | None, encoded: str) -> None:
    assert from_file_path(path, windows=True) == (host, encoded)
    back = to_file_path(host or "", encoded, windows=True)
    assert back == path.replace("/", "\\") + ("\\" if encoded == "/" else "")


def test_windows_refuses_an_encoded_backslash() -> None:
    with pytest.raises(ValueError, match="no separator and no NUL"):
        to_file_path("", "/C:/a%5Cb", windows=True)
