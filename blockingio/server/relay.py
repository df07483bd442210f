"""A socket that is handed over while its connection's thread is still reading from it.

Nobody can take a thread out of recv() without ending the connection.  So whoever takes the
socket over gets one end of a pair instead; the connection's thread goes on receiving and
passes on what comes, and a second thread passes on what goes out.
"""

from __future__ import annotations

import socket
from threading import Lock

from blockingio.net.channel import Channel
from blockingio.wire.source import TIMED_OUT

_SIZE = 65536


class Relay:
    """``theirs`` is the end to give away; ``pass_out`` and ``pass_in`` are a thread each, which both end."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._ours, self.theirs = socket.socketpair()
        self._passed = 0  # bytes that pass_early has passed
        self._lock = Lock()
        self._directions = 2  # those not at their end yet; the last one closes

    def pass_early(self, data: bytes) -> None:
        """What is here already, for the thread that hands the socket over; it comes again in ``first``."""
        self._ours.sendall(data)
        self._passed = len(data)

    def pass_out(self) -> None:
        """From the new owner to the client, until the owner ends it."""
        try:
            while data := self._ours.recv(_SIZE):
                self._channel.send_all(data, None)
            self._channel.half_close()
        except OSError:
            self._channel.cut()
        self._end_direction()

    def pass_in(self, first: bytes) -> None:
        """From the client to the new owner, beginning with what was read too far."""
        try:
            data = first[self._passed :]
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
            self._ours.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of the two has gone: the other direction notices by itself
        self._end_direction()

    def _end_direction(self) -> None:
        with self._lock:
            self._directions -= 1
            if self._directions:
                return
        self._ours.close()
        self._channel.close()
