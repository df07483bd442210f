"""Sessions: what a server remembers of a client between its requests, in memory, found by a cookie."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, MutableMapping
from functools import partial
from time import monotonic
from typing import Any

from blockingio.server.timer import Timer, TimerThread
from blockingio.values.known_attributes import KnownAttributes

_log = logging.getLogger("blockingio")

SESSION_COOKIE = "BLOCKINGIOSESSID"

# Random bytes of an id: twice what RFC 6265 8.4 and OWASP ask for, so that none can be guessed.
_ID_SIZE = 32

# Sessions of one server at most: a client that keeps no cookies gets one for each request, and could fill the memory.
MAX_SESSIONS = 100_000


class HttpSession(KnownAttributes, MutableMapping[Any, Any]):
    """A dict that the same client finds again with its next request; follows dart:io's HttpSession.

    ``id`` is what the cookie BLOCKINGIOSESSID has.  ``is_new``: the client has not sent it back yet.  ``on_timeout``
    is called without arguments, on a background thread, once the session's time is up; None: nothing is.
    Requests of one client may run at once: each single access is safe, several together are yours to lock.

        request.session["visits"] = request.session.get("visits", 0) + 1
    """

    id: str
    is_new: bool  # until the client has sent the cookie back
    is_destroyed: bool
    on_timeout: Callable[[], object] | None

    def __init__(self, id: str, sessions: Sessions) -> None:
        self.id = id
        self.is_new = True
        self.on_timeout = None
        self._sessions = sessions
        self._data: dict[Any, Any] = {}
        self._last_used = monotonic()
        self.is_destroyed = False

    def __getitem__(self, key: Any, /) -> Any:
        return self._data[key]

    def __setitem__(self, key: Any, value: Any, /) -> None:
        self._data[key] = value

    def __delitem__(self, key: Any, /) -> None:
        del self._data[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return f"<HttpSession {self.id[:8]}... {'new ' if self.is_new else ''}{self._data!r}>"

    # Two sessions with the same contents are still two.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def destroy(self) -> None:
        """Forget it: the client's session is a new one from now on, with an id of its own.

        That is the thing to do at a login.  ``on_timeout`` is not called.
        """
        self.is_destroyed = True
        self._sessions.forget(self)


class Sessions:
    """All sessions of one server, at most ``most``; ``_lock`` guards everything.

    What a request or an expiry costs does not depend on how many there are.
    """

    def __init__(self, timer_thread: TimerThread, timeout: float, most: int) -> None:
        self.timeout = timeout  # seconds without a request after which a session ends
        self.most = most  # for one more the least recently used ends, as if its time were up
        self._timer_thread = timer_thread
        self._lock = threading.RLock()
        # By id, in the order of their last use.  A dict would be in that order too, but slow to give its first.
        self._by_id: OrderedDict[str, HttpSession] = OrderedDict()
        self._timer: Timer | None = None
        self._closed = False

    def set_timeout(self, seconds: float) -> None:
        with self._lock:
            self.timeout = seconds
            self._schedule()

    def set_most(self, count: int) -> None:
        with self._lock:
            self.most = count
            ended = self._end_surplus()
        self._tell_later(ended)

    def create(self) -> HttpSession:
        session = HttpSession(os.urandom(_ID_SIZE).hex(), self)
        with self._lock:
            self._by_id[session.id] = session
            ended = self._end_surplus()
            if self._timer is None:
                self._schedule()
        self._tell_later(ended)
        return session

    def find(self, id: str) -> HttpSession | None:
        """The session with this id, which is then in use again; None where there is none any more."""
        with self._lock:
            session = self._by_id.get(id)
            if session is None:
                return None
            now = monotonic()
            if session._last_used + self.timeout <= now:
                return None  # the timer_thread is about to end it
            session._last_used = now
            session.is_new = False
            self._by_id.move_to_end(id)
            return session

    def forget(self, session: HttpSession) -> None:
        with self._lock:
            self._by_id.pop(session.id, None)

    def close(self) -> None:
        """Forget all.  A response that is still in progress may make new ones: they end with the server."""
        with self._lock:
            self._closed = True
            self._by_id.clear()
            self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closed:
            return  # else the timer_thread's thread would outlive the server
        oldest = next(iter(self._by_id.values()), None)
        if oldest is not None:
            wait = max(oldest._last_used + self.timeout - monotonic(), 0)
            self._timer = self._timer_thread.schedule(wait, self._end_unused)

    def _end_unused(self) -> None:
        """On the timer_thread's thread."""
        ended = []
        with self._lock:
            latest = monotonic() - self.timeout
            while self._by_id and next(iter(self._by_id.values()))._last_used <= latest:
                ended.append(self._by_id.popitem(last=False)[1])
            self._timer = None
            self._schedule()
        _tell(ended)

    def _end_surplus(self) -> list[HttpSession]:
        """Take out those that are too many, and give them.  Under the lock."""
        ended = []
        while len(self._by_id) > self.most:
            ended.append(self._by_id.popitem(last=False)[1])
        return ended

    def _tell_later(self, ended: list[HttpSession]) -> None:
        """Of their end, on the timer_thread's thread, where an on_timeout belongs: a handler is not to wait for it."""
        ended = [session for session in ended if session.on_timeout is not None]
        if ended and not self._closed:
            self._timer_thread.schedule(0, partial(_tell, ended))


def _tell(ended: list[HttpSession]) -> None:
    for session in ended:
        if session.on_timeout is not None:
            try:
                session.on_timeout()
            except BaseException:  # SystemExit, too: it is not to end what is the server's
                _log.exception("on_timeout of a session failed")
