"""The tutorials' pages in a real browser: Chromium through chromedriver, by WebDriver: HTTP and JSON."""
from __future__ import annotations

import os
import re
import selectors
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.peers import eventually
from tests.tutorials.programs import TUTORIALS, Program

# Seconds: a browser starts slowly where two cores have other things to do.
STARTING = 60.0
ANSWERING = 30.0

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER),
    reason="needs Chromium and chromedriver; on Debian: apt-get install chromium chromium-driver")

# The name by which WebDriver passes elements around (W3C WebDriver 11).
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]


class Browser:
    """One session of a browser."""

    def __init__(self, driver: str, profile: Path) -> None:
        self._url = f"{driver}/session"
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        session = self._ask("POST", "", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options}}}, STARTING)
        self._url += f"/{session['sessionId']}"

    def _ask(self, method: str, path: str, body: Any = None, seconds: float = ANSWERING) -> Any:
        with requests.Session() as session:
            session.trust_env = False  # no proxy on the way to this machine itself
            answer = session.request(method, self._url + path, json=body, timeout=seconds)
        value = answer.json()["value"]
        assert answer.ok, value
        return value

    def open(self, url: str) -> None:
        self._ask("POST", "/url", {"url": url})

    def find(self, selector: str) -> str:
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        element: str = found[ELEMENT]
        return element

    def type(self, selector: str, text: str) -> None:
        element = self.find(selector)
        self._ask("POST", f"/element/{element}/clear", {})
        self._ask("POST", f"/element/{element}/value", {"text": text})

    def click(self, selector: str) -> None:
        self._ask("POST", f"/element/{self.find(selector)}/click", {})

    def text(self, selector: str) -> str:
        text: str = self._ask("GET", f"/element/{self.find(selector)}/text")
        return text

    @property
    def url(self) -> str:
        url: str = self._ask("GET", "/url")
        return url

    def run(self, script: str) -> Any:
        return self._ask("POST", "/execute/sync", {"script": script, "args": []})

    def new_window(self) -> str:
        """Its handle; the one that is in use stays so."""
        handle: str = self._ask("POST", "/window/new", {"type": "window"})["handle"]
        return handle

    @property
    def window(self) -> str:
        """The handle of the window that all else is about."""
        handle: str = self._ask("GET", "/window")
        return handle

    @window.setter
    def window(self, handle: str) -> None:
        self._ask("POST", "/window", {"handle": handle})

    def close(self) -> None:
        self._ask("DELETE", "")


def wait_for(line: str, process: subprocess.Popen[bytes]) -> re.Match[str]:
    """A line that chromedriver prints, by its pattern."""
    assert process.stdout
    deadline = time.monotonic() + STARTING
    printed = ""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not (match := re.search(line, printed)):
            assert selector.select(deadline - time.monotonic()), f"no {line!r} in {printed!r}"
            data = process.stdout.read(65536)
            assert data, f"chromedriver ended after {printed!r}"
            printed += data.decode("utf-8", "replace")
    return match


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of this file: it takes longer to start than all that they do."""
    assert CHROMEDRIVER
    profile = tmp_path_factory.mktemp("profile")
    # A home of its own as well, so that nothing of this machine's user is read or left.
    driver = subprocess.Popen(
        [CHROMEDRIVER, "--port=0"], bufsize=0, env=os.environ | {"HOME": str(profile)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        port = wait_for(r"started successfully on port (\d+)", driver)[1]
        running = Browser(f"http://127.0.0.1:{port}", profile / "data")
        try:
            yield running
        finally:
            running.close()
    finally:
        driver.terminate()
        driver.communicate()
        shutil.rmtree(profile, ignore_errors=True)  # some megabytes, which nobody wants to look at


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
                           if browser.run("return document.querySelector('#messages li') !== null") else False, ANSWERING)
        browser.window = windows[1]
        browser.run("socket.send('y'.repeat(10001))")
        eventually(lambda: browser.text("#state").startswith("The connection is closed."), ANSWERING)
        browser.window = windows[0]
        assert browser.text("#state") == "Connected."
