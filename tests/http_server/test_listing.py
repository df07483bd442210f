"""listing.py: entries in order, and as a page."""
from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from blockingio.http_server.listing import Entry, listing_page, read_entries, size_text


def names_in(directory: Path) -> list[str]:
    return [entry.name for entry in read_entries(str(directory), lambda name: None)]


def test_directories_come_first_and_numbers_count(tmp_path: Path) -> None:
    for name in ("b", "a10", "A2", "a1", "a02x", "ä", "Z", "10", "9"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "z").mkdir()
    (tmp_path / "y").mkdir()
    assert names_in(tmp_path) == ["y", "z", "9", "10", "a1", "A2", "a02x", "a10", "b", "Z", "ä"]


def test_a_name_of_many_digits_is_no_trouble(tmp_path: Path) -> None:
    for name in ("9" * 250, "8" * 250, "0" * 250):
        (tmp_path / name).write_bytes(b"")
    assert names_in(tmp_path) == ["0" * 250, "8" * 250, "9" * 250]


def test_what_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "seen").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("seen")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
        assert names_in(tmp_path) == ["seen"]


def test_a_name_may_have_a_backslash(tmp_path: Path) -> None:
    (tmp_path / "back\\slash").write_bytes(b"")
    assert names_in(tmp_path) == ["back\\slash"]
    assert 'href="./back%5Cslash"' in listing_page((), read_entries(str(tmp_path), lambda name: None))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EOVERFLOW, errno.EMFILE])
def test_of_what_cannot_be_looked_at_there_is_the_name(tmp_path: Path, number: int) -> None:
    def look_behind(name: str) -> os.stat_result:
        raise OSError(number, os.strerror(number))

    (tmp_path / "seen").write_bytes(b"")
    (tmp_path / "link").symlink_to("seen")
    link, seen = read_entries(str(tmp_path), look_behind)
    assert (link.name, link.is_directory, link.size, link.modified) == ("link", False, None, None)
    assert (seen.name, seen.size) == ("seen", 0)


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("directory")
    entries = read_entries(str(tmp_path), lambda name: os.stat(tmp_path / name))
    assert [(entry.name, entry.is_directory) for entry in entries] == [("directory", True), ("link", True)]


@pytest.mark.parametrize(("size", "text"), [
    (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1234, "1.2 kB"), (9949, "9.9 kB"), (9951, "10 kB"),
    (999_499, "999 kB"), (999_500, "1.0 MB"), (5_300_000_000, "5.3 GB"), (2**80, "1208926 EB"),
])
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


def test_the_page_escapes_what_it_shows() -> None:
    name = "<img src=x onerror=\"alert('&')\">"
    html = listing_page((name,), [Entry(name, False, 5, 784111777.5)])
    assert "<img" not in html
    assert "&lt;img src=x onerror=&quot;alert(&#39;&amp;&#39;)&quot;&gt;" in html
    assert 'href="./%3Cimg%20src=x%20onerror=%22alert(&#39;&amp;&#39;)%22%3E"' in html
    assert '<time datetime="1994-11-06T08:49:37Z">1994-11-06 08:49</time>' in html
    assert '<span title="5 bytes">5 B</span>' in html


def test_the_page_has_what_a_phone_and_the_dark_need() -> None:
    html = listing_page((), [])
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    assert "color-scheme: light dark" in html
    assert "Nothing here." in html
    assert "../" not in html


def test_a_name_with_a_colon_is_no_scheme() -> None:
    assert 'href="./javascript:alert(1)"' in listing_page((), [Entry("javascript:alert(1)", False, 1, 0)])


def test_the_path_leads_back_up() -> None:
    html = listing_page(("a", "b"), [])
    assert '<h1>Index of <a href="../../">/</a><a href="../"><bdi>a</bdi>/</a><bdi>b</bdi>/</h1>' in html


def test_a_date_that_no_calendar_has_is_left_out() -> None:
    assert "<time" not in listing_page((), [Entry("a", False, 1, 1e18)])


@pytest.mark.parametrize("is_directory", [False, True])
def test_what_nobody_knows_is_left_out(is_directory: bool) -> None:
    html = listing_page((), [Entry("a", is_directory, None, None)])
    assert "<bdi>a</bdi>" in html and "<time" not in html and "bytes" not in html and "None" not in html
