"""--open: the user's browser is sent to the server's first URL."""

from __future__ import annotations

import sys
import threading
import webbrowser


def open_browser(url: str) -> None:
    """Open a URL, on a thread of its own: some browsers keep whoever starts them waiting.

    Where there is no browser a line on stderr says so.
    """
    threading.Thread(target=_open, args=(url,), name="blockingio browser", daemon=True).start()


def _open(url: str) -> None:
    try:
        is_open = webbrowser.open(url)
    except (OSError, webbrowser.Error):
        is_open = False
    if not is_open:
        print(f"No browser could be started: open {url} yourself", file=sys.stderr, flush=True)
