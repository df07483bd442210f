"""Folders that are downloaded as a ZIP, each on a thread of its own: a large one holds up no other request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import quote

from blockingio.cli.output import on_one_line
from blockingio.http_server.listing import Entry
from blockingio.http_server.paths import shown
from blockingio.http_server.safe_open import Opened
from blockingio.http_server.zip_stream import write_zip
from blockingio.server.request import HttpRequest
from blockingio.server.state import log
from blockingio.server.thread_pool import ThreadPool
from blockingio.server.workers import answer_error

LINK = '<p><a href="?zip" download>Download all as ZIP</a></p>\n'

_SERVICE_UNAVAILABLE = 503

# Names that a line in the log has.
_MOST_NAMED = 5


class FolderZips:
    """Any number of threads may ask it."""

    def __init__(self, open_names: Callable[[Sequence[str]], Opened],
                 entries: Callable[[Opened, Sequence[str]], list[Entry]],
                 refuse: Callable[[HttpRequest, int], object]) -> None:
        """``refuse`` answers a request with a status that is an error's."""
        self._open_names = open_names
        self._entries = entries
        self._refuse = refuse
        self._threads = ThreadPool("blockingio zip")
        self._threads.close()  # none waits for the next one, which may never come

    def send(self, request: HttpRequest, names: Sequence[str], title: str) -> None:
        """Answer with the folder that ``names`` lead to, in a file called ``title``.zip; does not wait for that.

        ``title`` is "" for the root of a file system.
        """
        title = title or "files"
        response = request.response
        headers = response.headers
        headers.set("content-type", "application/zip")
        plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\%' else "_" for char in title)
        encoded = quote(f"{shown(title)}.zip", safe="")
        headers.set("content-disposition", f"attachment; filename=\"{plain}.zip\"; filename*=UTF-8''{encoded}")
        if request.method == "HEAD":
            response.close()
            return
        try:
            self._threads.run(partial(self._send, request, tuple(names)))
        except Exception:  # RuntimeError, MemoryError: no thread
            log.exception("a ZIP of %s could not be begun", request.target)
            headers.remove_all("content-disposition")
            self._refuse(request, _SERVICE_UNAVAILABLE)

    def _send(self, request: HttpRequest, names: tuple[str, ...]) -> None:
        response = request.response
        try:
            missing = write_zip(response, names, self._open_names, self._entries, lambda: response.is_connected)
            response.close()
            if missing:
                some = on_one_line(", ".join(missing[:_MOST_NAMED])) + (", ..." if len(missing) > _MOST_NAMED else "")
                log.warning("a ZIP of %s is without what could not be read: %s", request.target, some)
        except Exception as error:
            log.warning("a ZIP of %s ended early: %s", request.target, error)
            answer_error(request, 500)
