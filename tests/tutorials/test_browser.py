"""The tutorials' pages in a real browser."""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import ANSWERING, Browser, needs_browser, running_browser
from tests.peers import eventually
from tests.tutorials.programs import TUTORIALS, Program

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def copy_of(page: str, port: int, program: Program, directory: Path, *others: str) -> str:
    """The URL of a page that asks the program where it really listens, not at the port in its text."""
    replaced = 0
    for name in (page, *others):
        text = (TUTORIALS / name).read_text(encoding="utf-8")
        replaced += text.count(f"http://localhost:{port}")
        text = text.replace(f"http://localhost:{port}", f"http://localhost:{program.port}")
        (directory / name).write_text(text, encoding="utf-8")
    assert replaced == 1
    return (directory / page).as_uri()


def test_making_a_guess(browser: Browser, tmp_path: Path) -> None:
    with Program("number_thinker.py", 4041, tmp_path) as program:
        match = re.fullmatch(r"I'm thinking of a number: ([0-9])", program.line())
        assert match
        right = int(match[1])
        wrong = (right + 1) % 10
        page = copy_of("make_a_guess.html", 4041, program, tmp_path)
        for guess, answer in ((wrong, "false"), (right, "true\nI'm thinking of another number.")):
            browser.open(page)
            browser.click(f"option:nth-of-type({guess + 1})")
            browser.click("button")
            eventually(lambda: browser.url == f"http://localhost:{program.port}/?q={guess}", ANSWERING)
            eventually(lambda: browser.text("body").strip() == answer, ANSWERING)


def test_taking_notes(browser: Browser, tmp_path: Path) -> None:
    with Program("note_server.py", 4042, tmp_path) as program:
        browser.open(copy_of("note_taker.html", 4042, program, tmp_path, "note_client.js"))

        def save(note: str, shown: str) -> None:
            browser.type("#note_entry", note)
            browser.click("#save_note")
            eventually(lambda: browser.text("#display_how_many_notes") == shown, ANSWERING)
            assert browser.run("return document.querySelector('#note_entry').value") == ""

        def read(number: str, shown: str) -> None:
            browser.type("#choose_note", number)
            browser.click("#get_note")
            eventually(lambda: browser.text("#display_note") == shown, ANSWERING)

        save("Buy milk", "Notes so far: 1.")
        save('Say "Grüße" & <b>go</b>', "Notes so far: 2.")
        read("0", "Buy milk")
        read("1", 'Say "Grüße" & <b>go</b>')
        read("7", "There is no such note. Notes so far: 2, counted from 0.")
        read("x", "There is no such note. Notes so far: 2, counted from 0.")
        assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == 'Buy milk\nSay "Grüße" & <b>go</b>\n'
    browser.click("#get_note")
    eventually(lambda: browser.text("#display_note") == "No answer. Is note_server.py running?", ANSWERING)


def test_a_page_from_a_file_server(browser: Browser, tmp_path: Path) -> None:
    with Program("static_file_server.py", 4048, tmp_path) as program:
        browser.open(program.url)
        assert browser.text("h1") == "Hello from a file"
        browser.click("a[href='note_taker.html']")
        eventually(lambda: browser.url == f"{program.url}/note_taker.html", ANSWERING)
        assert browser.text("h1") == "Note taker"
        # The script came with a type that a browser runs, although nosniff forbids it to guess.
        assert browser.run("return typeof ask") == "function"


def test_two_windows_chat(browser: Browser, tmp_path: Path) -> None:
    with Program("chat_server.py", 4043, tmp_path) as program:
        windows = [browser.window, browser.new_window()]
        for window in windows:
            browser.window = window
            browser.open(program.url + "/")
            eventually(lambda: browser.text("#state") == "Connected.", ANSWERING)
        for window, text in zip(windows, ("Grüße & <b>hallo</b> 😀", "x" * 2000)):
            browser.window = window
            browser.run(f"document.querySelector('#message').value = {text!r}")
            browser.click("#send")
            for other in windows:
                browser.window = other
                eventually(lambda: browser.text("#messages li:last-child") == text
                           if browser.run("return document.querySelector('#messages li') !== null") else False,
                           ANSWERING)
        browser.window = windows[1]
        browser.run("socket.send('y'.repeat(10001))")
        eventually(lambda: browser.text("#state").startswith("The connection is closed."), ANSWERING)
        browser.window = windows[0]
        assert browser.text("#state") == "Connected."
