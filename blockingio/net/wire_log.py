"""wire_log: a callable that is told of all bytes that pass.

    WireLogs    one server's or client's: what is set, and which connections it counts for
    WireTap     one connection's: numbers it, and tells in order

A connection has a tap only where a wire_log is set when it is made: decided once, so that it costs the others nothing.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from itertools import count
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

from blockingio.net.address import shown_peer

if TYPE_CHECKING:
    from blockingio.net.wire_record import WireRecord

    WireLog: TypeAlias = Callable[[WireRecord], object]


_log = logging.getLogger("blockingio")


class _Listener:
    """One callable that was set, from then on."""

    def __init__(self, log: WireLog) -> None:
        self.log = log
        # Loaded by the package, as any public name when it is first asked for: without a wire_log dataclasses are not.
        self.record: Callable[..., WireRecord] = sys.modules[__name__.partition(".")[0]].WireRecord
        self.has_failed = False  # set once, by any thread: two that fail at once may both log it

    def tell(self, *record: Any) -> None:
        try:
            self.log(self.record(*record))
        except Exception:
            if not self.has_failed:
                self.has_failed = True
                _log.exception("the wire_log failed; it goes on being told, and no further failure is logged")


class WireLogs:
    """Set by the owner, on any thread; read by each thread that makes a connection, and at each telling."""

    def __init__(self) -> None:
        self.listener: _Listener | None = None  # of connections from now on
        self.era = object()  # another one once None was set: taps of this one tell no more
        self._numbers = count(1)  # next() is one step, also without the GIL

    @property
    def log(self) -> WireLog | None:
        """What is set."""
        listener = self.listener
        return None if listener is None else listener.log

    def set(self, log: WireLog | None) -> None:
        """ValueError for what is neither None nor callable.

        Connections that are open go on telling the callable that they told before; with None they end that at once.
        """
        if log is None:
            self.listener = None
            self.era = object()
        elif not callable(log):
            raise ValueError(f"wire_log cannot be {log!r}, expected something to call with a WireRecord, or None")
        else:
            self.listener = _Listener(log)

    def tap(self, address: Any, *, is_tls: bool) -> WireTap | None:
        """For a connection with this peer, as the socket module has it; None where no wire_log is set."""
        listener = self.listener
        if listener is None:
            return None
        return WireTap(self, listener, next(self._numbers), shown_peer(address), is_tls)


class WireTap:
    """What tells of one connection, on whichever thread the bytes pass.

    ``lock`` is held from a send to its record, and for the record of what came: so an answer, which may be received on
    another thread before the send has returned, is told behind what it answers.  Nothing waits for the peer under it.
    Reentrant: the garbage collector may close a response while its connection is being told of.
    """

    __slots__ = ("lock", "is_tls", "_logs", "_era", "_listener", "_number", "_peer", "_opened_at", "_begun", "_ended",
                 "_is_deaf")

    def __init__(self, logs: WireLogs, listener: _Listener, number: int, peer: str, is_tls: bool) -> None:
        self.lock = RLock()
        self.is_tls = is_tls
        self._logs = logs
        self._era = logs.era
        self._listener = listener
        self._number = number
        self._peer = peer
        self._opened_at = monotonic()
        self._begun = self._ended = self._is_deaf = False  # guarded by lock

    def open(self) -> None:
        """Tell "open", unless that is done."""
        with self.lock:
            if not self._begun:
                self._begun = True
                self._tell("open", b"")

    def tell(self, direction: str, data: bytes | memoryview) -> None:
        """These bytes have passed."""
        if data:
            with self.lock:
                self.open()
                if not (self._ended or self._is_deaf and direction == "in"):
                    self._tell(direction, bytes(data))

    def tell_no_input(self) -> None:
        """What comes from here on is the socket's next owner's, which may receive before "close" is told."""
        with self.lock:
            self._is_deaf = True

    def close(self) -> None:
        """Tell "close", and nothing from then on.  Idempotent."""
        with self.lock:
            if self._begun and not self._ended:
                self._ended = True
                self._tell("close", b"")

    def _tell(self, direction: str, data: bytes) -> None:
        if self._era is self._logs.era:
            self._listener.tell(self._number, self._peer, direction, data, monotonic() - self._opened_at, self.is_tls)

    # ---------------------------------------------------------------- a socket's functions that tell: for a client

    def receiving(self, receive: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """The same, told of."""
        def receive_and_tell(size: int) -> bytes:
            data = receive(size)
            self.tell("in", data)
            return data

        return receive_and_tell

    def sending(self, send: Callable[[bytes | memoryview], int]) -> Callable[[bytes | memoryview], int]:
        """socket.send, told of."""
        def send_and_tell(data: bytes | memoryview) -> int:
            sent = send(data)
            self.tell("out", data[:sent])
            return sent

        return send_and_tell

    def sending_all(self, send: Callable[[bytes | memoryview], int]) -> Callable[[bytes], None]:
        """socket.sendall, told of piece by piece: so it is known how much has gone where it fails."""
        send_and_tell = self.sending(send)

        def send_all_and_tell(data: bytes) -> None:
            view = memoryview(data)
            while view:
                view = view[send_and_tell(view) :]

        return send_all_and_tell
