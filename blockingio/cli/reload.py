"""--reload: which files were served, when one of them changes, and the pages that are told.

Pages wait for server-sent events (HTML 9.2).  One thread looks at all files and writes to all pages, however many there
are; while no page waits it looks at nothing.  An event names the paths that have changed, and the page knows whether
it was made of one.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from queue import Empty, SimpleQueue
from threading import Lock
from time import monotonic, time
from typing import NamedTuple

from blockingio.http_server.safe_open import Opened
from blockingio.server.request import HttpRequest
from blockingio.server.response import HttpResponse
from blockingio.server.workers import answer_error
from blockingio.stream.thread import Thread
from blockingio.values.headers import HttpHeaders
from blockingio.values.percent import decode_lenient

# Seconds between two looks at the files.
LOOK_EVERY = 0.25

# Seconds after which a page that has heard nothing is written to, so that one that is gone is noticed.
_WORD_EVERY = 15.0

# Paths that are watched, and changes that are remembered for pages that come back.
_MOST_WATCHED = 4096
_MOST_CHANGES = 1024

_SERVICE_UNAVAILABLE = 503

# Seconds by which the time stamp of a file may lie before its change (file systems stamp by ticks of the clock).
_TICK = 0.05


class _Stamp(NamedTuple):
    """A file as it was seen: what shows a change, and when it last changed in any way, in seconds since 1970."""

    identity: tuple[int, int, int]
    changed: float


_Seen = tuple[_Stamp | None, ...]  # of each file of a path; None: it is not there
_Looking = Callable[[], _Seen]


class _Change(NamedTuple):
    number: int
    time: float  # of the change, on the monotonic clock
    path: str


class _Page(NamedTuple):
    """One that waits: since when it has its content, on the monotonic clock, and the last event that it knows."""

    response: HttpResponse
    since: float
    last: str


class Reloader:
    """Any number of threads may call it.

    ``_lock`` guards ``_watched`` and ``_noted``.  A response that waits is the reloading thread's alone, as is all that
    is named under it.
    """

    def __init__(self, open_names: Callable[[Sequence[str]], Opened]) -> None:
        """``open_names`` opens what names lead to in the jail; OSError and ValueError where there is nothing."""
        self._open_names = open_names
        self._lock = Lock()
        # By the path of the URL: what looks at its files, and what was seen.
        self._watched: OrderedDict[str, tuple[_Looking, _Seen]] = OrderedDict()
        self._noted: dict[str, float] = {}  # paths that had changed when they were served again, and when they did
        self._coming: SimpleQueue[_Page | None] = SimpleQueue()  # None: the end
        self._closed = False  # set once, by close() or where there is no thread
        # The reloading thread's:
        self._token = secrets.token_hex(4)  # of this server, in the ids of its events
        self._number = 0
        self._changes: deque[_Change] = deque(maxlen=_MOST_CHANGES)
        self._pages: dict[_Page, float] = {}  # each with the time when it was last written to
        self._thread = Thread(self._work, name="blockingio reload", lost=self._give_up)
        self._thread.start()

    def close(self) -> None:
        """No page waits any more; returns when all have been let go of.  Idempotent."""
        self._closed = True
        self._coming.put(None)
        self._thread.end()

    # ---------------------------------------------------------------- what is served, on any thread

    def watch_file(self, request: HttpRequest, files: Sequence[str], opened: os.stat_result) -> None:
        """A request is answered with the first of these files, or with one that stands for it."""
        def look() -> _Seen:
            return tuple(map(_look, files))

        self._watch(request, look, (_stamp(opened), *map(_look, files[1:])))

    def watch_names(self, request: HttpRequest, names: Sequence[str]) -> None:
        """A request is answered with a folder's list, or with the word that there is nothing; ``names`` lead there."""
        def look() -> _Seen:
            try:
                with closing(self._open_names(names)) as opened:
                    return (_stamp(opened.stat),)
            except (OSError, ValueError):
                return (None,)

        self._watch(request, look, look())

    def take(self, request: HttpRequest) -> None:
        """A page waits: its response stays open until it goes away, or ``close``."""
        if self._closed or request.method != "GET":
            answer_error(request, _SERVICE_UNAVAILABLE)
            return
        headers = HttpHeaders()
        headers.set("content-type", "text/event-stream; charset=utf-8")
        headers.set("cache-control", "no-store")
        headers.set("x-accel-buffering", "no")  # nginx would else keep events for itself
        request.response.take_headers(headers)
        parameters = request.uri.query_parameters
        self._coming.put(_Page(
            request.response, monotonic() - _number(parameters.get("since", "")) / 1000,
            request.headers.get("last-event-id", parameters.get("last", ""))))

    def _watch(self, request: HttpRequest, look: _Looking, seen: _Seen) -> None:
        path = decode_lenient(request.uri.path)
        with self._lock:
            before = self._watched.pop(path, None)
            self._watched[path] = (look, seen)
            if before is not None and (when := _when_changed(before[1], seen)) is not None:
                self._noted[path] = when  # pages that were made of what it was before wait for that
            if len(self._watched) > _MOST_WATCHED:
                self._watched.popitem(last=False)

    def _give_up(self, error: Exception) -> None:
        """The thread did not come up: pages are told that there is no news."""
        self._closed = True

    # ---------------------------------------------------------------- the reloading thread

    def _work(self) -> None:
        next_look = monotonic()
        while True:
            try:
                page = self._coming.get(timeout=max(next_look - monotonic(), 0) if self._pages else None)
            except Empty:
                next_look = monotonic() + LOOK_EVERY
                self._tell(self._look())
                continue
            if page is None:
                break
            self._greet(page)
        while not self._coming.empty():  # those that came with the end
            page = self._coming.get()
            if page is not None:
                page.response.close()
        for page in self._pages:
            page.response.close()
        self._pages.clear()

    def _look(self) -> dict[str, float]:
        """The paths that have changed since the last time, each with the time of that."""
        with self._lock:
            watched = list(self._watched.items())
            changed, self._noted = self._noted, {}
        for path, (look, seen) in watched:
            found = look()
            when = _when_changed(seen, found)
            if when is not None:
                changed[path] = when
                with self._lock:
                    if self._watched.get(path) == (look, seen):
                        self._watched[path] = (look, found)
        return changed

    def _tell(self, changed: Mapping[str, float]) -> None:
        for path, when in changed.items():
            self._number += 1
            self._changes.append(_Change(self._number, when, path))
        now = monotonic()
        for page, last_word in list(self._pages.items()):
            news = [path for path, when in changed.items() if when >= page.since]
            if news:
                self._send(page, self._event(news))
            elif now - last_word >= _WORD_EVERY:
                self._send(page, ":\n\n")

    def _greet(self, page: _Page) -> None:
        """Tell a page what it has missed."""
        missed: list[str] | None = [change.path for change in self._changes if change.time >= page.since]
        if page.last:
            token, _, number = page.last.rpartition("-")
            known = _number(number)
            oldest = self._changes[0].number if self._changes else self._number + 1
            if token != self._token or known < oldest - 1:
                missed = None  # this server has begun since, or has forgotten what was then
            else:
                missed = [change.path for change in self._changes
                          if change.number > known and change.time >= page.since]
        self._send(page, f"retry: 1000\n{self._event(missed)}")

    def _event(self, changed: list[str] | None) -> str:
        """``changed`` None: what has changed is not known."""
        return f"id: {self._token}-{self._number}\ndata: {json.dumps(changed)}\n\n"

    def _send(self, page: _Page, text: str) -> None:
        page.response.write(text)
        page.response.flush()
        if page.response.is_connected:
            self._pages[page] = monotonic()
        else:
            self._pages.pop(page, None)
            page.response.close()


def _when_changed(before: _Seen, now: _Seen) -> float | None:
    """When files became what they are now, on the monotonic clock; None where they are as they were."""
    times = [time() if new is None else new.changed for old, new in zip(before, now)
             if (old and old.identity) != (new and new.identity)]
    return monotonic() - time() + max(times, default=time()) + _TICK if times or len(before) != len(now) else None


def _look(file: str) -> _Stamp | None:
    try:
        return _stamp(os.stat(file))
    except (OSError, ValueError):
        return None


def _stamp(status: os.stat_result) -> _Stamp:
    return _Stamp((status.st_mtime_ns, status.st_size, status.st_ino), status.st_ctime)


def _number(text: str) -> int:
    """The number, 0 for what is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0
