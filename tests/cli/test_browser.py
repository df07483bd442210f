"""The command's pages in a real browser: one for all that is looked at here."""
from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from blockingio import HttpHeaders, HttpRequest
from blockingio.cli.kept_certificate import kept_certificate
from blockingio.cli.site import Site, SiteOptions
from tests.browser import ANSWERING, Browser, needs_browser, running_browser
from tests.cli.sites import make_directory
from tests.peers import eventually, serving

pytestmark = needs_browser

TAB, ENTER = "\ue004", "\ue007"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(running: Browser) -> Iterator[Browser]:
    yield running
    assert running.complaints() == []


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = make_directory(tmp_path)
    for name, size, date in (("a2.txt", 30, 3), ("a10.txt", 2000, 1), ("Bild.png", 5, 2)):
        (directory / name).write_bytes(bytes(size))
        os.utime(directory / name, (date * 1e8, date * 1e8))
    os.utime(directory / "hello.txt", (4e8, 4e8))
    return directory


@contextmanager
def page_of(directory: Path, *, note: Callable[[HttpRequest], object] = bool, **options: Any) -> Iterator[str]:
    """The URL of a site; ``note`` is told of each request."""
    site = Site(directory, SiteOptions(**options))

    def handle(request: HttpRequest) -> None:
        note(request)
        site.handle(request)

    with serving(handle, workers=4) as server:
        yield f"http://127.0.0.1:{server.port}/"


def names(browser: Browser) -> list[str]:
    """Those that are to be seen in the list."""
    found: list[str] = browser.run(
        "return [...document.querySelectorAll('tbody tr')].filter(row => row.offsetHeight)"
        ".map(row => row.cells[0].innerText)")
    return found


def wait_for_line(browser: Browser, text: str) -> None:
    """What is said of one upload."""
    script = "return [...document.querySelectorAll('#uploads li')].map(line => line.innerText)"
    eventually(lambda: text in browser.run(script), ANSWERING)


def throttle(browser: Browser, rate: int) -> None:
    """Bytes a second that it sends; -1 for as many as it can."""
    browser.devtools("Network.enable")
    browser.devtools("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1,
                     uploadThroughput=rate)


def test_sorting_and_narrowing(browser: Browser, directory: Path) -> None:
    with page_of(directory) as url:
        browser.open(url)
        assert names(browser) == ["sub", "a2.txt", "a10.txt", "Bild.png", "hello.txt"]
        for place, order in ((2, ["sub", "Bild.png", "hello.txt", "a2.txt", "a10.txt"]),
                             (2, ["sub", "a10.txt", "a2.txt", "hello.txt", "Bild.png"]),
                             (3, ["sub", "hello.txt", "a2.txt", "Bild.png", "a10.txt"])):
            browser.click(f"th:nth-child({place}) a")
            eventually(lambda: names(browser) == order, ANSWERING)
        browser.type("[type=search]", "A")
        eventually(lambda: names(browser) == ["a2.txt", "a10.txt"], ANSWERING)
        assert browser.text("#summary") == "2 of 5 shown"
        # Sorted another way the list stays narrow, and says so once that is taken back.
        browser.click("th:nth-child(2) a")
        eventually(lambda: browser.text("#summary") == "0 folders, 2 files, 2.0 kB", ANSWERING)
        eventually(lambda: names(browser) == ["a2.txt", "a10.txt"], ANSWERING)
        assert browser.url == url + "?sort=size&order=asc&filter=A"
        browser.type("[type=search]", "a1")
        eventually(lambda: browser.text("#summary") == "1 of 2 shown", ANSWERING)
        browser.type("[type=search]", "b")
        eventually(lambda: browser.text("#summary") == "Enter looks through all names.", ANSWERING)
        browser.press(ENTER)
        eventually(lambda: names(browser) == ["sub", "Bild.png"], ANSWERING)
        browser.run("const box = document.querySelector('[type=search]'); box.value = '';"
                    "box.dispatchEvent(new Event('input'))")
        browser.click("th:first-child a")
        eventually(lambda: browser.url == url + "?sort=name&order=asc", ANSWERING)


def test_letters_with_marks_are_found_however_they_are_written(browser: Browser, directory: Path) -> None:
    """Some systems write them as two characters, and no keyboard does."""
    (directory / "o\u0308l.txt").touch()
    with page_of(directory) as url:
        for target in ("", "?filter=%C3%B6"):
            browser.open(url + target)
            browser.type("[type=search]", "\u00d6")
            assert names(browser) == ["o\u0308l.txt"]


def test_times_are_local(browser: Browser, directory: Path) -> None:
    now = time.time()
    times = {"a2.txt": now, "a10.txt": now - 3 * 24 * 3600, "Bild.png": 1e9}
    for name, seconds in times.items():
        os.utime(directory / name, (seconds, seconds))
    with page_of(directory) as url:
        browser.devtools("Emulation.setTimezoneOverride", timezoneId="Asia/Kolkata")  # 5:30 before UTC
        try:
            browser.open(url)
            for name, seconds in times.items():
                row = f"[...document.querySelectorAll('tbody tr')].find(row => row.cells[0].innerText === {name!r})"
                shown = "{day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit'}"
                if name == "Bild.png":
                    shown = "{day: 'numeric', month: 'short', year: 'numeric'}"
                assert browser.run(f"return {row}.cells[2].innerText") == browser.run(
                    f"return new Intl.DateTimeFormat(undefined, {shown}).format(new Date({seconds} * 1000))")
            assert browser.text("th:nth-child(3)") == "Modified"  # UTC is no longer named
        finally:
            browser.devtools("Emulation.setTimezoneOverride", timezoneId="")


def test_narrowing_one_page_of_several(browser: Browser, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one types on this page, with Enter on all; the links between pages keep that."""
    monkeypatch.setattr("blockingio.http_server.listing.PAGE_SIZE", 2)
    with page_of(directory) as url:
        browser.open(url)
        assert names(browser) == ["sub", "a2.txt"]
        browser.type("[type=search]", "txt")
        eventually(lambda: browser.text("#summary") == "1 of 2 shown of this page. Enter looks through all pages.",
                   ANSWERING)
        browser.press(ENTER)
        eventually(lambda: names(browser) == ["a2.txt", "a10.txt"], ANSWERING)
        assert browser.text("#summary") == "0 folders, 3 files, 2.0 kB"
        browser.click("[rel=next]")
        eventually(lambda: names(browser) == ["hello.txt"], ANSWERING)


# The least contrast of a text with what is behind it (WCAG 1.4.3), and what has no name (4.1.2).
_CONTRAST = """
const parts = text => text.match(/[0-9.]+/g).map(Number), over = (front, back) => front.slice(0, 3).map(
    (part, place) => part * (front[3] ?? 1) + back[place] * (1 - (front[3] ?? 1)));
const light = color => color.map(part => part / 255)
    .map(part => part <= .03928 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
    .reduce((sum, part, place) => sum + part * [.2126, .7152, .0722][place], 0);
const back = parts(getComputedStyle(document.body).backgroundColor);
const texts = [...document.querySelectorAll("h1 *, h1, p, td, th a, td a, li, dt, dd, a")]
    .map(one => [one, null]);
const hints = [...document.querySelectorAll("[placeholder]")].map(one => [one, "::placeholder"]);
return Math.min(...[...texts, ...hints].filter(([one]) => one.offsetHeight).map(([one, part]) => {
    let behind = back;
    for (let up = one; up !== document.body; up = up.parentElement) {
        const color = parts(getComputedStyle(up).backgroundColor);
        if ((color[3] ?? 1) > 0) { behind = over(color, back); break }
    }
    const [a, b] = [light(parts(getComputedStyle(one, part).color).slice(0, 3)), light(behind)].sort((a, b) => b - a);
    return (a + .05) / (b + .05)}));
"""
_NAMELESS = """
return [...document.querySelectorAll("a, button, input:not([type=hidden])")].filter(one => one.offsetHeight && !(
    one.innerText.trim() || one.getAttribute("aria-label"))).map(one => one.outerHTML)
"""


@pytest.mark.parametrize("width", [360, 1280])
def test_both_themes_on_a_phone_and_a_desk(browser: Browser, directory: Path, width: int) -> None:
    (directory / ("a long name " * 15)).touch()
    (directory / ("x" * 200)).touch()
    with page_of(directory, upload=True) as url, page_of(directory, drop=True) as letterbox:
        backgrounds = set()
        for dark in (False, True):
            browser.show(width, dark=dark)
            for target in (url, url + "sub/", url + "nothing/" + "x" * 150, letterbox):
                browser.open(target)
                assert browser.run("return document.documentElement.scrollWidth") <= width
                assert browser.run(_CONTRAST) >= 4.5
                assert browser.run(_NAMELESS) == []
                assert browser.run("return document.querySelectorAll('h1').length") == 1
                browser.press(TAB)
                assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") not in ("none", "")
                assert browser.run("return document.activeElement.matches(':focus-visible')")
                backgrounds.add((dark, browser.run("return getComputedStyle(document.body).backgroundColor")))
        assert backgrounds == {(False, "rgb(255, 255, 255)"), (True, "rgb(15, 19, 24)")}
        # A name has two lines at most.
        browser.open(url)
        assert browser.run("return Math.max(...[...document.querySelectorAll('td a')]"
                           ".map(link => link.offsetHeight))") < 60
        browser.show(1280, dark=False)


def test_uploads_with_their_progress(browser: Browser, directory: Path, tmp_path: Path) -> None:
    files = {"höme work.txt": 3000, "hello.txt": 5, "large.bin": 1_500_000, "next.bin": 70_000, "huge.bin": 3_000_000}
    for name, size in files.items():
        (tmp_path / name).write_bytes(bytes(size))
    with page_of(directory, upload=True, max_upload=2_000_000) as url:
        browser.open(url + "?sort=size&order=desc")
        browser.choose("[type=file]", tmp_path / "höme work.txt", tmp_path / "hello.txt", tmp_path / "huge.bin")
        browser.click("form[method=post] button")
        for line in ("Saved höme work.txt (3.0 kB)", "Saved hello (1).txt (5 B)",
                     "huge.bin was not saved: it is larger than the 2.0 MB that are taken here."):
            wait_for_line(browser, line)
        # The list is a new one, in the same order, with both in it.
        marked = "return [...document.querySelectorAll('tr.new')].map(row => row.cells[0].innerText)"
        eventually(lambda: browser.run(marked) == ["höme work.txt", "hello (1).txt"], ANSWERING)
        assert browser.text("#summary") == "1 folder, 6 files, 5.1 kB"
        assert browser.url == url + "?sort=size&order=desc"
        # That is a list as any: it narrows.
        browser.type("[type=search]", "hö")
        assert names(browser) == ["höme work.txt"]

        throttle(browser, 300_000)
        browser.choose("[type=file]", tmp_path / "large.bin", tmp_path / "next.bin")
        browser.click("form[method=post] button")
        progress = "return document.querySelector('#uploads progress').value"
        eventually(lambda: 0 < browser.run(progress) < 1, ANSWERING)
        pace = r"[0-9.]+ [kM]?B of 1\.5 MB, [0-9.]+ [kM]?B/s, [0-9.]+ (s|min) left"
        eventually(lambda: re.fullmatch(pace, browser.text("#uploads .pace")), ANSWERING)
        assert browser.text("#uploads li:last-child .pace") == "waiting"
        browser.click("#uploads button[aria-label='Cancel large.bin']")
        throttle(browser, -1)
        wait_for_line(browser, "Cancelled large.bin")
        wait_for_line(browser, "Saved next.bin (70 kB)")
    assert sorted(os.listdir(directory)) == sorted(
        ["a2.txt", "a10.txt", "Bild.png", "hello.txt", "hello (1).txt", "höme work.txt", "next.bin", "sub"])
    assert (directory / "höme work.txt").read_bytes() == bytes(3000)


_DROP = """
const data = new DataTransfer();
for (const name of ["x.txt", "y.txt"]) data.items.add(new File([name.repeat(3)], name));
const event = type => new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true});
const over = document.querySelector("h1").dispatchEvent(event("dragover"));
const drag = document.documentElement.className;
return [over, drag, document.querySelector("h1").dispatchEvent(event("drop")), document.documentElement.className]
"""


def test_dropping_files(browser: Browser, directory: Path) -> None:
    """Each comes as it is, so that its bytes need not be looked at, and with what no page of another origin can send
    without asking first."""
    sent: list[tuple[str | None, ...]] = []

    def note(request: HttpRequest) -> None:
        if request.method == "POST":
            names = ("slug", "content-type", "content-length", "sec-fetch-site")
            sent.append(tuple(request.headers.get(name) for name in names))

    with page_of(directory, note=note, upload=True) as url:
        browser.open(url + "sub/")
        assert browser.run(_DROP) == [False, "drag", False, ""]
        for name in ("x.txt", "y.txt"):
            wait_for_line(browser, f"Saved {name} (15 B)")
        eventually(lambda: names(browser) == ["Parent folder", "x.txt", "y.txt"], ANSWERING)
        # What is no file is not ours.
        assert browser.run("return document.body.dispatchEvent(new DragEvent('dragover', "
                           "{dataTransfer: new DataTransfer(), "
                           "bubbles: true, cancelable: true}))")
    assert (directory / "sub" / "y.txt").read_bytes() == b"y.txt" * 3
    assert sent == [(name, "application/octet-stream", "15", "same-origin") for name in ("x.txt", "y.txt")]


def test_a_letterbox(browser: Browser, directory: Path) -> None:
    with page_of(directory, drop=True, max_upload=1000) as url:
        browser.open(url)
        browser.run(_DROP)
        wait_for_line(browser, "Saved x.txt (15 B)")
        wait_for_line(browser, f"SHA-256 of x.txt: {hashlib.sha256(b'x.txt' * 3).hexdigest()}")
        wait_for_line(browser, f"SHA-256 of y.txt: {hashlib.sha256(b'y.txt' * 3).hexdigest()}")
    # A server that has gone.
    browser.run(_DROP)
    wait_for_line(browser, "x.txt was not saved: the connection broke, or the file can no longer be read.")


def test_without_a_script(browser: Browser, directory: Path, tmp_path: Path) -> None:
    """A form that is refused early is answered all the same, and seen."""
    (tmp_path / "huge.bin").write_bytes(bytes(12_000_000))
    (tmp_path / "x.bin").write_bytes(b"x")
    with page_of(directory, upload=True, max_upload=2_000_000) as url:
        browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
        try:
            browser.open(url)
            browser.choose("[type=file]", tmp_path / "x.bin")
            browser.click("form[method=post] button")
            eventually(lambda: (directory / "x.bin").exists(), ANSWERING)
            browser.open(url)
            browser.choose("[type=file]", tmp_path / "huge.bin")
            browser.click("form[method=post] button")
            eventually(lambda: browser.text("h1") == "413 Content Too Large", ANSWERING)
            assert browser.text("p") == "What was sent for / is larger than is taken here: 2.0 MB at most."
        finally:
            browser.devtools("Emulation.setScriptExecutionDisabled", value=False)


def test_pages_that_reload(browser: Browser, directory: Path) -> None:
    """A style sheet is exchanged where the page is; for a script, or the page itself, it is loaded again."""
    (directory / "index.html").write_text(
        '<!doctype html><link rel="icon" href="data:,"><link rel="stylesheet" href="style.css?v=1">'
        '<h1>One</h1><p><script src="text.js"></script>')
    (directory / "style.css").write_text("h1 { color: rgb(1, 1, 1) }")
    (directory / "text.js").write_text("document.querySelector('p').append('first')")
    site = Site(directory, SiteOptions(reload=True, headers=frozenset(["content-security-policy"])))
    fields = HttpHeaders()
    fields.set("content-security-policy", "default-src 'self' data:")
    with serving(site.handle, workers=4, default_response_headers=fields) as server:
        try:
            url = f"http://127.0.0.1:{server.port}/"
            browser.open(url)
            browser.run("window.mark = 1")
            # In one go: an element that was found may be one of the page before.
            text = "return document.querySelector('{}')?.innerText"
            color = "return getComputedStyle(document.querySelector('h1')).color"
            assert (browser.run(text.format("p")), browser.run(color)) == ("first", "rgb(1, 1, 1)")
            (directory / "style.css").write_text("h1 { color: rgb(222, 2, 2) }")
            eventually(lambda: browser.run(color) == "rgb(222, 2, 2)", ANSWERING)
            eventually(lambda: browser.run("return document.querySelectorAll('[rel=stylesheet]').length") == 1,
                       ANSWERING)
            assert browser.run("return window.mark") == 1
            (directory / "text.js").write_text("document.querySelector('p').append('the second')")
            eventually(lambda: browser.run(text.format("p")) == "the second", ANSWERING)
            (directory / "index.html").write_text('<link rel="icon" href="data:,"><h1>Two</h1><p>3')
            eventually(lambda: browser.run(text.format("h1")) == "Two", ANSWERING)
            # A list, and a page that is not there yet.
            browser.open(url + "sub/")
            (directory / "sub" / "new.txt").touch()
            eventually(lambda: names(browser) == ["Parent folder", "new.txt"], ANSWERING)
            browser.open(url + "later.html")
            assert browser.run(text.format("h1")) == "404 Not Found"
            (directory / "later.html").write_text('<link rel="icon" href="data:,"><h1>Now</h1>')
            eventually(lambda: browser.run(text.format("h1")) == "Now", ANSWERING)
            browser.complaints()  # that there was a 404
        finally:
            site.close()


def test_the_certificate_made_on_the_spot(browser: Browser, directory: Path, tmp_path: Path) -> None:
    """A browser's exception for it lasts: the next server has the same one."""
    for is_known in (False, True):
        kept = kept_certificate(["localhost", "127.0.0.1"], {"XDG_CACHE_HOME": str(tmp_path)})
        with serving(Site(directory, SiteOptions()).handle, context=kept.context.server_context(), workers=4) as server:
            url = f"https://localhost:{server.port}/"
            browser.open(url)
            if not is_known:
                # Nothing else is wrong with it than who has made it.
                assert "ERR_CERT_AUTHORITY_INVALID" in browser.run("return document.body.innerText")
                browser.click("#details-button")
                browser.click("#proceed-link")
            eventually(lambda: browser.run("return location.href") == url, ANSWERING)
            eventually(lambda: "hello.txt" in names(browser), ANSWERING)
            assert browser.run("return location.protocol") == "https:"
