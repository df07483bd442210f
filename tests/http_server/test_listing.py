"""listing.py: entries in order, and as a page."""
from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from blockingio.http_server.listing import Entry, View, entries_of, read_items, select
from blockingio.http_server.listing_page import date_text, listing_page, size_text


def names_in(directory: Path) -> list[str]:
    return [entry.name for entry in select(entries_of(read_items(str(directory), lambda name: None)), View()).entries]


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


@pytest.mark.needs("socket.AF_UNIX")
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
    assert 'href=back%5Cslash>' in page_of(entries_of(read_items(str(tmp_path), lambda name: None)))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EOVERFLOW, errno.EMFILE])
def test_of_what_cannot_be_looked_at_there_is_the_name(tmp_path: Path, number: int) -> None:
    def look_behind(name: str) -> os.stat_result:
        raise OSError(number, os.strerror(number))

    (tmp_path / "seen").write_bytes(b"")
    (tmp_path / "link").symlink_to("seen")
    link, seen = select(entries_of(read_items(str(tmp_path), look_behind)), View()).entries
    assert (link.name, link.is_directory, link.size, link.modified) == ("link", False, None, None)
    assert (seen.name, seen.size) == ("seen", 0)


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("directory")
    entries = select(entries_of(read_items(str(tmp_path), lambda name: os.stat(tmp_path / name))), View()).entries
    assert [(entry.name, entry.is_directory) for entry in entries] == [("directory", True), ("link", True)]


@pytest.mark.parametrize(("size", "text"), [
    (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1234, "1.2 kB"), (9949, "9.9 kB"), (9951, "10 kB"),
    (999_499, "999 kB"), (999_500, "1.0 MB"), (5_300_000_000, "5.3 GB"), (2**80, "1208926 EB"),
])
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


def page_of(entries: list[Entry], *names: str, view: View = View(), now: float = 784111800) -> str:
    return listing_page("site", names, select(entries, view), view, now=now)


def test_the_page_escapes_what_it_shows() -> None:
    name = "<img src=x onerror=\"alert('&')\">"
    html = page_of([Entry(name, False, 5, 784111777.5)], name)
    assert "<img" not in html
    assert "&lt;img src=x onerror=&quot;alert(&#39;&amp;&#39;)&quot;&gt;" in html
    assert ('<a href="%3Cimg%20src=x%20onerror=%22alert(&#39;&amp;&#39;)%22%3E">&lt;img' in html)
    assert "<td>5 B<td>08:49</tbody>" in html


def test_the_page_has_what_a_phone_and_the_dark_need() -> None:
    html = page_of([])
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    assert "color-scheme:light dark" in html
    assert "Nothing here." in html
    assert "../" not in html


def test_a_name_with_a_colon_is_no_scheme() -> None:
    assert 'href="./javascript:alert(1)"' in page_of([Entry("javascript:alert(1)", False, 1, 0)])


def test_the_path_begins_with_the_folders_name_and_leads_back_up() -> None:
    html = page_of([], "a", "b")
    assert ('<h1><a href="../../">site</a><a href="../">a</a><span aria-current="page">b</span></h1>' in html)


@pytest.mark.parametrize(("ago", "text"), [
    (0, "08:50"), (31800, "00:00"), (31801, "5 Nov 23:59"), (-3599, "09:49"), (86400, "5 Nov 08:50"),
    (400 * 86400, "2 Oct 1993"), (-7200, "6 Nov 1994"), (-1e18, ""),
    (1e18, "")])
def test_dates(ago: float, text: str) -> None:
    assert date_text(784111800 - ago, 784111800) == text


@pytest.mark.parametrize("is_directory", [False, True])
def test_what_nobody_knows_is_left_out(is_directory: bool) -> None:
    html = page_of([Entry("a", is_directory, None, None)])
    assert f">a<td>{'–' if is_directory else '?'}<td></tbody>" in html and "None" not in html


MIXED = [Entry("d1", True, 4096, 300), Entry("d2", True, 4096, 100), Entry("a1", False, 5, 200),
         Entry("a2", False, 70, 100), Entry("A10", False, 6, 300)]


@pytest.mark.parametrize(("sort", "order", "names"), [
    ("name", "asc", "d1 d2 a1 a2 A10"), ("name", "desc", "d2 d1 A10 a2 a1"),
    ("size", "asc", "d1 d2 a1 A10 a2"), ("size", "desc", "d1 d2 a2 A10 a1"),
    ("time", "asc", "d2 d1 a2 a1 A10"), ("time", "desc", "d1 d2 A10 a1 a2"),
    ("nonsense", "nonsense", "d1 d2 a1 a2 A10")])
def test_orders(sort: str, order: str, names: str) -> None:
    """Folders come first in each of them."""
    listing = select(MIXED, View.parse({"sort": sort, "order": order}))
    assert " ".join(entry.name for entry in listing.entries) == names


def test_a_filter_passes_over_case_and_counts_what_is_left() -> None:
    listing = select(MIXED, View.parse({"filter": "a1"}))
    assert [entry.name for entry in listing.entries] == ["a1", "A10"]
    assert (listing.folders, listing.files, listing.size) == (0, 2, 11)


@pytest.mark.parametrize(("entries", "text"), [
    ([], "0 folders, 0 files, 0 B"), ([Entry("a", True, 4096, 0), Entry("b", False, 9_200_000, 0)],
                                     "1 folder, 1 file, 9.2 MB"), (MIXED, "2 folders, 3 files, 81 B")])
def test_the_summary(entries: list[Entry], text: str) -> None:
    assert f'<p id="summary" aria-live="polite">{text}</p>' in page_of(entries)


def test_five_thousand_entries_are_small() -> None:
    entries = [Entry(f"file-{number:04}.txt", False, 1_234_567, 784111777 + number) for number in range(5000)]
    html = page_of(entries)
    assert len(html.encode()) < 350_000 and html.count("<tr><td>") == 5000 and 'rel="next"' not in html


def test_fifty_thousand_come_in_pages() -> None:
    entries = [Entry(f"{number:05}", False, 1, 0) for number in range(50_000)]
    for number, before, after in ((1, False, True), (5, True, True), (10, True, False), (99, True, False)):
        view = View.parse({"page": str(number), "sort": "size"})
        html = page_of(entries, view=view)
        shown = min(number, 10)
        assert f"Page {shown} of 10" in html and html.count("<tr><td>") == 5000
        assert f">{(shown - 1) * 5000:05}<td>" in html and f">{shown * 5000 - 1:05}<td>" in html
        assert (f'href="?sort=size&amp;order=asc&amp;page={shown - 1}"' in html or shown == 2) == before
        assert (f'href="?sort=size&amp;order=asc&amp;page={shown + 1}"' in html) == after
        assert "50,000 files" in html
    assert View.parse({"page": "0"}).page == View.parse({"page": "x"}).page == View.parse({"page": "²"}).page == 1
