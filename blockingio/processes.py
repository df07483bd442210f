"""Several processes on one socket, for applications that compute more than one interpreter can.

    run                 forks them, replaces those that die, and ends them in order
    inherited_sockets   those of systemd's socket activation

The parent serves nothing: its one thread waits for signals and for the ends of its children.  A child's main thread
does the work; a second one waits for the word to end, which is SIGTERM, or the end of the pipe that only the
parent holds open.  Both are told by a pipe, so that nothing happens in a signal handler.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from types import FrameType
from typing import Any, NoReturn

from blockingio.net.system import CAN_FORK
from blockingio.server.load_share import LoadShare
from blockingio.server.server import HttpServer
from blockingio.stream.thread import Thread

__all__ = ["run", "inherited_sockets"]

log = logging.getLogger("blockingio")

# systemd's first descriptor (sd_listen_fds(3)).
_FIRST_INHERITED = 3

# Seconds: a process that lived less died at once.  The pause before its successor is forked: the first, the longest.
_LONG_LIFE = 5.0
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 30.0

# Seconds that a child which should have ended gets before it is killed.
_MERCY = 2.0

# Seconds that a process which is to replace another one has until it accepts; and between two looks whether it does.
_LONGEST_START = 60.0
_LOOK_EVERY = 0.05

# Seconds of one wait: a signal in the instant before the interpreter goes to sleep does not wake it.
_NAP = 1.0

_END_SIGNALS = frozenset((signal.SIGINT, signal.SIGTERM))


def run(work: Callable[[HttpServer], object], server: HttpServer, processes: int, *, grace: float = 30) -> None:
    """``work(server)`` in so many forked processes that share the server's socket, until SIGINT or SIGTERM.

        run(lambda server: server.for_each(handle, workers=8), server, 2)

    A connection goes to the process that has the fewest.  A process that dies is replaced, and logged with its pid and
    exit status; where they die at once, later and later.  SIGHUP replaces all, one after the other, without a refused
    connection: each is told to end once its successor accepts, and stays where that dies before it does.  At the end
    requests in progress are finished, and a connection that was just opened gets its first answer; what takes longer
    than ``grace`` seconds is cut, and a second SIGINT cuts at once.  A child ends when its parent is gone.  Returns,
    without KeyboardInterrupt, once all have ended, the server is closed and signal handlers are as before.

    Called before the server is iterated.  Raises ValueError for ``processes`` below 1 or from another than the main
    thread, OSError where the system has no fork.
    """
    if processes < 1:
        raise ValueError(f"processes is {processes}, expected at least 1")
    if threading.current_thread() is not threading.main_thread():
        raise ValueError(f"run() hears signals, expected the main thread, found {threading.current_thread().name}")
    if not CAN_FORK:
        raise OSError("this system has no fork: one process is all there can be")
    _Parent(work, server, processes, grace).run()


def inherited_sockets() -> list[socket.socket]:
    """The sockets that a service manager has opened for this process, in its order; [] where there are none.

    They are those of LISTEN_FDS where LISTEN_PID is this process (systemd's socket activation, sd_listen_fds(3)).
    A second call gives none: the variables are taken away, and the sockets are not inheritable.
    """
    pid, count = os.environ.get("LISTEN_PID", ""), os.environ.get("LISTEN_FDS", "")
    if pid != str(os.getpid()) or not (count.isascii() and count.isdecimal() and len(count) < 5):
        return []
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    sockets = []
    for descriptor in range(_FIRST_INHERITED, _FIRST_INHERITED + int(count)):
        try:
            os.set_inheritable(descriptor, False)
            sockets.append(socket.socket(fileno=descriptor))
        except OSError as error:
            log.warning("descriptor %d of LISTEN_FDS is no socket: %s", descriptor, error.strerror)
    return sockets


class _Pipe:
    """Its writing end does not block: one byte says all that there is to say."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        os.set_blocking(self.writing, False)

    def tell(self) -> None:
        with suppress(BlockingIOError):
            os.write(self.writing, b"\0")

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)


class _Parent:
    """All of it is the main thread's; signal handlers only note what came."""

    def __init__(self, work: Callable[[HttpServer], object], server: HttpServer, processes: int, grace: float) -> None:
        self._work = work
        self._server = server
        self._count = processes
        self._grace = grace
        self._children: dict[int, float] = {}  # pid, and when it was born
        self._load = LoadShare(2 * processes + 1)
        self._places: dict[int, int] = {}  # pid, and where its load stands
        self._retired: dict[int, float] = {}  # those that were told to end, and when they are killed
        self._to_replace: list[int] = []  # by SIGHUP, those that have yet to get a successor
        self._successor: tuple[int, int] | None = None  # one that does not accept yet, and whose place it takes then
        self._pause = 0.0  # before the next one is forked
        self._next_birth = 0.0  # not before this, on the monotonic clock
        self._signals: list[int] = []  # appended to by the handlers
        self._interrupts = 0

    def run(self) -> None:
        self._life, self._wake = _Pipe(), _Pipe()
        handlers = {number: signal.signal(number, self._hear)
                    for number in (*_END_SIGNALS, signal.SIGHUP, signal.SIGCHLD)}
        wakeup = signal.set_wakeup_fd(self._wake.writing, warn_on_full_buffer=False)
        try:
            self._serve()
            self._end()
        finally:
            for pid in (*self._children, *self._retired):  # only where something failed here
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            signal.set_wakeup_fd(wakeup)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self._wake.close()
            self._life.close()
            self._server.close()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)
        self._interrupts += number == signal.SIGINT

    def _serve(self) -> None:
        """Until a signal asks for the end."""
        while _END_SIGNALS.isdisjoint(self._signals):
            self._reap()
            if signal.SIGHUP in self._signals:
                self._signals = [number for number in self._signals if number != signal.SIGHUP]
                self._to_replace = list(self._children)
            if self._successor is not None:
                self._hand_over(*self._successor)
            wanted = self._count + (self._successor is not None and self._successor[1] in self._children)
            while len(self._children) < wanted and monotonic() >= self._next_birth:
                self._give_birth()
            may_replace = self._to_replace and not self._retired and self._successor is None
            if may_replace and monotonic() >= self._next_birth:
                self._replace_one()
            self._kill_late()
            is_one_due = len(self._children) < wanted or may_replace
            nap = max(self._next_birth - monotonic(), 0.01) if is_one_due else _NAP
            self._sleep(min(nap, _NAP if self._successor is None else _LOOK_EVERY))

    def _end(self) -> None:
        """Tell all, and wait for them."""
        for pid in list(self._children):
            self._retire(pid)
        self._server.let_go()  # the port is refused once all of them have accepted the clients that wait
        while self._retired:
            if self._interrupts > 1:
                self._interrupts = 0
                for pid in self._retired:
                    os.kill(pid, signal.SIGINT)
                    self._retired[pid] = monotonic() + _MERCY
            self._kill_late()
            self._sleep(_NAP)
            self._reap()

    def _replace_one(self) -> None:
        """Its successor comes first: there is always one that accepts."""
        pid = self._to_replace[0]
        if pid not in self._children:  # it has died, and been replaced
            del self._to_replace[0]
        elif self._give_birth():
            del self._to_replace[0]
            self._successor = max(self._children, key=self._children.__getitem__), pid

    def _hand_over(self, successor: int, pid: int) -> None:
        """Tell one to end once its successor accepts; should that have died, nothing is replaced any more."""
        born = self._children.get(successor)
        if born is None:
            self._to_replace.clear()
        elif not self._load.accepts(self._places[successor]) and monotonic() < born + _LONGEST_START:
            return
        elif pid in self._children:
            self._retire(pid)
        self._successor = None

    def _retire(self, pid: int) -> None:
        del self._children[pid]
        self._retired[pid] = monotonic() + self._grace + _MERCY
        os.kill(pid, signal.SIGTERM)  # it has not been waited for, so no other process has its number

    def _kill_late(self) -> None:
        for pid, end in self._retired.items():
            if monotonic() >= end:
                os.kill(pid, signal.SIGKILL)

    def _sleep(self, seconds: float) -> None:
        """Until a signal comes, or the time is up."""
        select.select([self._wake.reading], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._wake.reading, 4096)

    def _reap(self) -> None:
        for pid in (*self._children, *self._retired):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            self._load.leave(self._places.pop(pid))
            if self._retired.pop(pid, None) is None:
                self._mourn(pid, monotonic() - self._children.pop(pid), os.waitstatus_to_exitcode(status))

    def _mourn(self, pid: int, lived: float, code: int) -> None:
        self._delay(lived >= _LONG_LIFE)
        how = f"with status {code}" if code >= 0 else f"by signal {-code}"
        if self._successor is not None and self._successor[0] == pid:
            log.error("process %d ended %s after %.1f seconds, before it served; those that it was to replace stay",
                      pid, how, lived)
            return
        when = f"in {self._pause:g} seconds" if self._pause else "now"
        log.error("process %d ended %s after %.1f seconds; another one takes its place %s", pid, how, lived, when)

    def _delay(self, was_good: bool) -> None:
        self._pause = 0.0 if was_good else min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
        self._next_birth = monotonic() + self._pause

    def _give_birth(self) -> bool:
        """Fork one more; False where the system has no room for it."""
        _flush()  # what is buffered here would else be written twice
        # A signal for the child waits until that has handlers of its own.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*_END_SIGNALS, signal.SIGHUP, signal.SIGCHLD))
        place = min(set(range(len(self._load))) - set(self._places.values()))
        try:
            pid = os.fork()
            if not pid:
                self._load.take(place)
                self._server.state.load = self._load
                _Child(self._work, self._server, self._grace, self._life).live(mask)
        except OSError as error:
            self._delay(False)
            log.error("no process can be made, tried again in %g seconds: %s", self._pause, error)
            return False
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._children[pid] = monotonic()
        self._places[pid] = place
        return True


class _Child:
    """The process that works.  ``_word`` is told by signals, which come on the main thread."""

    def __init__(self, work: Callable[[HttpServer], object], server: HttpServer, grace: float, life: _Pipe) -> None:
        self._work = work
        self._server = server
        self._grace = grace
        self._life = life
        self._is_done = threading.Event()  # the work has returned

    def live(self, mask: Any) -> NoReturn:
        """Never returns: nothing of the parent's is to be done here."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            os.close(self._life.writing)  # else it would be open without the parent
            self._word = _Pipe()
            for number in _END_SIGNALS:
                signal.signal(number, self._hear)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent's to hear
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            # Without that thread it could not be ended: better another process than this one.
            ending = Thread(self._end_when_told, name="blockingio end", lost=lambda error: _leave(1))
            ending.start()
            self._work(self._server)
            status = 0
            if self._was_told:
                self._is_done.set()
                ending.join()
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            log.exception("the work of process %d failed", os.getpid())
        finally:
            _leave(status)

    _was_told = False  # written by the second thread, before it ends the server
    _has_heard = False  # the main thread's

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """The first signal asks for the end.  SIGINT behind it cuts: a second one, or the parent's."""
        if self._has_heard and number == signal.SIGINT:
            self._server.close(force=True)
        self._has_heard = True
        self._word.tell()

    def _end_when_told(self) -> None:
        """On the second thread."""
        select.select([self._word.reading, self._life.reading], [], [])
        self._was_told = True
        end = monotonic() + self._grace
        self._server.finish(self._grace)
        if not self._is_done.wait(max(end - monotonic(), _MERCY / 4)):
            _leave(1)  # its answers are out or cut, and the work does not come to an end


def _leave(status: int) -> NoReturn:
    """End this process, without what its parent has registered for its own end."""
    try:
        _flush()
    finally:
        os._exit(status)


def _flush() -> None:
    """Write what stdout and stderr hold.  Either may be closed, or have no reader: no reason not to serve."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.flush()
