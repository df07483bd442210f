"""How many downloads are complete: files, and folders as a ZIP, of which a client has got every byte.

A 200 that the client's system has confirmed to its last byte counts, and so do the parts (206) of one file to one
client as soon as nothing is missing between them: those of a download that was cut and resumed, or fetched in pieces.
Listings, the pages that stand for a folder, errors, HEAD and 304 do not.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from blockingio.server.request import HttpRequest
from blockingio.server.response import HttpResponse
from blockingio.stream.thread import Thread

# Files of which parts are remembered; those that were forgotten have to come whole.
_MOST_FILES = 256

# Seconds between two looks at whether a client's system has confirmed what was sent.
_LOOK_EVERY = 0.02

_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)")

_File = tuple[str, str, str]  # the client's address, the path, the entity-tag


class Downloads:
    """Counts complete downloads, and calls ``on_complete`` with their number at each, on a thread of its own."""

    def __init__(self, on_complete: Callable[[int], object]) -> None:
        self._on_complete = on_complete
        # Answers that the system has taken whole (True), or that were cut; None: the end.
        self._answers: SimpleQueue[tuple[HttpRequest, bool] | None] = SimpleQueue()
        # All that follows is the counting thread's.
        self._count = 0
        self._parts: OrderedDict[_File, list[tuple[int, int]]] = OrderedDict()
        self._thread = Thread(self._work, name="blockingio downloads")
        self._thread.start()

    def follow(self, request: HttpRequest) -> None:
        """Take note of how the answer to a request ends; before it begins, from any thread."""
        if request.method == "GET":
            request.response.note_end()
            request.response.done.add_done_callback(partial(self._note, request))

    def close(self) -> None:
        """Count no more; returns once the thread has ended."""
        self._answers.put(None)
        self._thread.end()

    def _note(self, request: HttpRequest, done: Future[Any]) -> None:
        """On the thread that finished the answer, which does not wait."""
        if _is_download(request):
            self._answers.put((request, done.exception() is None))

    def _work(self) -> None:
        """The counting thread."""
        unconfirmed: list[HttpRequest] = []
        while True:
            try:
                answer = self._answers.get(timeout=_LOOK_EVERY if unconfirmed else None)
            except Empty:
                pass
            else:
                if answer is None:
                    return
                request, is_complete = answer
                if is_complete:
                    unconfirmed.append(request)
                else:
                    self._add_part(request)
                del answer, request
            unconfirmed = [request for request in unconfirmed if not self._judge(request)]

    def _judge(self, request: HttpRequest) -> bool:
        """Whether it is known how a download ended that the system has taken whole; it is counted where that is so."""
        response = request.response
        is_confirmed = response.is_confirmed
        if is_confirmed and (response.status_code == 200 or self._add_part(request)):
            self._count += 1
            self._on_complete(self._count)
        return is_confirmed is not None

    def _add_part(self, request: HttpRequest) -> bool:
        """Remember that a client has what was sent of an answer; whether it now has all of the file."""
        sent = request.response.body_sent
        extent = _extent(request.response)
        if extent is None or not sent:
            return False
        first, size = extent
        file = (request.client_address, request.uri.path, request.response.headers.get("etag", ""))
        parts = self._parts.setdefault(file, [])
        self._parts.move_to_end(file)
        parts.append((first, first + sent))
        if _has_no_gap(parts, size):
            del self._parts[file]
            return True
        if len(self._parts) > _MOST_FILES:
            self._parts.popitem(last=False)
        return False


def _is_download(request: HttpRequest) -> bool:
    response = request.response
    if response.status_code not in (200, 206):
        return False
    # A folder's page has its path, a ZIP is an attachment, and of our answers only files come in ranges.
    headers = response.headers
    return "content-disposition" in headers or ("accept-ranges" in headers and not request.uri.path.endswith("/"))


def _extent(response: HttpResponse) -> tuple[int, int] | None:
    """Where an answer begins in its file, and the file's size; None where its bytes are not those of the file."""
    if response.status_code == 200:
        return (0, response.content_length) if response.content_length > 0 else None  # else it was compressed
    match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    return (int(match[1]), int(match[3])) if match else None


def _has_no_gap(parts: list[tuple[int, int]], size: int) -> bool:
    """Whether these cover a file; they are joined where they meet."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(parts):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    parts[:] = joined
    return joined == [(0, size)]
