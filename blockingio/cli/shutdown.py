"""The end of the command, by a signal or because the share is over: answers in progress get a moment to finish."""

from __future__ import annotations

import signal
import threading
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from types import FrameType
from typing import Any, NamedTuple

from blockingio.server.server import HttpServer

# Seconds that answers in progress, and uploads, have to come to their end.
GRACE = 5.0

# Ctrl-C; what kill and service managers send; and that the terminal is gone.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")

# Seconds of one wait: a signal in the instant before the interpreter goes to sleep does not wake it.
_NAP = 1.0

# Seconds between two looks at whether the last connection has ended.
_LOOK_EVERY = 0.05

# Seconds in which connections that are cut end, and in which the log's last lines are written.
FAREWELL = 0.5


class Ending(NamedTuple):
    """The exit status, and why it ended; "" where the user knows or the log says it."""

    status: int
    why: str = ""


class Shutdown:
    """While it is entered, the first signal ends nothing where it stands, but is told by ``wait``.

    Entered on the main thread, on which signals come; on any other it hears none.  A signal that is ignored
    (nohup) stays so.
    """

    def __init__(self) -> None:
        # Of the queues this is the one that a signal handler may put into while its thread is in get().
        self._asked: SimpleQueue[Ending] = SimpleQueue()
        # All that follows is the main thread's.
        self._handlers: dict[int, Any] = {}  # what stood there before
        self._heard = 0
        self._lets_finish = False  # one more signal is to end that

    def __enter__(self) -> Shutdown:
        if threading.current_thread() is threading.main_thread():
            for name in _SIGNALS:
                number = getattr(signal, name, None)  # Windows has no SIGHUP
                if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                    self._handlers[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def server_ended(self) -> None:
        """No more requests are taken, though no signal asked for it; from any thread."""
        self._asked.put(Ending(1))

    def share_ended(self, why: str) -> None:
        """What was to be shared has been; from any thread.  ``why`` is for the user."""
        self._asked.put(Ending(0, why))

    def wait(self, seconds: float | None = None) -> Ending | None:
        """Until the end comes; None where so many seconds are over before, which are counted from here on."""
        end = None if seconds is None else monotonic() + seconds
        while True:
            left = _NAP if end is None else min(_NAP, end - monotonic())
            try:
                return self._asked.get(timeout=max(left, 0))
            except Empty:
                if left < _NAP and end is not None and monotonic() >= end:
                    return None

    def let_finish(self, server: HttpServer) -> None:
        """Close the server; returns once its connections have ended or GRACE is over.

        Raises KeyboardInterrupt for a second signal, from whatever it may be waiting in.
        """
        self._lets_finish = True
        try:
            if self._heard > 1:
                raise KeyboardInterrupt
            server.close()
            # Not only until the answers are out: closing at once may lose them to a reset (RFC 9112 9.6).
            _wait_for_last(server, GRACE)
        finally:
            self._lets_finish = False

    @staticmethod
    def cut(server: HttpServer) -> None:
        """End what is left; returns once its threads have noticed, and told the access log, or a moment is over."""
        server.close(force=True)
        _wait_for_last(server, FAREWELL)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._heard += 1
        if self._heard == 1:
            self._asked.put(Ending(0))
        elif self._heard == 2 and self._lets_finish:
            raise KeyboardInterrupt


def _wait_for_last(server: HttpServer, seconds: float) -> None:
    end = monotonic() + seconds
    while server.connections_info().total and monotonic() < end:
        sleep(_LOOK_EVERY)
