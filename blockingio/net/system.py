"""What operating systems do not have in common: each function that some lack, with a plain way beside it.

The choice is made once, when this module is loaded: a name here is the system's own function where there is one, so
that nothing is added to a call.  Windows lacks most of what is named here, macOS some of it.  What is not safe
without the system's help is off there; a use of it is an error, or a line in the log, that says so.

This module knows sockets and descriptors, no channel, no HTTP and no TLS.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from threading import Lock, RLock
from weakref import finalize

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: Whether this interpreter is built with the global interpreter lock.
HAS_GIL = "free-threading" not in sys.version

#: threading.RLock is a function that calls this: a step of Python for each connection and each request.
ReentrantLock = type(RLock())

# Seconds that the system can wait, poll() with its milliseconds in an int the least of all; 24 days.
LONGEST_TIME = 2_000_000

# ---------------------------------------------------------------------- to wait for a socket


# What a socket is waited for.
READABLE: int = getattr(select, "POLLIN", 1)
WRITABLE: int = getattr(select, "POLLOUT", 4)


def _wait_by_poll(sock: socket.socket, events: int, seconds: float | None) -> int:
    poll = select.poll()
    poll.register(sock.fileno(), events)
    found = poll.poll(None if seconds is None else min(max(seconds, 0), LONGEST_TIME) * 1000)
    # What is neither says that the connection is broken, which sending and receiving both find.
    return (found[0][1] & (READABLE | WRITABLE) or READABLE | WRITABLE) if found else 0


def _wait_by_select(sock: socket.socket, events: int, seconds: float | None) -> int:
    number = sock.fileno()
    if number < 0:
        raise ValueError("the socket is closed")
    left = None if seconds is None else min(max(seconds, 0), LONGEST_TIME)
    found = select.select([number] if events & READABLE else [], [number] if events & WRITABLE else [], [], left)
    return (READABLE if found[0] else 0) | (WRITABLE if found[1] else 0)


def _watch_by_poll(sock: socket.socket) -> Callable[[float], object]:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return poll.poll


def _watch_by_select(sock: socket.socket) -> Callable[[float], object]:
    return lambda milliseconds: _wait_by_select(sock, READABLE, milliseconds / 1000)


#: wait_for(sock, events, seconds): wait until there is something to receive, where READABLE is among the events, or
#: room to send, where WRITABLE is; those that are, 0 once the seconds are over; None: no limit.  The end of input
#: and a broken connection are either.  ValueError for a socket that is closed.
wait_for: Callable[[socket.socket, int, float | None], int]
#: A function for one socket that waits for input so many milliseconds, as often as it is called; true where it came.
input_watch: Callable[[socket.socket], Callable[[float], object]]

if hasattr(select, "poll"):
    wait_for = _wait_by_poll
    input_watch = _watch_by_poll
else:  # Windows, where select() takes sockets of any number; elsewhere it takes none from 1024 on
    wait_for = _wait_by_select
    input_watch = _watch_by_select

CAN_SEE_HANG_UP = hasattr(select, "poll")


def wait_for_hang_up(sock: socket.socket) -> None:
    """Wait until the other end of a pair is closed, which is more than shut down for sending.

    For systems where CAN_SEE_HANG_UP.
    """
    poll = select.poll()
    poll.register(sock, 0)  # POLLHUP comes unasked
    poll.poll()


class NoticedSocket(socket.socket):
    """A socket that calls ``noticed`` once it is closed, by its owner or by the garbage collector.

    For systems where the other end cannot see that.  One that is detached, as for TLS, is not noticed.
    """

    @classmethod
    def of(cls, sock: socket.socket, noticed: Callable[[], object]) -> NoticedSocket:
        """The same socket; ``sock`` is used up."""
        again = cls(sock.family, sock.type, sock.proto, fileno=sock.detach())
        again._finalizer = finalize(again, noticed)
        again._finalizer.atexit = False
        return again

    _finalizer: finalize[[], NoticedSocket]

    def close(self) -> None:  # socket.socket calls it for the last file of makefile(), too
        super().close()
        if self.fileno() < 0:
            self._finalizer()

    def detach(self) -> int:
        self._finalizer.detach()
        return super().detach()


# ---------------------------------------------------------------------- timeouts, sending without waiting

# MSG_DONTWAIT: one send() or recv() that does not wait, on a socket that else does.  Where there is none a socket
# that is to be received from by one thread and sent to by another never blocks, and a thread waits outside of it.
DONT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)

# One call that sends several pieces.
HAS_SENDMSG = hasattr(socket.socket, "sendmsg")

if sys.platform == "win32":
    @lru_cache(maxsize=64)
    def _time_value(milliseconds: int) -> bytes:
        return struct.pack("@I", milliseconds)

    # SO_LINGER: what has not been sent is dropped, at once.
    RESET_ON_CLOSE = struct.pack("@HH", 1, 0)
else:
    @lru_cache(maxsize=64)  # each connection begins with the same one
    def _time_value(milliseconds: int) -> bytes:
        return struct.pack("@ll", milliseconds // 1000, milliseconds % 1000 * 1000)

    RESET_ON_CLOSE = struct.pack("@ii", 1, 0)


def set_kernel_timeout(sock: socket.socket, option: int, seconds: float | None) -> None:
    """SO_RCVTIMEO or SO_SNDTIMEO; zero means for ever to the kernel, so a short time is a millisecond."""
    milliseconds = 0 if seconds is None else max(int(min(seconds, LONGEST_TIME) * 1000), 1)
    sock.setsockopt(socket.SOL_SOCKET, option, _time_value(milliseconds))


if sys.platform == "linux" and fcntl is not None:
    def unsent(sock: socket.socket) -> int:
        """Bytes that the kernel has taken, and the peer has not confirmed; 0 where the system does not say."""
        try:
            return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        except (OSError, ValueError):
            return 0  # it is gone
else:
    def unsent(sock: socket.socket) -> int:
        return 0


# Linux has accept4(): a socket that is accepted blocks, whatever the listening one does.  Elsewhere it does as that.
ACCEPTED_INHERIT_MODE = sys.platform != "linux"

# Of Linux's struct tcp_info of a socket that listens: the connections that wait in its backlog.
_BACKLOG_AT = 24

if sys.platform == "linux":
    def may_accept(sock: socket.socket) -> bool:
        """Whether a connection may wait in the backlog of a socket that listens; True where the system does not say.

        It does not let go of the GIL.  An accept() that finds none does, and makes a file and a socket before it looks.
        """
        try:
            return any(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BACKLOG_AT + 4)[_BACKLOG_AT:])
        except OSError:
            return True  # it is no TCP, or is closed
else:
    def may_accept(sock: socket.socket) -> bool:
        return True


# ---------------------------------------------------------------------- files

_seeking = Lock()  # held by any thread from lseek() until it has read: a descriptor has one position for all


def _seek_and_read(descriptor: int, count: int, offset: int) -> bytes:
    with _seeking:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, count)


#: read_at(descriptor, count, offset): at most ``count`` bytes of a file from ``offset``, b"" at its end.
read_at: Callable[[int, int, int], bytes] = getattr(os, "pread", _seek_and_read)

#: os.sendfile(out, in, offset, count) as Linux and macOS have it; None where there is none.
send_file: Callable[[int, int, int, int], int] | None = getattr(os, "sendfile", None)

#: os.splice(source, destination, count) as Linux has it, where one of the two is a pipe; None where there is none.
splice: Callable[[int, int, int], int] | None = getattr(os, "splice", None)


def make_pipe(size: int) -> tuple[int, int]:
    """A pipe that holds so many bytes: its exit and its entrance.  OSError where there is none to be had.

    For systems where splice is.
    """
    way_out, way_in = os.pipe()
    try:
        fcntl.fcntl(way_in, fcntl.F_SETPIPE_SZ, size)
    except BaseException:
        os.close(way_out)
        os.close(way_in)
        raise
    return way_out, way_in


# Linux only: only full segments are sent.  Without, TCP_NODELAY has sendfile send as many small ones (-40 %).
_TCP_CORK: int | None = getattr(socket, "TCP_CORK", None)


def cork(sock: socket.socket, corked: bool) -> None:
    if _TCP_CORK is not None and sock.family != AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_CORK, corked)


def lock_file(descriptor: int) -> None:
    """Wait until no other process has locked this file, and lock it until it is closed.

    Nothing happens where the system has no such locks (Windows).
    """
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)


# Flags of os.open that are 0 where the system has none.
O_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
O_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
# To pass through a directory takes no right to read it.
O_PATH: int = getattr(os, "O_PATH", os.O_RDONLY)
# O_NONBLOCK: a fifo without a writer must not hold us up before its stat says that it is one.  O_BINARY: Windows
# would translate line ends.
O_READ: int = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


def open_itself(path: str | os.PathLike[str], flags: int, mode: int = 0o777) -> int:
    """os.open of a file that is no link; OSError where it is one.

    Without O_NOFOLLOW it is looked at before: that is for folders in which no other user may write.
    """
    if not O_NOFOLLOW and os.path.islink(path):
        raise OSError(errno.ELOOP, "expected a file, found a link", path)
    return os.open(path, flags | O_NOFOLLOW, mode)


# Windows opens no directories.
CAN_OPEN_DIRECTORIES = hasattr(os, "O_DIRECTORY")

# Whether a name can be opened relative to an open directory and never through a link.
CAN_OPEN_BELOW = bool(O_NOFOLLOW) and bool(O_DIRECTORY) and os.open in os.supports_dir_fd

# Whether files can be made, named and removed so too.
CAN_WRITE_BELOW = CAN_OPEN_BELOW and {os.link, os.rename, os.unlink} <= os.supports_dir_fd

# ---------------------------------------------------------------------- addresses

#: None where the system has no Unix-domain sockets.
AF_UNIX: int | None = getattr(socket, "AF_UNIX", None)


def unix_family() -> int:
    """AF_UNIX.  OSError where the system has none."""
    if AF_UNIX is None:
        raise OSError(errno.EAFNOSUPPORT, "this system has no Unix-domain sockets (AF_UNIX)")
    return AF_UNIX


def claim_port(sock: socket.socket, *, shared: bool) -> None:
    """For a socket that is about to be bound: a second one on its port is an error, unless both are ``shared``.

    What the last one left behind is none.  OSError where the system cannot share a port.
    """
    if shared and not hasattr(socket, "SO_REUSEPORT"):
        raise OSError(errno.ENOPROTOOPT, "shared=True: this system cannot share a port (SO_REUSEPORT)")
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where SO_REUSEADDR would take a port that is in use
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


# ---------------------------------------------------------------------- processes and threads

CAN_FORK = hasattr(os, "fork")


def schedule_as_batch() -> None:
    """Have the calling thread wait, when it wakes up, for a processor instead of taking one from a running thread.

    On Linux this is a scheduling policy, SCHED_BATCH, that any thread may choose for itself; one that was
    chosen for the whole process stays.  Elsewhere nothing happens.
    """
    if hasattr(os, "sched_setscheduler") and hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):  # a sandbox that forbids it: things only take longer
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
