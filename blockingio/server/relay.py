"""A socket that is handed over while its connection's thread is still reading from it.

A thread cannot be taken out of recv() without ending the connection.  So the new owner of the
socket gets one end of a pair instead; the connection's thread goes on receiving and
passes on what comes, and a second thread passes on what goes out.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Event

from blockingio.net.channel import Channel
from blockingio.net.system import AF_UNIX, CAN_SEE_HANG_UP, RESET_ON_CLOSE, NoticedSocket, wait_for_hang_up
from blockingio.wire.limits import LINGER_TIME
from blockingio.wire.source import TIMED_OUT

_SIZE = 65536


class Relay:
    """``theirs`` is the end to give away; ``pass_out`` and ``pass_in`` are a thread each, which both end.

    That of ``pass_out`` ends last, and closes the rest.  It is the only one to receive from ``_ours`` and to
    send on the channel, that of ``pass_in`` the only one to do the reverse.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._ours, self.theirs = socket.socketpair()
        self._is_over = Event()  # the owner has closed its end, or pass_in is at its end
        if not CAN_SEE_HANG_UP:
            self.theirs = NoticedSocket.of(self.theirs, self._is_over.set)
        self._rest = b""  # what comes before all that the thread of pass_in is given
        self._passed = 0  # bytes of both that pass_early has passed
        self._passed_in = Event()  # pass_in is at its end
        self._is_abandoned = False  # there is no pass_out: set before the thread that passes in is ended

    def close(self) -> None:
        """Where it comes to nothing, and there are no threads: Ctrl-C may have come as that of ``pass_out`` began."""
        self.theirs.close()
        self._passed_in.set()
        self._ours.close()

    def pass_early(self, rest: bytes, data: bytes) -> None:
        """What is here already, for the thread that hands the socket over; ``data`` comes again in ``first``.

        As much of both as is taken without waiting: the owner does not read yet.
        """
        self._rest = rest
        self._ours.setblocking(False)
        self._passed = self._ours.send(rest + data)
        self._ours.setblocking(True)

    def abandon(self, error: BaseException) -> None:
        """The thread of ``pass_out`` never came up: the end of both, which that of ``pass_in`` then closes."""
        self._is_abandoned = True
        self._channel.cut()
        self._end(socket.SHUT_RDWR)
        if self._passed_in.is_set():
            self._close_both()

    def pass_out(self) -> None:
        """From the new owner to the client, until the owner ends it; then the end of both."""
        channel = self._channel
        try:
            while data := self._receive_from_owner():
                channel.send_all(data, None)
            channel.half_close()
        except OSError:
            channel.cut()
            if self._ours.family != AF_UNIX:
                self._reset_owner()
                return
            self._end(socket.SHUT_RD)  # so that the owner can see that what it sends goes nowhere
        self._wait_for_owner()
        if not self._passed_in.wait(LINGER_TIME):  # a client that does not close, and an owner that does not read
            channel.cut()
            self._passed_in.wait()
        channel.linger(LINGER_TIME)
        self._close_both()

    def pass_in(self, first: bytes) -> None:
        """From the client to the new owner, beginning with what was read too far."""
        with suppress(OSError):  # one of the two has gone
            data = (self._rest + first)[self._passed :]
            while True:
                if data:
                    self._ours.sendall(data)
                try:
                    data = self._channel.receive(_SIZE)
                except TIMED_OUT:
                    self._channel.set_receive_timeout(None)
                    data = b""
                    continue
                if not data:
                    break
        self._end(socket.SHUT_WR)
        self._is_over.set()
        self._passed_in.set()
        if self._is_abandoned:
            self._close_both()

    def _receive_from_owner(self) -> bytes:
        try:
            return self._ours.recv(_SIZE)
        except ConnectionResetError:
            return b""  # it has closed its end, and not read all: no less an end

    def _wait_for_owner(self) -> None:
        """Until its end is closed, and not only for sending: it may receive for as long as it likes; or until
        nothing more comes for it."""
        if CAN_SEE_HANG_UP:
            wait_for_hang_up(self._ours)
        else:
            self._is_over.wait()

    def _reset_owner(self) -> None:
        """Where the pair is made of TCP: only a reset shows the owner that what it sends goes nowhere."""
        self._end(socket.SHUT_RDWR)  # the thread that passes in may be sending to an owner that does not receive
        self._passed_in.wait()
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._close_both()

    def _close_both(self) -> None:
        self._ours.close()
        self._channel.close()

    def _end(self, how: int) -> None:
        with suppress(OSError):  # the owner has gone
            self._ours.shutdown(how)
