"""Bytes into an open file: from memory, or from a socket inside the system.

Linux moves bytes from a socket into a pipe and from the pipe into a file by splice(2): one copy is made of them, and
none in this program.  What cannot be moved so, of TLS or for a file system that has no way for it, is received and
written.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterable
from errno import EINVAL, ENOSYS, EOPNOTSUPP, EPERM
from typing import TYPE_CHECKING

from blockingio.net import system

if TYPE_CHECKING:
    import socket

    from blockingio.net.channel import Channel

# Bytes of a pipe, as many as Linux lets each user have.  Those of a network come in frames, of which one takes a page
# of it: these are enough for a few hundred KiB of them.
PIPE_SIZE = 1 << 20

# Where many bytes come at once, a file is written up to a multiple of this, in pieces of at most as many.  Those that
# begin and end there cost the system a tenth less.  For larger ones it takes memory in larger runs, of which a virtual
# machine may have to get each from its host: three times the cost, now and then.
_PIECE = 128 * 1024
_MANY = 2 * _PIECE

# What the system says that does not splice: from such a socket, into such a file (also one that is open for appending),
# or at all, in a sandbox.
_CANNOT = frozenset((EINVAL, ENOSYS, EOPNOTSUPP, EPERM))


def write_pieces(pieces: Iterable[bytes], descriptor: int) -> int:
    """Write them to an open file, from where it stands; how many bytes these were.  Raises OSError."""
    written = 0
    with open(descriptor, "wb", closefd=False) as file:
        for piece in pieces:
            file.write(piece)
            written += len(piece)
    return written


class CannotSplice(Exception):
    """The plain way is left, from where it stands: nothing has been lost."""


class Splice:
    """A pipe between a socket and an open file, until the block is left.

    It belongs to the thread that owns the socket's reading half, and to its file meanwhile.
    """

    __slots__ = ("_splice", "_socket", "_descriptor", "_exit", "_entrance", "_room", "_held", "_taken",
                 "_position")

    def __init__(self, splice: Callable[[int, int, int], int], sock: socket.socket, descriptor: int) -> None:
        """OSError where there is no pipe to be had, or what is open is no file."""
        self._splice = splice
        self._socket = sock
        self._descriptor = descriptor
        self._position = os.lseek(descriptor, 0, os.SEEK_CUR)
        self._exit, self._entrance = system.make_pipe(PIPE_SIZE)
        self._room = select.poll()
        self._room.register(self._entrance, select.POLLOUT)
        self._held = 0  # bytes that are in the pipe
        self._taken = 0  # of these, what came last

    def __enter__(self) -> Splice:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._exit)
        os.close(self._entrance)

    def take(self, size: int) -> int:
        """At least one byte and at most ``size`` off the socket, 0 at its end; behind each goes a ``give``.

        Waits as the channel's ``receive`` does, and raises what it raises; CannotSplice, then none is taken.
        """
        if self._held and not self._room.poll(0):
            self.give_rest()  # a few bytes may have a page each: for room in its own pipe it would wait for ever
        try:
            self._taken = self._splice(self._socket.fileno(), self._entrance, min(size, PIPE_SIZE))
        except OSError as error:
            if error.errno in _CANNOT:
                raise CannotSplice from error
            raise
        self._held += self._taken
        return self._taken

    def give(self) -> bool:
        """What was taken to the file, but for less than a piece where it was many bytes.

        False where no more can be moved: then all has been written.  Raises OSError.
        """
        kept = (self._position + self._held) % _PIECE if self._taken >= _MANY else 0
        return self._give(max(self._held - kept, 0))

    def give_rest(self) -> None:
        """All that is left."""
        self._give(self._held)

    def _give(self, size: int) -> bool:
        kept, self._held = self._held - size, 0  # of a file that takes no more nothing is asked again
        try:
            while size:
                moved = self._splice(self._exit, self._descriptor, min(size, _PIECE - self._position % _PIECE))
                size -= moved
                self._position += moved
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            self._write(size + kept)
            return False
        self._held = kept
        return True

    def _write(self, size: int) -> None:
        while size:
            data = os.read(self._exit, size)
            size -= len(data)
            write_pieces((data,), self._descriptor)


def splice_between(channel: Channel, descriptor: int) -> Splice | None:
    """What moves input of a channel into an open file inside the system; None where it has to be received.

    That is so for TLS, for a channel that tells what passes, and where the system has no splice, or no pipe left.
    """
    if system.splice is None or channel.is_tls or channel.receives_by_method:
        return None
    try:
        return Splice(system.splice, channel.socket, descriptor)
    except OSError:
        return None
