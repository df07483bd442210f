"""A real browser to show pages to: Chromium through chromedriver, by WebDriver: HTTP and JSON."""
from __future__ import annotations

import os
import re
import selectors
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

# Seconds: a browser starts slowly where two cores have other things to do.
STARTING = 60.0
ANSWERING = 30.0

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER),
    reason="needs Chromium and chromedriver; on Debian: apt-get install chromium chromium-driver")

# The name by which WebDriver passes elements around (W3C WebDriver 11).
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"]

# WebDriver's errors for an element that the page has not, or has no more.
_NOT_THERE = ("no such element", "stale element reference")


class NotThere(AssertionError):
    """The page has no such element at the moment."""


class Browser:
    """One session of a browser."""

    def __init__(self, driver: str, profile: Path) -> None:
        self._url = f"{driver}/session"
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        session = self._ask("POST", "", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}},
            STARTING)
        self._url += f"/{session['sessionId']}"

    def _ask(self, method: str, path: str, body: Any = None, seconds: float = ANSWERING) -> Any:
        with requests.Session() as session:
            session.trust_env = False  # no proxy on the way to this machine itself
            answer = session.request(method, self._url + path, json=body, timeout=seconds)
        value = answer.json()["value"]
        if not answer.ok:
            raise (NotThere if value["error"] in _NOT_THERE else AssertionError)(value)
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

    def press(self, key: str) -> None:
        """A key, wherever the focus is."""
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    def choose(self, selector: str, *files: Path) -> None:
        """Files for an input of theirs."""
        self._ask("POST", f"/element/{self.find(selector)}/value", {"text": "\n".join(map(str, files))})

    def show(self, width: int, *, dark: bool) -> None:
        """How wide its window is, in CSS pixels, and which theme its user prefers."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def text(self, selector: str) -> str:
        """"" also while there is no such element, as between two pages."""
        try:
            text: str = self._ask("GET", f"/element/{self.find(selector)}/text")
        except NotThere:
            return ""
        return text

    @property
    def url(self) -> str:
        url: str = self._ask("GET", "/url")
        return url

    def run(self, script: str) -> Any:
        return self._ask("POST", "/execute/sync", {"script": script, "args": []})

    def complaints(self) -> list[str]:
        """What its console has got since the last call of scripts that failed, and of what a policy forbade."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"})
                if entry["source"] in ("javascript", "security")]

    def devtools(self, command: str, **parameters: Any) -> Any:
        """A command of the Chrome DevTools Protocol."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

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


def start_driver(profile: Path) -> tuple[subprocess.Popen[bytes], str]:
    """chromedriver, and where it listens.

    Another process may have its port for IPv6: then it says so and ends, and another one is started.
    """
    assert CHROMEDRIVER
    while True:
        # A home of its own as well, so that nothing of this machine's user is read or left.
        driver = subprocess.Popen(
            [CHROMEDRIVER, "--port=0"], bufsize=0, env=os.environ | {"HOME": str(profile)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            found = wait_for(r"started successfully on port (\d+)|port not available", driver)
        except BaseException:
            driver.kill()
            driver.communicate()
            raise
        if found[1]:
            return driver, f"http://127.0.0.1:{found[1]}"
        driver.communicate()


@contextmanager
def running_browser(profile: Path) -> Iterator[Browser]:
    """One for all tests of a file: it takes longer to start than all that they do."""
    driver, url = start_driver(profile)
    try:
        running = Browser(url, profile / "data")
        try:
            yield running
        finally:
            running.close()
    finally:
        driver.terminate()
        driver.communicate()
        shutil.rmtree(profile, ignore_errors=True)  # some megabytes, which nobody wants to look at
