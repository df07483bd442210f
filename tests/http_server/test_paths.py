"""paths.py: decoded once, segment by segment, and back."""
from __future__ import annotations

import os

import pytest

from blockingio.http_server.paths import decode_path, encode_name, encode_path, shown
from blockingio.http_server.safe_open import is_name


@pytest.mark.parametrize(("path", "names", "is_directory"), [
    ("", (), True),
    ("/", (), True),
    ("/a", ("a",), False),
    ("/a/", ("a",), True),
    ("/a/b.txt", ("a", "b.txt"), False),
    ("/a%20b", ("a b",), False),
    ("/%61", ("a",), False),
    ("/a%2520b", ("a%20b",), False),  # decoded once
    ("/%e2%82%ac", ("€",), False),
    ("/%ff", (os.fsdecode(b"\xff"),), False),
    ("//a", ("a",), False),
    ("/a//b", ("a", "b"), False),
    ("/./a/./b", ("a", "b"), False),
    ("/a/.", ("a",), True),
    ("/a/%2e", ("a",), True),
    ("/...", ("...",), False),
    ("/..a/.b", ("..a", ".b"), False),
    ("/a:b;c=d,e", ("a:b;c=d,e",), False),
    ("a", ("a",), False),
    ("/a%5cb", ("a\\b",), False),
    ("/a\\b", ("a\\b",), False),
    ("/..%5c..%5ca", ("..\\..\\a",), False),
])
def test_names(path: str, names: tuple[str, ...], is_directory: bool) -> None:
    assert decode_path(path) == (names, is_directory)


@pytest.mark.parametrize("path", [
    "/..", "/../a", "/a/..", "/a/../b", "/%2e%2e/a", "/%2E./a", "/.%2e", "/..%2fa", "/a%2fb", "/%2fetc",
    "/%00", "/a%00.txt", "/a/\0",
])
def test_no_name(path: str) -> None:
    assert decode_path(path) is None


@pytest.mark.parametrize("name", [
    "a", "a b", "ä", "a\\b", "\\", "100%", "a?b#c", "a:b", "a&b<c>\"d'", "~", "%41", os.fsdecode(b"\xff\xfe")])
def test_back_and_forth(name: str) -> None:
    assert decode_path("/" + encode_name(name)) == ((name,), False)
    assert decode_path(encode_path((name, name))) == ((name, name), True)


def test_a_path_that_is_made_is_no_reference_to_another_host() -> None:
    assert encode_path(()) == "/"
    assert encode_path(("evil.example",)) == "/evil.example/"


def test_bytes_that_are_not_utf_8_can_be_shown() -> None:
    assert shown(os.fsdecode(b"a\xffb")) == "a\ufffdb"


@pytest.mark.parametrize("name", [
    "a\\b", "..\\a", "\\", "con", "CON.txt", "nul", "a:b", "a.", "a ", "com1", "LPT¹.x", "a*", "a\tb",
    "file.txt::$DATA",
])
def test_what_windows_would_take_for_something_else(name: str) -> None:
    assert is_name(name, windows=False)
    assert not is_name(name, windows=True)


@pytest.mark.parametrize("name", ["console", "a.txt", "com10", ".con", "nulls"])
def test_what_windows_takes(name: str) -> None:
    assert is_name(name, windows=True)
