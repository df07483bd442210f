"""--open: the user's browser is sent to the server's first URL."""

from __future__ import annotations

import webbrowser
from functools import partial

from blockingio.cli.output import say
from blockingio.stream.thread import Thread


def open_browser(url: str) -> Thread:
    """Open a URL, on a thread of its own: some browsers keep their starter waiting.

    Where there is no browser a line on stderr says so.
    """
    thread = Thread(partial(_open, url), name="blockingio browser", lost=lambda error: _tell_that_it_is_not_open(url))
    thread.start()
    return thread


def _open(url: str) -> None:
    try:
        is_open = webbrowser.open(url)
    except (OSError, webbrowser.Error):
        is_open = False
    if not is_open:
        _tell_that_it_is_not_open(url)


def _tell_that_it_is_not_open(url: str) -> None:
    say(f"No browser could be started: open {url} yourself", "stderr")
